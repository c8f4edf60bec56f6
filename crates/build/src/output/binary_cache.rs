//! A binary cache in a directory, which takes what a container sends as an archive.
//!
//! At every moment the directory is a valid cache: a file with content has its name once it is complete and on the disk, then
//! its description gets its own; references come before what refers to them. Whatever ends the export, the next one goes on.
//! Names, types, sizes and hashes are checked: the archive is untrusted.

use std::fs::DirBuilder;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::output::pending_file::{PUBLIC, PendingFile, sweep, sync_dir};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::{Hashing, Sha256Hash};
use sdbuild_core::plain_file;
use sdbuild_core::plain_tar::{PlainEntry, plain_entries};
use sdbuild_core::shown_path::shown_path;
use sdbuild_image::MAX_IMAGE_BYTES;

/// The file that makes a directory a binary cache.
const CACHE_INFO: &str = "nix-cache-info";
/// Its text: what NixOS's cache has is taken from there, whose priority is 40.
const CACHE_INFO_TEXT: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 50\n";
/// The line of it that every cache for NixOS has.
const STORE_DIR: &str = "StoreDir: /nix/store";
/// Bytes of a description, and of [`CACHE_INFO`]: a path with ten thousand references has less.
const MAX_INFO_BYTES: u64 = 1 << 20;

/// A directory with a binary cache.
#[derive(Clone, Debug)]
pub(crate) struct CacheDir {
    dir: PathBuf,
}

