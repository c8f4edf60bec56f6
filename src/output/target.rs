//! The file that the image becomes: without a name until it is whole, owned by the user.
//!
//! `O_TMPFILE` where the file system has it: the kernel takes it back however we end. Elsewhere a
//! file `.sdbuild-RUN.part` that we hold locked; one that nobody locks was left by a killed run and
//! is removed by the next one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, renameat2};
use nix::unistd::{AccessFlags, Gid, Uid, access, fchown, linkat};

use crate::common::failure::{Class, Failure};
use crate::common::plain_file;

const PREFIX: &str = ".sdbuild-";
const SUFFIX: &str = ".part";
/// What `umask` takes its bits from.
const MODE: u32 = 0o644;

/// A file in the output directory that has no name yet, or one of ours.
#[derive(Debug)]
pub(super) struct Target {
    dir: PathBuf,
    part: PathBuf,
    file: File,
    /// Whether `part` exists and is ours to remove.
    named: bool,
}

impl Target {
    /// Makes it in `dir`, after sweeping what killed runs left there.
    pub(super) fn create(dir: &Path, run: &str) -> io::Result<Self> {
        sweep(dir);
        let part = part(dir, run);
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(MODE);
        let unnamed = options
            .clone()
            .custom_flags(OFlag::O_TMPFILE.bits())
            .open(dir);
        let (file, named) = match unnamed {
            Ok(file) => (file, false),
            // no such thing on this file system (or this kernel, which takes it for a directory)
            Err(e) if no_tmpfile(&e) => (options.create_new(true).open(&part)?, true),
            Err(e) => return Err(e),
        };
        let target = Self {
            dir: dir.to_path_buf(),
            part,
            file,
            named,
        };
        // held until the file is closed: the sweep of another run lets it be
        match target.file.try_lock() {
            Ok(()) => Ok(target),
            Err(TryLockError::Error(e)) if has_no_locks(&e) => Ok(target),
            Err(e) => Err(e.into()),
        }
    }

    /// A target with a name, as on file systems without `O_TMPFILE`.
    #[cfg(test)]
    fn create_named(dir: &Path, run: &str) -> io::Result<Self> {
        let part = part(dir, run);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&part)?;
        file.try_lock()?;
        Ok(Self {
            dir: dir.to_path_buf(),
            part,
            file,
            named: true,
        })
    }

    /// To be written from start to end.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file to the user who ran `sudo`.
    pub(super) fn give_to(&self, (uid, gid): (u32, u32)) -> io::Result<()> {
        Ok(fchown(
            &self.file,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
        )?)
    }

    /// Puts all of it on disk. What is to replace something gets a name of ours, so that only a rename
    /// is left to do.
    pub(super) fn settle(&mut self, force: bool) -> io::Result<()> {
        self.file.sync_all()?;
        if force && !self.named {
            self.link(&self.part)?;
            self.named = true;
        }
        Ok(())
    }

    /// Gives it its name, in one step; to be called when it is settled. Something of that name is an
    /// error of kind [`io::ErrorKind::AlreadyExists`] unless `force`.
    pub(super) fn place(&mut self, name: &str, force: bool) -> io::Result<()> {
        let place = self.dir.join(name);
        match (force, self.named) {
            (false, false) => self.link(&place),
            (false, true) => self.rename_new(&place),
            (true, _) => {
                fs::rename(&self.part, place)?;
                self.named = false;
                Ok(())
            }
        }
    }

    /// Exchanges its name with what has `name`; `false` where the file system cannot do that. What has its
    /// name goes with this value. To be called when it is settled with `force`.
    pub(super) fn exchange(&mut self, name: &str) -> io::Result<bool> {
        let place = self.dir.join(name);
        let flags = RenameFlags::RENAME_EXCHANGE;
        match renameat2(AT_FDCWD, &self.part, AT_FDCWD, &place, flags) {
            Ok(()) => Ok(true),
            Err(Errno::EINVAL | Errno::ENOSYS) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Gives what it replaced its name back. Where that cannot be it stays beside, under a name of ours: it is
    /// the user's.
    pub(super) fn give_back(mut self, name: &str) {
        if let Ok(true) = self.exchange(name) {
            return;
        }
        self.named = false;
        let place = self.dir.join(name);
        let flags = RenameFlags::RENAME_NOREPLACE;
        // Somebody removed the new one meanwhile.
        renameat2(AT_FDCWD, &self.part, AT_FDCWD, &place, flags).ok();
    }

    fn link(&self, place: &Path) -> io::Result<()> {
        let ours = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let flags = AtFlags::AT_SYMLINK_FOLLOW;
        Ok(linkat(AT_FDCWD, ours.as_str(), AT_FDCWD, place, flags)?)
    }

    fn rename_new(&mut self, place: &Path) -> io::Result<()> {
        let flags = RenameFlags::RENAME_NOREPLACE;
        match renameat2(AT_FDCWD, &self.part, AT_FDCWD, place, flags) {
            Ok(()) => {}
            // A file system that cannot promise it: look first, which is right but for a race.
            Err(Errno::EINVAL | Errno::ENOSYS) => {
                if place.symlink_metadata().is_ok() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                fs::rename(&self.part, place)?;
            }
            Err(e) => return Err(e.into()),
        }
        self.named = false;
        Ok(())
    }
}

/// The name of a file of `run` that is not yet, or no longer, called what people look for.
pub(super) fn part(dir: &Path, run: &str) -> PathBuf {
    dir.join(format!("{PREFIX}{run}{SUFFIX}"))
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.named {
            // nobody to tell; the next run's sweep takes it
            fs::remove_file(&self.part).ok();
        }
    }
}

