//! `sdbuild lock`: completes a flake's lock, or updates inputs in it; renews the `sdbuild.lock` of an `sd-card.nix`. Which of them is
//! meant, it finds out as a build does.

use std::path::{Path, PathBuf};

use crate::cli;
use crate::common::configuration_file::{CONFIG_NAME, FLAKE_FILE};
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::common::shell_word::quoted;
use crate::nixos::flake;
use crate::pipeline;
use crate::settings::{self, Environment, SourceChoice};

/// Writes the lock and reports what has changed in it.
pub async fn run(args: &cli::Lock, env: &Environment, context: &Context) -> Result<(), Failure> {
    check_names(&args.inputs)?;
    let settings = settings::Build::resolve(&args.build(), env)?;
    if let SourceChoice::Config(config) = &settings.source {
        if let Some(input) = args.inputs.iter().find(|input| *input != "nixpkgs") {
            let text = format!("`{input}` is not in sdbuild.lock, which has only nixpkgs");
            return Err(Failure::usage(text).hint("for a flake: sdbuild lock --flake DIR"));
        }
        return pipeline::lock_nixpkgs(config, &settings, context).await;
    }
    let dir = directory(&settings, context).await?;
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

/// Refuses what Nix would read as a flag, and a configuration or its directory, in place of the name of an input.
fn check_names(inputs: &[String]) -> Result<(), Failure> {
    let is_file = |input: &str| Path::new(input).extension().is_some_and(|end| end == "nix");
    let is_path = |input: &str| input.starts_with(['.', '/', '~']) || is_file(input);
    let is_wrong = |input: &&String| input.starts_with('-') || input.is_empty() || is_path(input);
    let Some(input) = inputs.iter().find(is_wrong) else {
        return Ok(());
    };
    let failure = Failure::usage(format!("`{input}` is not the name of an input"));
    let path = Path::new(input);
    let hint = if path.ends_with(CONFIG_NAME) {
        match path.parent().and_then(Path::to_str).unwrap_or_default() {
            "" | "." => {
                "`sdbuild lock` alone resolves nixpkgs again for the sd-card.nix here".to_owned()
            }
            dir => format!(
                "nixpkgs is resolved again in the directory of the configuration: cd {} && sdbuild lock",
                quoted(dir)
            ),
        }
    } else if is_file(input) && !path.ends_with(FLAKE_FILE) {
        "`sdbuild lock` takes the configuration that a build takes here".to_owned()
    } else if is_path(input) {
        let dir = if path.ends_with(FLAKE_FILE) {
            path.parent().and_then(Path::to_str).unwrap_or_default()
        } else {
            input
        };
        let dir = quoted(if dir.is_empty() { "." } else { dir });
        format!(
            "the words are names of inputs; the lock of the flake there: sdbuild lock --flake {dir}"
        )
    } else {
        return Err(failure);
    };
    Err(failure.hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_paths_are_no_inputs() {
        assert!(check_names(&["nixpkgs".into(), "a/b".into()]).is_ok());
        assert!(check_names(&["--impure".into()]).is_err());
        let failure = check_names(&["nixpkgs".into(), "../my pi".into()]).unwrap_err();
        let line = "the lock of the flake there: sdbuild lock --flake";
        assert!(
            failure.hints[0].ends_with(&format!("{line} '../my pi'")),
            "{failure:?}"
        );
        for (word, end) in [
            ("flake.nix", format!("{line} .")),
            ("./flake.nix", format!("{line} .")),
            ("pi/flake.nix", format!("{line} pi")),
            ("sd-card.nix", "again for the sd-card.nix here".to_owned()),
            ("pi/sd-card.nix", "cd pi && sdbuild lock".to_owned()),
            ("b.nix", "that a build takes here".to_owned()),
        ] {
            let failure = check_names(&[word.into()]).unwrap_err();
            assert!(failure.hints[0].ends_with(&end), "{failure:?}");
        }
    }
}
