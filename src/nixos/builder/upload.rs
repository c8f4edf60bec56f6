//! Uploads to the builder before it starts: the configuration into the container, nixpkgs to the store volume, where
//! it stays for later builds.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use super::container::{BuildJob, Builder};
use super::evaluation_key::Surroundings;
use super::image::BuilderImage;
use crate::common::cancel::Cancel;
use crate::common::event::{Events, Phase};
use crate::common::failure::{Class, Failure};
use crate::common::hash::Sha256Hash;
use crate::engine::{Container, PathKind};
use crate::nixos::config_dir::{Packed, UploadDir};
use crate::nixos::tar_writer::TarWriter;
use crate::nixos::{check, layout};

/// Files that are named in a message.
const MAX_NAMED: usize = 5;
/// The programs that run in the builder, and the shell functions that they read: path and content.
const PROGRAMS: [(&str, &str); 5] = [
    (
        layout::ENTRY,
        include_str!("../../../containers/builder/entry"),
    ),
    (
        layout::WATCHDOG,
        include_str!("../../../containers/builder/watchdog"),
    ),
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
];
/// The expressions that Nix evaluates, beside those that depend on the source: name and content.
const EXPRESSIONS: [(&str, &str); 15] = [
    ("default.nix", include_str!("../expressions/default.nix")),
    ("module.nix", include_str!("../expressions/module.nix")),
    (
        "flake-source.nix",
        include_str!("../expressions/flake-source.nix"),
    ),
    ("image.nix", include_str!("../expressions/image.nix")),
    (
        "additions.nix",
        include_str!("../expressions/additions.nix"),
    ),
    ("facts.nix", check::EXPRESSION),
    ("glue/default.nix", include_str!("../glue/default.nix")),
    ("glue/builders.nix", include_str!("../glue/builders.nix")),
    ("glue/assembly.nix", include_str!("../glue/assembly.nix")),
    ("glue/copies.nix", include_str!("../glue/copies.nix")),
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
pub(super) fn own_texts() -> impl Iterator<Item = &'static str> {
    let all = PROGRAMS.iter().chain(&EXPRESSIONS);
    all.flat_map(|(name, text)| [*name, *text])
}

/// Uploads the entry and its helpers, the expressions, and the files of the source. Returns the SHA-256 of what the
/// builder sees of the source.
pub(super) async fn configuration(
    container: &Container,
    job: &BuildJob,
    image: &BuilderImage,
    events: &Events,
) -> Result<Sha256Hash, Failure> {
    let files = job.source.files.clone();
    let owner = image.owner;
    let source = job.source.clone();
    let surroundings = Surroundings::of(job, image.reference())?;
    let sent = Arc::new(OnceLock::new());
    let result = Arc::clone(&sent);
    let own_files = job.source.own_files(&job.request);
    let authorities = job.access.authorities.clone();
    let pack = move |out: &mut dyn Write| {
        let mut packer = TarWriter::new(out, owner);
        for dir in ["build", "build/config", "build/sdbuild"] {
            packer.directory(dir)?;
        }
        for (path, text) in PROGRAMS {
            packer.bytes(relative(path), text.as_bytes())?;
        }
        if let Some(authorities) = &authorities {
            packer.bytes(relative(layout::AUTHORITIES), authorities)?;
        }
        // The builder writes into two of them what it finds out about a flake.
        for dir in [
            layout::EXPRESSIONS,
            layout::GLUE_EXPRESSION,
            layout::OVERRIDDEN,
        ] {
            packer.open_directory(relative(dir))?;
        }
        for (name, text) in EXPRESSIONS {
            let path = format!("{}/{name}", layout::EXPRESSIONS);
            packer.bytes(relative(&path), text.as_bytes())?;
        }
        for (path, text) in own_files {
            packer.bytes(relative(&path), text.as_bytes())?;
        }
        let mut done = Vec::new();
        for UploadDir { place, files } in &files {
            packer.directory(relative(place))?;
            done.push(files.pack(&mut packer, relative(place))?);
        }
        let hashes: Vec<_> = done.iter().map(|dir| dir.sha256).collect();
        // Of what was really packed: files may have changed meanwhile.
        let key = surroundings.with_files(source.sha256(&hashes)).to_string();
        packer.bytes(relative(layout::EVALUATION_KEY), key.as_bytes())?;
        result.get_or_init(|| done);
        packer.finish()
    };
    let uploaded = container.upload("/", pack).await;
    uploaded.map_err(|e| Failure::from(e).context("upload the configuration"))?;
    let sent = sent.get().ok_or_else(|| {
        let text = "upload the configuration: nothing was packed";
        Failure::message(Class::Internal, text)
    })?;
    report_left_out(sent, events);
    let hashes: Vec<_> = sent.iter().map(|dir| dir.sha256).collect();
    Ok(job.source.sha256(&hashes))
}

