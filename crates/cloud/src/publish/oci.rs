//! Makes an OCI image layout, a directory, of the archive of `--format container`: tools that push images read it.
//!
//! Every byte of the archive is untrusted: names, sizes and counts are bounded, and each blob must have the hash that is its name. A layout
//! that is there gets the image too. Its index is replaced last and at once, so that a kill leaves the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::{HashingReader, Sha256Hash};
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::plain_tar::{PlainEntry, plain_entries};
use sdbuild_core::scratch_dir::ScratchDir;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::{atomic_file, plain_file};
use sdbuild_image::{Error, ImageFile, ImageKind, ImageReader};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tar::{Archive, Entry, EntryType};

/// How directories for the time of a run are called.
const SCRATCH: &str = ".sdbuild-oci-";
/// The one version of the format.
const VERSION: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";

/// An image in a layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OciImage {
    /// The directory.
    pub directory: PathBuf,
    /// The name of the image in it.
    pub tag: String,
    /// The hash of its manifest, `sha256:…`, by which registries know it.
    pub digest: String,
    /// Its layers.
    pub layers: usize,
    /// Bytes of all that it consists of.
    pub bytes: u64,
}

/// Puts the container image in the file `image` into the layout `dir` as `tag` (`Phase::Publish`). The directory is made if there is none.
///
/// # Errors
///
/// The file is no such image, or is damaged; `dir` has something else, or another process writes to it.
pub async fn write_oci_layout(
    image: &Path,
    dir: &Path,
    tag: &str,
    context: &Context,
) -> Result<OciImage, Failure> {
    check_tag(tag)?;
    let (image, dir, tag, inner) = (
        image.to_owned(),
        dir.to_owned(),
        tag.to_owned(),
        context.clone(),
    );
    let operation = format!("publish {}", image.display());
    let work = async {
        let written = tokio::task::spawn_blocking(move || write(&image, &dir, &tag, &inner));
        written.await.or_internal("write the image")?
    };
    let written = context.phase(Phase::Publish, work).await;
    written.map_err(|failure| failure.context(operation))
}

fn write(image: &Path, dir: &Path, tag: &str, context: &Context) -> Result<OciImage, Failure> {
    let target = Target::look(dir)?;
    let operation = format!("write {}", dir.display());
    // On the same file system as what it becomes.
    let scratch = ScratchDir::create_in(target.scratch_place(), SCRATCH).or_usage(&operation)?;
    let layout = scratch.path().join("layout");
    fs::create_dir_all(layout.join(BLOBS)).or_environment(&operation)?;
    let unpacked = unpack(image, &layout, context)?;
    let image = unpacked.check(&layout)?;
    let index = target.index()?.with(&image.descriptor, tag);
    let install = || -> io::Result<()> {
        fs::write(layout.join(MARKER), VERSION)?;
        atomic_file::replace(&layout.join(INDEX), &index.text(), 0o644)?;
        target.install(&layout, &unpacked)
    };
    install().or_environment(&operation)?;
    Ok(OciImage {
        directory: dir.to_owned(),
        tag: tag.to_owned(),
        digest: image.digest,
        layers: image.layers,
        bytes: unpacked.bytes(),
    })
}

/// As the specification has it for names in an index.
fn check_tag(tag: &str) -> Result<(), Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = |tag: &str| tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if begins(tag) && tag.len() <= 128 && tag.chars().all(is_plain) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "`{tag}` cannot be the name of an image in a layout"
    ))
    .hint("--tag with at most 128 letters, digits and . _ -"))
}

/// Where the layout will be.
enum Target {
    /// Nothing is there; its parent is.
    New { dir: PathBuf, parent: PathBuf },
    /// A layout, or an empty directory. The lock keeps other processes of sdbuild out.
    There { dir: PathBuf, _lock: File },
}

