//! `sdbuild try`: builds and boots a miniature image, whose recipe is part of the program.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli;
use crate::commands::Session;
use crate::commands::build;
use crate::commands::build::BuildOutput;
use crate::settings;
use crate::settings::{BuildArgs, ConfigArgs, Environment, NixpkgsSource, Options, WordList};
use crate::template;
use crate::template::{PublicKey, TemplateName, TemplateValues};
use sdbuild_boot::Reached;
use sdbuild_build::Common;
use sdbuild_build::output::Image;
use sdbuild_core::atomic_file;
use sdbuild_core::compression::{Compression, CompressionOptions};
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::new_ssh_key::KeyPair;
use sdbuild_core::scratch_dir::ScratchDir;
use sdbuild_core::system::System;
use sdbuild_image::board::generic_machine;
use sdbuild_nix::configuration_file::CONFIG_NAME;

/// Host name of the image.
const HOST_NAME: &str = "sdbuild-try";
/// Hint of a failed boot: `try` does not have the flags that the other hints name.
const KEEP_HINT: &str = "`sdbuild try --no-boot --output DIR` keeps the image and its key, and `sdbuild boot DIR/*.img \
    --until-ssh --login-key DIR/key` has --timeout, --memory and --firmware";

/// Builds and boots the miniature image; removes everything unless `--output` is given.
pub async fn run(args: &cli::Try, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, ui, context } = session;
    let temporary = scratch_dir(&settings::common_without_file(env)?)?;
    let kept = args.output.as_deref().map(create_dir).transpose()?;
    let dir = kept.as_deref().unwrap_or(temporary.path());
    let workspace = TryWorkspace::create(dir, temporary.path(), env)?;
    let mut settings = settings::Build::resolve(&workspace.build_args(args), env)?;
    // It is about this machine.
    settings.runs_on_engine();
    let write = |image: &Image| match &kept {
        Some(_) => ui.result(&image.path.to_string_lossy()),
        None => Ok(()),
    };
    let output = BuildOutput {
        write: &write,
        keep_hint: kept.is_none().then_some(KEEP_HINT),
        or_until_prompt: true,
    };
    let context = &Context {
        events: without_temporary_paths(context.events.clone(), kept.is_some()),
        ..context.clone()
    };
    let session = Session { context, ..session };
    let built = Box::pin(build::build(settings, session, &output)).await;
    let did = match built.map_err(with_advice)? {
        None => "built an image",
        Some(Reached::Login) => "built an image, booted it and logged in",
        Some(Reached::Prompt | Reached::End) => {
            "built an image and booted it until its console asked for a login"
        }
    };
    context.events.notice(format!(
        "this machine can do it: {did}. Next, `sdbuild init` writes ./sd-card.nix, `sdbuild check` checks it, and \
         `sdbuild build` builds your own image"
    ));
    Ok(())
}

/// Adds what to do about the failure of a trial: an interruption says nothing about this machine.
fn with_advice(failure: Failure) -> Failure {
    if failure.class == Class::Interrupted {
        return failure;
    }
    failure
        .hint("`sdbuild doctor` checks the requirements; --no-boot does without those for booting")
}

/// Events to `events`; the first line names no file that `try` removes at the end.
fn without_temporary_paths(events: Events, keeps_configuration: bool) -> Events {
    Events::new(move |mut event| {
        if let Event::RunStarted(run) = &mut event {
            "in miniature".clone_into(&mut run.nixpkgs);
            if !keeps_configuration {
                "a trial configuration".clone_into(&mut run.configuration);
            }
        }
        events.emit(event);
    })
}

fn scratch_dir(common: &Common) -> Result<ScratchDir, Failure> {
    let parent = &common.cache_dir;
    ScratchDir::create(parent).or_environment(format!("create a directory in {}", parent.display()))
}

/// Creates `dir` if it does not exist; its absolute path.
fn create_dir(dir: &Path) -> Result<PathBuf, Failure> {
    let create = || {
        fs::create_dir_all(dir)?;
        dir.canonicalize()
    };
    create().or_usage(format!("create the directory {}", dir.display()))
}

/// The files that the image is built from.
struct TryWorkspace {
    config: PathBuf,
    key: PathBuf,
    nixpkgs: PathBuf,
    output: PathBuf,
}

impl TryWorkspace {
    /// Writes the configuration and the key to `dir`, the miniature nixpkgs to `temporary`.
    fn create(dir: &Path, temporary: &Path, env: &Environment) -> Result<Self, Failure> {
        let own_nixpkgs = env.path("SDBUILD_MINI_NIXPKGS");
        let workspace = Self {
            config: dir.join(CONFIG_NAME),
            key: dir.join("key"),
            nixpkgs: own_nixpkgs
                .clone()
                .unwrap_or_else(|| temporary.join("nixpkgs")),
            output: dir.to_owned(),
        };
        let pair = KeyPair::generate(HOST_NAME)?;
        let values = TemplateValues {
            keys: vec![PublicKey { line: pair.public }],
            host_name: HOST_NAME.to_owned(),
            user: None,
            system: System::default(),
            template: TemplateName::SdCard,
            board: generic_machine(System::Aarch64Linux),
            time_zone: None,
            locale: None,
            wifi: None,
            preseed: false,
        };
        for (path, text) in [
            (&workspace.key, &pair.private),
            (&workspace.config, &template::render(&values)),
        ] {
            atomic_file::create_secret(path, text).or_usage(format!("write {}", path.display()))?;
        }
        if own_nixpkgs.is_none() {
            let nixpkgs = &workspace.nixpkgs;
            template::unpack_miniature(nixpkgs)
                .or_environment(format!("write {}", nixpkgs.display()))?;
        }
        Ok(workspace)
    }

    /// The build of these files.
    fn build_args(&self, args: &cli::Try) -> BuildArgs {
        let nixpkgs = self.nixpkgs.to_string_lossy().into_owned();
        BuildArgs {
            config: ConfigArgs {
                config: Some(self.config.clone()),
                ssh_key: (!args.no_boot).then(|| self.key.clone()),
                ..ConfigArgs::default()
            },
            options: Options {
                nixpkgs: Some(NixpkgsSource(nixpkgs)),
                system: Some(System::Aarch64Linux),
                emulation: args.emulation,
                output: Some(self.output.clone()),
                // Compressing an image that is booted and removed would only cost time.
                compress: Some(CompressionOptions {
                    format: Compression::None,
                    level: None,
                }),
                boot_test: Some(!args.no_boot),
                substituters: Some(WordList::default()),
                ..Options::default()
            },
            login_key: None,
            dry_run: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_says_nothing_about_the_machine() {
        let hints = |failure| with_advice(failure).hints.concat();
        assert_eq!(hints(Failure::interrupted()), "");
        assert!(hints(Failure::environment("x")).contains("doctor"));
    }
}
