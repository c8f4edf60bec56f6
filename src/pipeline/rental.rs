//! A build on a rented machine: it is requested after everything that can be checked without it, and given back whatever
//! happens.

use std::time::{Duration, SystemTime};

use crate::aws::Access;
use crate::common::context::Context;
use crate::common::event::{Events, Phase};
use crate::common::failure::{Failure, Leftover};
use crate::common::machine_source::MachineSource;
use crate::common::program::find_program;
use crate::common::ssh_machine::SshMachine;
use crate::common::timeout::timeout;
use crate::engine::{Endpoint, Engine, EngineError, RunId};
use crate::machine::{self, GivenBack, Rental, RentalRequest};
use crate::output;
use crate::pipeline::clients::aws_access;
use crate::pipeline::problems::Problems;
use crate::pipeline::run_context::Outcome;
use crate::pipeline::source::{Purpose, SourcePlan};
use crate::pipeline::stale_rentals::{StaleRentals, forget_runs};
use crate::settings::{self, Common};

/// From its making until its engine answers: it starts, and may install Docker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// Between two attempts to connect.
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(2);

/// Runs `work`, on a rented machine if `settings` name a provider. If it has a price, `agree` gets the price before the
/// machine is asked for. Machines that earlier runs could not give back are given back first.
pub async fn with_machine<T>(
    settings: settings::Build,
    context: &Context,
    agree: impl AsyncFnOnce(&str) -> Result<(), Failure>,
    work: impl AsyncFnOnce(settings::Build) -> Result<Outcome<T>, Failure>,
) -> Result<Outcome<T>, Failure> {
    if !settings.common.offline {
        let rents = settings.on.is_rented();
        let rentals = StaleRentals::find(&settings.common);
        rentals.clear(rents, context).await?;
    }
    let Some(source) = settings.on.rented() else {
        return work(settings).await;
    };
    check_source(&settings, context).await?;
    let access = aws_access(&settings.common);
    let mut order = context
        .cancel
        .race(order(source, &settings, &access))
        .await??;
    if let Some(price) = context
        .cancel
        .race(machine::price(&order, &access))
        .await??
    {
        agree(&price.words).await?;
        order.highest_price = price.highest;
    }
    let state_dir = settings.common.state_dir.clone();
    let since = SystemTime::now();
    let mut rental = Rental::begin(order, &access, &context.events).await?;
    let (done, place) = use_machine(&mut rental, settings, context, work).await;
    let give_back = async {
        match rental.give_back(&access, context).await {
            GivenBack::Gone(receipt) => Ok(receipt),
            GivenBack::Left(leftover) => Err(leftover),
        }
    };
    match context.teardown_phase(Phase::GiveBack, give_back).await {
        Ok(receipt) => {
            if let Some(receipt) = receipt {
                context.events.notice(receipt);
            }
            if let Some(place) = place {
                forget_runs(&state_dir, &place, since);
            }
            without_leftovers(done)
        }
        Err(left) => with_leftover(done, left),
    }
}

/// Waits for the machine, and runs `work` on it. Where the machine is comes back as well, as soon as it is known.
async fn use_machine<T>(
    rental: &mut Rental,
    settings: settings::Build,
    context: &Context,
    work: impl AsyncFnOnce(settings::Build) -> Result<Outcome<T>, Failure>,
) -> (Result<Outcome<T>, Failure>, Option<String>) {
    let mut place = None;
    let ready = async {
        let (machine, hint) = rental.machine(context).await?;
        place = Some(machine.place.clone());
        until_it_answers(&machine, hint, ANSWER_TIMEOUT, context).await?;
        let shown = machine.place.clone();
        context.events.detail(Phase::Rent, shown);
        Ok(machine)
    };
    let machine = match context.phase(Phase::Rent, Box::pin(ready)).await {
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
        never = rental.follow() => never,
    };
    (done, place)
}

/// What was not removed on a machine that is gone is gone with it. No other run can go on there.
fn without_leftovers<T>(done: Result<Outcome<T>, Failure>) -> Result<Outcome<T>, Failure> {
    match done {
        Ok(outcome) => Ok(Outcome {
            leftovers: Vec::new(),
            ..outcome
        }),
        Err(failure) => Err(Failure {
            teardown: Vec::new(),
            derivation: None,
            ..failure
        }),
    }
}