impl Target {
    fn look(dir: &Path) -> Result<Self, Failure> {
        let shown = dir.display();
        let operation = format!("write {shown}");
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = parent_dir(dir).to_owned();
                if !parent.is_dir() {
                    let word = quoted(&parent.to_string_lossy());
                    let missing =
                        Failure::usage(format!("{} is not a directory", parent.display()));
                    return Err(missing.hint(format!("mkdir -p {word}")));
                }
                let dir = dir.to_owned();
                return Ok(Self::New { dir, parent });
            }
            read => read.or_usage(&operation)?,
        };
        let is_layout = plain_file::read_text(&dir.join(MARKER), MAX_JSON_BYTES)
            .is_ok_and(|text| is_version(&text));
        if !is_layout && entries.count() > 0 {
            return Err(Failure::usage(format!(
                "{shown} is not an OCI image layout, and not empty"
            ))
            .hint("name a directory that does not exist"));
        }
        let lock = File::open(dir).or_usage(&operation)?;
        if let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
            return Err(Failure::environment(format!(
                "another sdbuild writes to {shown}"
            )));
        }
        let dir = dir.to_owned();
        Ok(Self::There { dir, _lock: lock })
    }

    fn scratch_place(&self) -> &Path {
        match self {
            Self::New { parent, .. } => parent,
            Self::There { dir, .. } => dir,
        }
    }

    /// The images that are there.
    fn index(&self) -> Result<Index, Failure> {
        let Self::There { dir, .. } = self else {
            return Ok(Index::default());
        };
        let path = dir.join(INDEX);
        let operation = format!("read {}", path.display());
        match plain_file::read_text(&path, MAX_JSON_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index::default()),
            read => {
                let index = Index::parse(&read.or_usage(&operation)?);
                index.map_err(|why| Failure::usage(why).context(operation))
            }
        }
    }

    /// Gives what is complete in `layout` its place.
    fn install(&self, layout: &Path, unpacked: &Unpacked) -> io::Result<()> {
        let dir = match self {
            Self::New { dir, .. } => return fs::rename(layout, dir),
            Self::There { dir, .. } => dir,
        };
        fs::create_dir_all(dir.join(BLOBS))?;
        let names = unpacked.names().map(|hash| format!("{BLOBS}/{hash}"));
        let names = names.chain([MARKER.to_owned(), INDEX.to_owned()]);
        for name in names {
            fs::rename(layout.join(&name), dir.join(&name))?;
        }
        Ok(())
    }
}

/// Files of an archive: sdbuild makes at most 102 blobs.
const MAX_FILES: usize = 1000;
/// Docker's own description, which no layout needs.
const OF_DOCKER: &str = "manifest.json";
/// What helps when a file is no such image.
const BUILD: &str = "build one: sdbuild build --format container";

/// What was unpacked.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    /// Each blob with its length.
    blobs: BTreeMap<Sha256Hash, u64>,
    marker: Option<String>,
    index: Option<String>,
}

/// Unpacks the file `image` into the directory `layout`. Each blob has the hash that is its name.
pub(super) fn unpack(image: &Path, layout: &Path, context: &Context) -> Result<Unpacked, Failure> {
    let read = |error: Error| error.fail("read it").hint(BUILD);
    let file = ImageFile::open(image, ImageKind::File).map_err(read)?;
    let progress = |done| {
        context.events.bytes(Phase::Publish, done, Some(file.size));
    };
    let reader = file.reader(&context.cancel, &progress).map_err(read)?;
    let mut bytes = Bytes {
        reader,
        error: None,
    };
    let mut unpacked = Unpacked::default();
    let done = unpacked.take(Archive::new(&mut bytes), layout);
    match (bytes.error, done) {
        (Some(error), _) => Err(read(error)),
        (None, done) => done.map(|()| unpacked),
    }
}

/// The bytes of the archive, with the reason why there are no more.
struct Bytes<'a> {
    reader: ImageReader<'a>,
    error: Option<Error>,
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.fill(buffer).map_err(|error| {
            let shown = io::Error::other(error.to_string());
            self.error = Some(error);
            shown
        })
    }
}

fn refused(why: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("it is not an image for container engines: {why}")).hint(BUILD)
}

impl Unpacked {
    fn take<R: Read>(&mut self, mut archive: Archive<R>, layout: &Path) -> Result<(), Failure> {
        let broken = |_| refused("it is not a tar archive, or damaged");
        let entries = archive.entries().map_err(broken)?;
        for (count, found) in plain_entries(entries).enumerate() {
            let PlainEntry {
                mut entry, path, ..
            } = found.map_err(broken)?;
            if count >= MAX_FILES {
                return Err(refused(format!("it has more than {MAX_FILES} files")));
            }
            let name = String::from_utf8_lossy(&path).into_owned();
            let kind = entry.header().entry_type();
            if kind == EntryType::Directory {
                continue;
            }
            if kind != EntryType::Regular {
                return Err(refused(format!("{name:?} is not a file")));
            }
            let blob = name
                .strip_prefix(BLOBS)
                .and_then(|rest| rest.strip_prefix('/'));
            match (name.as_str(), blob.map(str::parse::<Sha256Hash>)) {
                (_, Some(Ok(hash))) => self.take_blob(&mut entry, hash, layout)?,
                (MARKER, _) => take_text(&mut self.marker, &mut entry, MARKER)?,
                (INDEX, _) => take_text(&mut self.index, &mut entry, INDEX)?,
                (OF_DOCKER, _) => {}
                _ => return Err(refused(format!("it has a file {name:?}"))),
            }
        }
        Ok(())
    }

