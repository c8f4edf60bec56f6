//! A copy of an image file with files put onto it: its name, its hash, its block map and its manifest are those of a new image.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, fchown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::{Hasher, Sha256Hash};
use sdbuild_core::hidden_path::{NEW_SUFFIX, at_hidden_path, rename_to_free};
use sdbuild_core::locked_file;
use sdbuild_core::new_file::{self, Access};
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::plain_file;
use sdbuild_core::to_usize::to_usize;
use sdbuild_core::untrusted;
use sdbuild_image::blockmap::{BlockMap, Builder};
use sdbuild_image::disk::Section;
use sdbuild_image::flash::{DiskBlock, FlashSource};
use sdbuild_image::image_name::Sidecar;
use sdbuild_image::sidecars::{MAX_MANIFEST_BYTES, VERSION};
use sdbuild_image::sparse_writer::SparseWriter;
use sdbuild_image::{DiskForm, Error};
use serde_json::{Map, Value, json};
use tempfile::TempPath;

use crate::plan::Changes;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Who may read the copy: it has secrets, and the hashes beside it would tell which guess is one.
const MODE: u32 = 0o600;

/// A copy of an image that has no name yet: it is gone with this process, however that ends.
#[derive(Debug)]
pub struct ImageCopy {
    /// The image, if it is not compressed: it is copied when the changes are known. Another one is unpacked into `file` before.
    plain: Option<FlashSource>,
    file: File,
    /// Its hidden name, where the file system has no files without one.
    hidden: Option<TempPath>,
    size: u64,
    image: PathBuf,
    output: PathBuf,
    owner: Option<(u32, u32)>,
}

impl ImageCopy {
    /// Prepares a copy of the `image`, which is decompressed first if need be (`Phase::Unpack`), to become the new file `output` of
    /// `owner` (user and group id; `None`: this user). Blocks its thread.
    pub fn make(
        image: &Path,
        output: &Path,
        owner: Option<(u32, u32)>,
        context: &Context,
    ) -> Result<Self, Failure> {
        let shown = output.display();
        let mut packed = Compression::ALL.map(Compression::suffix).into_iter();
        if packed.any(|suffix| !suffix.is_empty() && output.to_string_lossy().ends_with(suffix)) {
            let text = format!(
                "{shown} has the name of a compressed image, and the copy is not compressed"
            );
            return Err(Failure::usage(text).hint("give it a name that ends in .img"));
        }
        for path in names(output) {
            new_file::is_free(&path)?;
        }
        let source = FlashSource::open(image)?;
        source.check_table(&context.cancel)?;
        let form = source.image().disk_form(&context.cancel);
        if form.map_err(|error| error.fail_on("open", image))? != DiskForm::Raw {
            let text = format!(
                "{} is not the image of a card or disk, byte by byte",
                image.display()
            );
            return Err(Failure::usage(text)
                .hint("files are put into images of the formats sd-card, raw and raw-efi"));
        }
        let dir = parent_dir(output);
        let operation = format!("write {shown}");
        let (file, hidden) = create(dir).or_usage(&operation)?;
        if let Some((user, group)) = owner {
            fchown(&file, Some(user), Some(group)).or_environment(&operation)?;
        }
        let (plain, size) = if source.image().compression == Compression::None {
            let size = source.image().size;
            (Some(source), size)
        } else {
            source.check(context)?;
            let unpack = || unpack(&source, &file, &operation, context);
            (None, context.blocking_phase(Phase::Unpack, unpack)?)
        };
        file.set_len(size).or_environment(&operation)?;
        Ok(Self {
            plain,
            file,
            hidden,
            size,
            image: image.to_owned(),
            output: output.to_owned(),
            owner,
        })
    }

    /// What has the disk as it is before the changes.
    fn unchanged(&self) -> &File {
        let plain = self.plain.as_ref();
        plain.map_or(&self.file, |source| source.image().file())
    }

    /// The disk in it, without the changes.
    pub fn disk(&self, cancel: &Cancel) -> Result<Section, Failure> {
        section(self.unchanged(), self.size, cancel)
    }

