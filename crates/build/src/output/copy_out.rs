//! Copies the image out of the stopped builder: finds it, checks its path, and streams it once.

use std::io;
use std::io::{Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::io::SyncIoBridge;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::output::copy::unusable_result;
use crate::output::copy::{CopyJob, Prepared};
use crate::output::product;
use crate::output::product::{MAX_PRODUCTS_BYTES, PRODUCTS, Product};
use crate::output::request::{CopyRequest, Image};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::untrusted::Budget;
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
    let find = find_product(container, out_path, request);
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

/// Reads the list of products, or takes the path that the configuration gives in its place, and checks every component of the paths to the files of the image; their sizes.
async fn find_product(
    container: &Container,
    out_path: &str,
    request: &CopyRequest,
) -> Result<(Product, Vec<u64>), Failure> {
    let format = &request.settings.format;
    let list = format!("{out_path}/{PRODUCTS}");
    let said = request.origin.choice.as_ref();
    let product = match said.and_then(|choice| choice.path.as_deref()) {
        Some(path) if container.stat(&list).await?.is_none() => {
            product::at(&format!("{out_path}/{path}"), out_path, format)?
        }
        _ => listed_product(container, out_path, format).await?,
    };
    let mut sizes = Vec::new();
    for source in product.sources(out_path) {
        let (top, below) = source.path.split_at(source.top);
        let components: Vec<&str> = below.trim_start_matches('/').split('/').collect();
        sizes.push(check_path(container, top, &components, MAX_IMAGE_BYTES).await?);
    }
    Ok((product, sizes))
}

/// The image that the list of products names.
async fn listed_product(
    container: &Container,
    out_path: &str,
    format: &Format,
) -> Result<Product, Failure> {
    let list: Vec<&str> = PRODUCTS.split('/').collect();
    check_path(container, out_path, &list, MAX_PRODUCTS_BYTES).await?;
    let list = format!("{out_path}/{PRODUCTS}");
    let text = read_small_file(container, &list, MAX_PRODUCTS_BYTES).await?;
    let text = String::from_utf8(text)
        .map_err(|_| unusable_result("the build's list of products is not UTF-8"))?;
    product::parse(&text, out_path, format)
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
pub(crate) async fn read_small_file(
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

/// Bytes that may stand before the file in an archive of the engine: Docker's headers of pax have some hundred, for files of more than
/// 8 GiB and for extended attributes.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// An archive of the engine with one file. The tar crate takes headers into memory however long they say they are.
pub(super) struct FileArchive<R: Read> {
    archive: tar::Archive<Charged<R>>,
    budget: Arc<Budget>,
}

impl<R: Read> FileArchive<R> {
    pub(super) fn new(stream: R) -> Self {
        let budget = Arc::new(Budget::new(MAX_HEADER_BYTES, &Cancel::new()));
        let archive = tar::Archive::new(Charged {
            stream,
            budget: budget.clone(),
        });
        Self { archive, budget }
    }

    /// The first entry, which must be a regular file, its length in bytes, and its mode.
    pub(super) fn file(&mut self) -> Result<(impl Read, u64, u32), Failure> {
        let first = self.archive.entries().map(|mut entries| entries.next());
        let first = first.and_then(Option::transpose);
        let entry = first
            .or_environment("read the engine's archive")?
            .ok_or_else(|| unusable_result("the engine's archive is empty"))?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(unusable_result(
                "the engine's archive does not start with a regular file",
            ));
        }
        let (size, mode) = (entry.size(), entry.header().mode().unwrap_or_default());
        // With the blocks that fill up and end the archive.
        self.budget.allow(size.saturating_add(MAX_HEADER_BYTES));
        Ok((entry, size, mode))
    }
}

/// A reader whose bytes are charged to a budget.
struct Charged<R> {
    stream: R,
    budget: Arc<Budget>,
}

impl<R: Read> Read for Charged<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buffer)?;
        self.budget.spend(n as u64).map_err(io::Error::other)?;
        Ok(n)
    }
}

/// The whole content of a file of at most `max_bytes` out of `archive`. It may be shorter than the file if the
/// archive is cut off, which is an error.
pub(super) fn small_file(
    archive: impl Read,
    path: &str,
    max_bytes: u64,
) -> Result<Vec<u8>, Failure> {
    let mut archive = FileArchive::new(archive);
    let (entry, size, _) = archive.file()?;
    let mut content = Vec::new();
    let read: io::Result<usize> = entry.take(max_bytes).read_to_end(&mut content);
    read.or_environment(format!("read {path}"))?;
    if content.len() as u64 == size {
        Ok(content)
    } else {
        Err(unusable_result(format!("{path} is cut off")))
    }
}

