//! nixpkgs, from what was asked for to what is uploaded.

use crate::artifact::{Fetcher, Remote};
use crate::event::Phase;
use crate::failure::Failure;
use crate::nixos::lock::{self, Download, Downloaded, Resolve, Wanted};
use crate::nixos::nixpkgs::{Nixpkgs, NixpkgsIn};
use crate::oci::Images;
use crate::pipeline::{Context, Plan};

/// A release's archive is some 30 MB, a checkout's 60; what is larger is something else.
const LARGEST_ARCHIVE: u64 = 512 << 20;

/// The nixpkgs of `plan`: a folder as it is, anything else by its lock.
pub(super) async fn nixpkgs(
    plan: &Plan,
    context: &Context,
    images: &Images,
) -> Result<NixpkgsIn, Failure> {
    let wanted = match &plan.nixpkgs {
        Nixpkgs::Folder(folder) => return NixpkgsIn::folder(folder, &context.cancel).await,
        Nixpkgs::Url(url) => Wanted::Url(url.clone()),
        Nixpkgs::Release(release) => Wanted::Release(release.clone()),
    };
    let lock = plan.configuration.root().join(lock::NAME);
    let how = Resolve {
        wanted: &wanted,
        lock: &lock,
        channels: &plan.settings.channels,
        update: false,
    };
    let fetch = |download| fetch(download, images.fetcher(), context);
    let resolve = lock::resolve(&how, &context.events, fetch);
    let (_, archive) = context.phase(Phase::Fetch, resolve).await?;
    NixpkgsIn::archive(archive.path, archive.sha256)
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
