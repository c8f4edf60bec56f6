//! Reads a container's output to its end, and splits it into lines of bounded length.

use std::convert::Infallible;
use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use sdbuild_core::timeout::ActiveTimer;

use crate::container::{AttachedOutput, Container, Exit, OutputChunk};
use crate::error::EngineError;

/// How long the streams may be silent after the container's end before they are given up: engines are known to leave
/// them open (bollard#251). A busy engine passes the last output on seconds later.
const SILENCE: Duration = Duration::from_secs(10);
/// How long the streams are waited for after the container's end in all.
const DRAIN_LIMIT: Duration = Duration::from_mins(1);

/// The next item of a container's output.
#[derive(Debug)]
pub enum Drained {
    Chunk(OutputChunk),
    /// The container has ended and its output was read.
    End {
        exit: Exit,
        /// Why the output may be incomplete: the connection that it came over broke, or the engine did not end it.
        incomplete: Option<EngineError>,
    },
}

/// The output of a container until its end, which may come before or after the end of the output.
pub struct Drain<'a> {
    output: AttachedOutput,
    is_open: bool,
    incomplete: Option<EngineError>,
    wait: Pin<Box<dyn Future<Output = Result<Exit, EngineError>> + Send + 'a>>,
    exit: Option<Exit>,
    silence: ActiveTimer,
    limit: ActiveTimer,
}

impl Container {
    /// Reads `output` and waits for the container's end.
    pub fn drain(&self, output: AttachedOutput) -> Drain<'_> {
        Drain::new(output, self.wait())
    }

    /// Starts the container and runs it to its end; returns how it ended and its first `max_lines` lines of output. Fails
    /// when the output may be incomplete.
    pub async fn output(&self, max_lines: usize) -> Result<(Exit, Vec<String>), EngineError> {
        self.watched_output(max_lines, |_| ()).await
    }

    /// The same; `seen` gets each line when it comes.
    pub async fn watched_output(
        &self,
        max_lines: usize,
        mut seen: impl FnMut(&str),
    ) -> Result<(Exit, Vec<String>), EngineError> {
        let output = self.attach().await?.output;
        self.start().await?;
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        let collect = async |chunk| -> ControlFlow<Infallible> {
            let (OutputChunk::Stdout(bytes) | OutputChunk::Stderr(bytes)) = chunk;
            let new = lines.push(&bytes);
            for line in &new {
                seen(line);
            }
            all.extend(new);
            all.truncate(max_lines);
            ControlFlow::Continue(())
        };
        let ControlFlow::Continue(exit) = self.drain(output).pass_to(collect).await?;
        all.extend(lines.finish());
        Ok((exit, all))
    }
}

impl<'a> Drain<'a> {
    fn new(
        output: AttachedOutput,
        wait: impl Future<Output = Result<Exit, EngineError>> + Send + 'a,
    ) -> Self {
        Self {
            output,
            is_open: true,
            incomplete: None,
            wait: Box::pin(wait),
            exit: None,
            silence: ActiveTimer::new(SILENCE),
            limit: ActiveTimer::new(DRAIN_LIMIT),
        }
    }

    /// Waits for the next chunk or the end; not to be called after the end. Fails when the engine cannot tell how the
    /// container ended. Cancel safe.
    pub async fn next(&mut self) -> Result<Drained, EngineError> {
        loop {
            if let (Some(exit), false) = (self.exit, self.is_open) {
                let incomplete = self.incomplete.take();
                return Ok(Drained::End { exit, incomplete });
            }
            tokio::select! {
                exit = &mut self.wait, if self.exit.is_none() => self.exit = Some(exit?),
                chunk = self.output.next(), if self.is_open => match chunk {
                    Some(Ok(chunk)) => {
                        if self.exit.is_some() {
                            self.silence = ActiveTimer::new(SILENCE);
                        }
                        return Ok(Drained::Chunk(chunk));
                    }
                    Some(Err(error)) => {
                        self.is_open = false;
                        self.incomplete = Some(error);
                    }
                    None => self.is_open = false,
                },
                () = self.silence.expired(), if self.exit.is_some() => self.give_up(),
                () = self.limit.expired(), if self.exit.is_some() => self.give_up(),
            }
        }
    }
}

impl Drain<'_> {
    /// Passes all output to `sink` and waits for the container's end, unless `sink` breaks before. Fails when the output may be
    /// incomplete.
    pub async fn pass_to<B>(
        mut self,
        mut sink: impl AsyncFnMut(OutputChunk) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, Exit>, EngineError> {
        loop {
            match self.next().await? {
                Drained::Chunk(chunk) => {
                    if let ControlFlow::Break(reason) = sink(chunk).await {
                        return Ok(ControlFlow::Break(reason));
                    }
                }
                Drained::End {
                    incomplete: Some(error),
                    ..
                } => return Err(error),
                Drained::End { exit, .. } => return Ok(ControlFlow::Continue(exit)),
            }
        }
    }

    fn give_up(&mut self) {
        self.is_open = false;
        self.incomplete = Some(EngineError::Silent {
            operation: "end the output of a container that has ended".into(),
        });
    }
}

