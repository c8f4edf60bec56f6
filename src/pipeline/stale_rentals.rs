//! Rented machines that earlier runs left: they are listed and given back.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::aws::Access;
use crate::common::context::Context;
use crate::common::event::Phase;
use crate::common::failure::{Failure, Leftover};
use crate::common::ssh_machine::SshMachine;
use crate::common::timeout::timeout;
use crate::engine::Endpoint;
use crate::machine::{self, StaleRental};
use crate::pipeline::clients::aws_access;
use crate::pipeline::file_removal::Item;
use crate::pipeline::run_lock::{RunLocks, RunState};
use crate::settings::Common;

/// For a machine of AWS that an earlier run left, before a build that has nothing to do with it: it ends by itself, and the next run tries again.
const CLEAR_LIMIT: Duration = Duration::from_secs(30);

/// Rented machines that no process holds any more.
#[derive(Debug, Default)]
pub struct StaleRentals {
    rentals: Vec<StaleRental>,
    access: Access,
    /// Files that are not usable records.
    unusable: Vec<PathBuf>,
}

impl StaleRentals {
    /// Those of this user.
    pub fn find(settings: &Common) -> Self {
        Self {
            rentals: StaleRental::all(&settings.state_dir),
            access: aws_access(settings),
            unusable: machine::unusable_records(&settings.state_dir),
        }
    }

    /// No machine, for a command that is about something else.
    pub fn none() -> Self {
        Self::default()
    }

    /// Warns of records that cannot be used: each may stand for a machine that is still there.
    pub fn warn_of_unusable(&self, context: &Context) {
        for file in &self.unusable {
            let run = file.file_name().unwrap_or_default().to_string_lossy();
            let file = file.display();
            context.events.warn(format!(
                "{file} should be a record of a rented machine, but it is not, or other users may write it. If a machine \
                 has the name or tag {run}, destroy it, then remove the file"
            ));
        }
    }

    /// Each as something that can be removed.
    pub fn items(&self) -> Vec<Item> {
        let item = |rental: &StaleRental| Item {
            kind: "machine",
            name: rental.name(),
            size: None,
        };
        self.rentals.iter().map(item).collect()
    }

    /// Gives all of them back; returns those for which that failed.
    pub async fn give_back(&self, context: &Context) -> Result<Vec<Leftover>, Failure> {
        let mut leftovers = Vec::new();
        for rental in &self.rentals {
            match give_back(rental, &self.access, Duration::MAX, context).await {
                Ok(_) => {}
                Err(GiveBackError::Failed(leftover)) => leftovers.push(leftover),
                Err(GiveBackError::Interrupted(failure)) => {
                    return Err(failure.with_teardown(leftovers));
                }
            }
        }
        Ok(leftovers)
    }

    /// The same for a run that goes on in any case: it tells what it gave back, and warns of the rest. One that rents nothing does not wait
    /// for AWS for long.
    pub(super) async fn clear(&self, rents: bool, context: &Context) -> Result<(), Failure> {
        self.warn_of_unusable(context);
        for rental in &self.rentals {
            let limit = if rents || !rental.can_be_interrupted() {
                Duration::MAX
            } else {
                CLEAR_LIMIT
            };
            match give_back(rental, &self.access, limit, context).await {
                Ok(true) => {
                    let text = format!(
                        "gave back machine {}, which a stale run left",
                        rental.name()
                    );
                    context.events.notice(text);
                }
                Ok(false) => {}
                Err(GiveBackError::Failed(Leftover { what, why, remedy })) => {
                    context.events.warn(format!(
                        "a stale run left {what}, which cannot be given back: {why} ({remedy})"
                    ));
                }
                Err(GiveBackError::Interrupted(failure)) => return Err(failure),
            }
        }
        Ok(())
    }
}

/// Why a machine was not given back.
enum GiveBackError {
    Failed(Leftover),
    Interrupted(Failure),
}

/// Gives the machine of `rental` back; whether that was done here.
async fn give_back(
    rental: &StaleRental,
    access: &Access,
    limit: Duration,
    context: &Context,
) -> Result<bool, GiveBackError> {
    let log = |line: &str| {
        let line = line.to_owned();
        context.events.detail(Phase::GiveBack, line);
    };
    let work = async {
        let work = timeout(limit, rental.give_back(access, &log)).await;
        let late = || {
            let seconds = limit.as_secs();
            Err(Failure::environment(format!(
                "it takes longer than {seconds} s"
            )))
        };
        work.unwrap_or_else(late)
    };
    let given_back = context.tolerated_phase(Phase::GiveBack, work);
    let given_back = context.cancel.race(given_back).await;
    let given_back = given_back.map_err(|interrupted| {
        let left = rental.leftover(&interrupted);
        GiveBackError::Interrupted(interrupted.with_teardown(vec![left]))
    })?;
    let done_here =
        given_back.map_err(|failure| GiveBackError::Failed(rental.leftover(&failure)))?;
    let record = rental.record();
    if let Some(place) = record.place.as_ref().filter(|_| done_here) {
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(record.began);
        forget_runs(&record.order.state_dir, place, since);
    }
    Ok(done_here)
}

/// Removes the locks of runs that began after `since` on a machine that is gone: no later run can look for what they left there. Others
/// were on another machine at the same place.
pub(super) fn forget_runs(state_dir: &Path, place: &str, since: SystemTime) {
    let machine = SshMachine {
        place: place.to_owned(),
        host_key: String::new(),
        identity: None,
    };
    let Some(endpoint) = Endpoint::by_ssh(&machine) else {
        return;
    };
    let address = endpoint.to_string();
    let known = RunLocks::all_engines(state_dir).into_iter();
    let ended = known.filter(|known| {
        known.state == RunState::Stale
            && known.endpoint == address
            && known.began.is_some_and(|began| began >= since)
    });
    let runs = ended.map(|known| known.run).collect();
    RunLocks::new(state_dir, &endpoint).forget(&runs);
}
