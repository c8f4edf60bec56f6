//! `sdbuild lock`: completes a flake's lock, or updates inputs in it; renews the `sdbuild.lock` of a `sd-card.nix`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli;
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::common::flake_ref::FlakeRef;
use crate::nixos::flake;
use crate::pipeline;
use crate::settings::{self, BuildArgs, ConfigArgs, Environment, SourceChoice};

/// Writes the lock and reports what has changed in it.
pub async fn run(args: &cli::Lock, env: &Environment, context: &Context) -> Result<(), Failure> {
    let here = || (!is_module_file_alone(Path::new("."))).then(FlakeRef::here);
    let config = ConfigArgs {
        flake: args.flake.clone().or_else(here),
        git_inputs: args.git_inputs.clone(),
        ..ConfigArgs::default()
    };
    let build = BuildArgs {
        config,
        ..BuildArgs::default()
    };
    let settings = settings::Build::resolve(&build, env)?;
    if let SourceChoice::Config(config) = &settings.source {
        if let Some(input) = args.inputs.iter().find(|input| *input != "nixpkgs") {
            let text = format!("`{input}` is not in sdbuild.lock, which has only nixpkgs");
            return Err(Failure::usage(text).hint("for a flake: sdbuild lock --flake DIR"));
        }
        return pipeline::lock_nixpkgs(config, &settings, context).await;
    }
    let dir = directory(&settings, context).await?;
    refuse_flags(&args.inputs)?;
    let before = flake::read_lock(&dir)?;
    let outcome = pipeline::lock_flake(settings, args.inputs.clone(), context).await?;
    outcome.finish("the lock is done", |after| {
        let written = write(&dir, before.as_deref(), after.as_deref())?;
        context.events.notice(written);
        Ok(())
    })
}

/// Whether a build in `dir` takes a `sd-card.nix`, and no flake is beside it.
fn is_module_file_alone(dir: &Path) -> bool {
    dir.join(settings::CONFIG_NAME).is_file() && !dir.join("flake.nix").exists()
}

/// Writes the lock `after` to `dir`, if there is a new one; what has changed since `before`.
fn write(dir: &Path, before: Option<&str>, after: Option<&str>) -> Result<String, Failure> {
    let path = dir.join(flake::LOCK);
    let shown = path.display();
    match after {
        Some(after) if flake::write_lock(dir, after)? => {
            let changes = changes(before, after);
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

/// Refuses what Nix would read as a flag.
fn refuse_flags(inputs: &[String]) -> Result<(), Failure> {
    let wrong = inputs
        .iter()
        .find(|input| input.starts_with('-') || input.is_empty());
    wrong.map_or(Ok(()), |input| {
        Err(Failure::usage(format!(
            "`{input}` is not the name of an input"
        )))
    })
}

/// What has changed between two locks, in words.
fn changes(before: Option<&str>, after: &str) -> String {
    let (before, after) = (before.map(locked).unwrap_or_default(), locked(after));
    let change = |(name, value): (&String, &Value)| match before.get(name) {
        Some(old) if old == value => None,
        Some(_) => Some(format!("{name} updated")),
        None => Some(format!("{name} added")),
    };
    let changed: Vec<_> = after.iter().filter_map(change).collect();
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    let removed = removed.map(|name| format!("{name} removed"));
    changed
        .into_iter()
        .chain(removed)
        .collect::<Vec<_>>()
        .join(", ")
}

/// What each input of the lock `text` is locked to.
fn locked(text: &str) -> BTreeMap<String, Value> {
    let lock: Value = serde_json::from_str(text).unwrap_or_default();
    let nodes = lock.get("nodes").and_then(Value::as_object);
    let nodes = nodes.into_iter().flatten();
    nodes
        .filter_map(|(name, node)| Some((name.clone(), node.get("locked")?.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_a_lock_are_named() {
        let lock =
            |nodes: &str| format!("{{\"nodes\":{{{nodes}}},\"root\":\"root\",\"version\":7}}");
        let a = "\"a\":{\"locked\":{\"rev\":\"1\"}}";
        let newer = a.replace('1', "2");
        let b = "\"b\":{\"locked\":{\"rev\":\"1\"}}";
        let root = "\"root\":{\"inputs\":{}}";
        assert_eq!(changes(None, &lock(&format!("{a},{root}"))), "a added");
        let text = changes(Some(&lock(&format!("{a},{b}"))), &lock(&newer));
        assert_eq!(text, "a updated, b removed");
        assert_eq!(changes(Some(&lock(a)), &lock(a)), "");
    }

    #[test]
    fn inputs_that_look_like_flags_are_refused() {
        assert!(refuse_flags(&["nixpkgs".into()]).is_ok());
        assert!(refuse_flags(&["--impure".into()]).is_err());
    }
}
