//! Uploads to the builder before it starts: the configuration into the container, nixpkgs to the store volume, where
//! it stays for later builds.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use super::container::{BuildJob, Builder};
use super::evaluation_key::Surroundings;
use super::image::BuilderImage;
use super::own_texts;
use super::own_texts::{PROGRAMS, relative};
use crate::nixos::build_source::BuildSource;
use crate::nixos::config_dir::{Packed, UploadDir};
use crate::nixos::expressions;
use crate::nixos::layout;
use crate::nixos::tar_writer::TarWriter;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_engine::{Container, PathKind};

/// Files that are named in a message.
const MAX_NAMED: usize = 5;

/// Hashes of what was really uploaded: files may have changed since they were listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uploaded {
    /// SHA-256 of what the builder sees of the source.
    pub(super) configuration: Sha256Hash,
    /// The key of the evaluation.
    pub(super) evaluation: Sha256Hash,
}

/// Uploads the entry and its helpers, the expressions, and the files of the source.
pub(super) async fn configuration(
    container: &Container,
    job: &BuildJob,
    image: &BuilderImage,
    events: &Events,
) -> Result<Uploaded, Failure> {
    let owner = image.owner;
    let content = Content {
        source: job.source.clone(),
        own_files: job.source.own_files(&job.request),
        authorities: job.access.authorities.clone(),
        surroundings: Surroundings::of(job, image.reference())?,
    };
    let sent = Arc::new(OnceLock::new());
    let (result, progress) = (Arc::clone(&sent), events.clone());
    let pack = move |out: &mut dyn Write| {
        let mut counting = Counting::new(out, progress, content.source.uploaded_bytes());
        let mut packer = TarWriter::new(&mut counting, owner);
        let sent = content.pack(&mut packer)?;
        result.get_or_init(|| sent);
        packer.finish()
    };
    let uploaded = container.upload("/", pack).await;
    uploaded.map_err(|e| Failure::from(e).context("upload the configuration"))?;
    let (sent, hashes) = sent.get().ok_or_else(|| {
        let text = "upload the configuration: nothing was packed";
        Failure::message(Class::Internal, text)
    })?;
    report_left_out(sent, events);
    Ok(*hashes)
}

/// Files that are uploaded to the builder.
struct Content {
    source: BuildSource,
    /// Files that sdbuild writes for this source: their paths and texts.
    own_files: Vec<(String, String)>,
    /// Certificates of the user's own authorities.
    authorities: Option<Vec<u8>>,
    surroundings: Surroundings,
}

impl Content {
    /// Packs everything; the source's directories as they were packed, and the hashes.
    fn pack(&self, packer: &mut TarWriter<'_>) -> io::Result<(Vec<Packed>, Uploaded)> {
        for dir in ["build", "build/config", "build/sdbuild"] {
            packer.directory(dir)?;
        }
        self.pack_programs(packer)?;
        let mut done = Vec::new();
        for UploadDir { place, files } in &self.source.files {
            packer.directory(relative(place))?;
            done.push(files.pack(packer, relative(place))?);
        }
        let hashes: Vec<_> = done.iter().map(|dir| dir.sha256).collect();
        let configuration = self.source.sha256(&hashes);
        let evaluation = self.surroundings.with_files(configuration);
        let key = evaluation.to_string();
        packer.bytes(relative(layout::EVALUATION_KEY), key.as_bytes())?;
        let uploaded = Uploaded {
            configuration,
            evaluation,
        };
        Ok((done, uploaded))
    }

    /// Packs what is sdbuild's own: programs and expressions.
    fn pack_programs(&self, packer: &mut TarWriter<'_>) -> io::Result<()> {
        for (path, text) in PROGRAMS {
            packer.bytes(relative(path), text.as_bytes())?;
        }
        own_texts::pack_network(packer, self.authorities.as_deref())?;
        // The builder writes into two of them what it finds out about a flake.
        for dir in [
            layout::EXPRESSIONS,
            layout::GLUE_EXPRESSION,
            layout::OVERRIDDEN,
        ] {
            packer.open_directory(relative(dir))?;
        }
        for (name, text) in expressions::files() {
            let path = format!("{}/{name}", layout::EXPRESSIONS);
            packer.bytes(relative(&path), text.as_bytes())?;
        }
        for (path, text) in &self.own_files {
            packer.bytes(relative(path), text.as_bytes())?;
        }
        Ok(())
    }
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

/// Uploads the source's nixpkgs, if it has one, to the store volume unless it is there already. The entry unpacks it
/// and moves it to its final path.
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
    let context =
        |e| Failure::from(e).context(format!("upload nixpkgs to the store volume {store}"));
    let [home, incoming] = [layout::HOME.to_owned(), layout::incoming(run.as_str())]
        .map(|path| relative(path.trim_start_matches(layout::UPLOAD_ROOT)).to_owned());
    let directories = [home, incoming.clone()];
    let pack = move |out: &mut dyn Write| {
        let mut packer = TarWriter::new(out, owner);
        directories
            .iter()
            .try_for_each(|dir| packer.open_directory(dir))?;
        packer.finish()
    };
    let created = container.create_directories(layout::UPLOAD_ROOT, pack);
    created.await.map_err(context)?;
    let (token, events) = (cancel.clone(), events.clone());
    let pack = move |out: &mut dyn Write| {
        let mut counting = Counting::new(out, events, nixpkgs.size());
        let mut packer = TarWriter::new(&mut counting, owner);
        nixpkgs.pack(&mut packer, &incoming, &token)?;
        packer.finish()
    };
    let sent = container.upload(layout::UPLOAD_ROOT, pack).await;
    sent.map_err(context)
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

/// Reports the bytes written, every mebibyte.
struct Counting<'w> {
    out: &'w mut dyn Write,
    events: Events,
    done: u64,
    reported: u64,
    total: u64,
}

impl<'w> Counting<'w> {
    /// Writes to `out`. `total`: the size of the files, in bytes.
    fn new(out: &'w mut dyn Write, events: Events, total: u64) -> Self {
        Self {
            out,
            events,
            done: 0,
            reported: 0,
            total,
        }
    }
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
