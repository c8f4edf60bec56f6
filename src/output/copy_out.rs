//! The image's way out of the stopped builder: found, checked, and streamed once.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;

use super::bridge::{self, feed};
use super::copy::{Copy, CopyRequest, Image, LARGEST};
use super::product::{self, LIST, LONGEST_LIST, Product};
use crate::common::cancel::Cancel;
use crate::common::event::Events;
use crate::common::failure::{Class, Failure, OrFail};
use crate::common::image_format::ImageFormat;
use crate::engine::{Container, PathKind, PathStat};

/// After an interruption a disk may still finish the write that it is at.
const LETTING_GO: Duration = Duration::from_secs(10);

/// Copies the image of a finished build, whose result is `out_path`, out of its stopped builder and
/// into the output directory ([`crate::common::event::Phase::CopyOut`]), with its sidecars.
pub async fn copy_out(
    container: &Container,
    out_path: &str,
    order: &CopyRequest,
    (cancel, events): (&Cancel, &Events),
) -> Result<Image, Failure> {
    let product = cancel
        .race(Box::pin(find(container, out_path, order.format)))
        .await??;
    let path = format!("{out_path}/{}", product.components.join("/"));
    let copy = Arc::new(Copy::new(product, order, (cancel, events)));
    // Before anything is downloaded, which takes minutes. The directory may be on a disk that hangs.
    let preparing = Arc::clone(&copy);
    let prepared = tokio::task::spawn_blocking(move || preparing.prepare());
    let prepared = cancel.race(prepared).await?;
    prepared.or_internal("prepare the output directory")??;
    let stream = cancel.race(container.download(&path)).await??;
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
async fn find(
    container: &Container,
    out_path: &str,
    format: &ImageFormat,
) -> Result<Product, Failure> {
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
    let product = product::parse(&text, out_path, format)?;
    let components: Vec<&str> = product.components.iter().map(String::as_str).collect();
    check_path((container, out_path), &components, LARGEST).await?;
    Ok(product)
}

/// Every directory on the way is a directory and the file is a file: no link, at no step.
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
        Some(_) if wanted == PathKind::Directory => format!("{path} is not a directory"),
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
pub(super) fn only_file<R: Read>(
    archive: &mut tar::Archive<R>,
) -> Result<(tar::Entry<'_, R>, u64), Failure> {
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

pub(super) fn refuse(text: impl std::fmt::Display) -> Failure {
    Failure::message(Class::Build, text)
}

#[cfg(test)]
mod tests;
