//! The blocking half of copying out: reads a tar stream, and writes an image and its sidecars.

use std::io::{Read, Write as _};
use std::path::Path;
use std::time::Instant;
use std::{fmt, io, thread};

use crate::output::copy_out::{
    FileArchive, PutTogetherError, StoreFile, archive_size, put_together,
};
use crate::output::earlier::{EarlierImage, Replaceable};
use crate::output::manifest::{ImageSummary, Manifest, SidecarHash, imager_list, json};
use crate::output::pending_file::{PRIVATE, PUBLIC, PendingFile, sweep};
use crate::output::product::Product;
use crate::output::publish::{
    NamedFile, NamedSidecar, PublishError, Publisher, check_name, remove_orphans,
};
use crate::output::request::{CopyRequest, Image};
use crate::output::stages::{
    BuiltImage, ImageForm, ImageWriter, MAX_ZSTD_HEADER_BYTES, StageError, StageInput, StageOutput,
    run_stages,
};
use sdbuild_core::context::Context;
use sdbuild_core::created_dirs::CreatedDirs;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Class, Failure, OrFail, Question};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_engine::STILL_RUNS;
use sdbuild_image::MAX_IMAGE_BYTES;
use sdbuild_image::image_name::Sidecar;

/// What is to be done with the image that was built.
#[derive(Debug)]
pub(super) enum Prepared {
    /// It is to be written.
    Write {
        /// Directories that were created for it.
        created: CreatedDirs,
        /// Which files of the same names are replaced.
        replace: Replaceable,
    },
    /// It is there already.
    UpToDate(Image),
}

/// The sidecars of an image, which have no names yet.
struct Sidecars {
    /// The manifest is the last.
    files: Vec<NamedSidecar>,
    manifest: String,
    /// Names of sidecars of the earlier image that this one does not have.
    obsolete: Vec<String>,
}

/// One image on its way out.
pub(super) struct CopyJob {
    product: Product,
    request: CopyRequest,
    context: Context,
    start: Instant,
}

impl CopyJob {
    pub(super) fn new(product: Product, request: &CopyRequest, context: &Context) -> Self {
        Self {
            product,
            request: request.clone(),
            context: context.clone(),
            start: Instant::now(),
        }
    }

    /// The name of the image file.
    fn name(&self) -> String {
        let format = self.request.settings.compression.format;
        format!("{}{}", self.product.raw_name, format.suffix())
    }

    /// Whether the image gets this sidecar.
    fn has(&self, sidecar: Sidecar) -> bool {
        self.request.settings.has(sidecar)
    }

    /// Creates the output directory if it is missing, removes what killed runs left in it, and checks that the image and
    /// its sidecars may get their names. An image that this configuration made before may be replaced.
    pub(super) fn prepare(&self) -> Result<Prepared, Failure> {
        let (settings, image) = (&self.request.settings, self.name());
        let shown = settings.dir.display();
        let created = CreatedDirs::create(&settings.dir, settings.owner)
            .or_usage(format!("create the output directory {shown}"))?;
        sweep(&settings.dir);
        remove_orphans(&settings.dir);
        if settings.dir.join(&image).exists() {
            let events = &self.context.events;
            events.detail(Phase::CopyOut, "checking the image of an earlier build");
        }
        let replace = match self.replaceable(&image) {
            Ok(replace) => replace,
            Err(image) => return Ok(Prepared::UpToDate(image)),
        };
        self.check_names(&image, &replace)?;
        Ok(Prepared::Write { created, replace })
    }

    /// Which files the image called `image` and its sidecars may replace; the image that is there, if it is what would be
    /// written.
    fn replaceable(&self, image: &str) -> Result<Replaceable, Image> {
        let settings = &self.request.settings;
        if settings.force && !settings.kept.contains(&settings.dir.join(image)) {
            return Ok(Replaceable::Anything);
        }
        match self.earlier(image) {
            Some(earlier) if self.is_up_to_date(&earlier) => {
                Err(earlier.into_image(&settings.dir, self.request.configuration_read))
            }
            Some(earlier) => Ok(earlier.replaceable()),
            None => Ok(Replaceable::Nothing),
        }
    }