    fn take_blob<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        hash: Sha256Hash,
        layout: &Path,
    ) -> Result<(), Failure> {
        let operation = format!("write the blob {hash}");
        let mut file =
            File::create_new(layout.join(format!("{BLOBS}/{hash}"))).or_environment(&operation)?;
        let size = entry.size();
        let mut reader = HashingReader::new(entry);
        let copied = io::copy(&mut reader, &mut file).or_environment(&operation)?;
        file.flush()
            .and_then(|()| file.sync_all())
            .or_environment(&operation)?;
        if copied != size || reader.finish().sha256 != hash {
            return Err(refused(format!("the blob {hash} is damaged")));
        }
        self.blobs.insert(hash, size);
        Ok(())
    }

    /// The image, whose parts are all there.
    pub(super) fn check(&self, layout: &Path) -> Result<ImageInLayout, Failure> {
        let missing = |name: &str| refused(format!("it has no {name}"));
        let content = Content {
            marker: self.marker.as_deref().ok_or_else(|| missing(MARKER))?,
            index: self.index.as_deref().ok_or_else(|| missing(INDEX))?,
            blobs: &self.blobs,
            layout,
        };
        content.image().map_err(refused)
    }

    /// The hashes of the blobs.
    pub(super) fn names(&self) -> impl Iterator<Item = &Sha256Hash> {
        self.blobs.keys()
    }

    /// Bytes of all blobs.
    pub(super) fn bytes(&self) -> u64 {
        self.blobs.values().sum()
    }
}

fn take_text<R: Read>(
    place: &mut Option<String>,
    entry: &mut Entry<'_, R>,
    name: &str,
) -> Result<(), Failure> {
    let mut text = String::new();
    let read = entry.take(MAX_JSON_BYTES).read_to_string(&mut text);
    read.map_err(refused)?;
    if place.replace(text).is_some() {
        return Err(refused(format!("it has two files {name}")));
    }
    Ok(())
}

/// The annotation with the name of an image.
const NAME: &str = "org.opencontainers.image.ref.name";
/// containerd's name of an image, which has the tag in it.
const FULL_NAME: &str = "io.containerd.image.name";

/// The text of an `index.json`, with fields of others as they are.
pub(super) struct Index {
    fields: Map<String, Value>,
    images: Vec<Value>,
}

impl Default for Index {
    fn default() -> Self {
        let mut fields = Map::new();
        fields.insert("schemaVersion".into(), json!(2));
        let kind = "application/vnd.oci.image.index.v1+json";
        fields.insert("mediaType".into(), json!(kind));
        Self {
            fields,
            images: Vec::new(),
        }
    }
}

impl Index {
    /// Reads an index; says what is wrong with it otherwise.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut fields: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let images = fields.remove("manifests");
        match (fields.get("schemaVersion"), images) {
            (Some(version), Some(Value::Array(images))) if *version == 2 => {
                Ok(Self { fields, images })
            }
            _ => Err("it is not an index of version 2".into()),
        }
    }

    /// With the image of `descriptor` as `tag`, in place of another one of that name.
    pub(super) fn with(mut self, descriptor: &Value, tag: &str) -> Self {
        self.images
            .retain(|image| image.pointer(&format!("/annotations/{NAME}")) != Some(&json!(tag)));
        let mut image = descriptor.clone();
        if let Some(image) = image.as_object_mut() {
            let annotations = image.entry("annotations").or_insert_with(|| json!({}));
            if let Some(annotations) = annotations.as_object_mut() {
                annotations.insert(NAME.into(), json!(tag));
                rename(annotations, tag);
            }
        }
        self.images.push(image);
        self
    }

    /// Its JSON.
    pub(super) fn text(mut self) -> String {
        self.fields.insert("manifests".into(), self.images.into());
        Value::from(self.fields).to_string()
    }
}

/// Gives containerd's name the tag too.
fn rename(annotations: &mut Map<String, Value>, tag: &str) {
    let full = annotations.get(FULL_NAME).and_then(Value::as_str);
    let Some((repository, _)) = full.and_then(|full| full.rsplit_once(':')) else {
        return;
    };
    let renamed = format!("{repository}:{tag}");
    annotations.insert(FULL_NAME.into(), json!(renamed));
}

/// The kinds of what sdbuild makes.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What was unpacked.
pub(super) struct Content<'a> {
    /// The text of `oci-layout`.
    pub(super) marker: &'a str,
    /// The text of `index.json`.
    pub(super) index: &'a str,
    /// Each blob with its length.
    pub(super) blobs: &'a BTreeMap<Sha256Hash, u64>,
    /// The directory that has them.
    pub(super) layout: &'a Path,
}

