//! The image's way out of the stopped builder: found, checked, streamed once, hashed on the way.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;

use super::bridge::{self, CHUNK, feed};
use super::product::{self, LIST, LONGEST_LIST, Product};
use super::sparse::SparseWriter;
use super::target::Target;
use crate::cancel::Cancel;
use crate::engine::{Container, PathKind, PathStat, RunId};
use crate::event::{Events, Phase};
use crate::failure::{Class, Failure, OrFail};

/// The largest image: the largest cards hold a little more, no system does.
const LARGEST: u64 = 256 << 30;
/// After an interruption a disk may still finish the write that it is at.
const LETTING_GO: Duration = Duration::from_secs(10);
/// Where the image goes.
#[derive(Clone, Debug)]
pub struct OutputSettings {
    /// The output folder.
    pub dir: PathBuf,
    /// Replace what has the image's name.
    pub force: bool,
    /// The person who ran `sudo`.
    pub owner: Option<(u32, u32)>,
}

/// An image that is there, whole and on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub size: u64,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
}

/// Copies the image of a finished build, whose result is `out_path`, out of its stopped builder and
/// into the output folder ([`Phase::CopyOut`]).
pub async fn copy_out(
    container: &Container,
    out_path: &str,
    settings: &OutputSettings,
    (cancel, events): (&Cancel, &Events),
) -> Result<Image, Failure> {
    let product = cancel.race(Box::pin(find(container, out_path))).await??;
    let path = format!("{out_path}/{}", product.components.join("/"));
    let stream = cancel.race(container.download(&path)).await??;
    let copy = Copy {
        name: product.name,
        part: RunId::random()
            .map_err(|e| Failure::environment(format!("read the system's random source: {e}")))?
            .to_string(),
        settings: settings.clone(),
        events: events.clone(),
    };
    let (sender, receiver) = bridge::channel();
    let writer = tokio::task::spawn_blocking(move || copy.write(receiver));
    let fed = cancel.race(Box::pin(feed(stream, sender))).await;
    // When the feeding ended early its end of the channel is gone: the writer ends too, its file with it.
    let written = finish(writer, cancel).await;
    match fed {
        Err(interrupted) => Err(interrupted),
        Ok(Err(lost)) => Err(lost).or_environment(format!("download {path} from the builder")),
        Ok(Ok(())) => written,
    }
}

/// Waits for the blocking half. A disk may hang for as long as it likes: after an interruption the
/// thread is left alone with it after a while, and its nameless file goes with the process.
async fn finish(
    mut writer: JoinHandle<Result<Image, Failure>>,
    cancel: &Cancel,
) -> Result<Image, Failure> {
    let ended = match cancel.race(&mut writer).await {
        Ok(ended) => ended,
        Err(interrupted) => cancel
            .bounded(LETTING_GO, writer)
            .await
            .ok_or(interrupted)?,
    };
    ended.or_internal("write the image")?
}

/// Reads the list of products and looks at every step of the path that it names.
async fn find(container: &Container, out_path: &str) -> Result<Product, Failure> {
    let list = format!("{out_path}/{LIST}");
    check_path(
        (container, out_path),
        &LIST.split('/').collect::<Vec<_>>(),
        LONGEST_LIST,
    )
    .await?;
    let text = small_file(container, &list).await?;
    let text =
        String::from_utf8(text).map_err(|_| refuse("the build's list of products is not UTF-8"))?;
    let product = product::parse(&text, out_path)?;
    let components: Vec<&str> = product.components.iter().map(String::as_str).collect();
    check_path((container, out_path), &components, LARGEST).await?;
    Ok(product)
}

/// Every folder on the way is a folder and the file is a file: no link, at no step.
async fn check_path(
    (container, out_path): (&Container, &str),
    components: &[&str],
    largest: u64,
) -> Result<(), Failure> {
    let whole = format!("{out_path}/{}", components.join("/"));
    let mut path = out_path.to_owned();
    for component in components {
        let stat = container.stat(&path).await?;
        judge(stat, (&path, &whole), PathKind::Directory)?;
        path = format!("{path}/{component}");
    }
    let size = judge(
        container.stat(&path).await?,
        (&path, &whole),
        PathKind::File,
    )?;
    if size > largest {
        return Err(refuse(format!(
            "{path} is too large: {size} bytes, {largest} at most"
        )));
    }
    Ok(())
}

/// The size of what `path` is, when it is what it has to be on the way to `whole`.
fn judge(
    stat: Option<PathStat>,
    (path, whole): (&str, &str),
    wanted: PathKind,
) -> Result<u64, Failure> {
    let text = match stat.map(|stat| (stat.kind, stat.size)) {
        Some((kind, size)) if kind == wanted => return Ok(size),
        None => format!("the build made no {whole}"),
        Some((PathKind::Symlink, _)) => {
            format!("{path} is a symbolic link, and links are not followed")
        }
        Some(_) if wanted == PathKind::Directory => format!("{path} is not a folder"),
        Some(_) => format!("{path} is not a regular file"),
    };
    Err(refuse(text)
        .hint("what is built must be an SD card image as nixpkgs' sd-image.nix makes it"))
}

