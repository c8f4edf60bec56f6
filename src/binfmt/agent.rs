//! Talking to an agent: words out, lines back. See `containers/registrar/binfmt-agent` for the language.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;

use crate::binfmt::status::{self, Entry};
use crate::common::failure::Failure;
use crate::common::timeout::timeout;
use crate::engine::{Attached, EngineError, Lines, OutputChunk};

/// An agent answers in a millisecond; a word that it lost (see there) is said again after this.
const ANSWER: Duration = Duration::from_secs(2);
/// How often a word is said.
const TRIES: u32 = 4;
/// A write that does not go through in this time will not.
const WRITE: Duration = Duration::from_secs(10);
/// So many complaints of an agent are worth repeating.
const COMPLAINTS: usize = 8;

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Ready,
    Unmounted(String),
    Held(String),
    Removed(String),
    Released(String),
    Restored(String),
    Missing(String, String),
    Failed(String, String),
    /// A piece of a list, or something that we do not know.
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

/// Both halves of the attached stream. Dropping it is the end of the agent's input.
#[derive(Debug)]
pub(super) struct AgentConnection {
    attached: Attached,
    lines: Lines,
    ready: VecDeque<String>,
    complaints: Vec<String>,
}

impl AgentConnection {
    pub(super) fn new(attached: Attached) -> Self {
        Self {
            attached,
            lines: Lines::default(),
            ready: VecDeque::new(),
            complaints: Vec::new(),
        }
    }

    pub(super) async fn send(&mut self, word: &str) -> Result<(), EngineError> {
        match timeout(WRITE, self.attached.input.write_line(word)).await {
            Some(written) => written,
            None => Err(EngineError::Silent {
                operation: "talk to the registrar".into(),
            }),
        }
    }

    /// The next line; `None` when the registrar is gone. Nothing is lost when this is dropped.
    pub(super) async fn recv(&mut self) -> Option<Reply> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Reply::parse(&line));
            }
            match self.attached.output.next().await? {
                Ok(OutputChunk::Stdout(bytes)) => self.ready.extend(self.lines.push(&bytes)),
                Ok(OutputChunk::Stderr(bytes)) => {
                    // Only ever the shell's own.
                    keep_complaint(&mut self.complaints, &bytes);
                }
                Err(_) => return None,
            }
        }
    }

    /// What a registrar that is gone left to say.
    pub(super) fn gone(&self) -> Failure {
        match self.complaints.join("; ") {
            none if none.is_empty() => Failure::environment("the registrar ended unexpectedly"),
            said => Failure::environment(format!("the registrar ended unexpectedly: {said}")),
        }
    }

    /// Says `word` until `answer` takes something that comes back.
    pub(super) async fn ask<T>(
        &mut self,
        word: &str,
        mut answer: impl FnMut(Reply) -> Option<T>,
    ) -> Result<T, Failure> {
        for _ in 0..TRIES {
            self.send(word).await?;
            let heard = timeout(ANSWER, async {
                while let Some(said) = self.recv().await {
                    if said == Reply::Failed("-".into(), "unknown word".into()) {
                        return Some(None);
                    }
                    if let Some(answer) = answer(said) {
                        return Some(Some(answer));
                    }
                }
                None
            });
            match heard.await {
                Some(Some(Some(answer))) => return Ok(answer),
                Some(None) => return Err(self.gone()),
                Some(Some(None)) | None => {}
            }
        }
        Err(Failure::environment(format!(
            "the registrar does not answer `{word}`"
        )))
    }

    /// Every entry of the table.
    pub(super) async fn list(&mut self) -> Result<Vec<Entry>, Failure> {
        let mut list = List::default();
        self.ask("list", |said| {
            let Reply::Other(line) = said else {
                return None;
            };
            list.take(&line);
            (line == "end").then_some(())
        })
        .await?;
        Ok(list.entries())
    }

    /// Says `word` and waits until `done` comes back, or the reason why the entry `name` failed.
    pub(super) async fn command(
        &mut self,
        word: &str,
        name: &str,
        done: &Reply,
    ) -> Result<Result<(), String>, Failure> {
        let answer = self.ask(word, |said| {
            if said == *done {
                return Some(Ok(()));
            }
            if let Reply::Failed(which, why) = said
                && which == name
            {
                return Some(Err(why));
            }
            None
        });
        answer.await
    }

    /// Removes an entry that carries our prefix; the agent checks its content once more.
    pub(super) async fn remove(&mut self, name: &str) -> Result<(), Failure> {
        let done = Reply::Removed(name.to_owned());
        let removed = self.command(&format!("remove {name}"), name, &done).await?;
        removed.map_err(|why| Failure::environment(format!("remove handler {name}: {why}")))
    }
}

/// A list as it comes in, line by line.
#[derive(Debug, Default)]
struct List(Vec<Listed>);

#[derive(Debug, Default)]
struct Listed {
    name: String,
    age: Option<u64>,
    text: String,
}

impl List {
    fn take(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("entry ") {
            // A list that is said twice: the later one counts.
            self.0.retain(|known| known.name != name);
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

/// Keeps the first few complaints: the later ones follow from them.
fn keep_complaint(complaints: &mut Vec<String>, bytes: &[u8]) {
    if complaints.len() < COMPLAINTS {
        complaints.push(String::from_utf8_lossy(bytes).trim().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_told_apart() {
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
    fn a_list_carries_ages_and_the_later_one_counts() {
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
            list.take(line);
        }
        let entries = list.entries();
        let facts: Vec<_> = entries
            .iter()
            .map(|e| (e.name.as_str(), e.age, e.enabled))
            .collect();
        assert_eq!(
            facts,
            [("b", None, true), ("a", Some(3), false), ("c", None, false)]
        );
    }

    #[test]
    fn the_first_complaints_are_kept() {
        let mut complaints = Vec::new();
        for n in 0..20 {
            keep_complaint(&mut complaints, format!(" {n}\n").as_bytes());
        }
        assert_eq!(complaints, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    }

    proptest! {
        #[test]
        fn no_line_breaks_it(line in ".{0,60}") {
            Reply::parse(&line);
        }
    }
}
