//! The steps of a build, in order; what they borrow is kept in a scope and given back at the end,
//! however it ends.

use std::future::Future;
use std::time::Duration;

use crate::binfmt::{Lease, Registrar};
use crate::common::cancel::Cancel;
use crate::common::event::{Events, Phase, Timings};
use crate::common::failure::{Failure, Leftover, OrFail as _};
use crate::common::image_format::SD_IMAGE;
use crate::engine::{ContainerGuard, Engine, Role};
use crate::nixos::build_source::BuildSource;
use crate::nixos::builder::{BuildJob, BuildResult, Builder, BuilderImage, PreparedBuilder};
use crate::nixos::command::{BuildRequest, Task};
use crate::nixos::lock::Locked;
use crate::nixos::nix_conf::NixSettings;
use crate::nixos::nixpkgs::NixpkgsIn;
use crate::output::manifest::{self, Provenance};
use crate::output::{self, CopyRequest, Image, Imager, OutputSettings};
use crate::pipeline::emulate::emulate;
use crate::pipeline::emulation::Emulation;
use crate::pipeline::images::{self, ContainerImages};
use crate::pipeline::job_control::JobControl;
use crate::pipeline::run_lock::RunLocks;
use crate::pipeline::scope::{Scope, gave_all_back, settle};
use crate::pipeline::sweep::Sweep;
use crate::pipeline::{Context, Plan, inputs, logs, provenance};
use crate::settings;

/// A build that went well.
#[derive(Debug)]
pub struct BuildOutcome {
    /// The image.
    pub image: Image,
    leftovers: Vec<Leftover>,
}

impl BuildOutcome {
    /// An error when something could not be removed, although the image is whole.
    pub fn all_given_back(self) -> Result<(), Failure> {
        if self.leftovers.is_empty() {
            return Ok(());
        }
        let failure =
            Failure::environment("the image is done, but not everything could be removed");
        Err(failure.with_teardown(self.leftovers))
    }
}

/// Carries out `plan`. `timings` knows how long the phases took that `context` tells of.
pub async fn run(
    plan: &Plan,
    context: &Context,
    timings: &Timings,
) -> Result<BuildOutcome, Failure> {
    let steps = async |run_locks: &RunLocks, scope: &mut Scope| {
        Box::pin(steps(plan, context, (run_locks, scope, timings))).await
    };
    let (image, leftovers) = Box::pin(with_cleanup(plan, context, steps)).await?;
    Ok(BuildOutcome { image, leftovers })
}

/// Does `steps`, and gives back what they borrowed, whatever came of them; what could not be removed comes
/// along.
pub(super) async fn with_cleanup<T>(
    plan: &Plan,
    context: &Context,
    steps: impl AsyncFnOnce(&RunLocks, &mut Scope) -> Result<T, Failure>,
) -> Result<(T, Vec<Leftover>), Failure> {
    let run_locks = RunLocks::new(&plan.settings.common.state_dir, plan.base.engine.endpoint());
    // Until everything has been given back: whoever sweeps meanwhile lets it be.
    let run_lock = run_locks.acquire(&plan.run)?;
    let mut scope = Scope::default();
    let suspension = JobControl::listen(scope.watchdogs())?;
    let steps = Box::pin(steps(&run_locks, &mut scope));
    let (engine, cancel) = (&plan.base.engine, &context.cancel);
    let interrupted_in_silence = async {
        cancel.cancelled().await;
        engine_is_silent(engine).await;
    };
    let steps = Box::pin(shorten_teardown_when(
        interrupted_in_silence,
        (steps, cancel),
    ));
    let outcome = suspension.run_with_sigtstp(steps).await;
    // A release that leaves something behind is a phase that failed: the value of either is the outcome.
    let release = async {
        let release = Box::pin(scope.release(cancel));
        let released = shorten_teardown_when(engine_is_silent(engine), (release, cancel)).await;
        let settled = settle(outcome, released);
        if gave_all_back(&settled) {
            run_lock.release();
            Ok(settled)
        } else {
            Err(settled)
        }
    };
    let released = context.events.phase(Phase::Release, release).await;
    released.unwrap_or_else(|settled| settled)
}

/// Does `work`; once `reason` is there its teardown is impatient.
async fn shorten_teardown_when<T>(
    reason: impl Future<Output = ()>,
    (mut work, cancel): (impl Future<Output = T> + Unpin, &Cancel),
) -> T {
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = reason => cancel.shorten_teardown(),
    }
    work.await
}

/// Ends when the engine says nothing any more, whatever it is asked: it would let every step of a
/// teardown wait for as long as it may.
async fn engine_is_silent(engine: &Engine) {
    /// A busy engine answers this from memory, if late.
    const SILENT: Duration = Duration::from_secs(5);
    const POLL: Duration = Duration::from_secs(1);
    while !engine.is_silent(SILENT).await {
        tokio::time::sleep(POLL).await;
    }
}

async fn steps(
    plan: &Plan,
    context: &Context,
    (run_locks, scope, timings): (&RunLocks, &mut Scope, &Timings),
) -> Result<Image, Failure> {
    let provided = images::provide(plan, context).await?;
    let nixpkgs = Box::pin(inputs::nixpkgs(plan, context, &provided.images)).await?;
    // Neither needs the other. Both are heard to their end: a registrar that has begun is not dropped.
    let (mode, job) = tokio::join!(
        Box::pin(emulate(plan, context, (&provided, (run_locks, scope)))),
        Box::pin(job(plan, context, (&provided, nixpkgs, Task::Build)))
    );
    // The one whose failure can tell of something that is left behind goes first.
    let mode = mode?;
    let (job, mut origin) = job?;
    origin.emulation = provenance::emulation(mode, &provided.containers);
    let built = Box::pin(build(plan, context, (&provided.builder, job, scope))).await?;
    origin.result = manifest::Built {
        store_path: built.out_path.clone(),
        derivation: built.derivation.clone(),
    };
    let order = CopyRequest {
        format: &SD_IMAGE,
        settings: output(&plan.settings),
        origin,
        timings: timings.clone(),
    };
    // Nothing that is emulated runs any more.
    let lease = scope.release_lease(&context.cancel);
    let (image, ()) = tokio::join!(Box::pin(copy_out(context, &built, &order)), lease);
    image
}

