//! Files into and out of containers, as streams of tar bytes: memory stays bounded either way.
//!
//! The room moves bytes; what is in the archive is the business of who packs and who unpacks it.

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
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::common::timeout::timeout;
use crate::engine::container::Container;
use crate::engine::error::{EngineError, at};
use crate::engine::request::request;

/// Bytes per chunk of an upload; a few of them are under way at any time.
const CHUNK: usize = 256 * 1024;
/// An engine that sends nothing for so long is gone, whatever its connection says.
const IDLE: Duration = Duration::from_secs(120);
/// A packer whose reader is gone fails at its next write; this is the time it has to get there.
const PACKER_ENDS: Duration = Duration::from_secs(5);

/// What a path inside a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link: never followed.
    Symlink,
    /// A device, a socket, a pipe.
    Other,
}

/// What stands at a path inside a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStat {
    /// What it is.
    pub kind: PathKind,
    /// Its size in bytes.
    pub size: u64,
}

impl Container {
    /// Unpacks what `pack` writes (a tar archive) below `dir`, which must exist. Owners and modes are
    /// kept. `pack` runs on a thread of its own; its error ends the upload and wins over the engine's.
    pub async fn upload(
        &self,
        dir: &str,
        pack: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Result<(), EngineError> {
        let operation = format!("upload to {dir} in container {}", self.name());
        let (sender, receiver) = mpsc::channel(4);
        let packer = tokio::task::spawn_blocking(move || run_packer(&sender, pack));
        let body = stream::unfold(receiver, |mut r| async {
            r.recv().await.map(|chunk| (chunk, r))
        });
        let options = UploadToContainerOptionsBuilder::default().path(dir).build();
        let docker = &self.engine.docker;
        let body = bollard::body_try_stream(body);
        let upload = docker.upload_to_container(self.id(), Some(options), body);
        let upload = upload.map_err(at(operation.clone()));
        let sent = self.engine.while_responsive(&operation, upload).await;
        match timeout(PACKER_ENDS, packer).await {
            // A broken pipe is only the echo of the engine's refusal.
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

    /// Unpacks the file or directory at a path of another container below `dir`, as it comes: owners and
    /// modes are kept, and nothing of it stays here.
    pub async fn take(
        &self,
        (source, path): (&Container, &str),
        dir: &str,
    ) -> Result<(), EngineError> {
        let name = self.name();
        let operation = format!("copy {path} to {dir} in container {name}");
        let bytes = ReaderStream::with_capacity(source.download(path).await?, CHUNK);
        let options = UploadToContainerOptionsBuilder::default().path(dir).build();
        let docker = &self.engine.docker;
        let body = bollard::body_try_stream(bytes);
        let upload = docker.upload_to_container(self.id(), Some(options), body);
        let upload = upload.map_err(at(operation.clone()));
        self.engine.while_responsive(&operation, upload).await
    }

    /// What stands at `path`, in running and in stopped containers. The last component is never
    /// followed, those before it are: check them one by one where that matters.
    pub async fn stat(&self, path: &str) -> Result<Option<PathStat>, EngineError> {
        let operation = || format!("look at {path} in container {}", self.name());
        // A slash at the end would make the engine follow a link there.
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
            Ok(stat) => Ok(Some(PathStat {
                kind: kind(stat.file_mode),
                size: u64::try_from(stat.size).unwrap_or(0),
            })),
            Err(error) if error.is_not_found() => {
                self.still_there(operation()).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The same status that says that a path is not there says that the container is gone, or that
    /// somebody is removing it, and then nothing can be said of its paths.
    async fn still_there(&self, operation: String) -> Result<(), EngineError> {
        use bollard::models::ContainerStateStatusEnum::{DEAD, REMOVING};
        let inspect = self.engine.docker.inspect_container(self.id(), None);
        let inspected = request(operation.clone(), inspect).await?;
        match inspected.state.and_then(|state| state.status) {
            Some(REMOVING | DEAD) => Err(EngineError::Refused {
                operation,
                status: 404,
                message: "somebody is removing the container".into(),
            }),
            _ => Ok(()),
        }
    }

    /// The file or directory at `path` as tar bytes, from a running or a stopped container. For blocking
    /// readers wrap it in `tokio_util::io::SyncIoBridge` inside `spawn_blocking`.
    pub async fn download(&self, path: &str) -> Result<Download, EngineError> {
        let operation = format!("download {path} from container {}", self.name());
        let options = DownloadFromContainerOptionsBuilder::default()
            .path(path)
            .build();
        let mut bytes = self
            .engine
            .docker
            .download_from_container(self.id(), Some(options));
        let first = match timeout(IDLE, bytes.next()).await {
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

/// Go's file mode, which is not Unix's.
fn kind(mode: u32) -> PathKind {
    const SPECIAL: u32 = 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19;
    match mode {
        m if m & (1 << 31) != 0 => PathKind::Directory,
        m if m & (1 << 27) != 0 => PathKind::Symlink,
        m if m & SPECIAL != 0 => PathKind::Other,
        _ => PathKind::File,
    }
}

/// Fails a stream that stalls: an HTTP body has no time-out of its own.
fn idle_bounded(
    bytes: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(Some(bytes), |state| async {
        let mut bytes = state?;
        match timeout(IDLE, bytes.next()).await {
            Some(item) => item.map(|chunk| (chunk, Some(bytes))),
            None => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    })
}

type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Tar bytes on their way out of a container.
pub struct Download {
    inner: StreamReader<Chunks, Bytes>,
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

type Sender = mpsc::Sender<io::Result<Bytes>>;

fn run_packer(
    sender: &Sender,
    pack: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(CHUNK, ChannelWriter(sender.clone()));
    let packed = pack(&mut writer).and_then(|()| writer.flush());
    // What is left in the buffer of a failed archive must not be sent when the writer is dropped.
    drop(writer.into_parts());
    if let Err(error) = &packed {
        // An error in the body aborts the request: half an archive is never taken for a whole one.
        // When nobody listens any more there is nobody to tell.
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
    fn go_modes_are_told_apart() {
        assert_eq!(kind(0o644), PathKind::File);
        assert_eq!(kind(1 << 31 | 0o755), PathKind::Directory);
        assert_eq!(kind(1 << 27 | 0o777), PathKind::Symlink);
        assert_eq!(kind(1 << 26 | 1 << 21), PathKind::Other);
        assert_eq!(
            kind(1 << 23 | 0o755),
            PathKind::File,
            "setuid is still a file"
        );
    }

    #[test]
    fn a_failed_packer_ends_the_stream_with_its_error() {
        let (sender, mut receiver) = mpsc::channel(4);
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
    fn a_packer_without_reader_stops() {
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        let error = run_packer(&sender, |w| w.write_all(&vec![0; CHUNK * 2])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