    /// Writes it with the changes, checks the files in it, writes its sidecars, which say that it was `created` then, and gives it its name
    /// (`Phase::Flash`). After an error nothing of it is left. Blocks its thread.
    pub fn finish(
        self,
        changes: &Changes,
        created: Timestamp,
        context: &Context,
    ) -> Result<(), Failure> {
        let operation = format!("write {}", self.output.display());
        let write = || self.write(&changes.blocks, context);
        let (sha256, map) = context.blocking_phase(Phase::Flash, write)?;
        self.file.sync_all().or_environment(&operation)?;
        changes.check(&section(&self.file, self.size, &context.cancel)?)?;
        let name = self
            .output
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let sums = format!("{sha256}  {name}\n");
        let xml = map.to_xml();
        let others = [(Sidecar::Checksum, sums), (Sidecar::BlockMap, xml)];
        let hashes = others.iter().map(|(sidecar, text)| {
            json!({ "name": sidecar.name(&name), "sha256": Sha256Hash::of(text.as_bytes()) })
        });
        let manifest = manifest(
            &self.image,
            &Described {
                name: &name,
                created,
                size: self.size,
                sha256,
                mapped_bytes: map.mapped_bytes(),
                sidecars: hashes.collect(),
                put: changes.described(),
            },
        )?;
        let mut written = Vec::new();
        for (sidecar, text) in others.iter().chain(&[(Sidecar::Manifest, manifest)]) {
            let path = sidecar.path(&self.output);
            new_file::write(&path, text, Access::Owner, self.owner)?;
            // It is removed unless it is kept.
            written.push(TempPath::try_from_path(path).or_internal(&operation)?);
        }
        match self.hidden {
            None => locked_file::link(&self.file, &self.output),
            Some(hidden) => rename_to_free(&hidden, &self.output),
        }
        .or_environment(&operation)?;
        for path in written {
            path.keep().or_internal(&operation)?;
        }
        Ok(())
    }

