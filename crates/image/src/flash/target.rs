//! The disk during a flash: opened exclusively, read and written without the page cache.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};
use nix::libc::{O_CLOEXEC, O_DIRECT, O_EXCL, off_t};
use nix::unistd::{Whence, lseek};

use super::buffer::ALIGN;

/// A disk, or in tests a file, that an image is written to.
#[derive(Debug)]
pub struct Target {
    file: File,
    /// The length of the disk in bytes.
    pub size: u64,
    /// Whether reads and writes bypass the page cache.
    direct: bool,
    /// Whether the disk can clear ranges itself, as far as is known.
    can_clear: bool,
}

impl Target {
    /// Opens `path`. `O_EXCL` without `O_CREAT`: the kernel fails with `EBUSY` while a file system, a
    /// mapping or swap on the disk is in use, in any namespace.
    pub fn open(path: &Path) -> io::Result<Self> {
        let open = |flags| {
            let mut options = OpenOptions::new();
            options.read(true).write(true);
            options.custom_flags(flags | O_EXCL | O_CLOEXEC).open(path)
        };
        // Some file systems, which only tests write to, have no O_DIRECT.
        let (file, direct) = match open(O_DIRECT) {
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => (open(0)?, false),
            file => (file?, true),
        };
        let end = lseek(&file, 0, Whence::SeekEnd)?;
        Ok(Self {
            size: u64::try_from(end).map_err(io::Error::other)?,
            can_clear: true,
            direct,
            file,
        })
    }

    /// The number of the device.
    pub(super) fn number(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.rdev())
    }

    /// Writes all of `bytes` at `at`; both are multiples of [`ALIGN`] except at the end of the disk.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    /// Fills `bytes` from `at`.
    pub(super) fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// Asks the disk to set `len` bytes from `at` to zero; `false` when it cannot without writing zeros.
    pub(super) fn clear(&mut self, at: u64, len: u64) -> io::Result<bool> {
        if !self.can_clear {
            return Ok(false);
        }
        // On a block device the kernel turns this into a "write zeroes" command, without a fallback.
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&self.file, mode, offset(at)?, offset(len)?) {
            Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {
                self.can_clear = false;
                Ok(false)
            }
            cleared => Ok(cleared.map(|()| true)?),
        }
    }

    /// Waits until everything that was written is on the medium.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Drops the page cache, so that later reads come from the medium.
    pub(super) fn drop_cache(&self) -> io::Result<()> {
        if !self.direct {
            posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
        Ok(())
    }

    /// `end` rounded up to whole blocks, but not beyond the end of the disk unless `end` is.
    pub(super) fn whole_blocks(&self, end: u64) -> u64 {
        end.next_multiple_of(ALIGN).min(self.size.max(end))
    }
}

/// The same error with what its number means for a card.
pub(super) fn explain(error: &io::Error) -> io::Error {
    let text = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EIO) => "the disk reports an error: it, its reader or their contact is bad",
        Some(Errno::ENODEV | Errno::ENXIO | Errno::ENOMEDIUM) => "the disk is gone",
        Some(Errno::ENOSPC) => "the disk ends here",
        _ => return io::Error::new(error.kind(), error.to_string()),
    };
    io::Error::new(error.kind(), text)
}

fn offset(number: u64) -> io::Result<off_t> {
    off_t::try_from(number).map_err(io::Error::other)
}
