//! Step: nixpkgs is in the cache.

use crate::artifact::{Fetcher, MIRROR_PROBE, Remote};
use crate::common::context::Context;
use crate::common::event::Phase;
use crate::common::failure::Failure;
use crate::nixos::build_source::BuildSource;
use crate::nixos::lock::{self, Download, Downloaded, Locked, Requested, Resolve};
use crate::nixos::nixpkgs::{LocalNixpkgs, Nixpkgs};
use crate::pipeline::plan::Plan;
use crate::pipeline::run_context::RunContext;

/// A release's archive is some 30 MB, a checkout's 60 MB; anything above this is something else.
const MAX_ARCHIVE_BYTES: u64 = 512 << 20;

/// The configuration, what the command line adds to it, and nixpkgs.
pub(super) fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    let source = &plan.source;
    let path = source.configuration.path().display().to_string();
    let added = source.cli_module.lines().iter();
    let added = added.map(|line| ("overrides it", line.clone()));
    let mut lines = vec![("configuration", path)];
    lines.extend(added);
    lines.push(("nixpkgs", describe_nixpkgs(plan)));
    lines
}

fn describe_nixpkgs(plan: &Plan) -> String {
    let settings = &plan.settings;
    match (&plan.source.nixpkgs, &plan.source.locked) {
        (Nixpkgs::Dir(dir), _) => format!("{}, uploaded", dir.display()),
        (Nixpkgs::Url(_) | Nixpkgs::Release(_), Some(locked)) => format!(
            "{}: {} (sha256 {}, by sdbuild.lock)",
            settings.nixpkgs, locked.url, locked.sha256
        ),
        (Nixpkgs::Url(url), None) => format!("{url}, to be fetched and locked"),
        (Nixpkgs::Release(release), None) => {
            let channels = &settings.common.channels;
            format!("{release}, to be looked up at {channels} and locked")
        }
    }
}

/// A nixpkgs that can be uploaded, and its lock entry unless it is a local directory.
#[derive(Debug)]
pub(in crate::pipeline) struct ResolvedNixpkgs {
    nixpkgs: LocalNixpkgs,
    locked: Option<Locked>,
}

/// Resolves and fetches nixpkgs: a local directory as it is, anything else by its lock entry.
pub(in crate::pipeline) async fn nixpkgs(run: &RunContext<'_>) -> Result<ResolvedNixpkgs, Failure> {
    let Context { cancel, events } = run.context;
    let source = &run.plan.source;
    let requested = match &source.nixpkgs {
        Nixpkgs::Dir(dir) => {
            return Ok(ResolvedNixpkgs {
                nixpkgs: LocalNixpkgs::dir(dir, cancel).await?,
                locked: None,
            });
        }
        Nixpkgs::Url(url) => Requested::Url(url.clone()),
        Nixpkgs::Release(release) => Requested::Release(release.clone()),
    };
    let lock = source.configuration.root().join(lock::NAME);
    let how = Resolve {
        requested: &requested,
        lock: &lock,
        channels: &run.plan.settings.common.channels,
        write_lock: run.plan.settings.dry_run.is_none(),
    };
    let fetch = |download| fetch(download, &run.fetcher, run.context);
    let resolve = lock::resolve(&how, events, fetch);
    let (locked, archive) = run.context.phase(Phase::Nixpkgs, resolve).await?;
    Ok(ResolvedNixpkgs {
        nixpkgs: LocalNixpkgs::archive(archive.path, archive.sha256)?,
        locked: Some(locked),
    })
}

async fn fetch(
    download: Download,
    fetcher: &Fetcher,
    context: &Context,
) -> Result<Downloaded, Failure> {
    let remote = Remote {
        url: &download.url,
        sha256: download.sha256.map(Into::into),
        max_bytes: MAX_ARCHIVE_BYTES,
        phase: Phase::Nixpkgs,
    };
    let file = fetcher.url(remote, &context.cancel).await?;
    Ok(Downloaded {
        path: file.path,
        sha256: file.sha256.into(),
        final_url: file.final_url,
    })
}

/// The configuration with its nixpkgs.
pub(super) fn with_nixpkgs(plan: &Plan, nixpkgs: ResolvedNixpkgs) -> BuildSource {
    let source = &plan.source;
    let ResolvedNixpkgs { nixpkgs, locked } = nixpkgs;
    BuildSource {
        configuration: source.configuration.clone(),
        cli_module: source.cli_module.clone(),
        nixpkgs,
        locked,
        files: source.files.clone(),
    }
}

/// The Debian mirror that the miniature nixpkgs fetches from: the first that answers. Only a local directory can
/// be such a tree; for anything else the mirrors are not probed.
pub(super) async fn debian_mirror(run: &RunContext<'_>) -> Result<Option<String>, Failure> {
    let mirrors = &run.plan.settings.common.mirrors;
    let reachable = match &run.plan.source.nixpkgs {
        Nixpkgs::Dir(_) => {
            let cancel = &run.context.cancel;
            let probe = run.fetcher.first_reachable(mirrors, MIRROR_PROBE, cancel);
            probe.await?
        }
        Nixpkgs::Url(_) | Nixpkgs::Release(_) => None,
    };
    Ok(reachable.or_else(|| mirrors.first().cloned()))
}
