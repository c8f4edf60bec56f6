//! Assembles an archive that every engine can load: the same bytes for the same definition and packages. It is written to
//! an unnamed temporary file, since it is as large as the image.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sdbuild_core::hash::{Hashed, Hashing, Sha256Hash};
use sdbuild_core::plain_file;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::definition::{Definition, ExtraFileContent};
use super::layer::{Blob, LayerError, LayerTree, Node, NodeKind, Selection, unpack};
use crate::artifact::{Cache, CacheError, Pin};

const WORKERS: usize = 2;
/// The time of everything in an image.
const CREATED: &str = "1970-01-01T00:00:01Z";
/// The size of a tar header, and of the blocks that a tar archive consists of.
const TAR_BLOCK_BYTES: u64 = 512;
const LAYER: &str = "layer.tar";

#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error("package {name}: {cause}")]
    Package { name: String, cause: LayerError },
    #[error("package {name}: its file in the cache has changed since it was verified")]
    Changed { name: String },
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error("temporary file: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// A container image, ready to be loaded.
#[derive(Debug)]
pub struct ContainerImage {
    pub reference: String,
    /// `sha256:…` of its layers: by them an engine's copy is recognised.
    pub diff_ids: Vec<String>,
    /// What `docker load` takes, read from its beginning.
    pub archive: File,
    pub size: u64,
}

pub(super) struct Assembler<'a> {
    pub(super) definition: &'a Definition,
    /// The files of `definition.lock.packages`, verified.
    pub(super) packages: &'a [PathBuf],
    /// Cache directory for temporary files.
    pub(super) cache: &'a Cache,
    /// Called with the bytes of packages that were read since the last call.
    pub(super) progress: &'a (dyn Fn(u64) + Sync),
}

type Nodes = Vec<(String, Node)>;

impl Assembler<'_> {
    /// Assembles the image, unless it is cancelled before. Blocks for seconds.
    pub(super) fn assemble(
        &self,
        token: &CancellationToken,
    ) -> Result<ContainerImage, AssembleError> {
        let mut tree = LayerTree::default();
        for (pin, nodes) in self
            .definition
            .lock
            .packages
            .iter()
            .zip(self.unpack_all(token)?)
        {
            tree.add(nodes).map_err(|source| in_package(pin, source))?;
        }
        tree.bundle_certificates()?;
        for extra in &self.definition.extras {
            let kind = match &extra.content {
                ExtraFileContent::Dir => NodeKind::Dir,
                ExtraFileContent::File(bytes) => NodeKind::File(Blob::Bytes(bytes.clone())),
                ExtraFileContent::Symlink(target) => NodeKind::Symlink(target.clone()),
            };
            let (mode, owner) = (extra.mode, extra.owner);
            tree.set(&extra.path, Node { mode, owner, kind });
        }
        tree.complete()?;
        let file = self.cache.temporary()?;
        write_archive(self.definition, &tree, file, token)
    }

    /// Unpacks the packages, the largest first. Returns their paths in the order of the packages.
    fn unpack_all(&self, token: &CancellationToken) -> Result<Vec<Nodes>, AssembleError> {
        let packages = self.definition.lock.packages.iter().zip(self.packages);
        let mut jobs: Vec<_> = packages.enumerate().collect();
        jobs.sort_by_key(|(_, (pin, _))| std::cmp::Reverse(pin.size));
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(jobs.len()));
        let failed = Mutex::new(None);
        // Cancelled when a package fails, so that the other thread ends as well.
        let token = token.child_token();
        let worker = || {
            while let Some((index, (pin, path))) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                match self.unpack_one(pin, path, &token) {
                    Ok(nodes) => lock(&done).push((*index, nodes)),
                    Err(error) => {
                        lock(&failed).get_or_insert(error);
                        token.cancel();
                        return;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(worker);
            }
        });
        if let Some(error) = lock(&failed).take() {
            return Err(error);
        }
        let mut done = std::mem::take(&mut *lock(&done));
        done.sort_by_key(|(index, _)| *index);
        Ok(done.into_iter().map(|(_, nodes)| nodes).collect())
    }

    fn unpack_one(
        &self,
        pin: &Pin,
        path: &Path,
        token: &CancellationToken,
    ) -> Result<Nodes, AssembleError> {
        let contents = &self.definition.lock.contents;
        let selection = match contents
            .iter()
            .filter(|c| c.package == pin.name)
            .collect::<Vec<_>>()
        {
            pins if pins.is_empty() => Selection::All,
            pins => Selection::Only(pins),
        };
        let read_error = |error: io::Error| in_package(pin, error.into());
        // One byte more than the package has: a longer file is noticed, and no more of it is read.
        let limit = pin.size.saturating_add(1);
        let file = plain_file::open(path).map_err(read_error)?;
        let file = Counted {
            file: file.take(limit),
            count: self.progress,
        };
        let mut package = Hashing::new(file);
        let buffered = BufReader::with_capacity(64 * 1024, &mut package);
        let spool = self.cache.temporary()?;
        let unpacked = unpack(buffered, &selection, spool, token);
        // Pinned files were verified one by one, and most of their package was not read.
        let verified = matches!(selection, Selection::Only(_)) && unpacked.is_ok();
        let interrupted = matches!(unpacked, Err(LayerError::Interrupted));
        if !verified && !interrupted && !is_package(package, pin).map_err(read_error)? {
            let name = pin.name.clone();
            return Err(AssembleError::Changed { name });
        }
        let mut nodes = unpacked.map_err(|source| in_package(pin, source))?;
        if let Some(content_path) = self.definition.content_path(&pin.name) {
            for (path, _) in &mut nodes {
                content_path.clone_into(path);
            }
        }
        Ok(nodes)
    }
}

