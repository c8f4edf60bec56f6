//! A build on a machine on loan: it is borrowed after everything that can be checked without it, and given back whatever
//! happens.

use std::path::Path;
use std::time::Duration;

use crate::common::context::Context;
use crate::common::event::{Event, Events, Phase};
use crate::common::failure::{Failure, Leftover};
use crate::common::machine_source::MachineSource;
use crate::common::program::find_program;
use crate::common::ssh_machine::SshMachine;
use crate::common::timeout::timeout;
use crate::engine::{Endpoint, Engine, EngineError, RunId};
use crate::machine::{self, GivenBack, Loan, Order, StaleLoan};
use crate::output;
use crate::pipeline::file_removal::Item;
use crate::pipeline::problems::Problems;
use crate::pipeline::run_context::Outcome;
use crate::pipeline::run_lock::{RunLocks, RunState};
use crate::pipeline::source::{Purpose, SourcePlan};
use crate::settings::{self, Common};

/// A longer build extends it.
const LEASE: Duration = Duration::from_secs(3600);
/// From its making until its engine answers: it starts, and may install Docker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// Between two attempts to connect.
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(2);

/// Runs `work`, on a machine on loan if `settings` name who lends it. If that costs something, `agree` is told how much before the
/// machine is asked for. Machines that earlier runs could not give back are given back first.
pub async fn with_machine<T>(
    settings: settings::Build,
    context: &Context,
    agree: impl AsyncFnOnce(&str) -> Result<(), Failure>,
    work: impl AsyncFnOnce(settings::Build) -> Result<Outcome<T>, Failure>,
) -> Result<Outcome<T>, Failure> {
    StaleLoans::find(&settings.common).clear(context).await?;
    let Some(source) = &settings.borrow.from else {
        return work(settings).await;
    };
    check_source(&settings, context).await?;
    let order = order(source, &settings)?;
    if let Some(price) = context.cancel.race(machine::price(&order)).await?? {
        agree(&price).await?;
    }
    let state_dir = settings.common.state_dir.clone();
    let mut loan = Loan::begin(order, &context.events).await?;
    let (done, place) = use_machine(&mut loan, settings, context, work).await;
    let give_back = async {
        match loan.give_back(context).await {
            GivenBack::Gone => Ok(()),
            GivenBack::Left(leftover) => Err(leftover),
        }
    };
    match context.events.phase(Phase::GiveBack, give_back).await {
        Ok(()) => {
            if let Some(place) = place {
                forget_runs(&state_dir, &place);
            }
            with_leftovers(done, Vec::new())
        }
        Err(left) => with_leftovers(done, vec![left]),
    }
}

/// Waits for the machine, and runs `work` on it. Where the machine is comes back as well, as soon as it is known.
async fn use_machine<T>(
    loan: &mut Loan,
    settings: settings::Build,
    context: &Context,
    work: impl AsyncFnOnce(settings::Build) -> Result<Outcome<T>, Failure>,
) -> (Result<Outcome<T>, Failure>, Option<String>) {
    let mut place = None;
    let ready = async {
        let machine = loan.machine(context).await?;
        place = Some(machine.place.clone());
        until_it_answers(&machine, context).await?;
        let shown = machine.place.clone();
        context.events.emit(Event::Detail(Phase::Borrow, shown));
        Ok(machine)
    };
    let machine = match context.phase(Phase::Borrow, Box::pin(ready)).await {
        Ok(machine) => machine,
        Err(failure) => return (Err(failure), place),
    };
    let settings = settings::Build {
        common: Common {
            machine: Some(machine),
            ..settings.common
        },
        ..settings
    };
    let work = Box::pin(work(settings));
    let done = tokio::select! {
        biased;
        done = work => done,
        never = loan.follow() => never,
    };
    (done, place)
}

/// What was not removed on a machine that is gone is gone with it: only `left` counts. No other run can go on there.
fn with_leftovers<T>(
    done: Result<Outcome<T>, Failure>,
    left: Vec<Leftover>,
) -> Result<Outcome<T>, Failure> {
    match done {
        Ok(outcome) => Ok(Outcome {
            leftovers: left,
            ..outcome
        }),
        Err(failure) => Err(Failure {
            teardown: left,
            derivation: None,
            ..failure
        }),
    }
}

/// Refuses a source or an output directory that no build could use: a machine costs money.
async fn check_source(settings: &settings::Build, context: &Context) -> Result<(), Failure> {
    // The plan of the build opens it again, and tells.
    let context = Context {
        events: Events::none(),
        ..context.clone()
    };
    let mut problems = Problems::default();
    let source = SourcePlan::open(settings, Purpose::Image, &mut problems, &context);
    drop(Box::pin(source).await);
    problems.extend(output::preflight(&settings.output));
    if problems.is_empty() {
        return Ok(());
    }
    Err(problems.into_failure())
}

