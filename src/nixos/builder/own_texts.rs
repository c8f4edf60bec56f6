//! What is uploaded to every builder, whatever the job.

use std::io::{self, Write};

use crate::nixos::tar_writer::{Owner, TarWriter};
use crate::nixos::{check, layout, programs};

/// The program that prepares the volume.
pub(super) const ENTRY: &str = include_str!("../../../containers/builder/entry");
/// The watchdog.
pub(super) const WATCHDOG: &str = include_str!("../../../containers/builder/watchdog");
/// The wrapper that Nix runs as `ssh`.
const SSH: &str = include_str!("../../../containers/builder/ssh");
/// The programs that run in the builder, and the shell functions that they read: path and content.
pub(super) const PROGRAMS: [(&str, &str); 6] = [
    (layout::ENTRY, ENTRY),
    (layout::WATCHDOG, WATCHDOG),
    (
        layout::GLUE,
        include_str!("../../../containers/builder/glue"),
    ),
    (
        layout::FLAKE,
        include_str!("../../../containers/builder/flake"),
    ),
    (
        layout::EVALUATIONS,
        include_str!("../../../containers/builder/evaluations"),
    ),
    (
        layout::STEPS,
        include_str!("../../../containers/builder/steps"),
    ),
];
/// The expressions that Nix evaluates, beside those that depend on the source: name and content.
pub(super) const EXPRESSIONS: [(&str, &str); 38] = [
    ("default.nix", include_str!("../expressions/default.nix")),
    ("module.nix", include_str!("../expressions/module.nix")),
    (
        "flake-source.nix",
        include_str!("../expressions/flake-source.nix"),
    ),
    ("image.nix", include_str!("../expressions/image.nix")),
    ("disk.nix", include_str!("../expressions/disk.nix")),
    ("iso.nix", include_str!("../expressions/iso.nix")),
    (
        "container.nix",
        include_str!("../expressions/container.nix"),
    ),
    (
        "registration.nix",
        include_str!("../expressions/registration.nix"),
    ),
    ("members.nix", include_str!("../expressions/members.nix")),
    ("native.nix", include_str!("../expressions/native.nix")),
    (
        "additions.nix",
        include_str!("../expressions/additions.nix"),
    ),
    ("facts.nix", check::EXPRESSION),
    ("idle-services.nix", check::IDLE_SERVICES),
    ("own-units.nix", check::OWN_UNITS),
    ("own-settings.nix", check::OWN_SETTINGS),
    ("etc-names.nix", check::ETC_NAMES),
    ("unfilled.nix", check::UNFILLED),
    ("swap-files.nix", check::SWAP_FILES),
    ("closed-ports.nix", check::CLOSED_PORTS),
    ("locale.nix", check::LOCALE),
    ("etc-links.nix", check::ETC_LINKS),
    ("made-files.nix", check::MADE_FILES),
    ("upgrades.nix", check::UPGRADES),
    ("own-programs.nix", check::OWN_PROGRAMS),
    ("script-programs.nix", check::SCRIPT_PROGRAMS),
    ("programs.txt", programs::TEXT),
    ("stored-secrets.nix", check::STORED_SECRETS),
    ("commands.nix", check::COMMANDS),
    ("glue/default.nix", include_str!("../glue/default.nix")),
    ("glue/builders.nix", include_str!("../glue/builders.nix")),
    ("glue/assembly.nix", include_str!("../glue/assembly.nix")),
    ("glue/copies.nix", include_str!("../glue/copies.nix")),
    (
        "glue/file_system.nix",
        include_str!("../glue/file_system.nix"),
    ),
    ("glue/machine.nix", include_str!("../glue/machine.nix")),
    ("glue/retry.nix", include_str!("../glue/retry.nix")),
    ("glue/text.nix", include_str!("../glue/text.nix")),
    ("glue/tools.nix", include_str!("../glue/tools.nix")),
    (
        "glue/user_modules.nix",
        include_str!("../glue/user_modules.nix"),
    ),
];

/// The texts of everything that is uploaded to every builder.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    let texts = PROGRAMS.iter().chain(&EXPRESSIONS);
    texts.flat_map(|(name, text)| [*name, *text])
}

/// Writes a tar archive to `out`: the directory of the programs with `files`, of which each is given by its absolute path, and
/// the certificate authorities of the user's.
pub(super) fn pack(
    out: &mut dyn Write,
    owner: Owner,
    files: &[(&str, &str)],
    authorities: Option<&[u8]>,
) -> io::Result<()> {
    let mut packer = TarWriter::new(out, owner);
    for dir in ["build", "build/sdbuild"] {
        packer.directory(dir)?;
    }
    for (path, text) in files {
        packer.bytes(relative(path), text.as_bytes())?;
    }
    pack_network(&mut packer, authorities)?;
    packer.finish()
}

/// Packs what connections need: ssh, and the certificate authorities of the user's.
pub(super) fn pack_network(
    packer: &mut TarWriter<'_>,
    authorities: Option<&[u8]>,
) -> io::Result<()> {
    packer.directory(relative(layout::SSH_DIR))?;
    packer.file(
        relative(layout::SSH),
        SSH.len() as u64,
        true,
        SSH.as_bytes(),
    )?;
    authorities.map_or(Ok(()), |authorities| {
        packer.bytes(relative(layout::AUTHORITIES), authorities)
    })
}

/// The path in an archive that is unpacked at the root.
pub(super) fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}
