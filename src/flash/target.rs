//! The disk while it is ours: opened so that nobody else uses it, read and written past the cache.

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
    /// In bytes.
    pub size: u64,
    /// Whether reads and writes go past the cache.
    direct: bool,
    /// Whether it still takes "make this zero" as one order.
    zeroes: bool,
}

impl Target {
    /// Opens `path`. `O_EXCL` without `O_CREAT`: the kernel refuses with `EBUSY` while a file system, a
    /// mapping or swap on it is in use, in whatever namespace.
    pub fn open(path: &Path) -> io::Result<Self> {
        let open = |flags| {
            let mut how = OpenOptions::new();
            how.read(true).write(true);
            how.custom_flags(flags | O_EXCL | O_CLOEXEC).open(path)
        };
        // Some file systems (which only tests write to) do not know O_DIRECT.
        let (file, direct) = match open(O_DIRECT) {
            Err(e) if e.raw_os_error() == Some(Errno::EINVAL as i32) => (open(0)?, false),
            file => (file?, true),
        };
        let end = lseek(&file, 0, Whence::SeekEnd)?;
        Ok(Self {
            size: u64::try_from(end).unwrap_or(0),
            zeroes: true,
            direct,
            file,
        })
    }

    /// The device's number.
    pub(super) fn number(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.rdev())
    }

    /// Writes all of `bytes` at `at`; both are multiples of [`ALIGN`] but at the disk's end.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    /// Fills `bytes` from `at`.
    pub(super) fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// Makes `len` bytes from `at` zero if the disk can do that without being sent zeros; else `false`.
    pub(super) fn zero(&mut self, at: u64, len: u64) -> io::Result<bool> {
        if !self.zeroes {
            return Ok(false);
        }
        // On a block device the kernel takes this as "write zeroes, and not by writing them".
        let how = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&self.file, how, off(at)?, off(len)?) {
            Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {
                self.zeroes = false;
                Ok(false)
            }
            done => Ok(done.map(|()| true)?),
        }
    }

    /// Waits until all that was written is on the medium.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Has the next reads come from the medium.
    pub(super) fn forget(&self) -> io::Result<()> {
        if !self.direct {
            posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
        Ok(())
    }

    /// The end of a stretch that begins before the image's end, `end`: whole blocks, but not beyond
    /// the disk's end.
    pub(super) fn whole_blocks(&self, end: u64) -> u64 {
        end.next_multiple_of(ALIGN).min(self.size.max(end))
    }
}

fn off(number: u64) -> io::Result<off_t> {
    off_t::try_from(number).map_err(io::Error::other)
}
