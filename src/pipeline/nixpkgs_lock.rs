//! `sdbuild lock` for an `sd-card.nix`: its nixpkgs is resolved again.

use std::path::Path;

use crate::nixos::configuration::Configuration;
use crate::nixos::lock;
use crate::nixos::lock::Resolve;
use crate::nixos::nixpkgs::Nixpkgs;
use crate::pipeline::clients;
use crate::pipeline::nixpkgs_archive::NAME_ANOTHER_TO_LOCK;
use crate::pipeline::request::BuildRequest;
use crate::pipeline::steps::source::resolve;
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;

/// What updates a directory of nixpkgs.
const UPDATE_DIRECTORY: &str =
    "update that directory yourself, such as with `git pull`. A build takes it as it is";

/// Resolves the nixpkgs of the configuration `config` anew, and writes it to the `sdbuild.lock` beside it. A usage error for a
/// directory, which nothing pins.
pub async fn lock_nixpkgs(
    config: &Path,
    request: &BuildRequest,
    context: &Context,
) -> Result<(), Failure> {
    let (root, home) = (
        request.source.root.as_deref(),
        request.common.home.as_deref(),
    );
    let configuration = Configuration::open_below(config, root, home)?;
    let requested = match request.source.nixpkgs.parse()? {
        Nixpkgs::Remote(requested) => requested,
        Nixpkgs::Dir(dir) => {
            let text = format!(
                "there is nothing to update, because nixpkgs is the directory {}",
                dir.display()
            );
            return Err(Failure::usage(text).hint(UPDATE_DIRECTORY));
        }
    };
    let lock = configuration.dir().join(lock::NAME);
    let how = Resolve {
        requested: &requested,
        lock: &lock,
        channels: &request.common.channels,
        write_lock: true,
        renew: true,
    };
    let fetcher = clients::fetcher(&request.common, &context.events)?;
    let (locked, _) = resolve(&how, NAME_ANOTHER_TO_LOCK, &fetcher, context).await?;
    // The build goes on without a lock that cannot be written, and has said why.
    if lock::find(&lock, &requested)? == Some(locked) {
        return Ok(());
    }
    Err(Failure::environment(format!(
        "{} is not written",
        lock.display()
    )))
}
