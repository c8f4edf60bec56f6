//! The connection to an agent (`containers/registrar/binfmt-agent`, which documents the protocol): commands out, one
//! per line, and lines back.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;

use crate::binfmt::status::{self, Entry};
use crate::common::failure::Failure;
use crate::common::timeout::timeout;
use crate::engine::{Attached, EngineError, Lines, OutputChunk};

/// How many seconds an answer is waited for before the command is sent again, because the agent's `read` may have lost it. An agent
/// answers within a millisecond, but a board that writes an image to its SD card may not run it, or not pass its answer
/// on, for half a minute: as long as [`READY_TIMEOUT`](super::registrar) in all. Repeated ever more rarely, because each
/// repetition is more work for a busy machine. What has to be quick is bounded by its caller.
const ANSWER_TIMEOUTS_SECS: [u64; 5] = [2, 4, 8, 16, 30];
/// A write that takes longer will not succeed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The agent's first error messages that are kept; later ones follow from them.
const MAX_ERROR_MESSAGES: usize = 8;

/// A line from an agent.
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

/// The result of a command for one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CommandResult {
    Done,
    /// The agent could not do it, for this reason.
    Failed(String),
}

/// How one attempt to get an answer ended.
enum Attempt<T> {
    Answered(T),
    NotUnderstood,
    Disconnected,
}

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
                operation: "write to the registrar".into(),
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
        let messages = self.error_messages.join("; ");
        if messages.is_empty() {
            Failure::environment("the registrar ended unexpectedly")
        } else {
            Failure::environment(format!("the registrar ended unexpectedly: {messages}"))
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
                Some(Attempt::Answered(answer)) => return Ok(answer),
                Some(Attempt::Disconnected) => return Err(self.unexpected_end()),
                Some(Attempt::NotUnderstood) | None => {}
            }
        }
        Err(Failure::environment(format!(
            "the registrar does not answer `{line}`"
        )))
    }

    async fn answer<T>(&mut self, parse: &mut impl FnMut(Reply) -> Option<T>) -> Attempt<T> {
        // What the agent replies to a line whose beginning it lost.
        let not_understood = Reply::Failed("-".into(), "unknown command".into());
        while let Some(reply) = self.recv().await {
            if reply == not_understood {
                return Attempt::NotUnderstood;
            }
            if let Some(answer) = parse(reply) {
                return Attempt::Answered(answer);
            }
        }
        Attempt::Disconnected
    }

    /// Every entry of the table.
    pub(super) async fn list(&mut self) -> Result<Vec<Entry>, Failure> {
        let mut list = List::default();
        self.ask("list", |said| {
            let Reply::Other(line) = said else {
                return None;
            };
            list.push(&line);
            (line == "end").then_some(())
        })
        .await?;
        Ok(list.entries())
    }

    /// Sends a command for the entry `name`; `done` is the reply that reports its success.
    pub(super) async fn command(
        &mut self,
        line: &str,
        name: &str,
        done: &Reply,
    ) -> Result<CommandResult, Failure> {
        let answer = self.ask(line, |reply| {
            if reply == *done {
                return Some(CommandResult::Done);
            }
            if let Reply::Failed(entry, reason) = reply
                && entry == name
            {
                return Some(CommandResult::Failed(reason));
            }
            None
        });
        answer.await
    }

    /// Removes an entry whose name has our prefix; the agent refuses one with another content.
    pub(super) async fn remove(&mut self, name: &str) -> Result<(), Failure> {
        let done = Reply::Removed(name.to_owned());
        match self.command(&format!("remove {name}"), name, &done).await? {
            CommandResult::Done => Ok(()),
            CommandResult::Failed(reason) => Err(Failure::environment(format!(
                "remove handler {name}: {reason}"
            ))),
        }
    }
}

/// A list of entries, parsed line by line.
#[derive(Debug, Default)]
struct List(Vec<Listed>);

#[derive(Debug, Default)]
struct Listed {
    name: String,
    age: Option<u64>,
    text: String,
}

impl List {
    fn push(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("entry ") {
            // A list that was requested twice: the later one counts.
            self.0.retain(|listed| listed.name != name);
            self.0.push(Listed {
                name: name.to_owned(),
                ..Listed::default()
            });
        } else if let Some(entry) = self.0.last_mut() {
            if let Some(text) = line.strip_prefix("| ") {
                entry.text.push_str(text);
                entry.text.push('\n');
            } else if let Some(age) = line.strip_prefix("age ") {
                entry.age = age.parse().ok();
            }
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |listed: &Listed| Entry {
            age: listed.age,
            ..status::parse(&listed.name, &listed.text)
        };
        self.0.iter().map(entry).collect()
    }
}

fn keep_error_message(messages: &mut Vec<String>, bytes: &[u8]) {
    if messages.len() < MAX_ERROR_MESSAGES {
        messages.push(String::from_utf8_lossy(bytes).trim().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    #[test]
    fn a_later_list_replaces_an_earlier_one() {
        let mut list = List::default();
        for line in [
            "age 9",
            "entry a",
            "age 7",
            "| enabled",
            "entry b",
            "| enabled",
            "entry a",
            "age 3",
            "| disabled",
            "nonsense",
            "entry c",
            "age -1",
        ] {
            list.push(line);
        }
        let entries = list.entries();
        let seen: Vec<_> = entries
            .iter()
            .map(|e| (e.name.as_str(), e.age, e.enabled))
            .collect();
        assert_eq!(
            seen,
            [("b", None, true), ("a", Some(3), false), ("c", None, false)]
        );
    }

    #[test]
    fn only_the_first_error_messages_are_kept() {
        let mut messages = Vec::new();
        for n in 0..20 {
            keep_error_message(&mut messages, format!(" {n}\n").as_bytes());
        }
        assert_eq!(messages, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    }

    proptest! {
        #[test]
        fn parses_any_line(line in ".{0,60}") {
            Reply::parse(&line);
        }
    }
}