impl CacheDir {
    /// The cache in `dir`, absolute, which is made if it is missing or empty. A usage error if it has something else.
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
        let shown = shown_path(dir);
        let cache = Self {
            dir: dir.to_owned(),
        };
        let make = || DirBuilder::new().recursive(true).create(dir.join("nar"));
        match plain_file::read_text(&dir.join(CACHE_INFO), MAX_INFO_BYTES) {
            Ok(text) if text.lines().any(|line| line.trim_end() == STORE_DIR) => {
                make().or_usage(format!("write to the binary cache {shown}"))?;
            }
            Ok(_) => {
                return Err(Failure::usage(format!(
                    "{shown} is a binary cache for another store than /nix/store"
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::read_dir(dir).is_ok_and(|mut files| files.next().is_some()) {
                    let text = format!(
                        "{shown} is neither empty nor a binary cache: it has no {CACHE_INFO}"
                    );
                    return Err(Failure::usage(text).hint("name a directory for the cache alone"));
                }
                make()
                    .and_then(|()| cache.put(CACHE_INFO, &mut CACHE_INFO_TEXT.as_bytes()))
                    .or_usage(format!("create the binary cache {shown}"))?;
            }
            Err(error) => return Err(error).or_usage(format!("read the binary cache {shown}")),
        }
        // Incomplete files of exports that were killed.
        for dir in ["", "nar"] {
            sweep(&cache.dir.join(dir));
        }
        Ok(cache)
    }

    /// The hashes of the store paths that are there, complete and signed by `key`.
    pub(crate) fn exported(&self, key: &str) -> Result<Vec<String>, Failure> {
        let names =
            fs::read_dir(&self.dir).or_environment(format!("list {}", shown_path(&self.dir)))?;
        let is_there = |name: &str| {
            let text = plain_file::read_text(&self.dir.join(name), MAX_INFO_BYTES).ok()?;
            let info = NarInfo::parse(&text).ok()?;
            let size = self.dir.join(&info.file).symlink_metadata().ok()?.len();
            let is_whole = described(name) == Some(&info.hash) && size == info.file_size;
            (is_whole && info.is_signed_by(key)).then_some(info.hash)
        };
        let names = names
            .flatten()
            .filter_map(|file| file.file_name().into_string().ok());
        Ok(names.filter_map(|name| is_there(&name)).collect())
    }

    /// Takes the files of the archives in `stream`, which follow one another, into the cache. Each path is to be signed by `key`.
    /// An interrupted stream ends it: what is complete by then is kept.
    pub(crate) fn take(&self, stream: impl Read, key: &str) -> Result<(), Failure> {
        let mut archive = tar::Archive::new(stream);
        archive.set_ignore_zeros(true);
        let shown = shown_path(&self.dir);
        let entries = archive.entries().or_environment("read the export")?;
        let mut nar = None;
        for entry in plain_entries(entries) {
            let PlainEntry {
                mut entry, path, ..
            } = entry.or_environment("read the export")?;
            let name = String::from_utf8_lossy(&path).into_owned();
            let size = entry.size();
            let is_file = entry.header().entry_type() == tar::EntryType::Regular;
            if is_file && is_nar(&name) && size <= MAX_IMAGE_BYTES {
                self.take_nar(&mut entry, &name, size).map_err(|failure| {
                    failure.context(format!("write to the binary cache {shown}"))
                })?;
                nar = Some((name, size));
            } else if let Some(hash) = described(&name)
                && is_file
                && size <= MAX_INFO_BYTES
            {
                let mut text = String::new();
                entry
                    .read_to_string(&mut text)
                    .or_environment("read the export")?;
                let info = NarInfo::parse(&text).map_err(|why| damaged(&name, why))?;
                let is_own = info.hash == hash && info.is_signed_by(key);
                if !is_own || nar.take() != Some((info.file, info.file_size)) {
                    return Err(damaged(&name, "it describes something else"));
                }
                self.put(&name, &mut text.as_bytes())
                    .or_environment(format!("write to the binary cache {shown}"))?;
            } else {
                return Err(damaged(&name, "no such file belongs to a binary cache"));
            }
        }
        Ok(())
    }

    /// Writes the next entry's content, `size` bytes, which has to have the hash that is in its name.
    fn take_nar(&self, entry: &mut impl Read, name: &str, size: u64) -> Result<(), Failure> {
        let mut reader = Hashing::new(entry);
        let part = self
            .part(name, &mut reader)
            .or_environment("take a file of the export")?;
        let hashed = reader.finish();
        if hashed.size != size {
            return Err(damaged(name, "it is cut off"));
        }
        if nar_with(hashed.sha256) != name {
            return Err(damaged(name, "its content has another hash"));
        }
        self.keep(part, name)
            .or_environment("name a file of the export")
    }

    /// Writes the file `name` in one step.
    fn put(&self, name: &str, content: &mut impl Read) -> io::Result<()> {
        let part = self.part(name, content)?;
        self.keep(part, name)
    }

    /// A file with `content` that is to get the name `name`, on the disk.
    fn part(&self, name: &str, content: &mut impl Read) -> io::Result<PendingFile> {
        let part = PendingFile::create(&self.dir_of(name), PUBLIC)?;
        io::copy(content, &mut part.file())?;
        part.sync()?;
        Ok(part)
    }

    fn keep(&self, part: PendingFile, name: &str) -> io::Result<()> {
        let dir = self.dir_of(name);
        part.into_hidden(&dir)?.rename_over(&self.dir.join(name))?;
        sync_dir(&dir)
    }

    /// The directory of the file `name`.
    fn dir_of(&self, name: &str) -> PathBuf {
        let dir = Path::new(name).parent().unwrap_or(Path::new(""));
        self.dir.join(dir)
    }
}

/// The failure for a file that the container should not have sent.
fn damaged(name: &str, why: impl std::fmt::Display) -> Failure {
    Failure::environment(format!("the export is damaged: {name:?}: {why}"))
}

/// The characters of Nix's base 32.
const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
/// Characters of a hash in the name of a store path.
const PATH_HASH: usize = 32;
/// Characters of SHA-256 in base 32.
const FILE_HASH: usize = 52;
/// How the files are compressed, as the end of their names.
const NAR: &str = ".nar.zst";

/// What is used of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NarInfo {
    /// The hash in the store path.
    pub(super) hash: String,
    /// The path of the file with the content, relative to the cache.
    pub(super) file: String,
    /// The length of that file in bytes.
    pub(super) file_size: u64,
    /// The names of the keys that signed it.
    signers: Vec<String>,
}

impl NarInfo {
    /// Reads the description `text`; what is wrong with it otherwise.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err("it has control characters".to_owned());
        }
        let lines = text.lines().map(|line| line.split_once(": "));
        let fields: Option<Vec<(&str, &str)>> = lines.collect();
        let fields = fields.ok_or("a line is not a field")?;
        let field = |name: &str| {
            let mut found = fields.iter().filter(|(key, _)| *key == name);
            match (found.next(), found.next()) {
                (Some((_, value)), None) => Ok(*value),
                _ => Err(format!("it does not have exactly one {name}")),
            }
        };
        let path = field("StorePath")?;
        let name = path
            .strip_prefix("/nix/store/")
            .filter(|name| is_name(name));
        let name = name.ok_or_else(|| format!("{path} is not a store path"))?;
        let mut references = field("References")?.split_whitespace();
        if let Some(other) = references.find(|name| !is_name(name)) {
            return Err(format!("it refers to {other}"));
        }
        let file = field("URL")?;
        if !is_nar(file) || field("Compression")? != "zstd" {
            return Err(format!("its file {file} is not one that sdbuild exports"));
        }
        let size = |name: &str| {
            let size = field(name)?.parse().ok().filter(|size| *size > 0);
            size.ok_or_else(|| format!("its {name} is not a size"))
        };
        size("NarSize")?;
        if field("FileHash")? != file_hash(file) {
            return Err("its file has the name of another one".to_owned());
        }
        let signers = fields.iter().filter(|(key, _)| *key == "Sig");
        let signers = signers.filter_map(|(_, value)| value.split_once(':'));
        Ok(Self {
            hash: name.chars().take(PATH_HASH).collect(),
            file: file.to_owned(),
            file_size: size("FileSize")?,
            signers: signers.map(|(name, _)| name.to_owned()).collect(),
        })
    }

    /// Whether the key with this name signed it.
    pub(super) fn is_signed_by(&self, key: &str) -> bool {
        self.signers.iter().any(|signer| signer == key)
    }
}

