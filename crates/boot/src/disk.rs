//! The image as a file that QEMU can read: the image file itself, or an unpacked copy without a name.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_image::{DiskForm, Error, ImageFile, ImageKind, InstalledSystem};

/// An image that stays readable as long as this value lives.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) file: File,
    pub(super) form: DiskForm,
}

impl Disk {
    /// The open file, for other readers.
    pub(super) fn file(&self) -> Result<File, Failure> {
        self.file.try_clone().or_environment("open the image again")
    }

    /// A path of the open file for other processes of this user. It has no comma, which QEMU would take
    /// for a separator, and works for a file without a name.
    pub(super) fn path(&self) -> PathBuf {
        open_path(&self.file)
    }

    /// What the disk tells of the system on it; nothing where it cannot be read, which is no reason not to boot it.
    pub(super) async fn installed_system(
        &self,
        context: &Context,
    ) -> Result<InstalledSystem, Failure> {
        let (file, form, cancel) = (self.file()?, self.form, context.cancel.clone());
        let read = async {
            let read = move || InstalledSystem::read(file, form, &cancel);
            let read = context.cancel.race(tokio::task::spawn_blocking(read));
            read.await?.or_internal("read the image")
        };
        let installed = context.phase(Phase::ReadImage, read).await?;
        Ok(installed.unwrap_or_default())
    }

    /// The length in bytes, of a block device as well.
    pub(super) fn len(&self) -> Result<u64, Failure> {
        let end = self.file()?.seek(SeekFrom::End(0));
        end.or_environment("read the image")
    }
}

/// A path of an open file for other processes of this user.
pub(super) fn open_path(file: &File) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
}

/// Opens the image read-only. What is not an image is refused: the firmware would search it for something to boot.
pub(super) fn open_image(image: &Path) -> Result<ImageFile, Failure> {
    let open = || {
        let file = ImageFile::open(image, ImageKind::FileOrDisk)?;
        if file.disk_form(&Cancel::new())? != DiskForm::Raw {
            return Ok(file);
        }
        match file.table_kind(&Cancel::new()) {
            // What starts from memory.
            Err(Error::Refused(_)) if file.may_start_from_memory(&Cancel::new()) => Ok(file),
            Err(error @ Error::Refused(_)) => Err(error),
            Ok(_) => file.check_complete(&Cancel::new()).map(|()| file),
            // Damaged data are reported when all of the image is unpacked.
            Err(_) => Ok(file),
        }
    };
    open().map_err(|error| error.fail_on("open", image))
}

/// The image as QEMU can read it. A compressed one is unpacked into the directory `scratch`
/// (`Phase::Unpack`).
pub(super) async fn prepare(
    image: ImageFile,
    path: &Path,
    scratch: &Path,
    context: &Context,
) -> Result<Disk, Failure> {
    let form = image.disk_form(&context.cancel);
    let form = form.map_err(|error| error.fail(format!("open {}", path.display())))?;
    if image.compression == Compression::None {
        return Ok(Disk {
            form,
            file: image.into_file(),
        });
    }
    let (scratch, inner) = (scratch.to_owned(), context.clone());
    let unpack = tokio::task::spawn_blocking(move || unpack(&image, form, &scratch, &inner));
    let unpacked = unpack.await.or_internal("unpack the image")?;
    unpacked.map_err(|error| error.fail(format!("unpack {}", path.display())))
}

fn unpack(
    image: &ImageFile,
    form: DiskForm,
    scratch: &Path,
    context: &Context,
) -> Result<Disk, Error> {
    let Context { cancel, events } = context;
    let progress = |done| events.bytes(Phase::Unpack, done, Some(image.size));
    let unpacked = context.blocking_phase(Phase::Unpack, || {
        image.unpack(scratch, false, cancel, &progress)
    });
    Ok(Disk {
        form,
        file: unpacked?.file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::event::Events;
    use sdbuild_core::failure::Class;

    async fn prepared(bytes: &[u8]) -> Result<Disk, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a,b.img.zst");
        std::fs::write(&path, bytes).unwrap();
        let context = Context {
            cancel: Cancel::new(),
            events: Events::none(),
        };
        let scratch = dir.path().join("scratch");
        prepare(open_image(&path)?, &path, &scratch, &context).await
    }

    #[tokio::test]
    async fn compressed_image_is_readable_by_path() {
        let mut image = vec![7; 100_000];
        // A partition of 100 sectors behind the first.
        image[446..510].fill(0);
        image[450] = 0x83;
        image[454] = 1;
        image[458] = 100;
        image[510..512].copy_from_slice(&[0x55, 0xaa]);
        let compressed = zstd::encode_all(image.as_slice(), 1).unwrap();
        for bytes in [&image, &compressed] {
            let disk = prepared(bytes).await.unwrap();
            assert!(!disk.path().to_string_lossy().contains(','));
            assert!(std::fs::read(disk.path()).unwrap() == image);
        }
    }

    #[tokio::test]
    async fn file_that_is_no_image_is_refused() {
        let text = b"{ config, pkgs, ... }: { imports = [ ]; }\n".repeat(50);
        let compressed = zstd::encode_all(text.as_slice(), 1).unwrap();
        for bytes in [&text, &compressed] {
            let failure = prepared(bytes).await.unwrap_err();
            assert_eq!(failure.class, Class::Usage, "{failure}");
            let words = "it is a text file, not an image";
            assert!(failure.to_string().ends_with(words), "{failure}");
        }
    }

    #[tokio::test]
    async fn truncated_image_is_a_usage_error_as_for_inspect() {
        let compressed = zstd::encode_all(vec![7; 100_000].as_slice(), 1).unwrap();
        let failure = prepared(&compressed[..9]).await.unwrap_err();
        assert_eq!(failure.class, Class::Usage, "{failure}");
        assert!(failure.to_string().starts_with("unpack /"), "{failure}");
    }
}
