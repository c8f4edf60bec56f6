//! `sdbuild lock`: completes a flake's lock, or updates inputs in it; renews the `sdbuild.lock` of an `sd-card.nix`. Which of them is
//! meant, it finds out as a build does.

use std::path::{Path, PathBuf};

use crate::cli;
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::common::shell_word::quoted;
use crate::nixos::flake;
use crate::pipeline;
use crate::settings::{self, Environment, SourceChoice};

/// Writes the lock and reports what has changed in it.
pub async fn run(args: &cli::Lock, env: &Environment, context: &Context) -> Result<(), Failure> {
    let settings = settings::Build::resolve(&args.build(), env)?;
    if let SourceChoice::Config(config) = &settings.source {
        if let Some(input) = args.inputs.iter().find(|input| *input != "nixpkgs") {
            let text = format!("`{input}` is not in sdbuild.lock, which has only nixpkgs");
            return Err(Failure::usage(text).hint("for a flake: sdbuild lock --flake DIR"));
        }
        return pipeline::lock_nixpkgs(config, &settings, context).await;
    }
    let dir = directory(&settings, context).await?;
    check_names(&args.inputs)?;
    let before = flake::read_lock(&dir)?;
    let outcome = pipeline::lock_flake(settings, args.inputs.clone(), context).await?;
    outcome.finish("the lock is done", |after| {
        let written = write(&dir, before.as_deref(), after.as_deref())?;
        context.events.notice(written);
        Ok(())
    })
}

/// Writes the lock `after` to `dir`, if there is a new one; what has changed since `before`.
fn write(dir: &Path, before: Option<&str>, after: Option<&str>) -> Result<String, Failure> {
    let path = dir.join(flake::LOCK);
    let shown = path.display();
    match after {
        Some(after) if flake::write_lock(dir, before, after)? => {
            let changes = flake::lock_changes(before, after);
            Ok(format!(
                "{shown} is written: {changes}; commit it with the flake"
            ))
        }
        Some(_) | None => Ok(format!("{shown} is complete, nothing has changed")),
    }
}

/// The directory of the flake.
async fn directory(settings: &settings::Build, context: &Context) -> Result<PathBuf, Failure> {
    let flake = match &settings.source {
        SourceChoice::Flake { reference, .. } => {
            pipeline::flake_directory(reference, settings, context).await?
        }
        SourceChoice::Config(_) => None,
    };
    flake.ok_or_else(|| {
        Failure::usage("the lock of a flake elsewhere cannot be written from here")
            .hint("clone its repository, and give the directory")
    })
}

/// Refuses what Nix would read as a flag, and the directory of a flake, in place of the name of an input.
fn check_names(inputs: &[String]) -> Result<(), Failure> {
    let is_path = |input: &str| input.starts_with(['.', '/', '~']);
    let is_wrong = |input: &&String| input.starts_with('-') || input.is_empty() || is_path(input);
    let Some(input) = inputs.iter().find(is_wrong) else {
        return Ok(());
    };
    let failure = Failure::usage(format!("`{input}` is not the name of an input"));
    Err(if is_path(input) {
        let dir = quoted(input);
        failure.hint(format!(
            "the lock of the flake there: sdbuild lock --flake {dir}"
        ))
    } else {
        failure
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_paths_are_no_inputs() {
        assert!(check_names(&["nixpkgs".into(), "a/b".into()]).is_ok());
        assert!(check_names(&["--impure".into()]).is_err());
        let failure = check_names(&["nixpkgs".into(), "../my pi".into()]).unwrap_err();
        assert_eq!(
            failure.hints,
            ["the lock of the flake there: sdbuild lock --flake '../my pi'"]
        );
    }
}