    /// Whether `earlier` is what would be written. The list for Imager names the place where the image will be published, which
    /// may be another one now.
    fn is_up_to_date(&self, earlier: &EarlierImage) -> bool {
        let settings = &self.request.settings;
        settings.imager.is_none()
            && earlier.is_result(&self.request.origin, settings.compression)
            && earlier.has_whole(&settings.dir, self.sidecars())
    }

    /// The image `name` in the output directory, if this configuration made it.
    fn earlier(&self, name: &str) -> Option<EarlierImage> {
        let dir = &self.request.settings.dir;
        let earlier = EarlierImage::read(dir, name, &self.context.cancel)?;
        earlier.is_of(&self.request.origin).then_some(earlier)
    }

    fn sidecars(&self) -> impl Iterator<Item = Sidecar> {
        Sidecar::ALL.into_iter().filter(|one| self.has(*one))
    }

    fn check_names(&self, image: &str, replace: &Replaceable) -> Result<(), Failure> {
        let dir = &self.request.settings.dir;
        let sidecars = self.sidecars().map(|sidecar| sidecar.name(image));
        let mut names = std::iter::once(image.to_owned()).chain(sidecars);
        let mut check = |name: String| check_name(dir, &name, replace.allows(dir, &name));
        let checked = names.try_for_each(&mut check);
        checked.map_err(|error| publish_failed(error, dir))
    }

    /// Writes the image in the archive `stream`, and publishes it with its sidecars, in place of those files of the same
    /// names that `replace` allows.
    pub(super) fn write(&self, stream: impl Read, replace: Replaceable) -> Result<Image, Failure> {
        let mut archive = FileArchive::new(stream);
        let (image, size, _) = archive.file()?;
        self.write_image(image, size, replace)
    }

    /// Writes the image that is, or is put together of, `files`, and publishes it as [`Self::write`] does.
    pub(super) fn write_files<R: Read + Send>(
        &self,
        mut files: Vec<StoreFile<R>>,
        replace: Replaceable,
    ) -> Result<Image, Failure> {
        if self.product.members.is_empty()
            && let Some(only) = files.pop()
        {
            return self.write(only.archive, replace);
        }
        let size = archive_size(files.iter().map(|file| file.size));
        let (reader, writer) = io::pipe().or_environment("make a pipe")?;
        let dir = self.request.settings.format.row().name;
        thread::scope(|scope| {
            let writing = scope.spawn(move || put_together(dir, files, writer));
            let image = self.write_image(reader, size, replace);
            match writing.join() {
                // What was written is incomplete because of that.
                Ok(Err(PutTogetherError::Failed(failure))) if image.is_err() => Err(failure),
                Ok(_) | Err(_) => image,
            }
        })
    }

    /// Writes the image of `size` bytes that `image` reads.
    fn write_image(
        &self,
        mut image: impl Read,
        size: u64,
        replace: Replaceable,
    ) -> Result<Image, Failure> {
        if size > MAX_IMAGE_BYTES {
            return Err(unusable_result(format!(
                "the image is too large: {size} bytes, {MAX_IMAGE_BYTES} at most"
            )));
        }
        let mut header = Vec::new();
        let mut start = image.by_ref().take(MAX_ZSTD_HEADER_BYTES);
        let read = start.read_to_end(&mut header);
        read.or_environment("read the image from the engine")?;
        let built = BuiltImage::new(size, self.product.compression, &header);

        let is_private = self.request.settings.is_private;
        let file = self.create_file(if is_private { PRIVATE } else { PUBLIC })?;
        let form = built.form(self.request.settings.compression);
        if form == ImageForm::Raw {
            self.reserve_length(size, &file)?;
        }
        self.context.events.detail(Phase::CopyOut, form.writing());
        let on_progress = |done| {
            let events = &self.context.events;
            events.bytes(Phase::CopyOut, done, Some(size));
        };
        let input = StageInput {
            size,
            compression: self.product.compression,
            max_raw_bytes: built.max_raw_bytes(form),
            writer: ImageWriter {
                file: file.file(),
                form,
            },
            cancel: &self.context.cancel,
            on_progress: &on_progress,
        };
        let output = run_stages(header.as_slice().chain(image), &input).map_err(|error| {
            let dir = &self.request.settings.dir;
            stages_failed(error, size, self.product.file_name(), dir)
        })?;
        if output.head_tail.len() == 0 {
            return Err(unusable_result("the image that was built is empty"));
        }
        self.context
            .events
            .detail(Phase::CopyOut, "waiting for the disk");
        self.publish(file, &output, replace)
    }