    /// Writes it with the changes `blocks`, if the image has the hash that the files beside it state; returns the hash and the block map of
    /// the copy. Each reads the image for itself, side by side: that takes no longer than the slowest alone.
    fn write(
        &self,
        blocks: &[DiskBlock],
        context: &Context,
    ) -> Result<(Sha256Hash, BlockMap), Failure> {
        let (mut hasher, mut map) = (Hasher::new(), Builder::new());
        let operation = format!("write {}", self.output.display());
        std::thread::scope(|scope| {
            let hash = scope.spawn(|| {
                self.each_chunk(blocks, context, |bytes, _| {
                    hasher.update(bytes);
                    Ok(())
                })
            });
            let mapped = scope.spawn(|| {
                self.each_chunk(blocks, context, |bytes, _| {
                    map.push(bytes);
                    Ok(())
                })
            });
            let quiet = Context {
                cancel: context.cancel.clone(),
                events: Events::none(),
            };
            let plain = self.plain.as_ref();
            let check = scope.spawn(move || plain.map_or(Ok(()), |source| source.check(&quiet)));
            let write = |bytes: &[u8], at| self.file.write_all_at(bytes, at);
            let mut sparse = SparseWriter::new(write);
            let written = self.each_chunk(blocks, context, |bytes, end| {
                if self.plain.is_some() {
                    sparse.write(bytes).or_environment(&operation)?;
                }
                context.events.bytes(Phase::Flash, end, Some(self.size));
                Ok(())
            });
            for ended in [hash.join(), mapped.join(), check.join()] {
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            written?;
            sparse.finish().or_environment(&operation)?;
            Ok::<_, Failure>(())
        })?;
        // What was unpacked was read without them.
        for (at, bytes) in blocks.iter().filter(|_| self.plain.is_none()) {
            let written = self.file.write_all_at(bytes, *at);
            written.or_environment(&operation)?;
        }
        Ok((hasher.finish().sha256, map.finish()))
    }

    /// Passes the bytes of the disk with the changes `blocks` to `work`, in order, each time with the position behind them.
    fn each_chunk(
        &self,
        blocks: &[DiskBlock],
        context: &Context,
        mut work: impl FnMut(&[u8], u64) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let operation = || format!("read {}", self.image.display());
        let (mut chunk, mut at) = (vec![0; CHUNK_BYTES], 0);
        while at < self.size {
            if context.cancel.is_cancelled() {
                return Err(Failure::interrupted());
            }
            let length = to_usize(self.size.saturating_sub(at)).min(CHUNK_BYTES);
            let bytes = chunk.get_mut(..length).unwrap_or_default();
            let read = self.unchanged().read_exact_at(bytes, at);
            read.or_environment(operation())?;
            overlay(bytes, at, blocks);
            at += length as u64;
            work(bytes, at)?;
        }
        Ok(())
    }
}

/// Puts the parts of `blocks`, which are in order, into `bytes`, which are at the position `at`.
fn overlay(bytes: &mut [u8], at: u64, blocks: &[DiskBlock]) {
    let end = at.saturating_add(bytes.len() as u64);
    let end_of = |(start, block): &DiskBlock| start.saturating_add(block.len() as u64);
    let first = blocks.partition_point(|block| end_of(block) <= at);
    let rest = blocks.get(first..).unwrap_or_default();
    for block in rest.iter().take_while(|(start, _)| *start < end) {
        let (from, to) = (block.0.max(at), end_of(block).min(end));
        let range =
            |base: u64| to_usize(from.saturating_sub(base))..to_usize(to.saturating_sub(base));
        if let (Some(into), Some(new)) = (bytes.get_mut(range(at)), block.1.get(range(block.0))) {
            into.copy_from_slice(new);
        }
    }
}

fn section(file: &File, size: u64, cancel: &Cancel) -> Result<Section, Failure> {
    let file = file.try_clone().or_environment("read the image")?;
    Ok(Section::whole(file, size, cancel))
}

/// Decompresses the image of `source` into the new `file`; returns its length.
fn unpack(
    source: &FlashSource,
    file: &File,
    operation: &str,
    context: &Context,
) -> Result<u64, Failure> {
    let total = Some(source.size).filter(|size| *size > 0);
    let read = |error: Error| error.fail_on("read", &source.path);
    let mut sparse = SparseWriter::new(|bytes, at| file.write_all_at(bytes, at));
    let reader = source.image().reader(&context.cancel, &|_| ());
    let mut reader = reader.map_err(read)?;
    let (mut chunk, mut done) = (vec![0; CHUNK_BYTES], 0);
    loop {
        let length = reader.fill(&mut chunk).map_err(read)?;
        let bytes = chunk.get(..length).unwrap_or_default();
        sparse.write(bytes).or_environment(operation)?;
        done += length as u64;
        context.events.bytes(Phase::Unpack, done, total);
        if length < CHUNK_BYTES {
            return sparse.finish().or_environment(operation);
        }
    }
}

/// A locked file for a new image in `dir`.
fn create(dir: &Path) -> io::Result<(File, Option<TempPath>)> {
    match locked_file::create_unnamed(dir, MODE)? {
        Some(file) => Ok((file, None)),
        None => create_hidden(dir),
    }
}

/// The same where the file system has no files without a name. Builds find what a killed process left by this one.
fn create_hidden(dir: &Path) -> io::Result<(File, Option<TempPath>)> {
    let create = |hidden: &Path| locked_file::create_named(hidden, MODE);
    let (file, path) = at_hidden_path(dir, NEW_SUFFIX, create)?;
    Ok((file, Some(path)))
}

/// The names of an image and of the files beside it that are written.
fn names(output: &Path) -> Vec<PathBuf> {
    let sidecars = [Sidecar::Checksum, Sidecar::BlockMap, Sidecar::Manifest];
    let sidecars = sidecars.iter().map(|sidecar| sidecar.path(output));
    std::iter::once(output.to_owned()).chain(sidecars).collect()
}

/// What the manifest of a copy says of it.
struct Described<'a> {
    name: &'a str,
    created: Timestamp,
    size: u64,
    sha256: Sha256Hash,
    mapped_bytes: u64,
    sidecars: Vec<Value>,
    put: Vec<Value>,
}

/// The manifest of a copy of `image`: that of the image, if it has one, with what is different.
fn manifest(image: &Path, copy: &Described<'_>) -> Result<String, Failure> {
    let beside = Sidecar::Manifest.path(image);
    let operation = || format!("read {}", beside.display());
    let mut fields: Map<String, Value> = match plain_file::read_text(&beside, MAX_MANIFEST_BYTES) {
        Err(error) if error.kind() == ErrorKind::NotFound => Map::new(),
        text => untrusted::json(&text.or_usage(operation())?).or_usage(operation())?,
    };
    let put = with_earlier(fields.remove("put"), &copy.put);
    let mut set = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    set("version", json!(VERSION));
    set("created", json!(format!("{:.0}", copy.created)));
    set("sdbuild", json!(env!("CARGO_PKG_VERSION")));
    set(
        "image",
        json!({ "name": copy.name, "compression": "none", "level": null, "size": copy.size, "sha256": copy.sha256 }),
    );
    set(
        "raw",
        json!({ "size": copy.size, "sha256": copy.sha256, "mapped_bytes": copy.mapped_bytes }),
    );
    set("sidecars", json!(copy.sidecars));
    set("put", json!(put));
    // No build may take it for its own, and replace it.
    if let Some(Value::Object(configuration)) = fields.get_mut("configuration") {
        configuration.insert("id".to_owned(), json!(""));
        configuration.insert("evaluation".to_owned(), Value::Null);
    }
    let text = serde_json::to_string_pretty(&fields).or_internal("write JSON")?;
    Ok(format!("{text}\n"))
}

