//! The questions of `init` on a terminal.

use crate::commands::confirm::read_line;
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::template::Wifi;
use crate::ui::{self, Hidden, Ui};

/// Invalid answers to one question before it is given up: the input is not a person's.
const MAX_ATTEMPTS: usize = 5;

/// What is asked, and what is taken without an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// Without `:`.
    pub(super) text: &'a str,
    /// The value of its flag, which was checked already; then nothing is asked.
    pub(super) given: Option<&'a str>,
    /// The answer of an empty line.
    pub(super) default: &'a str,
}

/// Asks questions, if there is somebody to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    /// Whether to ask; otherwise every default is taken.
    pub(super) asks: bool,
    pub(super) ui: &'a Ui,
    pub(super) context: &'a Context,
}

impl Asker<'_> {
    /// The answer to `question`. An answer that `check` refuses is asked for again.
    pub(super) async fn ask(
        &self,
        question: Question<'_>,
        check: impl Fn(&str) -> Result<(), Failure>,
    ) -> Result<String, Failure> {
        if let Some(given) = question.given {
            return Ok(given.to_owned());
        }
        if !self.asks {
            return Ok(question.default.to_owned());
        }
        let default = match question.default {
            "" => String::new(),
            default => format!(" [{}]", ui::sanitize(default)),
        };
        let prompt = format!("{}{default}: ", question.text);
        self.until_valid(|| async {
            let answer = read_line(prompt.clone(), self.ui, self.context).await?;
            let answer = match answer.trim() {
                "" => question.default,
                answer => answer,
            };
            Ok(check(answer).map(|()| answer.to_owned()))
        })
        .await
    }

    /// The wireless network `name` with a passphrase that is not shown while it is typed.
    pub(super) async fn network(&self, name: &str) -> Result<Wifi, Failure> {
        self.until_valid(|| async {
            let phrase = self.passphrase(name).await?;
            let network = Wifi::new(name, &phrase);
            // Without anybody to ask again, the first answer counts.
            if self.asks {
                Ok(network)
            } else {
                network.map(Ok)
            }
        })
        .await
    }

    async fn passphrase(&self, network: &str) -> Result<String, Failure> {
        let hidden = Hidden::begin()?.ok_or_else(|| {
            Failure::usage("standard input is not a terminal to read the passphrase from")
                .hint("give --wifi-password-file FILE")
        })?;
        let question = format!("Passphrase of {}: ", ui::sanitize(network));
        let answer = read_line(question, self.ui, self.context).await;
        // After an interrupt as well: the terminal must show what is typed again.
        drop(hidden);
        answer
    }

    /// The first valid answer of `attempt`; an invalid one is explained.
    async fn until_valid<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<Result<T, Failure>, Failure>>,
    {
        let mut attempts = 1;
        loop {
            match attempt().await? {
                Ok(answer) => return Ok(answer),
                Err(refused) if attempts == MAX_ATTEMPTS => return Err(refused),
                Err(refused) => {
                    let hints = refused.hints.join("; ");
                    let reason = [refused.to_string(), hints].join(": ");
                    let reason = reason.trim_end_matches(": ");
                    self.context.events.notice(reason);
                }
            }
            attempts += 1;
        }
    }
}
