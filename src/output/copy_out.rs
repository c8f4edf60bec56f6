//! Copies the image out of the stopped builder: finds it, checks its path, and streams it once.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;

use super::archive::small_file;
use super::copy::{CopyJob, Prepared};
use super::failures::unusable_result;
use super::product;
use super::product::{MAX_PRODUCTS_BYTES, PRODUCTS, Product};
use super::put_together::StoreFile;
use super::request::{CopyRequest, Image};
use super::store_archive::StoreArchive;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail};
use sdbuild_engine::{Container, PathKind, PathStat};
use sdbuild_image::MAX_IMAGE_BYTES;
use sdbuild_image::image_format::Format;

/// How long an interrupted run waits for the disk to finish a write.
const DISK_TIMEOUT: Duration = Duration::from_secs(10);
/// What an archive of one small file has beside its content: headers, padding and the end.
const ARCHIVE_OVERHEAD_BYTES: u64 = 16 * 1024;

/// Copies the image of a finished build, whose result is the store path `out_path`, out of its stopped builder and
/// into the output directory ([`sdbuild_core::event::Phase::CopyOut`]), with its sidecars.
pub async fn copy_out(
    container: &Container,
    out_path: &str,
    request: &CopyRequest,
    context: &Context,
) -> Result<Image, Failure> {
    let cancel = &context.cancel;
    let find = find_product(container, out_path, &request.settings.format);
    let (product, sizes) = cancel.race(Box::pin(find)).await??;
    let sources = product.sources(out_path);
    let job = Arc::new(CopyJob::new(product, request, context));
    // Before anything is downloaded, which takes minutes. The directory may be on a disk that hangs.
    let preparing = Arc::clone(&job);
    let prepared = tokio::task::spawn_blocking(move || preparing.prepare());
    let prepared = cancel.race(prepared).await?;
    let prepared = prepared.or_internal("prepare the output directory")??;
    let (created, replace) = match prepared {
        Prepared::UpToDate(image) => return Ok(image),
        Prepared::Write { created, replace } => (created, replace),
    };

    let is_one_file = sources.len() == 1;
    let mut files = Vec::new();
    for (source, size) in sources.into_iter().zip(sizes) {
        let archive = if is_one_file {
            StoreArchive::begun(container, &source.path, cancel).await?
        } else {
            StoreArchive::later(container, source.path, cancel)
        };
        files.push(StoreFile {
            name: source.name,
            size,
            archive,
        });
    }
    let writer = tokio::task::spawn_blocking(move || job.write_files(files, replace));
    match finish(writer, cancel).await {
        // The interruption is the cause of whatever went wrong.
        Err(_) if cancel.is_cancelled() => Err(Failure::interrupted()),
        Err(failure) => Err(failure),
        Ok(image) => {
            created.keep();
            Ok(image)
        }
    }
}

/// Checks, before it is built, that the image of `derivation` may get its name in the output directory. A derivation whose
/// name is not that of its image passes.
pub async fn check_name(
    derivation: &str,
    request: &CopyRequest,
    context: &Context,
) -> Result<(), Failure> {
    let Some(product) = Product::foreseen(derivation, &request.settings.format) else {
        return Ok(());
    };
    let job = CopyJob::new(product, request, context);
    let checked = tokio::task::spawn_blocking(move || job.check_early());
    let checked = context.cancel.race(checked).await?;
    let checked = checked.or_internal("read the output directory")?;
    checked.map_err(|mut failure| {
        // There is no result yet that would be kept.
        failure.hints.truncate(1);
        failure
    })
}

/// Waits for the thread that writes the image. A disk may hang for any time: an interrupted run leaves the thread
/// alone after [`DISK_TIMEOUT`], and its file, which has no name, is removed with the process.
async fn finish(
    mut writer: JoinHandle<Result<Image, Failure>>,
    cancel: &Cancel,
) -> Result<Image, Failure> {
    let joined = match cancel.race(&mut writer).await {
        Ok(joined) => joined,
        Err(interrupted) => cancel
            .bounded(DISK_TIMEOUT, writer)
            .await
            .ok_or(interrupted)?,
    };
    joined.or_internal("write the image")?
}

/// Reads the list of products, and checks every component of the paths to the files of the image; their sizes.
async fn find_product(
    container: &Container,
    out_path: &str,
    format: &Format,
) -> Result<(Product, Vec<u64>), Failure> {
    let list: Vec<&str> = PRODUCTS.split('/').collect();
    check_path(container, out_path, &list, MAX_PRODUCTS_BYTES).await?;
    let list = format!("{out_path}/{PRODUCTS}");
    let text = read_small_file(container, &list, MAX_PRODUCTS_BYTES).await?;
    let text = String::from_utf8(text)
        .map_err(|_| unusable_result("the build's list of products is not UTF-8"))?;
    let product = product::parse(&text, out_path, format)?;
    let mut sizes = Vec::new();
    for source in product.sources(out_path) {
        let (top, below) = source.path.split_at(source.top);
        let components: Vec<&str> = below.trim_start_matches('/').split('/').collect();
        sizes.push(check_path(container, top, &components, MAX_IMAGE_BYTES).await?);
    }
    Ok((product, sizes))
}

/// Checks that what `components` lead to is a file of at most `max_bytes`, and every component before it a directory: no
/// link anywhere. Returns the file's size.
async fn check_path(
    container: &Container,
    out_path: &str,
    components: &[&str],
    max_bytes: u64,
) -> Result<u64, Failure> {
    let file = format!("{out_path}/{}", components.join("/"));
    let mut path = out_path.to_owned();
    for component in components {
        let stat = container.stat(&path).await?;
        check_kind(stat, &path, PathKind::Directory, &file)?;
        path = format!("{path}/{component}");
    }
    let stat = container.stat(&path).await?;
    let size = check_kind(stat, &path, PathKind::File, &file)?;
    if size > max_bytes {
        return Err(unusable_result(format!(
            "{path} is too large: {size} bytes, {max_bytes} at most"
        )));
    }
    Ok(size)
}

/// Checks that `path`, on the way to `file`, is of `kind`. Returns its size in bytes.
fn check_kind(
    stat: Option<PathStat>,
    path: &str,
    kind: PathKind,
    file: &str,
) -> Result<u64, Failure> {
    let text = match stat.map(|stat| (stat.kind, stat.size)) {
        Some((found, size)) if found == kind => return Ok(size),
        None => format!("the build made no {file}"),
        Some((PathKind::Symlink, _)) => {
            format!("{path} is a symbolic link, and links are not followed")
        }
        Some(_) if kind == PathKind::Directory => {
            format!("{path} is not a directory with an image")
        }
        Some(_) => format!("{path} is not a regular file"),
    };
    Err(unusable_result(text)
        .hint("what is built must be an SD card image as nixpkgs' sd-image.nix makes it"))
}

/// The whole content of a file of at most `max_bytes`.
async fn read_small_file(
    container: &Container,
    path: &str,
    max_bytes: u64,
) -> Result<Vec<u8>, Failure> {
    let mut archive = Vec::new();
    let stream = container.download(path).await?;
    let mut stream = stream.take(max_bytes + ARCHIVE_OVERHEAD_BYTES);
    let read = stream.read_to_end(&mut archive).await;
    read.or_environment(format!("download {path} from the builder"))?;
    small_file(archive.as_slice(), path, max_bytes)
}

#[cfg(test)]
mod tests;
