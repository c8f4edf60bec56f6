//! The records on this machine of what earlier runs left elsewhere: rented machines, and uploads that cannot be resumed.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::access;
use crate::commands::status::Machine;
use crate::settings::Environment;
use sdbuild_build::{Common, Item, RunState};
use sdbuild_cloud::aws::Access;
use sdbuild_cloud::machine;
use sdbuild_cloud::machine::StaleRental;
use sdbuild_cloud::publish;
use sdbuild_cloud::publish::Unfinished;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, Leftover};
use sdbuild_core::timeout::timeout;

/// For a machine of AWS that an earlier run left, before a build that has nothing to do with it: it ends by itself, and the next run tries again.
const CLEAR_LIMIT: Duration = Duration::from_secs(30);

/// Rented machines that no process holds any more, and uploads of `sdbuild publish aws` whose snapshot AWS has discarded.
#[derive(Default)]
pub(in crate::commands) struct CloudRecords {
    rentals: Vec<StaleRental>,
    uploads: Vec<Unfinished>,
    access: Access,
    /// Files that are not usable records.
    unusable: Vec<PathBuf>,
}

impl CloudRecords {
    /// Those of this user.
    pub(in crate::commands) fn find(env: &Environment, common: &Common) -> Self {
        Self {
            rentals: StaleRental::all(&common.state_dir),
            uploads: publish::discarded(&common.state_dir),
            access: access(env, common),
            unusable: machine::unusable_records(&common.state_dir),
        }
    }

    /// Warns of records that cannot be used: each may stand for a machine that is still there.
    pub(in crate::commands) fn warn_of_unusable(&self, context: &Context) {
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
    pub(in crate::commands) fn items(&self) -> Vec<Item> {
        let item = |kind, name| Item {
            kind,
            name,
            size: None,
        };
        let machines = self
            .rentals
            .iter()
            .map(|rental| item("machine", rental.name()));
        let uploads = self.uploads.iter().map(|upload| {
            let name = format!("{} to {}, discarded by AWS", upload.name, upload.region);
            item("upload", name)
        });
        machines.chain(uploads).collect()
    }

    /// Gives the machines back and forgets the uploads; returns those for which that failed.
    pub(in crate::commands) async fn remove(
        &self,
        context: &Context,
    ) -> Result<Vec<Leftover>, Failure> {
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
        leftovers.extend(self.uploads.iter().filter_map(|upload| {
            let failure = publish::forget(upload).err()?;
            Some(Leftover {
                what: format!("record of the upload of {}", upload.name),
                why: format!("{:#}", failure.error),
                remedy: "sdbuild clean".to_owned(),
            })
        }));
        Ok(leftovers)
    }

    /// Gives the machines back for a run that goes on in any case: it reports what it gave back, and warns of the rest. A run that
    /// rents nothing does not wait for AWS for long.
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
        sdbuild_build::forget_runs(&record.order.state_dir, place, since);
    }
    Ok(done_here)
}

/// The rented machines below `state_dir`, the oldest first.
pub(in crate::commands) fn machines(state_dir: &Path) -> Vec<Machine> {
    let machine = |record: machine::Record| Machine {
        on: record.order.source.to_string(),
        id: record.id.unwrap_or(record.order.run),
        place: record.place,
        life: if record.is_held {
            RunState::Live
        } else {
            RunState::Stale
        },
        age: UNIX_EPOCH
            .checked_add(Duration::from_secs(record.began))
            .map(|began| began.elapsed().map_or(0, |age| age.as_secs())),
        lease_until: record.until,
        problem: record.kept_because,
    };
    machine::records(state_dir)
        .into_iter()
        .map(machine)
        .collect()
}

/// Notes each upload that can be resumed.
pub(in crate::commands) fn report_unfinished_uploads(state_dir: &Path, context: &Context) {
    for upload in publish::unfinished(state_dir) {
        context.events.notice(format!(
            "unfinished upload of {} to {}: sdbuild publish list",
            upload.name, upload.region
        ));
    }
}