/// What `earlier` copies list as put onto the card, then `put`, which replaces what has the same path.
fn with_earlier(earlier: Option<Value>, put: &[Value]) -> Vec<Value> {
    let mut all = match earlier {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    };
    let path = |entry: &Value| entry.get("path").cloned();
    all.retain(|entry| !put.iter().any(|new| path(new) == path(entry)));
    all.extend_from_slice(put);
    all
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use sdbuild_core::hidden_path::is_hidden;

    use super::*;

    fn names_in(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// A copy in `dir` of an image of zeros that is not there any more, as on a file system without files that have no name.
    fn hidden_copy(dir: &Path) -> ImageCopy {
        let (file, hidden) = create_hidden(dir).unwrap();
        file.set_len(1 << 20).unwrap();
        ImageCopy {
            plain: None,
            file,
            hidden,
            size: 1 << 20,
            image: dir.join("image.img"),
            output: dir.join("copy.img"),
            owner: None,
        }
    }

    fn finish(copy: ImageCopy) -> Result<(), Failure> {
        let context = Context {
            cancel: Cancel::new(),
            events: Events::none(),
        };
        copy.finish(&Changes::default(), Timestamp::UNIX_EPOCH, &context)
    }

    #[test]
    fn a_copy_with_a_hidden_name_is_found_by_builds_and_gets_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let copy = hidden_copy(dir.path());
        let names = names_in(dir.path());
        assert!(
            names.len() == 1 && is_hidden(&names[0], NEW_SUFFIX),
            "{names:?}"
        );
        finish(copy).unwrap();
        let names = names_in(dir.path());
        assert_eq!(names.len(), 4, "{names:?}");
        for name in &names {
            let mode = dir.path().join(name).metadata().unwrap().mode();
            assert_eq!((mode & 0o777, name.starts_with("copy.img")), (0o600, true));
        }
        let manifest = fs::read_to_string(dir.path().join("copy.img.json")).unwrap();
        assert!(manifest.contains("1970-01-01T00:00:00Z"), "{manifest}");
    }

    #[test]
    fn of_a_copy_that_gets_no_name_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        for taken in ["copy.img", "copy.img.json"] {
            let taken = dir.path().join(taken);
            fs::write(&taken, "another").unwrap();
            finish(hidden_copy(dir.path())).unwrap_err();
            assert_eq!(fs::read_to_string(&taken).unwrap(), "another");
            assert_eq!(names_in(dir.path()).len(), 1);
            fs::remove_file(taken).unwrap();
        }
    }

    #[test]
    fn what_earlier_copies_put_stays_listed() {
        let entry = |path: &str, mode: &str| json!({ "path": path, "mode": mode });
        let earlier = json!([entry("/a", "0644"), entry("/b", "0644"), 3]);
        let new = [entry("/b", "0600"), entry("/c", "0600")];
        let all = with_earlier(Some(earlier), &new);
        assert_eq!(
            all,
            [
                entry("/a", "0644"),
                json!(3),
                new[0].clone(),
                new[1].clone()
            ]
        );
        assert_eq!(with_earlier(Some(json!({ "a": 1 })), &new), new);
    }

    #[test]
    fn changes_show_in_whatever_is_read() {
        let blocks = [(3, vec![1; 4]), (7, vec![2; 1]), (12, vec![3; 6])];
        let mut whole = [0; 20];
        overlay(&mut whole, 0, &blocks);
        assert_eq!(
            whole,
            *b"\0\0\0\x01\x01\x01\x01\x02\0\0\0\0\x03\x03\x03\x03\x03\x03\0\0"
        );
        for size in 1..20 {
            let mut parts = [0; 20];
            for (number, part) in parts.chunks_mut(size).enumerate() {
                overlay(part, (number * size) as u64, &blocks);
            }
            assert_eq!(parts, whole, "{size}");
        }
    }
}
