//! A build on a rented machine: it is requested after everything that can be checked without it, and given back whatever
//! happens.

use std::time::SystemTime;

use super::access;
use super::records::CloudRecords;
use crate::settings;
use crate::settings::Environment;
use sdbuild_build::doctor::Check;
use sdbuild_build::{BuildRequest, Outcome, forget_runs};
use sdbuild_cloud::aws::Access;
use sdbuild_cloud::machine;
use sdbuild_cloud::machine::{GivenBack, Rental, RentalRequest, until_it_answers};
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, Leftover};
use sdbuild_core::machine_source::MachineSource;

/// Runs `work`, on a rented machine if `settings` name a provider. If it has a price, `agree` gets the price before the
/// machine is asked for. Machines that earlier runs could not give back are given back first.
pub(in crate::commands) async fn with_machine<T>(
    settings: settings::Build,
    env: &Environment,
    context: &Context,
    agree: impl AsyncFnOnce(&str) -> Result<(), Failure>,
    work: impl AsyncFnOnce(BuildRequest) -> Result<Outcome<T>, Failure>,
) -> Result<Outcome<T>, Failure> {
    let request = settings.request;
    if !request.common.offline {
        let rents = settings.on.is_rented();
        let records = CloudRecords::find(env, &request.common);
        records.clear(rents, context).await?;
    }
    let Some(source) = settings.on.rented() else {
        return work(request).await;
    };
    sdbuild_build::check_source(&request, context).await?;
    let access = access(env, &request.common);
    let order = order(source, &request, &access);
    let mut order = context.cancel.race(order).await??;
    if let Some(price) = context
        .cancel
        .race(machine::price(&order, &access))
        .await??
    {
        agree(&price.words).await?;
        order.highest_price = price.highest;
    }
    let state_dir = request.common.state_dir.clone();
    let since = SystemTime::now();
    let mut rental = Rental::begin(order, &access, &context.events).await?;
    let (done, place) = use_machine(&mut rental, request, context, work).await;
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
    mut request: BuildRequest,
    context: &Context,
    work: impl AsyncFnOnce(BuildRequest) -> Result<Outcome<T>, Failure>,
) -> (Result<Outcome<T>, Failure>, Option<String>) {
    let mut place = None;
    let ready = async {
        let (machine, hint) = rental.machine(context).await?;
        place = Some(machine.place.clone());
        until_it_answers(&machine, hint, context).await?;
        let shown = machine.place.clone();
        context.events.detail(Phase::Rent, shown);
        Ok(machine)
    };
    let machine = match context.phase(Phase::Rent, Box::pin(ready)).await {
        Ok(machine) => machine,
        Err(failure) => return (Err(failure), place),
    };
    request.common.machine = Some(machine);
    let work = Box::pin(work(request));
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
pub(in crate::commands) async fn price(
    settings: &settings::Build,
    env: &Environment,
) -> Result<Option<String>, Failure> {
    let Some(source) = settings.on.rented() else {
        return Ok(None);
    };
    let access = access(env, &settings.request.common);
    let order = order(source, &settings.request, &access).await?;
    let price = machine::price(&order, &access).await?;
    Ok(price.map(|price| price.words))
}

/// What is asked of `source` for a build of `request`.
async fn order(
    source: &MachineSource,
    request: &BuildRequest,
    access: &Access,
) -> Result<RentalRequest, Failure> {
    let (path, state_dir) = (&request.source.path, &request.common.state_dir);
    machine::order(source, path, request.target.system, state_dir, access).await
}

/// The hidden command `hold-machine`: holds a rented machine for the process that started it, see [`machine::hold`].
pub async fn hold_machine(env: &Environment) -> Result<(), Failure> {
    let common = settings::common_without_file(env)?;
    let since = SystemTime::now();
    if let Some(ended) = machine::hold(&access(env, &common)).await?
        && let Some(place) = &ended.place
    {
        forget_runs(&ended.order.state_dir, place, since);
    }
    Ok(())
}

/// What `doctor` calls the provider.
const TOPIC: &str = "rented machine";

/// Whether a build with `settings` can ask for a machine; `None` if it rents none. A program is asked for its price, nothing else.
pub(in crate::commands) async fn check_provider(
    settings: &settings::Build,
    env: &Environment,
) -> Option<Check> {
    let source = settings.on.rented()?.to_string();
    let text = match price(settings, env).await {
        Err(failure) => return Some(Check::failed(TOPIC, &failure)),
        Ok(Some(price)) => format!(
            "{source}: {price}. build asks whether you accept that price, rents a machine, builds there and gives it back"
        ),
        Ok(None) => format!(
            "{source} states no price; build rents a machine, builds there and gives it back"
        ),
    };
    Some(Check::good(TOPIC, text))
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
