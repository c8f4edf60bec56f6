//! What sdbuild and the process that holds a machine tell each other: one JSON object per line.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::machine_source::MachineSource;
use sdbuild_core::system::System;
use sdbuild_engine::ssh_machine::SshMachine;

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
