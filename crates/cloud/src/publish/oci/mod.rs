//! Makes an OCI image layout, a directory, of the archive of `--format container`: tools that push images read it.
//!
//! Every byte of the archive is untrusted: names, sizes and counts are bounded, and each blob must have the hash that is its name. A layout
//! that is there gets the image too. Its index is replaced last and at once, so that a kill leaves the old one.

mod archive;
mod content;
mod index;
mod paths;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::archive::Unpacked;
use self::index::Index;
use self::paths::{BLOBS, INDEX, MARKER, MAX_JSON_BYTES};
use sdbuild_core::atomic_file;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::plain_file;
use sdbuild_core::scratch_dir::ScratchDir;
use sdbuild_core::shell_word::quoted;

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
    let unpacked = archive::unpack(image, &layout, context)?;
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
            .is_ok_and(|text| content::is_version(&text));
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
