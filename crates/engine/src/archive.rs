//! Files into and out of containers, as streams of tar bytes in bounded memory. Callers pack and unpack the archives.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryFutureExt, TryStreamExt, stream};
use sdbuild_core::timeout::timeout;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::client::{repeat_after_race, request};
use crate::container::Container;
use crate::error::{EngineError, at};

/// How long a download may be silent before the engine counts as gone.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

/// The type of a file inside a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    File,
    Directory,
    /// A symbolic link, which is not followed.
    Symlink,
    /// A device, a socket or a pipe.
    Other,
}

/// The file at a path inside a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStat {
    pub kind: PathKind,
    pub size: u64,
}

impl Container {
    /// Unpacks the tar archive that `pack` writes into the existing directory `dir`. Owners and modes are kept. `pack`
    /// runs on a blocking thread; its error aborts the upload and is returned rather than the engine's.
    pub async fn upload(
        &self,
        dir: &str,
        pack: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Result<(), EngineError> {
        let operation = format!("upload to {dir} in container {}", self.name());
        let (packer, body) = start(pack);
        let sent = self.send(&operation, dir, body).await;
        outcome(&operation, packer, sent).await
    }

    /// Sends a tar archive to be unpacked in `dir`.
    async fn send(
        &self,
        operation: &str,
        dir: &str,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let options = UploadToContainerOptionsBuilder::default().path(dir).build();
        let docker = &self.engine.docker;
        let body = bollard::body_try_stream(archive);
        let upload = docker.upload_to_container(self.id(), Some(options), body);
        let upload = upload.map_err(at(operation.to_owned()));
        self.engine.while_responsive(operation, upload).await
    }

    /// Unpacks the tar archive that `pack` writes, which has directories only, into the existing directory `dir`. Other
    /// containers may create the same directories of a volume at the same time.
    pub async fn create_directories(
        &self,
        dir: &str,
        pack: impl FnOnce(&mut dyn Write) -> io::Result<()> + Clone + Send + 'static,
    ) -> Result<(), EngineError> {
        repeat_after_race(|| self.upload(dir, pack.clone())).await
    }

    /// Copies the file or directory at `path` of the container `source` into the directory `dir` of this one. Owners and
    /// modes are kept; the bytes are streamed through this process.
    pub(crate) async fn copy_from(
        &self,
        source: &Container,
        path: &str,
        dir: &str,
    ) -> Result<(), EngineError> {
        let name = self.name();
        let operation = format!("copy {path} to {dir} in container {name}");
        let bytes = ReaderStream::with_capacity(source.download(path).await?, CHUNK_BYTES);
        self.send(&operation, dir, bytes).await
    }

    /// The type and size of the file at `path` in a running or stopped container, `None` if there is none. A symbolic link
    /// in the last component is not followed, but those before it are: check each where that matters.
    pub async fn stat(&self, path: &str) -> Result<Option<PathStat>, EngineError> {
        let operation = || format!("look at {path} in container {}", self.name());
        // With a trailing slash the engine follows a link in the last component.
        let plain = match path.trim_end_matches('/') {
            "" => "/",
            trimmed => trimmed,
        };
        let options = ContainerArchiveInfoOptionsBuilder::default()
            .path(plain)
            .build();
        let docker = &self.engine.docker;
        let stat = docker.get_container_archive_info(self.id(), Some(options));
        match request(operation(), stat).await {
            Ok(stat) => {
                let size = u64::try_from(stat.size).map_err(|_| EngineError::Unexpected {
                    operation: operation(),
                    message: format!("a size of {} bytes", stat.size),
                })?;
                let kind = path_kind(stat.file_mode);
                Ok(Some(PathStat { kind, size }))
            }
            Err(error) if error.is_not_found() => {
                self.check_is_not_removed(operation()).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Fails if the container is gone or is being removed. The engine reports that by the same status as a missing path,
    /// although the path may have existed.
    async fn check_is_not_removed(&self, operation: String) -> Result<(), EngineError> {
        use bollard::models::ContainerStateStatusEnum::{DEAD, REMOVING};
        let inspect = self.engine.docker.inspect_container(self.id(), None);
        let inspected = request(operation.clone(), inspect).await?;
        match inspected.state.and_then(|state| state.status) {
            Some(REMOVING | DEAD) => Err(EngineError::Refused {
                operation,
                status: 404,
                message: "the container is being removed".into(),
            }),
            _ => Ok(()),
        }
    }

    /// The file or directory at `path` of a running or stopped container as a tar archive. Blocking code should read it
    /// through something that a cancellation interrupts: `tokio_util::io::SyncIoBridge` would wait for the engine's next
    /// bytes even then, for up to two minutes.
    pub async fn download(&self, path: &str) -> Result<Download, EngineError> {
        let operation = format!("download {path} from container {}", self.name());
        let options = DownloadFromContainerOptionsBuilder::default()
            .path(path)
            .build();
        let mut bytes = self
            .engine
            .docker
            .download_from_container(self.id(), Some(options));
        let first = match timeout(IDLE_TIMEOUT, bytes.next()).await {
            None => return Err(EngineError::Silent { operation }),
            Some(first) => first.transpose().map_err(at(operation.clone()))?,
        };
        let rest = bytes.map_err(move |e| io::Error::other(at(operation.clone())(e)));
        let all = stream::iter(first.map(Ok)).chain(idle_bounded(rest));
        Ok(Download {
            inner: StreamReader::new(Box::pin(all)),
        })
    }
}

/// The type in a mode of Go's `io/fs`, whose bits differ from those of Unix.
fn path_kind(mode: u32) -> PathKind {
    const DIRECTORY: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    // Device, named pipe, socket, character device, irregular file.
    const OTHER: u32 = 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19;
    if mode & DIRECTORY != 0 {
        PathKind::Directory
    } else if mode & SYMLINK != 0 {
        PathKind::Symlink
    } else if mode & OTHER != 0 {
        PathKind::Other
    } else {
        PathKind::File
    }
}

/// Fails a stream that is silent for [`IDLE_TIMEOUT`]: an HTTP body has no timeout of its own.
fn idle_bounded(
    bytes: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(Some(bytes), |state| async {
        let mut bytes = state?;
        match timeout(IDLE_TIMEOUT, bytes.next()).await {
            Some(item) => item.map(|chunk| (chunk, Some(bytes))),
            None => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    })
}

/// A tar archive that is being read from a container.
pub struct Download {
    inner: StreamReader<Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>, Bytes>,
}

impl AsyncRead for Download {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Download")
    }
}

pub(super) const CHUNK_BYTES: usize = 256 * 1024;
const QUEUED_CHUNKS: usize = 4;
/// A packer whose reader is gone fails at its next write; how long it may take to get there.
const PACKER_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts `pack`. Returns its thread, and what it writes; its error ends the stream too.
fn start(
    pack: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> (
    JoinHandle<io::Result<()>>,
    impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) {
    let (sender, receiver) = mpsc::channel(QUEUED_CHUNKS);
    let packer = tokio::task::spawn_blocking(move || run_packer(&sender, pack));
    let chunks = stream::unfold(receiver, |mut receiver| async {
        let chunk = receiver.recv().await?;
        Some((chunk, receiver))
    });
    (packer, chunks)
}

/// The outcome of a request that has sent what `packer` wrote, and that ended with `sent`: the packer's error rather than the engine's.
async fn outcome(
    operation: &str,
    packer: JoinHandle<io::Result<()>>,
    sent: Result<(), EngineError>,
) -> Result<(), EngineError> {
    let operation = operation.to_owned();
    match timeout(PACKER_TIMEOUT, packer).await {
        // A broken pipe only follows from the engine's refusal.
        Some(Ok(Err(cause))) if sent.is_ok() || cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(EngineError::Local { operation, cause })
        }
        Some(Err(panicked)) => Err(EngineError::Local {
            operation,
            cause: io::Error::other(panicked),
        }),
        Some(Ok(_)) | None => sent,
    }
}

type Sender = mpsc::Sender<io::Result<Bytes>>;

fn run_packer(
    sender: &Sender,
    pack: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(CHUNK_BYTES, ChannelWriter(sender.clone()));
    let packed = pack(&mut writer).and_then(|()| writer.flush());
    // Dropping the writer itself would send the rest of a failed archive.
    drop(writer.into_parts());
    if let Err(error) = &packed {
        // An error in the body aborts the request, so that the engine never takes half an archive for a whole one.
        sender
            .blocking_send(Err(io::Error::new(error.kind(), error.to_string())))
            .ok();
    }
    packed
}

struct ChannelWriter(Sender);

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = Bytes::copy_from_slice(bytes);
        match self.0.blocking_send(Ok(chunk)) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_type_in_a_mode_of_go() {
        assert_eq!(path_kind(0o644), PathKind::File);
        assert_eq!(path_kind(1 << 31 | 0o755), PathKind::Directory);
        assert_eq!(path_kind(1 << 27 | 0o777), PathKind::Symlink);
        assert_eq!(path_kind(1 << 26 | 1 << 21), PathKind::Other);
        assert_eq!(
            path_kind(1 << 23 | 0o755),
            PathKind::File,
            "setuid is still a file"
        );
    }

    #[test]
    fn a_failed_packer_ends_the_stream_with_its_error() {
        let (sender, mut receiver) = mpsc::channel(QUEUED_CHUNKS);
        let failed = run_packer(&sender, |w| {
            w.write_all(b"half")?;
            Err(io::Error::other("disk on fire"))
        });
        assert!(failed.is_err());
        drop(sender);
        assert!(receiver.blocking_recv().unwrap().is_err());
        assert!(receiver.blocking_recv().is_none());
    }

    #[test]
    fn a_packer_without_a_reader_stops() {
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        let error = run_packer(&sender, |w| w.write_all(&vec![0; CHUNK_BYTES * 2])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