    /// Sets the length of `file`, so that a file system refuses at once what is too long for it: FAT's files end at
    /// 4 GiB.
    fn reserve_length(&self, size: u64, file: &PendingFile) -> Result<(), Failure> {
        if u32::try_from(size).is_ok() {
            return Ok(());
        }
        let extended = file.file().set_len(size);
        extended.map_err(|e| write_failed(&self.request.settings.dir, e))
    }

    /// Creates a file in the output directory that belongs to the user, with `mode`.
    fn create_file(&self, mode: u32) -> Result<PendingFile, Failure> {
        let settings = &self.request.settings;
        let file = PendingFile::create(&settings.dir, mode);
        let file = file.map_err(|e| write_failed(&settings.dir, e))?;
        if let Some(owner) = settings.owner
            && let Err(error) = file.set_owner(owner)
        {
            let text = format!("the image cannot be given to the user, root owns it: {error}");
            self.context.events.warn(text);
        }
        Ok(file)
    }

    /// Writes the sidecars and publishes everything.
    fn publish(
        &self,
        file: PendingFile,
        output: &StageOutput,
        mut replace: Replaceable,
    ) -> Result<Image, Failure> {
        let (settings, name) = (&self.request.settings, self.name());
        // Another run of the same configuration may have been faster.
        if !replace.allows(&settings.dir, &name) {
            replace = match self.replaceable(&name) {
                Ok(replace) => replace,
                Err(image) => return Ok(image),
            };
        }
        self.check_names(&name, &replace)?;
        let summary = ImageSummary {
            name: &name,
            compression: settings.compression,
            output,
            created: settings.created,
        };
        let Sidecars {
            files,
            manifest,
            obsolete,
        } = self.write_sidecars(summary, &replace)?;
        let image = NamedFile {
            name: name.clone(),
            file,
        };
        let published = Publisher {
            dir: &settings.dir,
            force: replace != Replaceable::Nothing,
            owner: settings.owner,
            obsolete,
            cancel: &self.context.cancel,
        }
        .publish(image, files);
        published.map_err(|error| publish_failed(error, &settings.dir))?;
        Ok(Image {
            path: settings.dir.join(name),
            size: output.written.size,
            sha256: output.written.sha256,
            raw_size: output.head_tail.len(),
            manifest,
            up_to_date: false,
        })
    }

    /// Writes the sidecars of the image under temporary names.
    fn write_sidecars(
        &self,
        summary: ImageSummary<'_>,
        replace: &Replaceable,
    ) -> Result<Sidecars, Failure> {
        let (mut files, mut hashes, mut obsolete) = (Vec::new(), Vec::new(), Vec::new());
        for sidecar in Sidecar::ALL {
            let name = sidecar.name(summary.name);
            if let Some(text) = self.text(sidecar, summary)? {
                let sidecar = self.write_sidecar(name.clone(), &text)?;
                let sha256 = sidecar.sha256;
                hashes.push(SidecarHash { name, sha256 });
                files.push(sidecar);
            } else if sidecar != Sidecar::Manifest
                && replace.allows(&self.request.settings.dir, &name)
            {
                obsolete.push(name);
            }
        }
        let manifest = self.manifest(summary, &hashes)?;
        let file = self.write_sidecar(Sidecar::Manifest.name(summary.name), &manifest)?;
        let read = self.request.configuration_read;
        // Not every file system keeps the times that it is given, and only a notice depends on it.
        file.file.file.file().set_modified(read).ok();
        files.push(file);
        Ok(Sidecars {
            files,
            manifest,
            obsolete,
        })
    }

    fn manifest(
        &self,
        summary: ImageSummary<'_>,
        sidecars: &[SidecarHash],
    ) -> Result<String, Failure> {
        let timings = &self.request.timings;
        timings.add(Phase::CopyOut, self.start.elapsed());
        let cancel = &self.context.cancel;
        json(&Manifest::new(
            summary,
            &self.request.origin,
            sidecars,
            timings,
            cancel,
        ))
    }