/// Names the files that were gone, or something else, when they were packed.
fn report_left_out(sent: &[Packed], events: &Events) {
    let left_out: Vec<&str> = sent
        .iter()
        .flat_map(|dir| dir.left_out.iter().map(String::as_str))
        .collect();
    if left_out.is_empty() {
        return;
    }
    let (shown, more) = left_out.split_at(left_out.len().min(MAX_NAMED));
    let more = if more.is_empty() { "" } else { ", …" };
    let shown = shown.join(", ");
    events.notice(format!(
        "removed or replaced while the configuration was uploaded, and left out: {shown}{more}"
    ));
}

/// Uploads the source's nixpkgs, if it has one, to the store volume unless it is there already. The entry moves it to its
/// final path.
pub(super) async fn nixpkgs(
    container: &Container,
    job: &BuildJob,
    builder: &Builder<'_>,
    cancel: &Cancel,
    events: &Events,
) -> Result<(), Failure> {
    let (owner, run, store) = (builder.image.owner, builder.run, builder.store);
    let nixpkgs = job.source.nixpkgs.as_ref().map(|n| n.nixpkgs.clone());
    if let Some(nixpkgs) = &nixpkgs {
        let place = container.stat(&layout::nixpkgs(&nixpkgs.name())).await?;
        if place.is_some_and(|s| s.kind == PathKind::Directory) {
            return Ok(());
        }
    }
    if container.stat(layout::UPLOAD_ROOT).await?.is_none() {
        Box::pin(builder.fill_store(cancel)).await?;
        if container.stat(layout::UPLOAD_ROOT).await?.is_none() {
            return Err(no_nix(builder));
        }
    }
    let Some(nixpkgs) = nixpkgs else {
        return Ok(());
    };
    let (token, events) = (cancel.clone(), events.clone());
    let [home, incoming] = [layout::HOME.to_owned(), layout::incoming(run.as_str())]
        .map(|path| relative(path.trim_start_matches(layout::UPLOAD_ROOT)).to_owned());
    let pack = move |out: &mut dyn Write| {
        let total = nixpkgs.size();
        let mut counting = Counting {
            out,
            events,
            done: 0,
            reported: 0,
            total,
        };
        let mut packer = TarWriter::new(&mut counting, owner);
        packer.open_directory(&home)?;
        packer.open_directory(&incoming)?;
        nixpkgs.pack(&mut packer, &incoming, &token)?;
        packer.finish()
    };
    let sent = container.upload(layout::UPLOAD_ROOT, pack).await;
    sent.map_err(|e| {
        Failure::from(e).context(format!("upload nixpkgs to the store volume {store}"))
    })
}

/// The store volume has no `/nix/var` although it was filled from the container image.
fn no_nix(builder: &Builder<'_>) -> Failure {
    if builder.image.foreign {
        return Failure::usage("the builder's container image contains no Nix: it has no /nix/var")
            .hint("--builder-image needs an image that contains Nix, for instance nixos/nix");
    }
    Failure::environment(format!("the store volume {} is empty", builder.store))
        .hint("`sdbuild clean` removes it; the next build creates a new one")
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// Reports the bytes written, every mebibyte.
struct Counting<'w> {
    out: &'w mut dyn Write,
    events: Events,
    done: u64,
    reported: u64,
    total: u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.done += n as u64;
        if self.done - self.reported >= 1 << 20 {
            self.reported = self.done;
            // Tar headers are included, so it may exceed the size of the files.
            self.events
                .bytes(Phase::Upload, self.done.min(self.total), Some(self.total));
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
