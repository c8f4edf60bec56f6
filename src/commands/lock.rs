//! `sdbuild lock`: completes a flake's lock, or updates inputs in it; renews the `sdbuild.lock` of an `sd-card.nix`. Which of them is
//! meant, it finds out as a build does.

use std::path::{Path, PathBuf};

use crate::cli;
use crate::settings;
use crate::settings::Environment;
use sdbuild_build::flake;
use sdbuild_build::{BuildRequest, SourceChoice};
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use sdbuild_nix::configuration_file::{CONFIG_NAME, FLAKE_FILE};
use sdbuild_nix::flake_lock::lock_changes;

/// Writes the lock and reports what has changed in it.
pub async fn run(args: &cli::Lock, env: &Environment, context: &Context) -> Result<(), Failure> {
    check_names(&args.inputs)?;
    let settings = settings::Build::resolve(&args.build(), env)?;
    if let SourceChoice::Config(config) = &settings.request.source.choice {
        if let Some(input) = args.inputs.iter().find(|input| *input != "nixpkgs") {
            let text = format!("`{input}` is not in sdbuild.lock, which has only nixpkgs");
            let hint = "to update nixpkgs, run `sdbuild lock`; for a flake, run `sdbuild lock --flake DIR`";
            return Err(Failure::usage(text).hint(hint));
        }
        let beside = config.with_file_name(FLAKE_FILE);
        if beside.is_file() {
            context.events.notice(format!(
                "this updates nixpkgs for {CONFIG_NAME}; for the {FLAKE_FILE} beside it, run `sdbuild lock --flake .`"
            ));
        }
        return sdbuild_build::lock_nixpkgs(config, &settings.request, context).await;
    }
    let dir = directory(&settings.request, context).await?;
    let before = flake::read_lock(&dir)?;
    let outcome = sdbuild_build::lock_flake(settings.request, args.inputs.clone(), context).await?;
    outcome.finish("the lock is done", |after| {
        let written = write(&dir, before.as_deref(), after.as_deref(), &args.inputs)?;
        context.events.notice(written);
        Ok(())
    })
}

/// Writes the lock `after` to `dir`, if there is a new one; what has changed since `before`, where the inputs `updated` were to be
/// updated.
fn write(
    dir: &Path,
    before: Option<&str>,
    after: Option<&str>,
    updated: &[String],
) -> Result<String, Failure> {
    let path = dir.join(flake::LOCK);
    let shown = path.display();
    match after {
        Some(after) if flake::write_lock(dir, before, after)? => {
            let changes = lock_changes(before, after);
            Ok(format!(
                "{shown} is written ({changes}); commit it with the flake"
            ))
        }
        Some(_) | None if updated.is_empty() => {
            Ok(format!("{shown} is complete, nothing has changed"))
        }
        Some(_) | None => Ok(format!(
            "nothing has changed in {shown}: already the newest: {}",
            updated.join(", ")
        )),
    }
}

/// The directory of the flake.
async fn directory(request: &BuildRequest, context: &Context) -> Result<PathBuf, Failure> {
    let flake = match &request.source.choice {
        SourceChoice::Flake { reference, .. } => {
            sdbuild_build::flake_directory(reference, request, context).await?
        }
        SourceChoice::Config(_) => None,
    };
    flake.ok_or_else(|| {
        Failure::usage("the lock of a flake elsewhere cannot be written from here")
            .hint("clone its repository, and give the directory")
    })
}

/// Refuses what Nix would read as a flag, and a path, in place of the name of an input.
fn check_names(inputs: &[String]) -> Result<(), Failure> {
    let is_wrong = |input: &&String| input.is_empty() || input.starts_with(['-', '.', '/', '~']);
    inputs.iter().find(is_wrong).map_or(Ok(()), |input| {
        let text = format!("`{input}` is not the name of an input");
        Err(Failure::usage(text).hint("for a flake elsewhere: `sdbuild lock --flake DIR [INPUT…]`"))
    })
}
