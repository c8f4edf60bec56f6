//! An image for container engines in a file, as `--format container` makes it: what it says of itself, and a copy of it for the
//! engine with another name and more labels, so that it takes no name of the user's there and is known as ours.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read, Write};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::common::cancel::Cancel;
use crate::common::hash::Hasher;
use crate::common::plain_tar::{PlainEntry, plain_entries};
use crate::common::system::ReportedArchitecture;
use crate::image::{Error, ImageFile, ImageReader, ReadProgress};

/// Where the archive lists its images.
const MANIFEST: &str = "manifest.json";
/// Bytes of that list, and of the configuration of an image.
const MAX_TEXT_BYTES: u64 = 4 << 20;
/// Entries of an archive. An image has 127 layers at most.
const MAX_ENTRIES: usize = 256;
/// What an archive that cannot be started is refused with.
const NOT_OURS: &str = "it is an image for container engines that sdbuild did not make; load it with docker load --input";

/// An image for container engines.
#[derive(Debug)]
pub(super) struct ContainerArchive {
    image: ImageFile,
    /// The names of its layers in the archive.
    layers: Vec<String>,
    config: Value,
}

/// An image in the list of an archive.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    layers: Vec<String>,
}

impl ContainerArchive {
    /// Reads what the archive in `image` says of its image.
    pub(super) fn read(image: ImageFile, cancel: &Cancel) -> Result<Self, Error> {
        let (listed, config) = described(&image, cancel)?;
        if !listed.layers.iter().all(|name| is_blob(name)) {
            return Err(Error::Refused(NOT_OURS.to_owned()));
        }
        Ok(Self {
            layers: listed.layers,
            config,
            image,
        })
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.image.size
    }

    /// Whose programs are in it.
    pub(super) fn architecture(&self) -> ReportedArchitecture {
        let name = self.config.get("architecture").and_then(Value::as_str);
        name.unwrap_or("unknown").into()
    }

    /// The program that it starts, with its arguments; empty without one.
    pub(super) fn command(&self) -> Vec<String> {
        let words = |key: &str| {
            let words = self.config.get("config").and_then(|config| config.get(key));
            words.and_then(|words| Vec::<String>::deserialize(words).ok())
        };
        let parts = ["Entrypoint", "Cmd"].map(|key| words(key).unwrap_or_default());
        parts.concat()
    }

    /// Writes the image to `out` as an archive for `docker load`, with the name `name` and `labels` in addition to its own.
    /// `progress` gets the bytes of the file that were read.
    pub(super) fn pack(
        &self,
        name: &str,
        labels: &HashMap<String, String>,
        cancel: &Cancel,
        progress: ReadProgress<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let config = serde_json::to_vec(&self.labelled(labels)?)?;
        let mut hasher = Hasher::new();
        hasher.update(&config);
        let config_name = format!("{}.json", hasher.finish().sha256);
        let manifest =
            json!([{ "Config": config_name, "RepoTags": [name], "Layers": self.layers }]);
        let mut tar = tar::Builder::new(out);
        append(&mut tar, MANIFEST, &serde_json::to_vec(&manifest)?)?;
        append(&mut tar, &config_name, &config)?;
        let mut missing: BTreeSet<&str> = self.layers.iter().map(String::as_str).collect();
        let reader = Decompressed::new(&self.image, cancel, progress).map_err(io::Error::other)?;
        let mut archive = tar::Archive::new(reader);
        for found in plain_entries(archive.entries()?).take(MAX_ENTRIES) {
            let PlainEntry { entry, path, .. } = found?;
            let name = String::from_utf8_lossy(&path).into_owned();
            // Whatever else is in it is not passed on.
            if entry.header().entry_type().is_file() && missing.remove(name.as_str()) {
                let mut header = header(entry.size());
                tar.append_data(&mut header, &name, entry)?;
            }
        }
        if !missing.is_empty() {
            return Err(io::Error::other("a layer of the image is not in its file"));
        }
        tar.finish()
    }

    /// The configuration of the image with more labels.
    fn labelled(&self, labels: &HashMap<String, String>) -> io::Result<Value> {
        let mut config = self.config.clone();
        let own = config.as_object_mut().and_then(|all| member(all, "config"));
        let own = own.and_then(|config| member(config, "Labels"));
        let own = own.ok_or_else(|| io::Error::other("the image has no usable configuration"))?;
        for (key, value) in labels {
            own.insert(key.clone(), Value::from(value.as_str()));
        }
        Ok(config)
    }
}

/// The only image in the list of the archive, and its configuration.
fn described(image: &ImageFile, cancel: &Cancel) -> Result<(Listed, Value), Error> {
    let refused = || Error::Refused(NOT_OURS.to_owned());
    let mut listed: Option<Listed> = None;
    let mut archive = tar::Archive::new(Decompressed::new(image, cancel, &|_| ())?);
    for found in plain_entries(archive.entries()?).take(MAX_ENTRIES) {
        let found = found.map_err(|error| damaged(error, cancel))?;
        let PlainEntry {
            mut entry, path, ..
        } = found;
        let name = String::from_utf8_lossy(&path).into_owned();
        match listed.take() {
            None if name == MANIFEST => {
                let all: Vec<Listed> = parse(&mut entry, cancel)?;
                listed = Some(only(all).ok_or_else(refused)?);
            }
            Some(of_image) if of_image.config == name => {
                return Ok((of_image, parse(&mut entry, cancel)?));
            }
            before => listed = before,
        }
    }
    Err(refused())
}

/// The object with the name `key` in `parent`, where it is made unless it is there; `None` if that is no object.
fn member<'a>(parent: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    let value = parent.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut()
}

/// The only element.
fn only<T>(all: Vec<T>) -> Option<T> {
    let mut all = all.into_iter();
    all.next().filter(|_| all.next().is_none())
}

/// Whether `name` is that of a file with the digest of its content, which is no path out of the archive.
fn is_blob(name: &str) -> bool {
    let digest = name.strip_prefix("blobs/sha256/").unwrap_or_default();
    digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The JSON in `entry`.
fn parse<T: serde::de::DeserializeOwned>(
    entry: &mut impl Read,
    cancel: &Cancel,
) -> Result<T, Error> {
    let mut text = Vec::new();
    let read = entry.take(MAX_TEXT_BYTES).read_to_end(&mut text);
    read.map_err(|error| damaged(error, cancel))?;
    serde_json::from_slice(&text).map_err(|_| Error::Refused(NOT_OURS.to_owned()))
}

fn damaged(error: io::Error, cancel: &Cancel) -> Error {
    if cancel.is_cancelled() {
        return Error::Interrupted;
    }
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::Damaged(format!("the archive cannot be read: {error}")),
    }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_mtime(1);
    header.set_size(size);
    header
}

fn append(tar: &mut tar::Builder<&mut dyn Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    tar.append_data(&mut header(bytes.len() as u64), name, bytes)
}

/// The decompressed bytes of an image.
struct Decompressed<'a>(ImageReader<'a>);

impl<'a> Decompressed<'a> {
    fn new(
        image: &'a ImageFile,
        cancel: &'a Cancel,
        progress: ReadProgress<'a>,
    ) -> Result<Self, Error> {
        image.reader(cancel, progress).map(Self)
    }
}

impl Read for Decompressed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.fill(buffer).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests;