/// An image of a layout.
pub(super) struct ImageInLayout {
    /// Its entry in the index.
    pub(super) descriptor: Value,
    /// The hash of its manifest.
    pub(super) digest: String,
    /// The number of its layers.
    pub(super) layers: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    image_layout_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Images {
    manifests: Vec<Value>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: Root,
}

#[derive(Deserialize)]
struct Root {
    diff_ids: Vec<String>,
}

/// Whether `text` is that of an `oci-layout` of version 1.
pub(super) fn is_version(text: &str) -> bool {
    let version = serde_json::from_str::<Version>(text);
    version.is_ok_and(|version| version.image_layout_version == "1.0.0")
}

impl Content<'_> {
    /// The one image. Each part exists with its stated length, layers are those that the configuration names, and there is nothing else.
    pub(super) fn image(&self) -> Result<ImageInLayout, String> {
        if !is_version(self.marker) {
            return Err("its oci-layout is not of version 1.0.0".into());
        }
        let images: Images = parsed("index.json", self.index)?;
        let Ok([descriptor]) = <[Value; 1]>::try_from(images.manifests) else {
            return Err("its index does not have one image".into());
        };
        let mut used = BTreeSet::new();
        let manifest_at =
            Descriptor::deserialize(&descriptor).map_err(|error| error.to_string())?;
        let manifest = self.blob(&manifest_at, MANIFEST, &mut used)?;
        let manifest: Manifest = self.json(manifest)?;
        let config = self.blob(&manifest.config, CONFIG, &mut used)?;
        let config: Config = self.json(config)?;
        for layer in &manifest.layers {
            self.blob(layer, LAYER, &mut used)?;
        }
        // They are not compressed.
        let layers = manifest.layers.iter().map(|layer| &layer.digest);
        if !layers.eq(&config.rootfs.diff_ids) {
            return Err("its layers are not those of its configuration".into());
        }
        if let Some(other) = self.blobs.keys().find(|hash| !used.contains(hash)) {
            return Err(format!("nothing refers to the blob {other}"));
        }
        Ok(ImageInLayout {
            descriptor,
            digest: manifest_at.digest,
            layers: manifest.layers.len(),
        })
    }

    /// The hash of the blob that `descriptor` names.
    fn blob(
        &self,
        descriptor: &Descriptor,
        kind: &str,
        used: &mut BTreeSet<Sha256Hash>,
    ) -> Result<Sha256Hash, String> {
        let Descriptor {
            media_type,
            digest,
            size,
        } = descriptor;
        if media_type != kind {
            return Err(format!("{media_type:?} is not {kind}"));
        }
        let hash = digest.strip_prefix("sha256:").map(str::parse);
        let Some(Ok(hash)) = hash else {
            return Err(format!("{digest:?} is not a hash"));
        };
        if self.blobs.get(&hash) != Some(size) {
            return Err(format!("it has no blob {hash} of {size} bytes"));
        }
        used.insert(hash);
        Ok(hash)
    }

    fn json<T: for<'a> Deserialize<'a>>(&self, blob: Sha256Hash) -> Result<T, String> {
        let path = self.layout.join(format!("{BLOBS}/{blob}"));
        let text = plain_file::read_text(&path, MAX_JSON_BYTES);
        let text = text.map_err(|error| format!("the blob {blob}: {error}"))?;
        parsed(&format!("the blob {blob}"), &text)
    }
}

fn parsed<T: for<'a> Deserialize<'a>>(what: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{what}: {error}"))
}

/// The file by which a layout is known.
pub(super) const MARKER: &str = "oci-layout";
/// The file that names the images.
pub(super) const INDEX: &str = "index.json";
/// The directory of all other files, each called by its hash.
pub(super) const BLOBS: &str = "blobs/sha256";
/// Bytes of JSON that are read: an index, a manifest, a configuration.
pub(super) const MAX_JSON_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_takes_the_place_of_one_of_the_same_name() {
        let image = |digest: &str| json!({ "digest": digest, "annotations": { FULL_NAME: "docker.io/library/box:latest" } });
        let index = Index::default().with(&image("a"), "latest");
        let index = Index::parse(&index.text()).unwrap().with(&image("b"), "v1");
        let text = index.with(&image("c"), "latest").text();
        let value: Value = serde_json::from_str(&text).unwrap();
        let images = value["manifests"].as_array().unwrap().iter();
        let images: Vec<_> = images
            .map(|one| {
                (
                    one["digest"].as_str().unwrap(),
                    one["annotations"][FULL_NAME].as_str().unwrap(),
                )
            })
            .collect();
        let (v1, latest) = ("docker.io/library/box:v1", "docker.io/library/box:latest");
        assert_eq!(images, [("b", v1), ("c", latest)]);
        assert!(Index::parse("{\"schemaVersion\":1,\"manifests\":[]}").is_err());
    }
}
