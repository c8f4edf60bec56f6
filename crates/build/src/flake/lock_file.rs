//! Reading and writing the user's `flake.lock`.

use std::io;
use std::path::Path;

use crate::lock::replace_file;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_nix::flake_lock::{formatted, problem};

/// File name of a flake's lock.
pub const NAME: &str = "flake.lock";
/// Largest lock that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The text of the lock in `dir`; `None` without one. A usage error when it is not a plain file or cannot be read.
pub fn read(dir: &Path) -> Result<Option<String>, Failure> {
    let path = dir.join(NAME);
    match plain_file::read_text(&path, MAX_FILE_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_usage(format!("read {}", path.display())),
    }
}

/// A usage error if the lock in `dir` is damaged.
pub(super) fn check(dir: &Path) -> Result<(), Failure> {
    let problem = read(dir)?.and_then(|text| problem(&text));
    problem.map_or(Ok(()), |problem| {
        let path = dir.join(NAME);
        let text = format!("{} {problem}", path.display());
        Err(Failure::usage(text).hint(
            "restore an earlier one, for instance with git. Or remove it, and `sdbuild lock` writes one with the newest \
             inputs",
        ))
    })
}

/// Replaces the lock in `dir` by `text`, which the builder's Nix printed, formatted as Nix does. Returns whether it changed. A usage
/// error if it is no longer `before`, of which Nix made the new one.
pub fn write(dir: &Path, before: Option<&str>, text: &str) -> Result<bool, Failure> {
    let text = formatted(text)?;
    let (path, now) = (dir.join(NAME), read(dir)?);
    if now.as_ref() == Some(&text) {
        return Ok(false);
    }
    if now.as_deref() != before {
        let shown = path.display();
        let text = format!("{shown} was changed while the new one was made, and stays as it is");
        return Err(Failure::usage(text).hint("run `sdbuild lock` again"));
    }
    replace_file(&path, &text)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::failure::Class;

    #[test]
    fn the_lock_is_written_as_nix_does() {
        let dir = tempfile::tempdir().unwrap();
        let text = "{\"nodes\":{\"root\":{}},\"root\":\"root\",\"version\":7}";
        assert!(write(dir.path(), None, text).unwrap());
        let written = std::fs::read_to_string(dir.path().join("flake.lock")).unwrap();
        assert_eq!(
            written,
            "{\n  \"nodes\": {\n    \"root\": {}\n  },\n  \"root\": \"root\",\n  \"version\": 7\n}\n"
        );
        assert!(!write(dir.path(), None, text).unwrap());
        for bad in ["", "[]", "{}", "{\"version\":7}"] {
            assert!(write(dir.path(), None, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_damaged_lock_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        check(dir.path()).unwrap();
        for (text, told) in [
            ("\n", "flake.lock is empty"),
            ("<<<<<<< HEAD\n{}\n", "marks of a conflict"),
            (
                "{",
                "is not JSON: EOF while parsing an object at line 1 column 1",
            ),
            ("[]", "is not the lock of a flake"),
            (
                "{\"version\":99}",
                "version 99, and the builder's Nix reads versions 5 to 7",
            ),
            (
                "{\"version\":7,\"root\":\"root\",\"nodes\":{}}",
                "lacks the nodes",
            ),
            (
                "{\"version\":7,\"root\":\"r\",\"nodes\":{\"r\":{\"inputs\":{\"a\":\"b\"}}}}",
                "lacks the node b",
            ),
        ] {
            std::fs::write(dir.path().join(NAME), text).unwrap();
            let refused = check(dir.path()).unwrap_err();
            assert_eq!(refused.class, Class::Usage);
            assert!(refused.to_string().contains(told), "{text}: {refused}");
        }
        let whole = "{\"version\":7,\"root\":\"root\",\"nodes\":{\"root\":{}}}";
        std::fs::write(dir.path().join(NAME), whole).unwrap();
        check(dir.path()).unwrap();
    }

    /// The lock that was edited during the run was lost.
    #[test]
    fn a_lock_that_was_edited_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let lock = |rev: &str| {
            format!(
                "{{\"nodes\":{{\"root\":{{}},\"a\":{{\"locked\":{{\"rev\":\"{rev}\"}}}}}},\"root\":\"root\",\"version\":7}}"
            )
        };
        let (before, edited) = (lock("1"), lock("2"));
        std::fs::write(dir.path().join(NAME), &edited).unwrap();
        for before in [Some(before.as_str()), None] {
            let failure = write(dir.path(), before, &lock("3")).unwrap_err();
            assert!(failure.to_string().contains("stays as it is"), "{failure}");
            assert_eq!(read(dir.path()).unwrap().as_ref(), Some(&edited));
        }
        assert!(write(dir.path(), Some(&edited), &lock("3")).unwrap());
    }

    /// Writing a lock over a pipe waited for a writer for ever, and no signal ended that.
    #[test]
    fn a_pipe_is_no_lock_and_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        nix::unistd::mkfifo(&dir.path().join(NAME), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let text = "{\"nodes\":{\"root\":{}},\"root\":\"root\",\"version\":7}";
        for failure in [
            read(dir.path()).unwrap_err(),
            write(dir.path(), None, text).unwrap_err(),
        ] {
            assert_eq!(failure.class, Class::Usage);
            let message = failure.to_string();
            assert!(message.contains("not a plain file"), "{message}");
        }
    }
}
