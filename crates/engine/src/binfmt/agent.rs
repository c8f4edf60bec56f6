//! The connection to an agent (`containers/registrar/binfmt-agent`, which documents the protocol): commands out, one
//! per line, and lines back.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use sdbuild_core::failure::Failure;
use sdbuild_core::timeout::timeout;

use crate::binfmt::registration::{Entry, EntryList};
use crate::{Attached, EngineError, Lines, OutputChunk};

/// How many seconds an answer is waited for before the command is sent again, because the agent's `read` may have lost
/// it. An agent answers within a millisecond, but a board that writes an image to its SD card may not run it, or not pass
/// its answer on, for half a minute: in all they are as long as the registrar may take to start. Repeated ever more rarely,
/// because each repetition is more work for a busy machine. What has to be quick is bounded by its caller.
const ANSWER_TIMEOUTS_SECS: [u64; 5] = [2, 4, 8, 16, 30];
/// A write that takes longer will not succeed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The agent's first error messages that are kept; later ones follow from them.
const MAX_ERROR_MESSAGES: usize = 8;

/// The attached standard streams of an agent. Dropping them ends the agent's input.
#[derive(Debug)]
pub(super) struct AgentConnection {
    attached: Attached,
    lines: Lines,
    received: VecDeque<String>,
    error_messages: Vec<String>,
}

impl AgentConnection {
    pub(super) fn new(attached: Attached) -> Self {
        Self {
            attached,
            lines: Lines::default(),
            received: VecDeque::new(),
            error_messages: Vec::new(),
        }
    }

    pub(super) async fn send(&mut self, line: &str) -> Result<(), EngineError> {
        match timeout(WRITE_TIMEOUT, self.attached.input.write_line(line)).await {
            Some(written) => written,
            None => Err(EngineError::Silent {
                operation: "write to the container that registers QEMU".into(),
            }),
        }
    }

    /// The next line; `None` when the registrar is gone. Cancel safe.
    pub(super) async fn recv(&mut self) -> Option<Reply> {
        loop {
            if let Some(line) = self.received.pop_front() {
                return Some(Reply::parse(&line));
            }
            match self.attached.output.next().await? {
                Ok(OutputChunk::Stdout(bytes)) => self.received.extend(self.lines.push(&bytes)),
                // The agent itself writes nothing there; its shell does.
                Ok(OutputChunk::Stderr(bytes)) => {
                    keep_error_message(&mut self.error_messages, &bytes);
                }
                Err(_) => return None,
            }
        }
    }

    /// The failure of a registrar that has ended, with its error messages.
    pub(super) fn unexpected_end(&self) -> Failure {
        let ended = "the container that registers QEMU ended unexpectedly";
        let messages = self.error_messages.join("; ");
        if messages.is_empty() {
            Failure::environment(ended)
        } else {
            Failure::environment(format!("{ended}: {messages}"))
        }
    }

    /// Sends `line` until `parse` accepts a reply.
    pub(super) async fn ask<T>(
        &mut self,
        line: &str,
        mut parse: impl FnMut(Reply) -> Option<T>,
    ) -> Result<T, Failure> {
        for limit in ANSWER_TIMEOUTS_SECS.map(Duration::from_secs) {
            self.send(line).await?;
            match timeout(limit, self.answer(&mut parse)).await {
                Some(Ok(Some(answer))) => return Ok(answer),
                Some(Err(failure)) => return Err(failure),
                Some(Ok(None)) | None => {}
            }
        }
        Err(Failure::environment(format!(
            "the container that registers QEMU does not answer `{line}`"
        )))
    }

    /// `None` when the agent did not understand the line. Fails when the registrar is gone.
    async fn answer<T>(
        &mut self,
        parse: &mut impl FnMut(Reply) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        // What the agent replies to a line whose beginning it lost.
        let not_understood = Reply::Failed("-".into(), "unknown command".into());
        while let Some(reply) = self.recv().await {
            if reply == not_understood {
                return Ok(None);
            }
            if let Some(answer) = parse(reply) {
                return Ok(Some(answer));
            }
        }
        Err(self.unexpected_end())
    }

    pub(super) async fn list(&mut self) -> Result<Vec<Entry>, Failure> {
        let mut list = EntryList::default();
        self.ask("list", |reply| {
            let Reply::Other(line) = reply else {
                return None;
            };
            list.push(&line);
            (line == "end").then_some(())
        })
        .await?;
        Ok(list.entries())
    }

    /// Sends a command for the entry `name`; `done` is the reply that reports its success. Returns why the agent could not do
    /// it, if so.
    pub(super) async fn command(
        &mut self,
        line: &str,
        name: &str,
        done: &Reply,
    ) -> Result<Result<(), String>, Failure> {
        let answer = self.ask(line, |reply| {
            if reply == *done {
                return Some(Ok(()));
            }
            if let Reply::Failed(entry, reason) = reply
                && entry == name
            {
                return Some(Err(reason));
            }
            None
        });
        answer.await
    }

    /// Removes an entry whose name has our prefix; the agent refuses one with another content.
    pub(super) async fn remove(&mut self, name: &str) -> Result<(), Failure> {
        let done = Reply::Removed(name.to_owned());
        let removed = self.command(&format!("remove {name}"), name, &done).await?;
        removed.map_err(|reason| {
            Failure::environment(format!("remove the binfmt_misc entry {name}: {reason}"))
        })
    }
}

fn keep_error_message(messages: &mut Vec<String>, bytes: &[u8]) {
    if messages.len() < MAX_ERROR_MESSAGES {
        messages.push(String::from_utf8_lossy(bytes).trim().to_owned());
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Ready,
    /// There is no table; with the reason.
    Unmounted(String),
    Held(String),
    Removed(String),
    Released(String),
    Restored(String),
    /// The entry is gone and cannot be put back; with the reason.
    Missing(String, String),
    /// A command failed for this entry; with the reason.
    Failed(String, String),
    /// A line of a list, or an unknown one.
    Other(String),
}

impl Reply {
    pub(super) fn parse(line: &str) -> Self {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, why) = rest.split_once(' ').unwrap_or((rest, ""));
        let (name, why) = (name.to_owned(), why.to_owned());
        match word {
            "ready" => Self::Ready,
            "unmounted" => Self::Unmounted(rest.to_owned()),
            "held" => Self::Held(name),
            "removed" => Self::Removed(name),
            "released" => Self::Released(name),
            "restored" => Self::Restored(name),
            "missing" => Self::Missing(name, why),
            "failed" => Self::Failed(name, why),
            _ => Self::Other(line.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_first_error_messages_are_kept() {
        let mut messages = Vec::new();
        for n in 0..20 {
            keep_error_message(&mut messages, format!(" {n}\n").as_bytes());
        }
        assert_eq!(messages, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    }

    #[test]
    fn parses_each_reply() {
        assert_eq!(Reply::parse("ready"), Reply::Ready);
        assert_eq!(Reply::parse("held a"), Reply::Held("a".into()));
        let failed = Reply::Failed("a".into(), "File exists".into());
        assert_eq!(Reply::parse("failed a File exists"), failed);
        assert_eq!(Reply::parse("unmounted "), Reply::Unmounted(String::new()));
        assert_eq!(
            Reply::parse("| flags: PF"),
            Reply::Other("| flags: PF".into())
        );
    }

    proptest! {
        #[test]
        fn parses_any_line(line in ".{0,60}") {
            Reply::parse(&line);
        }
    }
}
