//! From a stream to a blocking reader, through a channel that holds little.

use std::io::{self, Read};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

/// What is read at once, and how many of these wait for the disk: memory stays below 3 MiB.
pub(super) const CHUNK: usize = 512 * 1024;
const WAITING: usize = 4;

/// Both ends. The reader ends when the sender is dropped.
pub(super) fn channel() -> (mpsc::Sender<io::Result<Vec<u8>>>, Chunks) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (
        sender,
        Chunks {
            receiver,
            rest: Vec::new(),
            at: 0,
        },
    )
}

/// Hands the stream on in chunks, as fast as the disk takes them.
pub(super) async fn feed(
    mut stream: impl AsyncRead + Unpin,
    sender: mpsc::Sender<io::Result<Vec<u8>>>,
) -> io::Result<()> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        // several reads fill one chunk: an engine sends a few kilobytes at a time
        while chunk.len() < CHUNK {
            match (&mut stream)
                .take((CHUNK - chunk.len()) as u64)
                .read_buf(&mut chunk)
                .await
            {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) => {
                    let told = io::Error::new(e.kind(), e.to_string());
                    sender.send(Err(told)).await.ok();
                    return Err(e);
                }
            }
        }
        // A writer that has what it wants, or failed, listens no more: its own result counts.
        if chunk.is_empty() || sender.send(Ok(chunk)).await.is_err() {
            return Ok(());
        }
    }
}

/// The receiving end as a reader for the blocking thread.
#[derive(Debug)]
pub(super) struct Chunks {
    receiver: mpsc::Receiver<io::Result<Vec<u8>>>,
    rest: Vec<u8>,
    at: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.rest.len() {
            match self.receiver.blocking_recv().transpose()? {
                Some(chunk) => (self.rest, self.at) = (chunk, 0),
                None => return Ok(0),
            }
        }
        let from = self.rest.get(self.at..).unwrap_or_default();
        let n = from.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), from.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn feeding_fills_chunks() {
        let (sender, mut receiver) = channel();
        let bytes = vec![3; CHUNK + 10];
        feed(bytes.as_slice(), sender).await.unwrap();
        assert_eq!(
            receiver.receiver.recv().await.unwrap().unwrap().len(),
            CHUNK
        );
        assert_eq!(receiver.receiver.recv().await.unwrap().unwrap().len(), 10);
        assert!(receiver.receiver.recv().await.is_none());
    }
}