/// Whether `path` is that of a file with content: `nar/HASH.nar.zst`.
pub(super) fn is_nar(path: &str) -> bool {
    let hash = path
        .strip_prefix("nar/")
        .and_then(|name| name.strip_suffix(NAR));
    hash.is_some_and(|hash| is_base_32(hash, FILE_HASH))
}

/// The hash of the store path that the file `name` describes: `HASH.narinfo`.
pub(super) fn described(name: &str) -> Option<&str> {
    let hash = name.strip_suffix(".narinfo")?;
    is_base_32(hash, PATH_HASH).then_some(hash)
}

/// The hash that is the name of the file at `path`, with its kind.
fn file_hash(path: &str) -> String {
    let name = path.trim_start_matches("nar/").trim_end_matches(NAR);
    format!("sha256:{name}")
}

/// The path of a file with content whose hash is `hash`.
pub(super) fn nar_with(hash: Sha256Hash) -> String {
    let bytes: [u8; 32] = hash.into();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let digit = |number: usize| {
        let (at, shift) = (number * 5 / 8, number * 5 % 8);
        let bits = u16::from_le_bytes([byte(at), byte(at + 1)]) >> shift & 31;
        ALPHABET
            .get(usize::from(bits))
            .copied()
            .map_or('0', char::from)
    };
    let name: String = (0..FILE_HASH).rev().map(digit).collect();
    format!("nar/{name}{NAR}")
}

/// Whether `name` is that of a store path: a hash, a dash, a name of at most 211 characters.
fn is_name(name: &str) -> bool {
    let is_name_char = |b: u8| b.is_ascii_alphanumeric() || b"+._?=-".contains(&b);
    name.split_once('-').is_some_and(|(hash, rest)| {
        is_base_32(hash, PATH_HASH)
            && (1..=211).contains(&rest.len())
            && rest.bytes().all(is_name_char)
    })
}

fn is_base_32(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// The description of a store path with the content `content`, signed by `key`.
#[cfg(test)]
pub(super) fn describing(hash: &str, content: &[u8], key: &str) -> String {
    let file = nar_with(Sha256Hash::of(content));
    format!(
        "StorePath: /nix/store/{hash}-a\nURL: {file}\nCompression: zstd\nFileHash: {}\nFileSize: {}\n\
         NarHash: sha256:0\nNarSize: 8\nReferences: \nDeriver: x.drv\nSig: {key}:AAAA\n",
        file_hash(&file),
        content.len()
    )
}

#[cfg(test)]
mod tests;
