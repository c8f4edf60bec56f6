//! Step: a builder that holds the source, and the build in it.

use std::future::Future;

use crate::build_source::{ResolvedNixpkgs, Source};
use crate::builder::{BuildJob, BuildResult, Builder, BuilderImage, Containers, PreparedBuilder};
use crate::command::{NixCommand, Task};
use crate::container_images::ContainerImages;
use crate::copy_out::{configuration_id, configuration_id_of};
use crate::emulation::{self, Emulation};
use crate::plan::{Plan, Resources};
use crate::remote_builder::RemoteBuilder;
use crate::run_context::{RunContext, Scope};
use crate::{clients, flake_cache_answers, logs, source};
use sdbuild_core::context::Context;
use sdbuild_core::counted::counted;
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::failure::Failure;
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_engine::binfmt::Lease;
use sdbuild_engine::{ContainerGuard, Role};
use sdbuild_nix::nix_conf::NixSettings;

/// The store volume, and how much is done at a time.
pub(super) fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    let resources = plan.resources();
    let cores = match resources.cores {
        0 => "all for each derivation".to_owned(),
        n => format!("{n} for each derivation"),
    };
    vec![
        ("store volume", plan.request.common.store.clone()),
        ("cores", cores),
        ("jobs", describe_jobs(plan, resources)),
        ("binary caches", describe_caches(plan)),
        ("connections", describe_connections(plan, resources)),
        ("memory", describe_memory(plan)),
    ]
}

fn describe_jobs(plan: &Plan, resources: Resources) -> String {
    let reason = match plan.request.resources.jobs {
        Some(_) => "",
        None if resources.jobs_limited_by_memory => ", limited by memory",
        None => ", one for each core of the engine's machine",
    };
    let derivations = counted(resources.jobs, "derivation", "derivations");
    format!("{derivations} at a time{reason}")
}

fn describe_caches(plan: &Plan) -> String {
    let caches = &plan.request.caches.substituters;
    if plan.request.common.offline || caches.is_empty() {
        return "none, so everything that the store volume lacks is built".to_owned();
    }
    let accepts = plan.request.caches.accept_flake_caches == Some(true);
    let more = match plan.source.source {
        Source::Flake(_) if accepts => ", and those that the flake names",
        Source::Flake(_) | Source::Module(_) => "",
    };
    format!("{}{more}", caches.join(", "))
}

fn describe_connections(plan: &Plan, resources: Resources) -> String {
    if plan.request.common.offline {
        return "none, because the builder has no network".to_owned();
    }
    format!(
        "{} at a time",
        counted(resources.connections, "download", "downloads")
    )
}

fn describe_memory(plan: &Plan) -> String {
    let limit = match plan.request.resources.memory {
        Some(bytes) => human_bytes(bytes),
        None => "no limit".to_owned(),
    };
    match plan.engine().facts().memory {
        // The engine does not report it.
        0 => limit,
        total => format!("{limit}; the engine's machine has {}", human_bytes(total)),
    }
}

/// Reads the source and puts together what the builder does with it.
pub(crate) async fn job(
    run: &RunContext<'_>,
    nixpkgs: Option<ResolvedNixpkgs>,
    task: Task,
) -> Result<BuildJob, Failure> {
    let (plan, request) = (run.plan, &run.plan.request);
    // A check has no handler, and evaluates what a build with one would.
    let emulated = plan.is_emulated()
        || task == Task::Check
            && Emulation::of_build(request, plan.engine().facts())
                .is_ok_and(Emulation::uses_handler);
    let resources = plan.resources();
    let debian_mirror = source::debian_mirror(run).await?;
    let access = clients::network_access(request)?;
    let mut job = BuildJob {
        source: source::with_nixpkgs(plan, nixpkgs),
        configuration: configuration_id(plan),
        command: NixCommand {
            task,
            system: request.target.system,
            format: request.target.format.clone(),
            is_default_format: request.target.is_default_format,
            emulated,
            glue: request.target.glue,
            product: request.target.product,
            nix: NixSettings {
                cores: resources.cores,
                jobs: Some(resources.jobs),
                connections: Some(resources.connections),
                substituters: request.caches.substituters.clone(),
                keys: request.caches.trusted_public_keys.clone(),
                fallback: request.caches.fallback,
                builders: access
                    .builders
                    .builders()
                    .map(RemoteBuilder::machine)
                    .collect(),
                has_netrc: access.netrc.is_some(),
                stall_timeout: request.common.stall_timeout,
                offline: request.common.offline,
                flake_caches: flake_cache_answers::policy(plan)?,
                heap: resources.heap,
            },
            debian_mirror,
        },
        access,
        memory: request.resources.memory,
        log: logs::file(&request.common.state_dir, &plan.run)?,
        next: Vec::new(),
    };
    let next = request.source.next.iter();
    let next = next.take(resources.evaluations.saturating_sub(1) as usize);
    let next = next.filter_map(|attribute| {
        let source = job.source.with_attribute(attribute)?;
        Some(BuildJob {
            configuration: configuration_id_of(&source.source, plan),
            source,
            ..job.clone()
        })
    });
    job.next = next.collect();
    Ok(job)
}

/// Creates a builder and uploads the job's source to it; its guard is kept in `scope`.
pub(crate) async fn prepare(
    run: &RunContext<'_>,
    image: &BuilderImage,
    job: BuildJob,
    scope: &mut Scope,
) -> Result<PreparedBuilder, Failure> {
    let Context { cancel, events } = run.context;
    let plan = run.plan;
    let private = scope.private().map(|private| {
        let (wrapper, container) = private.entry_wrapper();
        (wrapper.clone(), container.clone())
    });
    let name = Role::Builder.container_name(&plan.run);
    let guard = scope.keep_builder(ContainerGuard::arm(plan.engine(), name));
    let builder = Builder {
        containers: Containers {
            engine: plan.engine(),
            run: &plan.run,
            image,
        },
        store: &store_volume(&plan.request.common.store, image),
        wrapper: private
            .as_ref()
            .map(|(wrapper, container)| (wrapper, container)),
    };
    let prepare = builder.prepare(guard, job, cancel, events);
    let prepared = run.context.phase(Phase::Upload, prepare).await?;
    scope.keep_pause_handle(prepared.pause_handle());
    scope.release_private(cancel).await;
    Ok(prepared)
}

/// The volume behind the builder's `/nix`. A foreign image contains a Nix of its own there, which the volume of
/// another image would hide, so each foreign image has its own volume.
fn store_volume(store: &str, image: &BuilderImage) -> String {
    if !image.is_foreign() {
        return store.to_owned();
    }
    let reference = image.reference();
    let id = reference.rsplit_once(':').map_or(reference, |(_, id)| id);
    format!("{store}-{}", id.get(..12).unwrap_or(id))
}

/// Builds in the prepared builder under `emulation`, which was set up with `images`.
pub(crate) async fn build(
    run: &RunContext<'_>,
    prepared: PreparedBuilder,
    (images, emulation): (&ContainerImages, Emulation),
    scope: &Scope,
) -> Result<BuildResult, Failure> {
    let Context { cancel, events } = run.context;
    let lost = scope.lease().map(Lease::lost);
    let lost_handler = emulation::is_lost(run, images, emulation, scope);
    let build = Box::pin(prepared.build(lost_handler, cancel, events));
    let build = warn_when_lost(build, lost, events);
    run.context.phase(Phase::Build, build).await
}

/// Runs `work`, and warns when the registrar is lost meanwhile: from then on emulated programs may fail for no
/// reason that their own messages show.
async fn warn_when_lost<T>(
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
