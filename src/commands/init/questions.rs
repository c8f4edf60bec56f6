//! The questions of `init` on a terminal.

use crate::commands::confirm::read_line;
use crate::template::Wifi;
use crate::ui;
use crate::ui::{Hidden, Ui};
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;

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

/// Asks questions if there is a terminal to ask on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prompter<'a> {
    /// Whether to ask; otherwise every default is taken.
    pub(super) asks: bool,
    pub(super) ui: &'a Ui,
    pub(super) context: &'a Context,
}

/// The failure and its hints on one line.
fn explained(failure: &Failure) -> String {
    if failure.hints.is_empty() {
        return failure.to_string();
    }
    format!("{failure}: {}", failure.hints.join("; "))
}

impl Prompter<'_> {
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
        let read = async || self.line(prompt.clone()).await;
        let valid = |answer: &str| {
            let answer = match answer.trim() {
                "" => question.default,
                answer => answer,
            };
            check(answer).map(|()| answer.to_owned())
        };
        self.until_valid(read, valid).await
    }

    /// The wireless network `name` with a passphrase that is not shown while it is typed, and therefore asked for twice; `None`
    /// for an empty one.
    pub(super) async fn network(&self, name: &str) -> Result<Option<Wifi>, Failure> {
        // There is a terminal, or the first question fails.
        let name_shown = ui::sanitize(name);
        let question = format!("Passphrase of {name_shown} (empty for no wireless network): ");
        loop {
            let read = async || self.passphrase(&question).await;
            let valid = |phrase: &str| {
                let network = Some(phrase).filter(|phrase| !phrase.is_empty());
                let network = network.map(|phrase| Wifi::new(name, phrase)).transpose()?;
                Ok((phrase.to_owned(), network))
            };
            let (phrase, network) = self.until_valid(read, valid).await?;
            if phrase.is_empty() {
                let text = format!("no passphrase: {name_shown} is not in the configuration");
                self.ui.explain(&text);
                return Ok(None);
            }
            if self.passphrase("Passphrase again: ").await? == phrase {
                return Ok(network);
            }
            self.ui
                .explain("the two passphrases differ; enter both again");
        }
    }

    /// A line that the user types. The end of the input is not an answer: Ctrl-D means that the user wants to leave.
    async fn line(&self, prompt: String) -> Result<String, Failure> {
        let line = read_line(prompt, self.ui, self.context).await?;
        line.ok_or_else(|| {
            Failure::usage("nothing was written: the input ended before the last question")
                .hint("an empty line takes the default; --yes takes all of them")
        })
    }

    async fn passphrase(&self, question: &str) -> Result<String, Failure> {
        let hidden = Hidden::begin()?.ok_or_else(|| {
            Failure::usage("standard input is not a terminal to read the passphrase from")
                .hint("give --wifi-password-file FILE")
        })?;
        let answer = self.line(question.to_owned()).await;
        // After an interrupt as well: the terminal must show what is typed again.
        drop(hidden);
        answer
    }

    /// What `check` makes of the first answer that it does not refuse; a refused one is explained. There is no last attempt, which
    /// would lose all earlier answers: Ctrl-C and Ctrl-D end the questions.
    async fn until_valid<T>(
        &self,
        read: impl AsyncFn() -> Result<String, Failure>,
        check: impl Fn(&str) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        loop {
            match check(&read().await?) {
                Ok(value) => return Ok(value),
                Err(refused) => self.ui.explain(&explained(&refused)),
            }
        }
    }
}
