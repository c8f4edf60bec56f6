//! nixpkgs, from what was asked for to what is uploaded.

use crate::artifact::{Fetcher, Remote};
use crate::common::event::Phase;
use crate::common::failure::Failure;
use crate::nixos::lock::{self, Download, Downloaded, Locked, Requested, Resolve};
use crate::nixos::nixpkgs::{Nixpkgs, NixpkgsIn};
use crate::oci::Images;
use crate::pipeline::{Context, Plan};

/// A release's archive is some 30 MB, a checkout's 60; what is larger is something else.
const LARGEST_ARCHIVE: u64 = 512 << 20;
/// Every Debian mirror has it.
const RELEASE: &str = "dists/stable/Release";

/// The nixpkgs of `plan`: a directory as it is, anything else by its lock, which comes along.
pub(super) async fn nixpkgs(
    plan: &Plan,
    context: &Context,
    images: &Images,
) -> Result<(NixpkgsIn, Option<Locked>), Failure> {
    let requested = match &plan.nixpkgs {
        Nixpkgs::Dir(dir) => {
            return Ok((NixpkgsIn::dir(dir, &context.cancel).await?, None));
        }
        Nixpkgs::Url(url) => Requested::Url(url.clone()),
        Nixpkgs::Release(release) => Requested::Release(release.clone()),
    };
    let lock = plan.configuration.root().join(lock::NAME);
    let how = Resolve {
        requested: &requested,
        lock: &lock,
        channels: &plan.settings.channels,
        write_lock: plan.settings.dry_run.is_none(),
    };
    let fetch = |download| fetch(download, images.fetcher(), context);
    let resolve = lock::resolve(&how, &context.events, fetch);
    let (locked, archive) = context.phase(Phase::Fetch, resolve).await?;
    let archive = NixpkgsIn::archive(archive.path, archive.sha256)?;
    Ok((archive, Some(locked)))
}

/// The mirror that a miniature nixpkgs fetches from, one that answers. Only a directory can be such a tree
/// while somebody works on it; for others it is not worth asking around.
pub(super) async fn debian_mirror(
    plan: &Plan,
    context: &Context,
    images: &Images,
) -> Result<Option<String>, Failure> {
    let mirrors = &plan.settings.common.mirrors;
    let answering = match &plan.nixpkgs {
        Nixpkgs::Dir(_) => {
            let survey = images
                .fetcher()
                .first_reachable(mirrors, RELEASE, &context.cancel);
            survey.await?
        }
        Nixpkgs::Url(_) | Nixpkgs::Release(_) => None,
    };
    Ok(answering.or_else(|| mirrors.first().cloned()))
}

async fn fetch(
    download: Download,
    fetcher: &Fetcher,
    context: &Context,
) -> Result<Downloaded, Failure> {
    let remote = Remote {
        url: &download.url,
        sha256: download.sha256.map(Into::into),
        limit: LARGEST_ARCHIVE,
    };
    let got = fetcher.url(remote, &context.cancel).await?;
    Ok(Downloaded {
        path: got.path,
        sha256: got.sha256.into(),
        final_url: got.final_url,
    })
}
