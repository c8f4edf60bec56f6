//! Rentals whose holder is gone: it was killed, the machine lost its power, or the provider refused to take the machine back.

use std::path::Path;

use crate::aws::Access;
use crate::machine::call::RUN;
use crate::machine::message::RentalRequest;
use crate::machine::orphans;
use crate::machine::provider::Provider as _;
use crate::machine::providers::provider_of;
use crate::machine::record::{Entry, OwnRecord, Record, records};
use sdbuild_core::aws_machine::AwsMachine;
use sdbuild_core::failure::{Failure, Leftover};
use sdbuild_core::machine_source::MachineSource;
use sdbuild_core::shell_word::quoted;

/// A rental without a holder.
#[derive(Clone, Debug)]
pub struct StaleRental(Record);

impl StaleRental {
    /// All of them below `state_dir`.
    pub fn all(state_dir: &Path) -> Vec<Self> {
        let records = records(state_dir).into_iter();
        records.filter(|record| !record.is_held).map(Self).collect()
    }

    /// The record of the rental.
    pub fn record(&self) -> &Record {
        &self.0
    }

    /// Gives the machine back; whether that was done here: `false` if another process does it now, or has done it. `log` hears the lines of
    /// the provider.
    pub async fn give_back(
        &self,
        access: &Access,
        log: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<bool, Failure> {
        let Some(own) = OwnRecord::take_over(&self.0) else {
            return Ok(false);
        };
        let (order, id) = (&self.0.order, self.0.id.as_deref());
        orphans::end(&order.run).await;
        let destroyed = provider_of(order, access).destroy(order, id, log).await;
        match &destroyed {
            // A record that stays only has the machine destroyed once more.
            Ok(()) => own.remove().ok(),
            // The record of a machine that cannot be destroyed must not grow for ever.
            Err(failure) if self.0.kept_because.as_ref() == Some(&why(failure)) => None,
            Err(failure) => own.add(&Entry::Kept(why(failure))).ok(),
        };
        destroyed.map(|()| true)
    }

    /// Whether it does no harm to end [`StaleRental::give_back`] in the middle: a program of the user's may not like that.
    pub fn can_be_interrupted(&self) -> bool {
        matches!(self.0.order.source, MachineSource::Aws(_))
    }

    /// ID and provider of the machine, for messages.
    pub fn name(&self) -> String {
        name(&self.0.order, self.0.id.as_deref())
    }

    /// What is left if it could not be given back, by the failure of [`StaleRental::give_back`].
    pub fn leftover(&self, failure: &Failure) -> Leftover {
        leftover(&self.0.order, self.0.id.as_deref(), why(failure))
    }
}

/// What is left of the rental of `order` if it cannot be given back, for the reason `why`.
pub(super) fn leftover(order: &RentalRequest, id: Option<&str>, why: String) -> Leftover {
    let what = format!("machine {}", name(order, id));
    let remedy = match &order.source {
        MachineSource::Command(program) => program_remedy(order, program, id),
        MachineSource::Aws(machine) => aws_remedy(machine, id),
    };
    Leftover { what, why, remedy }
}

/// The command that has the program `program` destroy the machine.
fn program_remedy(order: &RentalRequest, program: &str, id: Option<&str>) -> String {
    let dir = Path::new(program).parent().unwrap_or(Path::new("/"));
    let (run, system, lease) = (&order.run, order.system, order.lease.as_secs());
    let (dir, program) = (quoted(&dir.to_string_lossy()), quoted(program));
    format!(
        "cd {dir} && {RUN}={run} SDBUILD_SYSTEM={system} SDBUILD_LEASE_SECONDS={lease} {program} destroy {}",
        quoted(id.unwrap_or(run))
    )
}

/// The command that destroys the machine; the next one of sdbuild that cleans removes the rest.
fn aws_remedy(machine: &AwsMachine, id: Option<&str>) -> String {
    let Some(id) = id else {
        return "sdbuild clean".to_owned();
    };
    let option = |name: &str, value: &Option<String>| {
        let value = value.as_deref();
        value.map_or_else(String::new, |value| format!(" {name} {}", quoted(value)))
    };
    format!(
        "aws ec2 terminate-instances{}{} --instance-ids {}; sdbuild clean",
        option("--region", &machine.region),
        option("--profile", &machine.profile),
        quoted(id)
    )
}

/// Why a machine could not be given back: the failure of its provider, with the last thing that it said.
pub(super) fn why(failure: &Failure) -> String {
    match failure.log_tail.last() {
        Some(line) => format!("{failure}: {line}"),
        None => failure.to_string(),
    }
}

fn name(order: &RentalRequest, id: Option<&str>) -> String {
    format!("{} of {}", id.unwrap_or(&order.run), order.source)
}
