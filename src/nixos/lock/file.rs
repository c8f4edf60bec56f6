//! The lock file: validated when it is read, replaced atomically when it is written.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Locked;
use sdbuild_core::atomic_file::CompleteFile;
use sdbuild_core::failure::{Failure, OrFail};
use sdbuild_core::http_url;
use sdbuild_core::http_url::HttpUrlError;
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::plain_file;

/// Largest lock file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// Entries that are kept, newest first: more releases than one user tries, and far below [`MAX_FILE_BYTES`].
const MAX_ENTRIES: usize = 32;
/// The version that is written; version 1 had a single entry.
const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    version: u32,
    nixpkgs: Entries,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Entries {
    /// Version 1.
    One(Locked),
    /// Version 2.
    Many(Vec<Locked>),
}

/// The entries of the lock file at `path`, newest first; empty when there is no such file. A usage error when it is
/// damaged or has an unknown version.
pub fn read(path: &Path) -> Result<Vec<Locked>, Failure> {
    let shown = path.display();
    let broken = |f: Failure| f.hint(format!("delete {shown} to resolve nixpkgs again"));
    let text = match plain_file::read_text(path, MAX_FILE_BYTES) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).or_usage(format!("read {shown}")).map_err(broken),
    };
    let file: LockFile = toml::from_str(&text)
        .or_usage(format!("read {shown}"))
        .map_err(broken)?;
    let entries = match (file.version, file.nixpkgs) {
        (1, Entries::One(locked)) => vec![locked],
        (VERSION, Entries::Many(entries)) => entries,
        (version, _) => {
            let text =
                format!("{shown} has version {version}, which this sdbuild does not support");
            let hint = "a newer sdbuild wrote it; use that one, or delete the lock file";
            return Err(Failure::usage(text).hint(hint));
        }
    };
    if entries.iter().any(|locked| locked.hash().is_none()) {
        let text = format!("a sha256 in {shown} is not 64 hex digits");
        return Err(broken(Failure::usage(text)));
    }
    if let Some(error) = entries.iter().find_map(secret) {
        let failure = Failure::usage(format!("an address in {shown} {error}"));
        return Err(
            broken(failure).hint("anyone who could read the file may know the secret: change it")
        );
    }
    Ok(entries)
}

/// The secret in an address of `locked`, if there is one.
fn secret(locked: &Locked) -> Option<HttpUrlError> {
    let addresses = [Some(&locked.url), locked.requested.as_ref()];
    let errors = addresses
        .into_iter()
        .flatten()
        .filter_map(|address| http_url::check(address).err());
    // What cannot be fetched fails when it is fetched.
    errors
        .into_iter()
        .find(|error| *error != HttpUrlError::NotHttp)
}

/// Replaces the lock file at `path` by one with `entries`, newest first; only the first `MAX_ENTRIES` are written.
pub fn write(path: &Path, entries: &[Locked]) -> Result<(), Failure> {
    let file = LockFile {
        version: VERSION,
        nixpkgs: Entries::Many(entries.iter().take(MAX_ENTRIES).cloned().collect()),
    };
    let text = toml::to_string(&file).or_internal("serialize the lock")?;
    let text =
        format!("# Which nixpkgs images are built from. `sdbuild lock` resolves it again.\n{text}");
    replace_file(path, &text)
}

/// Replaces the file at `path` by one with `text`, which is complete or not there at all.
pub fn replace_file(path: &Path, text: &str) -> Result<(), Failure> {
    let shown = path.display();
    let dir = parent_dir(path);
    let written = CompleteFile::write(dir, text, 0o644, None).and_then(|complete| {
        chown_to_owner_of(complete.file(), dir);
        complete.replace(path)
    });
    written.or_environment(format!("write {shown}"))
}

/// As root (`sudo`), gives the file the owner of its directory.
fn chown_to_owner_of(file: &File, dir: &Path) {
    if nix::unistd::geteuid().is_root()
        && let Ok(dir) = std::fs::metadata(dir)
    {
        // May fail on a file system without owners, or one that restricts root: the lock then belongs to root.
        fchown(file, Some(dir.uid()), Some(dir.gid())).ok();
    }
}
