//! The lock as a file: read with distrust, written whole or not at all.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Locked;
use crate::common::failure::{Failure, OrFail};
use crate::common::plain_file;

/// Nobody's lock is longer.
const LONGEST: u64 = 64 << 10;
/// Answers that are kept, newest first: more releases than one user tries, and far below [`LONGEST`].
const MOST: usize = 32;
/// What is written; version 1 had a single answer.
const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    version: u32,
    nixpkgs: Answers,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Answers {
    One(Locked),
    Many(Vec<Locked>),
}

/// Reads the answers in the lock, none when there is no lock.
pub fn read(path: &Path) -> Result<Vec<Locked>, Failure> {
    let shown = path.display();
    let broken = |f: Failure| f.hint(format!("delete {shown} to resolve nixpkgs anew"));
    let text = match plain_file::read_text(path, LONGEST) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).or_usage(format!("read {shown}")).map_err(broken),
    };
    let file: LockFile = toml::from_str(&text)
        .or_usage(format!("read {shown}"))
        .map_err(broken)?;
    let answers = match (file.version, file.nixpkgs) {
        (1, Answers::One(locked)) => vec![locked],
        (VERSION, Answers::Many(answers)) => answers,
        (version, _) => {
            let text = format!("{shown} is of version {version}, which this sdbuild does not know");
            let hint = "a newer sdbuild wrote it: use that one, or delete the lock";
            return Err(Failure::usage(text).hint(hint));
        }
    };
    if answers.iter().any(|locked| locked.hash().is_none()) {
        let text = format!("a sha256 in {shown} is not 64 hex digits");
        return Err(broken(Failure::usage(text)));
    }
    Ok(answers)
}

/// Writes the lock with `answers`, newest first.
pub fn write(path: &Path, answers: &[Locked]) -> Result<(), Failure> {
    let shown = path.display();
    let file = LockFile {
        version: VERSION,
        nixpkgs: Answers::Many(answers.iter().take(MOST).cloned().collect()),
    };
    let text = toml::to_string(&file).or_internal("write the lock")?;
    let text = format!(
        "# Which nixpkgs images are built from. Delete an entry, or this file, to resolve it anew.\n{text}"
    );
    let dir = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let written = tempfile::Builder::new()
        .prefix(".sdbuild.lock-")
        .permissions(PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)
        .and_then(|mut temporary| {
            temporary.write_all(text.as_bytes())?;
            give_away(temporary.as_file(), dir);
            temporary.as_file().sync_all()?;
            temporary.persist(path).map_err(|e| e.error)
        });
    written.map(drop).or_environment(format!("write {shown}"))
}

/// Under `sudo` the lock is the user's, as the directory is that it lies in.
fn give_away(file: &File, dir: &Path) {
    if nix::unistd::geteuid().is_root()
        && let Ok(dir) = std::fs::metadata(dir)
    {
        // A file system without owners, or one that keeps root out: the lock is as good as root's.
        fchown(file, Some(dir.uid()), Some(dir.gid())).unwrap_or(());
    }
}
