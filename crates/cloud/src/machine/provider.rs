//! What a provider of machines does.

use std::time::Duration;

use sdbuild_core::failure::Failure;
use sdbuild_core::machine_source::MachineSource;
use sdbuild_engine::ssh_machine::SshMachine;
use tokio_util::sync::CancellationToken;

use crate::aws::Access;
use crate::machine::aws::{self, AwsProvider};
use crate::machine::command::CommandProvider;
use crate::machine::order::{Price, RentalRequest};

/// What a machine costs, for the receipt.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rate {
    /// The machine in words.
    pub(super) what: String,
    /// US dollars an hour; `None` if the provider does not know.
    pub(super) usd_per_hour: Option<f64>,
}

impl Rate {
    /// What `time` of it cost, in words.
    pub(super) fn receipt(&self, time: Duration) -> String {
        let minutes = time.as_secs_f64() / 60.0;
        let what = &self.what;
        match self.usd_per_hour {
            Some(usd) => {
                let cost = usd * minutes / 60.0;
                format!(
                    "the rented machine ({what}) ran for {minutes:.0} min: about {cost:.3} USD at {usd:.4} USD an hour"
                )
            }
            None => {
                format!("the rented machine ({what}) ran for {minutes:.0} min, at its list price")
            }
        }
    }
}

/// A machine that a provider made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CreatedMachine {
    /// Address and host key of the machine.
    pub(super) machine: SshMachine,
    /// What the provider calls it; the run's id if it has no name of its own.
    pub(super) id: String,
    /// What may be wrong if it cannot be reached.
    pub(super) unreachable_hint: Option<String>,
}

/// What became of the wish to keep a machine for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// It is there for the lease of the order from now on.
    Granted,
    /// The provider cannot do that.
    Unsupported,
}

/// Receives each line that a provider says about its work.
pub(super) type LogSink<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// For how long a program is asked for a machine at a time.
const PROGRAM_LEASE: Duration = Duration::from_hours(1);

/// Makes machines and takes them back. Every method ends within a time of its own.
#[derive(Debug)]
pub(super) enum Provider {
    Command(CommandProvider),
    Aws(Box<AwsProvider>),
}

/// For how long a machine of `source` is asked for at a time.
pub(super) fn lease_of(source: &MachineSource) -> Duration {
    match source {
        MachineSource::Command(_) => PROGRAM_LEASE,
        MachineSource::Aws(_) => aws::LEASE,
    }
}

/// What a machine costs; `None` if the provider does not say.
pub async fn price(order: &RentalRequest, access: &Access) -> Result<Option<Price>, Failure> {
    match Provider::of(order, access) {
        Provider::Command(one) => one.price(order).await,
        Provider::Aws(one) => Box::pin(one.price(order)).await.map(Some),
    }
}

impl Provider {
    /// The provider that `order` names.
    pub(super) fn of(order: &RentalRequest, access: &Access) -> Self {
        match &order.source {
            MachineSource::Command(program) => Self::Command(CommandProvider::new(program)),
            MachineSource::Aws(machine) => Self::Aws(Box::new(AwsProvider::new(machine, access))),
        }
    }

    /// Makes a machine. `stop` ends that as soon as possible, with a failure; what was made by then is destroyed like any other.
    pub(super) async fn create(
        &self,
        order: &RentalRequest,
        stop: &CancellationToken,
        log: LogSink<'_>,
    ) -> Result<CreatedMachine, Failure> {
        match self {
            Self::Command(one) => Box::pin(one.create(order, stop, log)).await,
            Self::Aws(one) => Box::pin(one.create(order, stop, log)).await,
        }
    }

    /// Between two calls of `extend`: several attempts of a provider whose machines end by themselves fit into a lease.
    pub(super) fn extension_interval(&self, order: &RentalRequest) -> Duration {
        match self {
            Self::Command(_) => order.lease / 2,
            Self::Aws(_) => order.lease / aws::EXTENSIONS,
        }
    }

    /// Asks to keep the machine `made` for the lease of `order` from now on.
    pub(super) async fn extend(
        &self,
        order: &RentalRequest,
        made: &CreatedMachine,
        log: LogSink<'_>,
    ) -> Result<Extension, Failure> {
        match self {
            Self::Command(one) => Box::pin(one.extend(order, made, log)).await,
            Self::Aws(one) => Box::pin(one.extend(order, made, log)).await,
        }
    }

    /// What the machine cost that this value has made last, until now, in words; `None` if there is none or the provider does not say.
    pub(super) fn receipt(&self) -> Option<String> {
        match self {
            Self::Command(_) => None,
            Self::Aws(one) => one.receipt(),
        }
    }

    /// Destroys the machine `id`, or everything that was made for the run where no id is known. Succeeds if there is nothing.
    pub(super) async fn destroy(
        &self,
        order: &RentalRequest,
        id: Option<&str>,
        log: LogSink<'_>,
    ) -> Result<(), Failure> {
        match self {
            Self::Command(one) => Box::pin(one.destroy(order, id, log)).await,
            Self::Aws(one) => Box::pin(one.destroy(order, id, log)).await,
        }
    }
}
