//! A stream that ends when the run is interrupted, so that no blocking reader waits for a silent engine.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

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
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cancelled.as_mut().poll(context).is_ready() {
            // Not of kind `Interrupted`, after which readers try again.
            return Poll::Ready(Err(io::Error::other("interrupted")));
        }
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}