/// A file of a few lines, as a whole.
async fn small_file(container: &Container, path: &str) -> Result<Vec<u8>, Failure> {
    let mut archive = Vec::new();
    let stream = container.download(path).await?;
    // a header, the file, the padding, the end of the archive
    stream
        .take(LONGEST_LIST + 16 * 1024)
        .read_to_end(&mut archive)
        .await
        .or_environment(format!("download {path} from the builder"))?;
    let mut archive = tar::Archive::new(archive.as_slice());
    let (entry, size) = only_file(&mut archive)?;
    let mut text = Vec::new();
    entry
        .take(LONGEST_LIST)
        .read_to_end(&mut text)
        .or_environment(format!("read {path}"))?;
    if text.len() as u64 == size {
        Ok(text)
    } else {
        Err(refuse(format!("{path} is cut off")))
    }
}

/// The one regular file that the archive must begin with.
fn only_file<R: Read>(archive: &mut tar::Archive<R>) -> Result<(tar::Entry<'_, R>, u64), Failure> {
    let mut entries = archive
        .entries()
        .or_environment("read the engine's archive")?;
    let entry = entries
        .next()
        .ok_or_else(|| refuse("the engine's archive is empty"))?;
    let entry = entry.or_environment("read the engine's archive")?;
    if entry.header().entry_type() != tar::EntryType::Regular {
        return Err(refuse(
            "the engine's archive holds something else than a regular file",
        ));
    }
    let size = entry.size();
    Ok((entry, size))
}

fn refuse(text: impl std::fmt::Display) -> Failure {
    Failure::message(Class::Build, text)
}

/// The blocking half: tar stream in, image out.
struct Copy {
    name: String,
    part: String,
    settings: OutputSettings,
    events: Events,
}

impl Copy {
    fn write(&self, stream: impl Read) -> Result<Image, Failure> {
        let mut archive = tar::Archive::new(stream);
        let (entry, size) = only_file(&mut archive)?;
        if size > LARGEST {
            return Err(refuse(format!(
                "the image is too large: {size} bytes, {LARGEST} at most"
            )));
        }
        let dir = &self.settings.dir;
        let target = Target::create(dir, &self.part).map_err(|e| cannot_write(dir, e))?;
        let sha256 = self.stream(entry, size, &target)?;
        if let Some(owner) = self.settings.owner
            && let Err(error) = target.give_to(owner)
        {
            self.events.warn(format!("the image stays root's: {error}"));
        }
        let path = target
            .publish(&self.name, self.settings.force)
            .map_err(|e| self.unnamed(e))?;
        Ok(Image { path, size, sha256 })
    }

    fn stream(&self, mut from: impl Read, size: u64, target: &Target) -> Result<[u8; 32], Failure> {
        let write = |e| cannot_write(&self.settings.dir, e);
        let mut writer = SparseWriter::new(target.file());
        let mut hash = Sha256::new();
        let (mut done, mut buffer) = (0u64, vec![0; CHUNK]);
        loop {
            let n = from
                .read(&mut buffer)
                .or_environment("read the image from the engine")?;
            let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else {
                break;
            };
            hash.update(bytes);
            writer.write(bytes).map_err(write)?;
            done += n as u64;
            self.events.bytes(Phase::CopyOut, done, Some(size));
        }
        if done != size {
            return Err(Failure::environment(format!(
                "the engine sent {done} of the image's {size} bytes"
            ))
            .hint("check that the engine still runs: `docker info`"));
        }
        writer.finish().map_err(write)?;
        Ok(hash.finalize().into())
    }

    /// Why a whole image did not get its name.
    fn unnamed(&self, error: io::Error) -> Failure {
        let place = self.settings.dir.join(&self.name);
        let shown = place.display();
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Failure::usage(format!("{shown} exists already"))
                .hint("give --force to replace it, or --output for another folder")
                .hint("nothing is lost: the result is kept, and the next run takes seconds");
        }
        if error.kind() == io::ErrorKind::IsADirectory {
            return Failure::usage(format!(
                "{shown} is a folder, which --force does not replace"
            ))
            .hint("give --output for another folder; the next run takes seconds");
        }
        cannot_write(&self.settings.dir, error)
    }
}

/// What the output folder has against an image.
fn cannot_write(dir: &Path, error: io::Error) -> Failure {
    let kind = error.kind();
    let hint = if matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) {
        "free some space there, or give --output for another folder; the next run takes seconds"
    } else if kind == io::ErrorKind::FileTooLarge {
        "the file system there has no files that large (FAT ends at 4 GiB): give --output for another folder"
    } else {
        "give --output for a folder that can be written to; the next run takes seconds"
    };
    Failure::new(Class::Environment, error)
        .context(format!("write the image to {}", dir.display()))
        .hint(hint)
}

#[cfg(test)]
mod tests;
