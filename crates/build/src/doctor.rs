//! Every condition of a build, looked at for a bounded time. Nothing on the machine is changed: no container is
//! started, no directory created, nothing downloaded but the headers of answers. Remote builders are the exception: a
//! container tries them, as only its ssh and its Nix can, and is removed.

use std::time::Duration;

use crate::checks;
use crate::checks::{Answers, DoctorFacts, EngineView, Machine};
pub use crate::checks::{Check, Verdict};
use crate::emulation::Emulation;
use crate::inventory::{ContainerSizes, Inventory};
use crate::plan::EnginePlan;
use crate::request::BuildRequest;
use crate::run_lock::{RunLocks, RunState};
use crate::source::NixpkgsArchive;
use crate::{clients, remote_builders};
use sdbuild_core::context::Context;
use sdbuild_core::counted::counted;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::kvm::Kvm;
use sdbuild_core::timeout::timeout;
use sdbuild_engine::Engine;
use sdbuild_engine::artifact::Cache;
use sdbuild_engine::oci::MissingImages;

/// An engine or a server that takes longer is too slow for a build as well.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

/// Checks everything that a build of `request` needs. Fails only when it is interrupted. A build that runs on a rented machine can do
/// without this machine's engine.
pub async fn examine(request: &BuildRequest, context: &Context) -> Result<Vec<Check>, Failure> {
    let look = async {
        let nixpkgs = NixpkgsArchive::of(request).await;
        let answers = Answers::collect(request, nixpkgs.as_ref(), ANSWER_TIMEOUT);
        let (engine, answers) = tokio::join!(connect(request, context), answers);
        let (missing, (leftovers, cache_size)) = tokio::join!(
            missing_images(engine.as_ref().ok(), request),
            leftovers(engine.as_ref().ok(), request)
        );
        let facts = DoctorFacts {
            answers,
            nixpkgs,
            kvm: Kvm::of_this_machine(),
            leftovers,
            cache_size,
        };
        let mut checks = Vec::new();
        if let Err(failure) = &engine {
            checks.push(Check::failed("engine", failure));
        }
        let engine = engine.as_ref().ok();
        let of = |engine: Option<&Engine>| {
            checks::all(&Machine {
                request,
                builds: true,
                writes_image: true,
                engine: engine.map(EngineView::from),
                emulation: engine.and_then(|engine| emulation(engine, request)),
                missing: missing.as_ref().filter(|_| engine.is_some()),
                doctor: Some(&facts),
            })
        };
        checks.extend(of(engine));
        if request.resources.rented.is_some() {
            disregard_engine(&mut checks, &of(None));
        }
        (checks, engine.cloned())
    };
    let (mut checks, engine) = context.cancel.race(Box::pin(look)).await?;
    // Not in the race: its container is removed when it is interrupted.
    if let Some(engine) = engine {
        checks.extend(Box::pin(remote_builders::try_builders(&engine, request, context)).await?);
    }
    Ok(checks)
}

/// A build on a rented machine can do without this machine's engine. `without_engine` are the checks of a machine that has none.
fn disregard_engine(checks: &mut [Check], without_engine: &[Check]) {
    let is_bad = |check: &Check| check.verdict == Verdict::Bad;
    let others: Vec<_> = without_engine.iter().filter(|one| is_bad(one)).collect();
    for check in checks.iter_mut().filter(|check| is_bad(check)) {
        if !others.iter().any(|other| other.topic == check.topic) {
            check.verdict = Verdict::Warning;
            let only =
                "a build on a rented machine does not need it; check, boot, try and shell do";
            check.remedies.insert(0, only.to_owned());
        }
    }
}

async fn connect(request: &BuildRequest, context: &Context) -> Result<Engine, Failure> {
    let connect = clients::connect(&request.common, &context.cancel);
    let answer = timeout(ANSWER_TIMEOUT, connect).await;
    answer.unwrap_or_else(|| {
        let seconds = ANSWER_TIMEOUT.as_secs();
        let text = format!("the engine does not answer within {seconds} s");
        Err(Failure::message(Class::Environment, text)
            .hint("if `docker info` answers, the engine was busy. Run doctor again. If not, `systemctl status docker` shows whether it runs"))
    })
}

fn emulation(engine: &Engine, request: &BuildRequest) -> Option<Emulation> {
    Emulation::of_build(request, engine.facts()).ok()
}

/// What engine and cache lack of the container images; `None` when that is not known.
async fn missing_images(engine: Option<&Engine>, request: &BuildRequest) -> Option<MissingImages> {
    let engine = engine?;
    let base = EnginePlan::new(engine.clone(), emulation(engine, request)?, request);
    let base = timeout(ANSWER_TIMEOUT, base).await?.ok()?;
    Some(base.missing)
}

/// What stale runs left on the engine, for instance `2 containers, 1 binfmt_misc entry`, or why it is not known; and the bytes of
/// the cache. Found by label, prefix and run lock, without a container.
async fn leftovers(
    engine: Option<&Engine>,
    request: &BuildRequest,
) -> (Result<String, String>, u64) {
    let common = &request.common;
    let cache_size = Cache::usage(&common.cache_dir).unwrap_or(0);
    let some = |n: usize, one, many| (n > 0).then(|| counted(n, one, many));
    let Some(engine) = engine else {
        let runs = RunLocks::all_engines(&common.state_dir).into_iter();
        let stale = runs.filter(|run| run.state == RunState::Stale).count();
        return (
            Ok(some(stale, "run", "runs").unwrap_or_default()),
            cache_size,
        );
    };
    let list = Inventory::list(engine.clone(), common, ContainerSizes::Skipped);
    let objects = match timeout(ANSWER_TIMEOUT, list).await {
        None => Err(
            "leftovers of earlier runs are unknown, because the engine does not list its containers in time"
                .to_owned(),
        ),
        Some(Err(failure)) => Err(format!("leftovers of earlier runs are unknown: {failure}")),
        Some(Ok(inventory)) => {
            let stale = inventory.objects.stale;
            let found = [
                some(stale.containers.len(), "container", "containers"),
                some(stale.handlers.len(), "binfmt_misc entry", "binfmt_misc entries"),
            ];
            Ok(found.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
    };
    (objects, cache_size)
}
