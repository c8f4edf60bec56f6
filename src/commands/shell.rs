//! `sdbuild shell`: plan as for a build, then a shell in the builder.

use std::path::Path;

use crate::cli;
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::common::shell_word::quoted;
use crate::common::terminal;
use crate::nixos::shell_session::ShellSession;
use crate::pipeline;
use crate::settings::{self, Environment};

/// Runs the shell; its exit code is the failure's class when it is not 0.
pub async fn run(args: &cli::Shell, env: &Environment, context: &Context) -> Result<(), Failure> {
    let settings = settings::Build::resolve(&args.build(), env)?;
    let state_dir = &settings.common.state_dir;
    let derivation = args.derivation.as_deref();
    let derivation = derivation.map(|word| pipeline::shell::derivation(word, state_dir));
    let kind = env.terminal.clone().unwrap_or_else(|| "dumb".to_owned());
    let session = ShellSession {
        derivation: derivation.transpose()?,
        command: args.run.clone(),
        terminal: terminal::is_attended().then_some(kind),
    };
    let plan = pipeline::plan(settings, context).await?;
    Box::pin(pipeline::shell::shell(&plan, session, context)).await
}

/// The command that gives the environment of `derivation`, in words for a shell: it finds the same store
/// and the same nixpkgs as the build of `args` did.
pub fn command(args: &cli::Build, derivation: &str) -> String {
    let mut words = vec!["sdbuild".to_owned(), "shell".to_owned()];
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let emulation = args.emulation.and_then(|mode| {
        let value = clap::ValueEnum::to_possible_value(&mode)?;
        Some(value.get_name().to_owned())
    });
    let subject = &args.subject;
    for (flag, value) in [
        ("--config", subject.config.as_deref().map(path)),
        ("--nixpkgs", subject.nixpkgs.clone()),
        ("--system", subject.system.clone()),
        ("--emulation", emulation),
        ("--builder-image", args.builder_image.clone()),
    ] {
        words.extend(
            value
                .into_iter()
                .flat_map(|v| [flag.to_owned(), quoted(&v)]),
        );
    }
    words.push(quoted(derivation));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_has_what_the_build_was_told() {
        let plain = command(&cli::Build::default(), "/nix/store/x-a.drv");
        assert_eq!(plain, "sdbuild shell /nix/store/x-a.drv");
        let args = cli::Build {
            subject: cli::ConfigArgs {
                config: Some("my pi/it's.nix".into()),
                nixpkgs: Some("../nixpkgs".into()),
                ..cli::ConfigArgs::default()
            },
            emulation: Some(crate::common::build_mode::EmulationChoice::Private),
            ..cli::Build::default()
        };
        assert_eq!(
            command(&args, "d"),
            r"sdbuild shell --config 'my pi/it'\''s.nix' --nixpkgs ../nixpkgs --emulation private d"
        );
    }
}