/// Removes what dead runs left, and says so.
pub(super) async fn sweep(
    plan: &Plan,
    context: &Context,
    (run_locks, registrar): (&RunLocks, Option<&mut Registrar>),
) -> Result<(), Failure> {
    let sweep = Sweep {
        engine: &plan.base.engine,
        run_locks,
        own: &plan.run,
    };
    sweep.clear(registrar, context).await
}

/// What is to be built, and what the manifest will tell of it.
pub(super) async fn job(
    plan: &Plan,
    context: &Context,
    (provided, (nixpkgs, locked), task): (&ContainerImages, (NixpkgsIn, Option<Locked>), Task),
) -> Result<(BuildJob, Provenance), Failure> {
    let Context { cancel, events } = context;
    let (settings, resources) = (&plan.settings, plan.resources());
    let debian_mirror = inputs::debian_mirror(plan, context, &provided.images).await?;
    let source = BuildSource {
        configuration: plan.configuration.clone(),
        files: plan.configuration.collect(cancel, events).await?,
        cli_module: plan.overlay.clone(),
        nixpkgs,
        locked,
    };
    let digest = digest(&source, context).await?;
    let origin = provenance::origin(plan, &provided.containers, &source, digest);
    let job = BuildJob {
        source,
        request: BuildRequest {
            task,
            system: settings.system,
            format: &SD_IMAGE,
            emulated: plan.base.emulation != Emulation::Native,
            glue: settings.glue,
            nix: NixSettings {
                cores: resources.cores,
                jobs: Some(resources.jobs),
                connections: Some(resources.connections),
                substituters: settings.substituters.clone(),
                keys: settings.trusted_public_keys.clone(),
                heap: resources.heap,
            },
            debian_mirror,
        },
        memory: settings.memory,
        log: logs::file(&settings.common.state_dir, &plan.run)?,
    };
    Ok((job, origin))
}

/// The digest of all that the builder sees of the configuration.
async fn digest(source: &BuildSource, context: &Context) -> Result<[u8; 32], Failure> {
    let source = source.clone();
    let work = tokio::task::spawn_blocking(move || source.digest());
    let digest = context
        .cancel
        .race(work)
        .await?
        .or_internal("hash the configuration")?;
    digest.or_usage("read the configuration's directory")
}

async fn build(
    plan: &Plan,
    context: &Context,
    (image, job, scope): (&BuilderImage, BuildJob, &mut Scope),
) -> Result<BuildResult, Failure> {
    let Context { cancel, events } = context;
    let prepared = prepare(plan, context, (image, job, scope)).await?;
    let lost = scope.lease().map(Lease::lost);
    let build = watched(Box::pin(prepared.build(cancel, events)), lost, events);
    context.phase(Phase::Build, build).await
}

/// A builder with everything in it, kept in the scope.
pub(super) async fn prepare(
    plan: &Plan,
    context: &Context,
    (image, job, scope): (&BuilderImage, BuildJob, &mut Scope),
) -> Result<PreparedBuilder, Failure> {
    let Context { cancel, events } = context;
    let name = Role::Builder.container_name(&plan.run);
    let private = scope.private().map(|private| {
        let (enclosure, source) = private.entry_wrapper();
        (enclosure.clone(), source.clone())
    });
    let guard = scope.keep_builder(ContainerGuard::arm(&plan.base.engine, name));
    let store = images::store_volume(&plan.settings, image);
    let builder = Builder {
        engine: &plan.base.engine,
        run: &plan.run,
        image,
        store: &store,
        wrapper: private
            .as_ref()
            .map(|(enclosure, source)| (enclosure, source)),
    };
    let prepare = builder.prepare(guard, job, cancel, events);
    let prepared = context.phase(Phase::Upload, prepare).await?;
    scope.keep_pause_handle(prepared.pause_handle());
    scope.release_private(cancel).await;
    Ok(prepared)
}

/// Does `work`, and says so when the registrar is lost meanwhile: what is emulated may fail from then
/// on, and the reason would be anybody's guess.
async fn watched<T>(
    mut work: impl Future<Output = T> + Unpin,
    lost: Option<impl Future<Output = Failure>>,
    events: &Events,
) -> T {
    if let Some(lost) = lost {
        tokio::select! {
            biased;
            done = &mut work => return done,
            failure = lost => events.warn(failure),
        }
    }
    work.await
}

fn output(settings: &settings::Build) -> OutputSettings {
    let imager = settings.rpi_imager.clone();
    OutputSettings {
        dir: settings.output.clone(),
        force: settings.force,
        owner: settings.owner,
        compression: settings.compress,
        imager: imager.map(|url| url.map_or(Imager::Here, Imager::Below)),
        created: settings
            .source_date_epoch
            .unwrap_or_else(jiff::Timestamp::now),
    }
}

async fn copy_out(
    context: &Context,
    built: &BuildResult,
    order: &CopyRequest,
) -> Result<Image, Failure> {
    let Context { cancel, events } = context;
    let (container, out_path) = (&built.container, &built.out_path);
    let copy = output::copy_out(container, out_path, order, (cancel, events));
    context.phase(Phase::CopyOut, copy).await
}
