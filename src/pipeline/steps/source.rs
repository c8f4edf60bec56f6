//! Step: nixpkgs is in the cache.

use crate::nixos::build_source::{BuildSource, ResolvedNixpkgs, Source};
use crate::nixos::lock;
use crate::nixos::lock::{Download, Downloaded, Locked, Requested, Resolve};
use crate::nixos::nixpkgs;
use crate::nixos::nixpkgs::{LocalNixpkgs, Nixpkgs};
use crate::pipeline::nixpkgs_archive::NAME_ANOTHER;
use crate::pipeline::plan::Plan;
use crate::pipeline::request::BuildRequest;
use crate::pipeline::run_context::RunContext;
use crate::pipeline::run_summary::nixpkgs_of_flake;
use crate::pipeline::source::{NixpkgsPlan, SourcePlan};
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::Failure;
use sdbuild_engine::artifact::{CHECK_ADDRESS, Fetcher, MIRROR_PROBE, Remote};

/// A release's archive is some 30 MB, a checkout's 60 MB; anything above this is something else.
const MAX_ARCHIVE_BYTES: u64 = 512 << 20;

/// The configuration, what the command line adds to it, and nixpkgs.
pub(super) fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    let SourcePlan {
        source,
        cli_module,
        nixpkgs,
        files: _,
    } = &plan.source;
    let configuration = match source {
        Source::Module(file) => file.path().display().to_string(),
        Source::Flake(flake) => flake.describe(),
    };
    let added = cli_module.shown();
    let added = added.map(|code| ("overrides it", code.to_owned()));
    let mut lines = vec![("configuration", configuration)];
    lines.extend(added);
    let nixpkgs = nixpkgs.as_ref();
    let nixpkgs = nixpkgs.map(|nixpkgs| describe_nixpkgs(nixpkgs, &plan.request));
    lines.push((
        "nixpkgs",
        nixpkgs.unwrap_or_else(|| nixpkgs_of_flake(&plan.request.source.override_inputs)),
    ));
    lines
}

fn describe_nixpkgs(plan: &NixpkgsPlan, request: &BuildRequest) -> String {
    match (&plan.nixpkgs, &plan.locked) {
        (Nixpkgs::Dir(dir), _) => format!("{}, uploaded", dir.display()),
        (Nixpkgs::Remote(_), Some(locked)) => format!(
            "{}: {} (sha256 {}, by sdbuild.lock)",
            request.source.nixpkgs, locked.url, locked.sha256
        ),
        (Nixpkgs::Remote(Requested::Url(url)), None) => format!("{url}, to be fetched and locked"),
        (Nixpkgs::Remote(Requested::Release(release)), None) => {
            let channels = &request.common.channels;
            format!("{release}, to be looked up at {channels} and locked")
        }
    }
}

/// Resolves and fetches nixpkgs, if the source does not name its own: a local directory as it is, anything else by its lock
/// entry.
pub(in crate::pipeline) async fn nixpkgs(
    run: &RunContext<'_>,
) -> Result<Option<ResolvedNixpkgs>, Failure> {
    let cancel = &run.context.cancel;
    let Some(plan) = &run.plan.source.nixpkgs else {
        return Ok(None);
    };
    let requested = match &plan.nixpkgs {
        Nixpkgs::Dir(dir) => {
            let hashes = nixpkgs::hashes_file(&run.plan.request.common.state_dir);
            return Ok(Some(ResolvedNixpkgs {
                nixpkgs: LocalNixpkgs::dir(dir, hashes, cancel).await?,
                locked: None,
            }));
        }
        Nixpkgs::Remote(requested) => requested,
    };
    let how = Resolve {
        requested,
        lock: &plan.lock,
        channels: &run.plan.request.common.channels,
        write_lock: run.plan.request.source.writes_lock,
        renew: false,
    };
    let (locked, archive) = resolve(&how, NAME_ANOTHER, &run.fetcher, run.context).await?;
    Ok(Some(ResolvedNixpkgs {
        nixpkgs: LocalNixpkgs::archive(archive.path, archive.sha256)?,
        locked: Some(locked),
    }))
}

/// The local directory of nixpkgs as it was when it was read last: what [`nixpkgs`] resolves it to, unless it has changed. `None` for
/// anything else, and for a directory that is not remembered.
pub(in crate::pipeline) fn remembered_nixpkgs(run: &RunContext<'_>) -> Option<ResolvedNixpkgs> {
    let Nixpkgs::Dir(dir) = &run.plan.source.nixpkgs.as_ref()?.nixpkgs else {
        return None;
    };
    let hashes = nixpkgs::hashes_file(&run.plan.request.common.state_dir);
    Some(ResolvedNixpkgs {
        nixpkgs: LocalNixpkgs::remembered_dir(dir, hashes)?,
        locked: None,
    })
}

/// Resolves nixpkgs and fetches it (`Phase::Nixpkgs`). `name_another` is what helps, besides a look at the network, where no server
/// has it.
pub(in crate::pipeline) async fn resolve(
    how: &Resolve<'_>,
    name_another: &str,
    fetcher: &Fetcher,
    context: &Context,
) -> Result<(Locked, Downloaded), Failure> {
    let fetch = |download| fetch(download, name_another, fetcher, context);
    let resolve = lock::resolve(how, &context.events, fetch);
    context.phase(Phase::Nixpkgs, resolve).await
}

async fn fetch(
    download: Download,
    name_another: &str,
    fetcher: &Fetcher,
    context: &Context,
) -> Result<Downloaded, Failure> {
    let remote = Remote {
        url: &download.url,
        sha256: download.sha256,
        max_bytes: MAX_ARCHIVE_BYTES,
        phase: Phase::Nixpkgs,
    };
    let file = fetcher.url(remote, &context.cancel).await;
    let file = file.map_err(|failure| {
        // As `doctor` says it.
        if failure.hints.iter().any(|hint| hint == CHECK_ADDRESS) {
            failure.hint(name_another)
        } else {
            failure
        }
    })?;
    Ok(Downloaded {
        path: file.path,
        sha256: file.sha256,
        final_url: file.final_url,
    })
}

/// The source with its nixpkgs.
pub(super) fn with_nixpkgs(plan: &Plan, nixpkgs: Option<ResolvedNixpkgs>) -> BuildSource {
    let SourcePlan {
        source,
        cli_module,
        files,
        ..
    } = plan.source.clone();
    BuildSource::new(source, cli_module, nixpkgs, files)
}

/// The Debian mirror that the miniature nixpkgs fetches from: the first that answers. Where it is not known whether that
/// nixpkgs is used (in a flake, in an archive), the first is taken unasked; any other directory needs none.
pub(super) async fn debian_mirror(run: &RunContext<'_>) -> Result<Option<String>, Failure> {
    let mirrors = &run.plan.request.common.mirrors;
    let nixpkgs = run.plan.source.nixpkgs.as_ref();
    let reachable = match nixpkgs.map(|plan| &plan.nixpkgs) {
        Some(nixpkgs @ Nixpkgs::Dir(_)) if nixpkgs.is_miniature() => {
            let cancel = &run.context.cancel;
            let probe = run.fetcher.first_reachable(mirrors, MIRROR_PROBE, cancel);
            probe.await?
        }
        Some(Nixpkgs::Dir(_)) => return Ok(None),
        Some(Nixpkgs::Remote(_)) | None => None,
    };
    Ok(reachable.or_else(|| mirrors.first().cloned()))
}