/// Reads the rest of `package`; whether all of it is what `pin` says. The cache verified the file before,
/// but another process may have written to it since.
fn is_package(mut package: Hashing<impl Read>, pin: &Pin) -> io::Result<bool> {
    io::copy(&mut package, &mut io::sink())?;
    let Hashed { sha256, size } = package.finish();
    Ok((sha256, size) == (pin.sha256, pin.size))
}

fn in_package(pin: &Pin, cause: LayerError) -> AssembleError {
    AssembleError::Package {
        name: pin.name.clone(),
        cause,
    }
}

/// Writes the layer, then its description. The header of the layer is written when its length is known.
fn write_archive(
    definition: &Definition,
    tree: &LayerTree,
    mut file: File,
    token: &CancellationToken,
) -> Result<ContainerImage, AssembleError> {
    file.seek(SeekFrom::Start(TAR_BLOCK_BYTES))?;
    let layer = {
        let buffered = io::BufWriter::with_capacity(256 * 1024, &file);
        let mut writer = Hashing::new(buffered);
        tree.write(&mut writer, token)?;
        writer.flush()?;
        writer.finish()
    };
    file.write_all_at(header(LAYER, layer.size)?.as_bytes(), 0)?;
    let diff_id = format!("sha256:{}", layer.sha256);

    let config = config(definition, &diff_id).to_string();
    let config_name = format!("{}.json", Sha256Hash::of(config.as_bytes()));
    let reference = definition.reference();
    let manifest =
        json!([{ "Config": config_name, "RepoTags": [reference], "Layers": [LAYER] }]).to_string();
    file.seek(SeekFrom::Start(
        TAR_BLOCK_BYTES + layer.size.next_multiple_of(TAR_BLOCK_BYTES),
    ))?;
    let mut archive = tar::Builder::new(&mut file);
    for (name, text) in [(config_name.as_str(), config), ("manifest.json", manifest)] {
        archive.append(&header(name, text.len() as u64)?, text.as_bytes())?;
    }
    archive.finish()?;
    drop(archive);
    let size = file.stream_position()?;
    file.rewind()?;
    Ok(ContainerImage {
        reference,
        diff_ids: vec![diff_id],
        archive: file,
        size,
    })
}

fn header(name: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_size(size);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

fn config(definition: &Definition, diff_id: &str) -> serde_json::Value {
    let defaults = &definition.defaults;
    let mut config = json!({
        "architecture": definition.architecture.debian_name(),
        "os": "linux",
        "created": CREATED,
        "config": {
            "Env": defaults.env,
            "User": defaults.user,
            "WorkingDir": defaults.working_dir,
            "Cmd": defaults.command,
            "Labels": definition.image_labels().into_iter().collect::<BTreeMap<_, _>>(),
        },
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
        "history": [{ "created": CREATED, "created_by": "sdbuild" }],
    });
    // Images without one keep the bytes that they always had.
    if !defaults.entrypoint.is_empty()
        && let Some(config) = config
            .get_mut("config")
            .and_then(serde_json::Value::as_object_mut)
    {
        config.insert("Entrypoint".to_owned(), json!(defaults.entrypoint));
    }
    config
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reports how much is read.
pub(super) struct Counted<'a, F> {
    pub(super) file: F,
    pub(super) count: &'a (dyn Fn(u64) + Sync),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        (self.count)(read as u64);
        Ok(read)
    }
}