    /// The content of a sidecar; `None` if the image does not get it, and for the manifest, which names the others.
    fn text(&self, sidecar: Sidecar, summary: ImageSummary<'_>) -> Result<Option<String>, Failure> {
        Ok(Some(match sidecar {
            Sidecar::Checksum => format!("{}  {}\n", summary.output.written.sha256, summary.name),
            Sidecar::BlockMap if !self.has(sidecar) => return Ok(None),
            Sidecar::BlockMap => summary.output.block_map.to_xml(),
            Sidecar::Manifest => return Ok(None),
            Sidecar::ImagerList => match &self.request.settings.imager {
                Some(url) => json(&imager_list(summary, url, &self.request))?,
                None => return Ok(None),
            },
        }))
    }

    fn write_sidecar(&self, name: String, text: &str) -> Result<NamedSidecar, Failure> {
        let file = self.create_file(PUBLIC)?;
        let written = file.file().write_all(text.as_bytes());
        written.map_err(|e| write_failed(&self.request.settings.dir, e))?;
        Ok(NamedSidecar {
            file: NamedFile { name, file },
            sha256: Sha256Hash::of(text.as_bytes()),
        })
    }
}

/// A failure of the build: its result is not an image that can be used.
pub(super) fn unusable_result(text: impl fmt::Display) -> Failure {
    Failure::message(Class::Build, text)
}

/// Why the image `name`, which has `size` bytes, was not copied to `dir`.
pub(super) fn stages_failed(error: StageError, size: u64, name: &str, dir: &Path) -> Failure {
    match error {
        StageError::Source(error) => {
            Failure::new(Class::Environment, error).context("read the image from the engine")
        }
        StageError::WrongSize(received) => {
            let text = format!("the engine sent {received} of the image's {size} bytes");
            Failure::environment(text).hint(STILL_RUNS)
        }
        StageError::Decompress(error) => Failure::new(Class::Build, error)
            .context(format!("decompress the image that was built, {name}")),
        StageError::TooLarge => unusable_result(format!(
            "the image that was built, {name}, decompresses to more than its header says, or than an image may have"
        ))
        .hint("let the build leave its image uncompressed: sdImage.compressImage = false"),
        StageError::Target(error) => write_failed(dir, error),
        StageError::Cancelled => Failure::interrupted(),
        StageError::ReceiverGone | StageError::Panicked => {
            Failure::message(Class::Internal, "a stage of the copy failed without a reason")
        }
    }
}

/// Why an image that was written was not published in `dir`.
pub(super) fn publish_failed(error: PublishError, dir: &Path) -> Failure {
    let (name, error) = match error {
        PublishError::Interrupted => return Failure::interrupted(),
        PublishError::Name { name, error } => (name, error),
        PublishError::NotRestored {
            name,
            error,
            displaced,
        } => {
            let failure = publish_failed(PublishError::Name { name, error }, dir);
            return displaced.into_iter().fold(failure, |failure, file| {
                let (name, now) = (dir.join(file.name), dir.join(file.now));
                let (name, now) = (name.display(), now.display());
                failure.hint(format!("the previous {name} is now {now}; rename it"))
            });
        }
    };
    let file = dir.join(name);
    let path = file.display().to_string();
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Failure::new(Class::Usage, Question::Replace(file))
            .hint("give --force to replace it, or --output for another directory")
            .hint("the result is kept, so the next run takes seconds");
    }
    if error.kind() == io::ErrorKind::IsADirectory {
        return Failure::usage(format!(
            "{path} is a directory, which --force does not replace"
        ))
        .hint("give --output for another directory; the next run takes seconds");
    }
    write_failed(dir, error)
}

/// Why nothing could be written to `dir`.
pub(super) fn write_failed(dir: &Path, error: io::Error) -> Failure {
    let kind = error.kind();
    let hint = if matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) {
        "free some space there, or give --output for another directory; the next run takes seconds"
    } else if kind == io::ErrorKind::FileTooLarge {
        "the file system there does not support files that large (FAT ends at 4 GiB); give --output for another directory"
    } else {
        "give --output for a directory that can be written to; the next run takes seconds"
    };
    Failure::new(Class::Environment, error)
        .context(format!("write the image to {}", dir.display()))
        .hint(hint)
}

#[cfg(test)]
mod tests;
