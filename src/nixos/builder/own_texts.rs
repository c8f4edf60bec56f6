//! What is uploaded to every builder, whatever the job.

use std::io::{self, Write};

use crate::nixos::expressions;
use crate::nixos::layout;
use crate::nixos::tar_writer::{Owner, TarWriter};

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
/// The texts of everything that is uploaded to every builder.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    let expressions = expressions::files().iter();
    let expressions = expressions.flat_map(|(name, text)| [name.as_str(), text.as_str()]);
    let programs = PROGRAMS.iter();
    programs
        .flat_map(|(name, text)| [*name, *text])
        .chain(expressions)
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
