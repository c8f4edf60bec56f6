//! What a machine is asked for with, and the wait for its engine.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::machine_source::MachineSource;
use sdbuild_core::program::find_program;
use sdbuild_core::system::System;
use sdbuild_core::timeout::timeout;
use sdbuild_engine::ssh_machine::SshMachine;
use sdbuild_engine::{Endpoint, Engine, EngineError, RunId};
use serde::{Deserialize, Serialize};

use crate::aws::Access;
use crate::machine::aws::located;
use crate::machine::provider::lease_of;

/// From its making until its engine answers: it starts, and may install Docker.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(10);
/// Between two attempts to connect.
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(2);

/// What is asked of `source`. A program is looked up in the directories of `path` now, because a later run may have to call the same one.
pub async fn order(
    source: &MachineSource,
    path: &OsStr,
    system: System,
    state_dir: &Path,
    access: &Access,
) -> Result<RentalRequest, Failure> {
    let (source, account) = match source {
        MachineSource::Command(name) if !name.contains('/') => {
            let found = find_program(name, path);
            let found = found.and_then(|path| path.to_str().map(str::to_owned));
            let found = found.ok_or_else(|| {
                Failure::usage(format!("on: there is no program {name} in PATH"))
                    .hint("give its path, for instance --on command:./rent")
            })?;
            (MachineSource::Command(found), None)
        }
        MachineSource::Command(_) => (source.clone(), None),
        MachineSource::Aws(machine) => {
            let (machine, account) = located(machine, access).await?;
            (MachineSource::Aws(machine), Some(account))
        }
    };
    Ok(RentalRequest {
        lease: lease_of(&source),
        source,
        account,
        highest_price: None,
        run: RunId::random()?.to_string(),
        system,
        state_dir: state_dir.to_owned(),
    })
}

/// Waits until the engine of `machine` answers, for a limited time. Another host key is an error at once. `hint` is for a user whose
/// machine never answers.
pub async fn until_it_answers(
    machine: &SshMachine,
    hint: Option<String>,
    context: &Context,
) -> Result<(), Failure> {
    answers_within(ANSWER_TIMEOUT, machine, hint, context).await
}

async fn answers_within(
    limit: Duration,
    machine: &SshMachine,
    hint: Option<String>,
    context: &Context,
) -> Result<(), Failure> {
    let place = &machine.place;
    let endpoint = Endpoint::by_ssh(machine);
    let endpoint = endpoint.ok_or_else(|| Failure::usage(format!("{place} is not an address")))?;
    let mut last: Option<EngineError> = None;
    let connected = timeout(limit, async {
        loop {
            match Box::pin(Engine::connect(&endpoint)).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_other_host_key() => return Err(Failure::from(error)),
                Err(error) => {
                    let text = format!("waiting for {place}: {error}");
                    context.events.detail(Phase::Rent, text);
                    last = Some(error);
                }
            }
            tokio::time::sleep(ATTEMPT_INTERVAL).await;
        }
    });
    if let Some(outcome) = context.cancel.race(connected).await? {
        return outcome;
    }
    let late = format!(
        "the rented machine has no engine that answers after {} min",
        limit.as_secs() / 60
    );
    let without_answer = || Failure::environment("it did not answer");
    let failure = last.map_or_else(without_answer, Failure::from);
    let failure = failure.consequence(late);
    Err(match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}

/// A price that is not exceeded, in ten-thousandths of a US dollar an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PriceLimit(pub(super) u32);

/// What a machine costs, before it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// In words.
    pub words: String,
    /// The highest price in them, for the request.
    pub highest: Option<PriceLimit>,
}

/// What is asked of a provider: the first line to the holder, and the first line of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RentalRequest {
    /// The provider; a program by its absolute path.
    pub source: MachineSource,
    /// The AWS account that pays for the machine, for a machine of AWS. The machine is made and destroyed with its credentials only.
    pub account: Option<String>,
    /// The id of the rental, 12 hex digits.
    pub run: String,
    /// The most that the user has agreed to pay, if the provider binds itself to that.
    pub highest_price: Option<PriceLimit>,
    /// The system that the machine shall run.
    pub system: System,
    /// For how long the machine is asked for at a time; a longer build extends that.
    pub lease: Duration,
    /// sdbuild's state directory, which has the record.
    pub state_dir: PathBuf,
}

/// A report of the holder to sdbuild.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// A line of the provider about its work.
    Log(String),
    /// Something that the user should know.
    Warning(String),
    /// The machine is there; what may be wrong if it cannot be reached.
    Made(SshMachine, Option<String>),
    /// There is no machine.
    NotMade(Reason),
    /// The machine is gone; what it cost, in words, if that is known.
    GivenBack(Option<String>),
    /// The machine may still be there, for this reason; its record is kept.
    Kept(String),
}

/// A failure, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reason {
    text: String,
    hints: Vec<String>,
    tail: Vec<String>,
}

impl From<&Failure> for Reason {
    fn from(failure: &Failure) -> Self {
        Self {
            text: failure.sentence(),
            hints: failure.hints.clone(),
            tail: failure.log_tail.clone(),
        }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        let failure = Self::message(Class::Environment, reason.text);
        let failure = reason.hints.into_iter().fold(failure, Self::hint);
        Self {
            log_tail: reason.tail,
            ..failure
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::event::Events;

    #[tokio::test]
    async fn a_machine_that_never_answers_comes_with_its_hint() {
        let machine = SshMachine {
            place: "nobody@127.0.0.1:1".to_owned(),
            host_key: "ssh-ed25519 AAAA".to_owned(),
            identity: None,
        };
        let context = Context {
            cancel: sdbuild_core::cancel::Cancel::new(),
            events: Events::none(),
        };
        let hint = Some("look at its console".to_owned());
        let waited = answers_within(Duration::from_secs(3), &machine, hint, &context);
        let failure = waited.await.unwrap_err();
        let text = failure.to_string();
        assert!(text.contains("has no engine that answers"), "{text}");
        assert_eq!(failure.hints.last().unwrap(), "look at its console");
    }
}
