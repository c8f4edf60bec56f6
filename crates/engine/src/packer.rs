//! A packer of an archive on a blocking thread, whose output is a stream of chunks in bounded memory.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::EngineError;
use sdbuild_core::timeout::timeout;

/// Bytes per chunk of an upload.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks of an upload that wait to be sent.
const QUEUED_CHUNKS: usize = 4;
/// A packer whose reader is gone fails at its next write; how long it may take to get there.
const PACKER_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts `pack`. Returns its thread, and what it writes; its error ends the stream too.
pub(super) fn start(
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
pub(super) async fn outcome(
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
