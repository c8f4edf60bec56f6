//! `sdbuild lock`: completes a flake's lock, or updates inputs in it; renews the `sdbuild.lock` of an `sd-card.nix`. Which of them is
//! meant, it finds out as a build does.

use std::path::{Path, PathBuf};

use crate::cli;
use crate::common::configuration_file::{CONFIG_NAME, FLAKE_FILE};
use crate::nixos::flake;
use crate::pipeline;
use crate::pipeline::{BuildRequest, SourceChoice};
use crate::settings;
use crate::settings::Environment;
use sdbuild_core::absolute_path::below_home;
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use sdbuild_core::shell_word::quoted;
use sdbuild_nix::flake_lock::lock_changes;

/// What to do about a word that is neither the name of an input nor what can be locked.
const NAMES: &str = "give `lock` names of inputs, such as nixpkgs. Without any, it works on the configuration or flake in \
                     this directory";

/// Writes the lock and reports what has changed in it.
pub async fn run(args: &cli::Lock, env: &Environment, context: &Context) -> Result<(), Failure> {
    check_names(&args.inputs, env.home_dir().as_deref())?;
    let settings = settings::Build::resolve(&args.build(), env)?;
    if let SourceChoice::Config(config) = &settings.request.source.choice {
        if let Some(input) = args.inputs.iter().find(|input| *input != "nixpkgs") {
            let text = format!("`{input}` is not in sdbuild.lock, which has only nixpkgs");
            let hint = line_for(Path::new(input)).unwrap_or_else(|| {
                "to update nixpkgs, run `sdbuild lock`; for a flake, run `sdbuild lock --flake DIR`".to_owned()
            });
            return Err(Failure::usage(text).hint(hint));
        }
        let beside = config.with_file_name(FLAKE_FILE);
        if beside.is_file() {
            context.events.notice(format!(
                "this updates nixpkgs for {CONFIG_NAME}; for the {FLAKE_FILE} beside it, run `sdbuild lock --flake .`"
            ));
        }
        return pipeline::lock_nixpkgs(config, &settings.request, context).await;
    }
    let dir = directory(&settings.request, context).await?;
    let before = flake::read_lock(&dir)?;
    let outcome = pipeline::lock_flake(settings.request, args.inputs.clone(), context).await?;
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
        Some(_) | None => Ok(match updated {
            [] => format!("{shown} is complete, nothing has changed"),
            [input] => format!("nothing has changed in {shown}: {input} is already the newest"),
            inputs => format!(
                "nothing has changed in {shown}: {} are already the newest",
                inputs.join(", ")
            ),
        }),
    }
}

/// The directory of the flake.
async fn directory(request: &BuildRequest, context: &Context) -> Result<PathBuf, Failure> {
    let flake = match &request.source.choice {
        SourceChoice::Flake { reference, .. } => {
            pipeline::flake_directory(reference, request, context).await?
        }
        SourceChoice::Config(_) => None,
    };
    flake.ok_or_else(|| {
        Failure::usage("the lock of a flake elsewhere cannot be written from here")
            .hint("clone its repository, and give the directory")
    })
}

/// Refuses what Nix would read as a flag, and a configuration or its directory, in place of the name of an input.
fn check_names(inputs: &[String], home: Option<&Path>) -> Result<(), Failure> {
    let is_file = |input: &str| Path::new(input).extension().is_some_and(|end| end == "nix");
    let is_path = |input: &str| input.starts_with(['.', '/', '~']) || is_file(input);
    let is_wrong = |input: &&String| input.starts_with('-') || input.is_empty() || is_path(input);
    let Some(input) = inputs.iter().find(is_wrong) else {
        return Ok(());
    };
    let failure = Failure::usage(format!("`{input}` is not the name of an input"));
    if !is_path(input) {
        return Err(failure);
    }
    let hint = line_for(&below_home(Path::new(input), home));
    Err(failure.hint(hint.unwrap_or_else(|| NAMES.to_owned())))
}

/// The command that locks what is at `path`: a flake or an `sd-card.nix`, or the directory with one. `None` for anything else.
fn line_for(path: &Path) -> Option<String> {
    let is_directory = path.is_dir();
    let dir = if is_directory { path } else { path.parent()? };
    let has = |name: &str| {
        let is_meant = is_directory || path.ends_with(name);
        is_meant && dir.join(name).is_file()
    };
    let shown = dir.to_str()?;
    let is_here = ["", "."].contains(&shown);
    if has(FLAKE_FILE) {
        let shown = quoted(if is_here { "." } else { shown });
        Some(format!(
            "to name a flake's directory: sdbuild lock --flake {shown}"
        ))
    } else if has(CONFIG_NAME) && is_here {
        Some("`sdbuild lock` without arguments updates nixpkgs for the sd-card.nix here".to_owned())
    } else if has(CONFIG_NAME) {
        let shown = quoted(shown);
        Some(format!(
            "to update nixpkgs for that configuration: cd {shown} && sdbuild lock"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_paths_are_no_inputs() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        for file in ["my flake/flake.nix", "pi/sd-card.nix", "pi/b.nix"] {
            let file = home.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "{ }").unwrap();
        }
        let check = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            check_names(&words, Some(home))
        };
        assert!(check(&["nixpkgs", "a/b"]).is_ok());
        assert!(check(&["--impure"]).is_err());
        let of_flake = format!("--flake '{}/my flake'", home.display());
        let of_file = format!(": cd {}/pi && sdbuild lock", home.display());
        for (word, end) in [
            ("~/my flake", of_flake.as_str()),
            ("~/my flake/flake.nix", of_flake.as_str()),
            ("~/pi", of_file.as_str()),
            ("~/pi/sd-card.nix", of_file.as_str()),
            ("~/pi/b.nix", NAMES),
            ("~/pi/flake.nix", NAMES),
            ("~/nosuch/sd-card.nix", NAMES),
            ("b.nix", NAMES),
        ] {
            let failure = check(&["nixpkgs", word]).unwrap_err();
            assert!(failure.hints[0].ends_with(end), "{failure:?}");
        }
    }
}