/// The outcome on a machine that is `left`, besides what was not removed there.
fn with_leftover<T>(
    done: Result<Outcome<T>, Failure>,
    left: Leftover,
) -> Result<Outcome<T>, Failure> {
    match done {
        Ok(mut outcome) => {
            outcome.leftovers.push(left);
            Ok(outcome)
        }
        Err(mut failure) => {
            failure.teardown.push(left);
            Err(failure)
        }
    }
}

/// What a machine of the provider that `settings` name costs, in words, if there is a provider and it says so. No machine is asked for.
pub async fn price(settings: &settings::Build) -> Result<Option<String>, Failure> {
    let Some(source) = settings.on.rented() else {
        return Ok(None);
    };
    let access = aws_access(&settings.common);
    let order = order(source, settings, &access).await?;
    let price = machine::price(&order, &access).await?;
    Ok(price.map(|price| price.words))
}

/// Refuses a source or an output directory that no build could use: a machine costs money.
async fn check_source(settings: &settings::Build, context: &Context) -> Result<(), Failure> {
    // The plan of the build opens it again, and reports errors.
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
async fn order(
    source: &MachineSource,
    settings: &settings::Build,
    access: &Access,
) -> Result<RentalRequest, Failure> {
    let (source, account) = match source {
        MachineSource::Command(name) if !name.contains('/') => {
            let found = find_program(name, &settings.path);
            let found = found.and_then(|path| path.to_str().map(str::to_owned));
            let found = found.ok_or_else(|| {
                Failure::usage(format!("on: there is no program {name} in PATH"))
                    .hint("give its path, for instance --on command:./rent")
            })?;
            (MachineSource::Command(found), None)
        }
        MachineSource::Command(_) => (source.clone(), None),
        MachineSource::Aws(machine) => {
            let (machine, account) = machine::located(machine, access).await?;
            (MachineSource::Aws(machine), Some(account))
        }
    };
    Ok(RentalRequest {
        lease: machine::lease_of(&source),
        source,
        account,
        highest_price: None,
        run: RunId::random()?.to_string(),
        system: settings.system,
        state_dir: settings.common.state_dir.clone(),
    })
}

/// Waits until the engine of `machine` answers, `limit` at most. Another host key is an error at once. `hint` is for a user whose
/// machine never answers.
async fn until_it_answers(
    machine: &SshMachine,
    hint: Option<String>,
    limit: Duration,
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

/// The hidden command `hold-machine`: holds a rented machine for the process that started it, see [`machine::hold`].
pub async fn hold_machine(settings: &Common) -> Result<(), Failure> {
    let since = SystemTime::now();
    if let Some(ended) = machine::hold(&aws_access(settings)).await?
        && let Some(place) = &ended.place
    {
        forget_runs(&ended.order.state_dir, place, since);
    }
    Ok(())
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

    #[tokio::test]
    async fn a_machine_that_never_answers_comes_with_its_hint() {
        let machine = SshMachine {
            place: "nobody@127.0.0.1:1".to_owned(),
            host_key: "ssh-ed25519 AAAA".to_owned(),
            identity: None,
        };
        let context = Context {
            cancel: crate::common::cancel::Cancel::new(),
            events: Events::none(),
        };
        let hint = Some("look at its console".to_owned());
        let waited = until_it_answers(&machine, hint, Duration::from_secs(3), &context);
        let failure = waited.await.unwrap_err();
        let text = failure.to_string();
        assert!(text.contains("has no engine that answers"), "{text}");
        assert_eq!(failure.hints.last().unwrap(), "look at its console");
    }

    /// A lost connection left a container on the machine, which was destroyed then.
    #[test]
    fn what_is_left_on_a_machine_counts_unless_it_is_gone() {
        let failed = || -> Result<Outcome<()>, Failure> {
            Err(Failure::environment("lost").with_teardown(vec![leftover("container c")]))
        };
        assert_eq!(without_leftovers(failed()).unwrap_err().teardown, []);
        let both = [leftover("container c"), leftover("machine m")];
        let left = with_leftover(failed(), leftover("machine m"));
        assert_eq!(left.unwrap_err().teardown, both);
        let succeeded = || {
            Ok(Outcome {
                value: 1,
                leftovers: vec![leftover("container c")],
            })
        };
        let done = without_leftovers(succeeded()).unwrap();
        assert_eq!((done.value, done.leftovers), (1, vec![]));
        let done = with_leftover(succeeded(), leftover("machine m")).unwrap();
        assert_eq!(done.leftovers, both);
    }
}