/// Asks the engine for the archive.
type Open = Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send>;

/// An archive that the engine is asked for when it is read first: it sends one of a container at a time.
pub(super) struct StoreArchive {
    open: Option<Open>,
    archive: Option<Box<dyn Read + Send>>,
}

impl StoreArchive {
    /// The archive of the file at `path`, which the engine has begun to send.
    pub(super) async fn begun(
        container: &Container,
        path: &str,
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        let stream = cancel.race(container.download(path)).await??;
        let stream = Interruptible::new(stream, cancel.token().clone());
        Ok(Self {
            open: None,
            archive: Some(Box::new(SyncIoBridge::new(stream))),
        })
    }

    /// The archive of the file at `path`, which is asked for later. To be called in the runtime, and read on another thread.
    pub(super) fn later(container: &Container, path: String, cancel: &Cancel) -> Self {
        let (container, cancel, runtime) = (container.clone(), cancel.clone(), Handle::current());
        let open = move || {
            let begun = Self::begun(&container, &path, &cancel);
            let begun = runtime.block_on(begun);
            let begun = begun.map_err(|failure| io::Error::other(failure.to_string()))?;
            Ok(Box::new(begun) as Box<dyn Read + Send>)
        };
        Self {
            open: Some(Box::new(open)),
            archive: None,
        }
    }
}

impl Read for StoreArchive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(open) = self.open.take() {
            self.archive = Some(open()?);
        }
        match &mut self.archive {
            Some(archive) => archive.read(buffer),
            None => Ok(0),
        }
    }
}

/// Reads from `inner` until the run is interrupted, then fails.
#[derive(Debug)]
pub(super) struct Interruptible<R> {
    inner: R,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<R> Interruptible<R> {
    pub(super) fn new(inner: R, token: CancellationToken) -> Self {
        Self {
            inner,
            cancelled: Box::pin(token.cancelled_owned()),
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Interruptible<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cancelled.as_mut().poll(context).is_ready() {
            // Not of kind `Interrupted`, after which readers try again.
            return Poll::Ready(Err(io::Error::other("interrupted")));
        }
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

/// Bytes of a header of a tar archive, to whose multiples contents are padded.
const BLOCK: u64 = 512;
/// The time stamp of everything in the store, and in the archive.
const MTIME: u64 = 1;

/// A file in the builder.
pub(super) struct StoreFile<R> {
    /// Its name in the archive.
    pub(super) name: String,
    /// Its length in bytes.
    pub(super) size: u64,
    /// The engine's archive of it.
    pub(super) archive: R,
}

/// Why an archive could not be put together.
#[derive(Debug)]
pub(super) enum PutTogetherError {
    /// The reader is gone.
    ReaderGone,
    /// Anything else.
    Failed(Failure),
}

/// The length in bytes of the archive of files of these lengths in one directory.
pub(super) fn archive_size(sizes: impl Iterator<Item = u64>) -> u64 {
    let files: u64 = sizes.map(|size| BLOCK + size.next_multiple_of(BLOCK)).sum();
    BLOCK + files + 2 * BLOCK
}

/// Writes the archive of `files` in the directory `dir` to `to`.
pub(super) fn put_together<R: Read>(
    dir: &str,
    files: Vec<StoreFile<R>>,
    to: impl Write,
) -> Result<(), PutTogetherError> {
    let mut archive = tar::Builder::new(to);
    let mut top = header(&format!("{dir}/"), 0, 0o755)?;
    top.set_entry_type(tar::EntryType::Directory);
    top.set_cksum();
    archive.append(&top, io::empty()).map_err(failed)?;
    for mut file in files {
        let mut source = FileArchive::new(&mut file.archive);
        let (mut entry, size, mode) = source.file()?;
        if size != file.size {
            return Err(
                unusable_result(format!("{} changes while it is copied", file.name)).into(),
            );
        }
        let mode = if mode & 0o111 != 0 { 0o755 } else { 0o644 };
        let header = header(&format!("{dir}/{}", file.name), size, mode)?;
        archive.append(&header, &mut entry).map_err(failed)?;
    }
    archive.finish().map_err(failed)
}

fn header(path: &str, size: u64, mode: u32) -> Result<tar::Header, PutTogetherError> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path).map_err(failed)?;
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MTIME);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

fn failed(error: io::Error) -> PutTogetherError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return PutTogetherError::ReaderGone;
    }
    let failed: io::Result<()> = Err(error);
    match failed.or_environment("copy the files of the image") {
        Err(failure) => PutTogetherError::Failed(failure),
        Ok(()) => PutTogetherError::ReaderGone,
    }
}

impl From<Failure> for PutTogetherError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[cfg(test)]
mod tests;