impl fmt::Debug for Drain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("is_open", &self.is_open)
            .field("exit", &self.exit)
            .finish_non_exhaustive()
    }
}

/// A longer line is split: a build log may contain anything. A message of Nix, which is read as a whole, quotes a line of a file, and
/// has another one, as long, with the mark of the place.
const MAX_LINE_BYTES: usize = 4 << 20;

#[derive(Debug, Default)]
pub struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Adds `bytes` and returns the lines that they complete, without line ends, with invalid UTF-8 replaced.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut complete = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut piece = piece;
            while self.pending.len() + piece.len() > MAX_LINE_BYTES {
                let room = MAX_LINE_BYTES - self.pending.len();
                let (head, tail) = piece.split_at(room.min(piece.len()));
                self.pending.extend_from_slice(head);
                complete.push(self.take());
                piece = tail;
            }
            self.pending.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                complete.push(self.take());
            }
        }
        complete
    }

    /// The last line, if the stream ended without a line end.
    pub fn finish(&mut self) -> Option<String> {
        if self.pending.is_empty() {
            None
        } else {
            Some(self.take())
        }
    }

    fn take(&mut self) -> String {
        let bytes = std::mem::take(&mut self.pending);
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        String::from_utf8_lossy(line).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use proptest::prelude::*;
    use sdbuild_core::timeout::timeout;
    use std::future::{pending, ready};

    const EXIT: Exit = Exit {
        code: 3,
        oom_killed: false,
    };
    /// Upper bound on a busy machine.
    const TEST_DEADLINE: Duration = Duration::from_secs(30);

    fn chunk(text: &'static str) -> OutputChunk {
        OutputChunk::Stdout(text.into())
    }

    async fn next(drain: &mut Drain<'_>) -> Drained {
        timeout(TEST_DEADLINE, drain.next()).await.unwrap().unwrap()
    }

    fn is_chunk(drained: &Drained, text: &str) -> bool {
        matches!(drained, Drained::Chunk(OutputChunk::Stdout(bytes)) if bytes == text)
    }

    #[tokio::test]
    async fn the_output_is_read_after_the_end_of_the_container() {
        let output = stream::iter([Ok(chunk("a")), Ok(chunk("b"))]);
        let mut drain = Drain::new(AttachedOutput::of(output), ready(Ok(EXIT)));
        assert!(is_chunk(&next(&mut drain).await, "a"));
        assert!(is_chunk(&next(&mut drain).await, "b"));
        let end = next(&mut drain).await;
        assert!(
            matches!(
                end,
                Drained::End {
                    exit: EXIT,
                    incomplete: None
                }
            ),
            "{end:?}"
        );
    }

    #[tokio::test]
    async fn a_stream_that_stays_open_is_given_up_as_incomplete() {
        let output = stream::iter([Ok(chunk("a"))]).chain(stream::pending());
        let mut drain = Drain::new(AttachedOutput::of(output), ready(Ok(EXIT)));
        assert!(is_chunk(&next(&mut drain).await, "a"));
        let end = next(&mut drain).await;
        let Drained::End {
            exit: EXIT,
            incomplete: Some(error),
        } = end
        else {
            panic!("{end:?}")
        };
        assert!(matches!(error, EngineError::Silent { .. }), "{error}");
    }

    #[tokio::test]
    async fn the_end_of_the_output_alone_is_not_the_end() {
        let mut drain = Drain::new(AttachedOutput::of(stream::empty()), pending());
        let waited = timeout(Duration::from_millis(300), drain.next()).await;
        assert!(waited.is_none(), "{waited:?}");
    }

    #[tokio::test]
    async fn a_broken_connection_is_reported_with_the_exit() {
        let lost = EngineError::Silent {
            operation: "attach".into(),
        };
        let output = stream::iter([Err(lost)]);
        let mut drain = Drain::new(AttachedOutput::of(output), ready(Ok(EXIT)));
        let end = next(&mut drain).await;
        assert!(
            matches!(
                end,
                Drained::End {
                    exit: EXIT,
                    incomplete: Some(_)
                }
            ),
            "{end:?}"
        );
    }

    #[test]
    fn lines_may_span_chunks() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"rea"), Vec::<String>::new());
        assert_eq!(lines.push(b"dy\nheld a\r\nx"), ["ready", "held a"]);
        assert_eq!(lines.finish().as_deref(), Some("x"));
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn long_lines_are_split() {
        let mut lines = Lines::default();
        let pieces = lines.push(&vec![b'x'; 3 * MAX_LINE_BYTES + 5]);
        assert_eq!(
            pieces.iter().map(String::len).collect::<Vec<_>>(),
            [MAX_LINE_BYTES; 3]
        );
        assert_eq!(lines.finish().map(|rest| rest.len()), Some(5));
    }

    proptest! {
        #[test]
        fn the_chunking_does_not_matter(text in "[a-z\n]{0,200}", cut in 0usize..200) {
            let whole = Lines::default().push(text.as_bytes());
            let (first, second) = text.as_bytes().split_at(cut.min(text.len()));
            let mut lines = Lines::default();
            let mut parts = lines.push(first);
            parts.extend(lines.push(second));
            prop_assert_eq!(whole, parts);
        }
    }
}