/// Some file systems have no locks, and NFS has none without its lock service. Another run's sweep
/// cannot lock there either, and lets every part file be.
fn has_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(Errno::ENOLCK as i32)
}

fn no_tmpfile(error: &io::Error) -> bool {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    matches!(
        errno,
        Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL | Errno::ENOENT
    )
}

/// Makes the name last. Some file systems cannot sync a directory, which is no failure of ours.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    match File::open(dir)?.sync_all() {
        Err(e) if e.raw_os_error() == Some(Errno::EINVAL as i32) => Ok(()),
        result => result,
    }
}

/// Removes parts that killed runs left: those that nobody holds locked.
fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if is_part(name) && path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            remove_unlocked(&path);
        }
    }
}

fn is_part(name: &str) -> bool {
    let run = name
        .strip_prefix(PREFIX)
        .and_then(|n| n.strip_suffix(SUFFIX));
    run.is_some_and(|run| run.len() == 12 && run.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn remove_unlocked(path: &Path) {
    let Ok(file) = plain_file::open_unlinked(path) else {
        return;
    };
    // One made a moment ago may not be locked yet.
    let fresh = file.metadata().is_ok_and(|meta| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.is_ok_and(|now| meta.ctime().unsigned_abs() + 60 > now.as_secs())
    });
    if !fresh && file.try_lock().is_ok() {
        fs::remove_file(path).ok();
    }
}

/// What stands in the way of writing an image to `dir`; nothing is written to find out.
pub fn preflight(dir: &Path) -> Vec<Failure> {
    let shown = dir.display();
    let failure = match fs::metadata(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Failure::usage(format!("the output directory {shown} does not exist"))
                .hint(format!("make it: mkdir -p '{shown}'"))
        }
        Err(e) => {
            Failure::new(Class::Usage, e).context(format!("look at the output directory {shown}"))
        }
        Ok(meta) if !meta.is_dir() => {
            Failure::usage(format!("the output {shown} is not a directory"))
                .hint("--output names the directory that the image is put into")
        }
        Ok(_) => match access(dir, AccessFlags::W_OK | AccessFlags::X_OK) {
            Ok(()) => return Vec::new(),
            Err(e) => Failure::new(Class::Usage, e)
                .context(format!("write to the output directory {shown}"))
                .hint("name another directory with --output"),
        },
    };
    vec![failure]
}

#[cfg(test)]
mod tests;
