//! Uploads to the builder before it starts: the configuration into the container, nixpkgs and inputs of flakes to the store volume,
//! where they stay for later builds.

use std::io;
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock, OnceLock};

use flate2::read::GzDecoder;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::hash::{Hasher, Sha256Hash};
use sdbuild_engine::Container;
use sdbuild_nix::nix_conf::NixSettings;
use tar::Archive;

use crate::build_source::BuildSource;
use crate::builder::{BuildJob, Builder, BuilderImage, Containers};
use crate::command::{NixCommand, StorePaths, Task};
use crate::config_dir::{Packed, UploadDir};
use crate::nixpkgs::LocalNixpkgs;
use crate::stored_tree::InputTree;
use crate::tar_writer::{Owner, TarWriter};
use sdbuild_nix::layout;

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
        own_files: job.source.own_files(&job.command),
        authorities: job.access.authorities.clone(),
        surroundings: Surroundings::of(job, image.reference())?,
        next: next(job, image)?,
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
    /// Those of the configurations that are evaluated too, and the expressions of these.
    next: Vec<(Surroundings, String)>,
}

fn next(job: &BuildJob, image: &BuilderImage) -> Result<Vec<(Surroundings, String)>, Failure> {
    let expressions = job.next.iter().filter_map(|next| {
        let mut files = next.source.own_files(&next.command).into_iter();
        let (_, expression) = files.find(|(path, _)| path == layout::SOURCE)?;
        let surroundings = Surroundings::of(next, image.reference());
        Some(surroundings.map(|surroundings| (surroundings, expression)))
    });
    expressions.collect()
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
        self.pack_next(configuration, packer)?;
        let uploaded = Uploaded {
            configuration,
            evaluation,
        };
        Ok((done, uploaded))
    }

    /// Packs the expressions of the configurations that are evaluated too, and the keys of their evaluations.
    fn pack_next(&self, files: Sha256Hash, packer: &mut TarWriter<'_>) -> io::Result<()> {
        let mut keys = Vec::new();
        for (number, (surroundings, expression)) in (1..).zip(&self.next) {
            writeln!(keys, "{}", surroundings.with_files(files))?;
            let path = layout::next_source(number);
            packer.bytes(relative(&path), expression.as_bytes())?;
        }
        packer.bytes(relative(layout::NEXT), &keys)
    }

    /// Packs what is sdbuild's own: programs and expressions.
    fn pack_programs(&self, packer: &mut TarWriter<'_>) -> io::Result<()> {
        for (path, text) in PROGRAMS {
            packer.bytes(relative(path), text.as_bytes())?;
        }
        pack_network(packer, self.authorities.as_deref())?;
        // The builder writes into two of them what it finds out about a flake.
        for dir in [
            layout::EXPRESSIONS,
            layout::GLUE_EXPRESSION,
            layout::OVERRIDDEN,
        ] {
            packer.open_directory(relative(dir))?;
        }
        for (name, text) in expression_files() {
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

/// What stays on the store volume for later builds.
enum Kept {
    Nixpkgs(LocalNixpkgs),
    Input(InputTree),
}

impl Kept {
    /// What is there if it is on the volume.
    fn place(&self) -> String {
        match self {
            Self::Nixpkgs(nixpkgs) => layout::nixpkgs(&nixpkgs.name()),
            Self::Input(tree) => tree.root(),
        }
    }

    /// Bytes to upload, at most.
    fn size(&self) -> u64 {
        match self {
            Self::Nixpkgs(nixpkgs) => nixpkgs.size(),
            Self::Input(tree) => tree.size(),
        }
    }

    /// Packs it below `incoming`.
    fn pack(&self, tar: &mut TarWriter<'_>, incoming: &str, cancel: &Cancel) -> io::Result<()> {
        match self {
            Self::Nixpkgs(nixpkgs) => nixpkgs.pack(tar, incoming, cancel),
            Self::Input(tree) => tree.pack(tar, incoming, cancel),
        }
    }
}

/// Uploads the source's nixpkgs, if it has one, and what replaces inputs of its flake to the store volume, unless it is there already.
/// The entry unpacks it and moves it to its final path.
pub(super) async fn kept(
    container: &Container,
    job: &BuildJob,
    builder: &Builder<'_>,
    cancel: &Cancel,
    events: &Events,
) -> Result<(), Failure> {
    let Containers { run, image, .. } = builder.containers;
    let (owner, store) = (image.owner, builder.store);
    let nixpkgs = job.source.nixpkgs.iter();
    let nixpkgs = nixpkgs.map(|of| Kept::Nixpkgs(of.nixpkgs.clone()));
    let inputs = job.source.input_trees().into_iter().map(Kept::Input);
    let mut missing = Vec::new();
    let mut is_filled = false;
    for kept in nixpkgs.chain(inputs) {
        if container.stat(&kept.place()).await?.is_some() {
            is_filled = true;
        } else {
            missing.push(kept);
        }
    }
    if !is_filled && container.stat(layout::UPLOAD_ROOT).await?.is_none() {
        Box::pin(builder.fill_store(cancel)).await?;
        if container.stat(layout::UPLOAD_ROOT).await?.is_none() {
            return Err(no_nix(builder));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let context = |e| Failure::from(e).context(format!("upload to the store volume {store}"));
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
        let mut counting = Counting::new(out, events, missing.iter().map(Kept::size).sum());
        let mut packer = TarWriter::new(&mut counting, owner);
        for kept in &missing {
            kept.pack(&mut packer, &incoming, &token)?;
        }
        packer.finish()
    };
    let sent = container.upload(layout::UPLOAD_ROOT, pack).await;
    sent.map_err(context)
}

/// The store volume has no `/nix/var` although it was filled from the container image.
fn no_nix(builder: &Builder<'_>) -> Failure {
    if builder.containers.image.foreign {
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

/// The program that prepares the volume.
pub(super) const ENTRY: &str = include_str!("../../../../containers/builder/entry");
/// The watchdog.
pub(super) const WATCHDOG: &str = include_str!("../../../../containers/builder/watchdog");
/// The wrapper that Nix runs as `ssh`.
const SSH: &str = include_str!("../../../../containers/builder/ssh");
/// The programs that run in the builder, and the shell functions that they read: path and content.
pub(super) const PROGRAMS: [(&str, &str); 6] = [
    (layout::ENTRY, ENTRY),
    (layout::WATCHDOG, WATCHDOG),
    (
        layout::GLUE,
        include_str!("../../../../containers/builder/glue"),
    ),
    (
        layout::FLAKE,
        include_str!("../../../../containers/builder/flake"),
    ),
    (
        layout::EVALUATIONS,
        include_str!("../../../../containers/builder/evaluations"),
    ),
    (
        layout::STEPS,
        include_str!("../../../../containers/builder/steps"),
    ),
];
/// The texts of everything that is uploaded to every builder.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    let expressions = expression_files().iter();
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
    files: &[(&str, String)],
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

/// The hash of everything that the evaluation of a job depends on, except the files of its source: sdbuild's own texts and
/// settings, the builder's container image, nixpkgs by its content, and how the source is named.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings(Sha256Hash);

impl Surroundings {
    /// Those of `job` in the container image `image`, a reference that names its content.
    pub(super) fn of(job: &BuildJob, image: &str) -> Result<Self, Failure> {
        let request = with_same_result(&job.command);
        let paths = StorePaths {
            run: String::new(),
            configuration: job.configuration.clone(),
            live: Vec::new(),
        };
        let mut hash = Fields(Hasher::new());
        hash.add(env!("CARGO_PKG_VERSION"));
        hash.add(image);
        for text in all() {
            hash.add(text);
        }
        for word in request.arguments() {
            hash.add(&word);
        }
        for (name, value) in request.environment(&paths)? {
            hash.add(&name);
            hash.add(&value);
        }
        for (name, value) in job.source.environment(&request.task) {
            hash.add(name);
            hash.add(&value);
        }
        for (path, text) in job.source.own_files(&request) {
            hash.add(&path);
            hash.add(&text);
        }
        Ok(Self(hash.0.finish().sha256))
    }

    /// The key of the evaluation when the builder sees the source `files`.
    pub(super) fn with_files(self, files: Sha256Hash) -> Sha256Hash {
        Sha256Hash::of(format!("{} {files}", self.0).as_bytes())
    }
}

/// A request with the same evaluation as `request`, and equal for all requests that differ only in what cannot change its result: a
/// forecast evaluates the same as a build, and how much is done at once decides only how fast it is.
fn with_same_result(request: &NixCommand) -> NixCommand {
    let NixSettings {
        cores,
        jobs,
        connections,
        heap,
        ..
    } = NixSettings::default();
    NixCommand {
        task: Task::Build,
        nix: NixSettings {
            cores,
            jobs,
            connections,
            heap,
            ..request.nix.clone()
        },
        ..request.clone()
    }
}

impl BuildJob {
    /// The key of the job's evaluation in the container image `image`, a reference that names its content; it reads all files
    /// of the source. `None` if something else decides as well what is evaluated: a flake that is fetched.
    pub(crate) fn evaluation_key(&self, image: &str) -> Result<Option<Sha256Hash>, Failure> {
        if !self.source.is_uploaded() {
            return Ok(None);
        }
        let mut sink = io::sink();
        let mut tar = TarWriter::new(&mut sink, Owner { uid: 0, gid: 0 });
        let hashes: io::Result<Vec<_>> = self
            .source
            .files
            .iter()
            .map(|dir| Ok(dir.files.pack(&mut tar, "files")?.sha256))
            .collect();
        let hashes = hashes.or_usage("read the configuration")?;
        let files = self.source.sha256(&hashes);
        Ok(Some(Surroundings::of(self, image)?.with_files(files)))
    }
}

/// Hashes texts so that their borders matter.
struct Fields(Hasher);

impl Fields {
    fn add(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }
}

/// The expressions that Nix evaluates, beside those that depend on the source: a compressed archive, which `build.rs` writes.
const ARCHIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/expressions.tar.gz"));

#[expect(
    clippy::expect_used,
    reason = "the program is wrong if its own files cannot be read"
)]
static FILES: LazyLock<Vec<(String, String)>> =
    LazyLock::new(|| unpack().expect("build.rs packs files of text"));

/// The path of each file below the directory of expressions, and its text, in alphabetical order of each directory.
fn expression_files() -> &'static [(String, String)] {
    &FILES
}

fn unpack() -> io::Result<Vec<(String, String)>> {
    let mut archive = Archive::new(GzDecoder::new(ARCHIVE));
    let mut files = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        files.push((path, text));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use sdbuild_core::system::System;
    use sdbuild_image::image_format::Format;

    use super::*;
    use crate::build_mode::Glue;

    fn request(task: Task, nix: NixSettings) -> NixCommand {
        NixCommand {
            task,
            system: System::Aarch64Linux,
            format: Format::default(),
            is_default_format: true,
            emulated: true,
            glue: Glue::default(),
            product: crate::build_mode::Product::default(),
            nix,
            debian_mirror: None,
        }
    }

    /// What Nix is given.
    fn given(request: &NixCommand) -> (Vec<String>, Vec<(String, String)>) {
        let paths = StorePaths {
            run: String::new(),
            configuration: "abc".into(),
            live: Vec::new(),
        };
        let request = with_same_result(request);
        (request.arguments(), request.environment(&paths).unwrap())
    }

    #[test]
    fn how_much_is_done_at_once_changes_no_result() {
        let one = given(&request(Task::Build, NixSettings::default()));
        let more = NixSettings {
            cores: 3,
            jobs: Some(4),
            connections: Some(5),
            heap: Some(1 << 30),
            ..NixSettings::default()
        };
        assert_eq!(given(&request(Task::Forecast, more)), one);
        let cached = NixSettings {
            substituters: vec!["https://cache.example".into()],
            ..NixSettings::default()
        };
        assert_ne!(given(&request(Task::Build, cached)), one);
    }

    #[test]
    fn all_files_are_embedded_unchanged() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/expressions");
        for (path, text) in expression_files() {
            assert_eq!(*text, fs::read_to_string(dir.join(path)).unwrap(), "{path}");
        }
        let dirs = [dir.clone(), dir.join("check"), dir.join("glue")];
        let listed = dirs.iter().flat_map(|dir| fs::read_dir(dir).unwrap());
        let on_disk = listed.filter(|entry| entry.as_ref().unwrap().path().is_file());
        assert_eq!(on_disk.count(), expression_files().len());
        let paths: Vec<&str> = expression_files()
            .iter()
            .map(|(path, _)| path.as_str())
            .collect();
        for path in ["default.nix", "check/facts.nix", "glue/default.nix"] {
            assert!(paths.contains(&path), "{paths:?}");
        }
    }
}