/// What is asked of `source`: a program is looked up now, because a later run may have to call the same one.
fn order(source: &MachineSource, settings: &settings::Build) -> Result<Order, Failure> {
    let MachineSource::Command(name) = source;
    let program = if name.contains('/') {
        name.clone()
    } else {
        let found = find_program(name, &settings.path);
        let found = found.and_then(|path| path.to_str().map(str::to_owned));
        found.ok_or_else(|| {
            Failure::usage(format!("on: there is no program {name} in PATH"))
                .hint("give its path, for instance --on command:./lend")
        })?
    };
    Ok(Order {
        source: MachineSource::Command(program),
        run: RunId::random()?.to_string(),
        system: settings.system,
        lease: LEASE,
        state_dir: settings.common.state_dir.clone(),
    })
}

/// Waits until the engine of `machine` answers. Another host key is an error at once.
async fn until_it_answers(machine: &SshMachine, context: &Context) -> Result<(), Failure> {
    let place = &machine.place;
    let endpoint = Endpoint::by_ssh(machine);
    let endpoint = endpoint.ok_or_else(|| Failure::usage(format!("{place} is no address")))?;
    let mut last: Option<EngineError> = None;
    let connected = timeout(ANSWER_TIMEOUT, async {
        loop {
            match Box::pin(Engine::connect(&endpoint)).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_other_host_key() => return Err(Failure::from(error)),
                Err(error) => {
                    let text = format!("waiting for {place}: {error}");
                    context.events.emit(Event::Detail(Phase::Borrow, text));
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
        "the machine on loan has no engine that answers after {} min",
        ANSWER_TIMEOUT.as_secs() / 60
    );
    let without_answer = || Failure::environment("it did not answer");
    let failure = last.map_or_else(without_answer, Failure::from);
    Err(failure.context(late))
}

/// Removes the locks of runs on a machine that is gone: no later run can look for what they left there.
fn forget_runs(state_dir: &Path, place: &str) {
    let machine = SshMachine {
        place: place.to_owned(),
        host_key: String::new(),
    };
    if let Some(endpoint) = Endpoint::by_ssh(&machine) {
        let locks = RunLocks::new(state_dir, &endpoint);
        locks.forget(&locks.runs(RunState::Stale));
    }
}

/// The hidden command `hold-machine`: holds a machine on loan for the process that started it, see [`machine::hold`].
pub async fn hold_machine() -> Result<(), Failure> {
    if let Some(ended) = machine::hold().await?
        && let Some(place) = &ended.place
    {
        forget_runs(&ended.order.state_dir, place);
    }
    Ok(())
}

/// Machines on loan that no process holds any more.
#[derive(Debug)]
pub struct StaleLoans(Vec<StaleLoan>);

impl StaleLoans {
    /// Those of this user.
    pub fn find(settings: &Common) -> Self {
        Self(StaleLoan::all(&settings.state_dir))
    }

    /// No machine, for a command that is about something else.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Each as something that can be removed.
    pub fn items(&self) -> Vec<Item> {
        let item = |loan: &StaleLoan| Item {
            kind: "machine",
            name: loan.name(),
            size: None,
        };
        self.0.iter().map(item).collect()
    }

    /// Gives all of them back; returns those for which that failed.
    pub async fn give_back(&self, context: &Context) -> Result<Vec<Leftover>, Failure> {
        let mut leftovers = Vec::new();
        for loan in &self.0 {
            match context.cancel.race(loan.give_back()).await? {
                Ok(()) => {
                    let record = loan.record();
                    if let Some(place) = &record.place {
                        forget_runs(&record.order.state_dir, place);
                    }
                }
                Err(failure) => leftovers.push(loan.leftover(&failure)),
            }
        }
        Ok(leftovers)
    }

    /// The same for a run that goes on in any case: it tells what it gave back, and warns of the rest.
    async fn clear(&self, context: &Context) -> Result<(), Failure> {
        let leftovers = self.give_back(context).await?;
        for loan in &self.0 {
            let name = loan.name();
            match leftovers.iter().find(|left| left.what.ends_with(&name)) {
                None => context
                    .events
                    .notice(format!("gave back what a stale run left: machine {name}")),
                Some(Leftover { what, why, remedy }) => context.events.warn(format!(
                    "a stale run left {what}, which cannot be given back: {why} ({remedy})"
                )),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leftover(what: &str) -> Leftover {
        Leftover {
            what: what.to_owned(),
            why: "x".to_owned(),
            remedy: "y".to_owned(),
        }
    }

    /// A lost connection left a container on the machine, which was destroyed then.
    #[test]
    fn what_is_left_on_a_machine_that_is_gone_does_not_count() {
        let failed = |left| {
            let failure = Failure::environment("lost").with_teardown(vec![leftover("container c")]);
            with_leftovers::<()>(Err(failure), left)
                .unwrap_err()
                .teardown
        };
        assert_eq!(failed(vec![]), []);
        assert_eq!(failed(vec![leftover("machine m")]), [leftover("machine m")]);
        let outcome = Outcome {
            value: 1,
            leftovers: vec![leftover("container c")],
        };
        let done = with_leftovers(Ok(outcome), vec![]).unwrap();
        assert_eq!((done.value, done.leftovers), (1, vec![]));
    }
}
