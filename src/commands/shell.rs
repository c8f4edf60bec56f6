//! `sdbuild shell`: plans as for a build, then runs a shell in the builder.

use std::path::Path;

use crate::cli;
use crate::settings;
use crate::settings::{BuildArgs, ConfigArgs, Environment};
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::terminal;
use sdbuild_nix::shell_session::ShellSession;

/// Runs the shell. An exit code other than 0 becomes a failure of class `Shell`.
pub async fn run(args: &cli::Shell, env: &Environment, context: &Context) -> Result<(), Failure> {
    let mut build = args.build();
    let mut derivation = args.derivation.as_deref();
    if let Some(word) = derivation.filter(|word| is_configuration(word, &build.config)) {
        build.config.config = Some(word.into());
        derivation = None;
    }
    let settings = settings::Build::resolve(&build, env)?;
    let state_dir = &settings.request.common.state_dir;
    let derivation = derivation.map(|word| sdbuild_build::shell::derivation(word, state_dir));
    let terminal = env.text("TERM").unwrap_or("dumb").to_owned();
    let session = ShellSession {
        derivation: derivation.transpose()?,
        command: args.run.clone(),
        terminal: terminal::is_interactive().then_some(terminal),
    };
    let plan = sdbuild_build::plan_shell(settings.request, context).await?;
    Box::pin(sdbuild_build::shell::shell(&plan, session, context)).await
}

/// Whether `word`, in the place of a derivation, is a configuration as `build` takes it, such as `.#pi`, and `given` names none.
fn is_configuration(word: &str, given: &ConfigArgs) -> bool {
    // The name of a derivation has no such character.
    let is_path = word.contains(['#', '/']) && !word.starts_with("/nix/store/");
    let is_named = given.config.is_some() || given.flake.is_some();
    (is_path || word == ".") && !is_named
}

/// The command line, quoted for a shell, that gives the environment of `derivation` with the store and the nixpkgs of the
/// build of `args`.
pub(super) fn command(args: &BuildArgs, derivation: &str) -> String {
    let options = &args.options;
    let config = args.config.config.as_deref().map(Path::to_string_lossy);
    let flags = [
        ("--config", config.map(String::from)),
        (
            "--flake",
            args.config.flake.as_ref().map(ToString::to_string),
        ),
        ("--nixpkgs", options.nixpkgs.as_ref().map(|n| n.0.clone())),
        ("--system", options.system.map(|s| s.to_string())),
        ("--emulation", options.emulation.map(|e| e.to_string())),
        ("--builder-image", options.builder_image.clone()),
    ];
    let flags = flags.into_iter().filter_map(|(flag, value)| {
        let value = value?;
        Some(format!("{flag} {} ", quoted(&value)))
    });
    format!(
        "sdbuild shell {}{}",
        flags.collect::<String>(),
        quoted(derivation)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ConfigArgs, NixpkgsSource, Options};
    use sdbuild_build::build_mode::EmulationChoice;

    #[test]
    fn a_reference_or_a_path_is_a_configuration() {
        let given = ConfigArgs::default();
        for word in [".#pi", ".", "./pi", "github:me/config"] {
            assert!(is_configuration(word, &given), "{word}");
        }
        for word in ["foo-1.0", "/nix/store/x-a.drv", "pi"] {
            assert!(!is_configuration(word, &given), "{word}");
        }
    }

    #[test]
    fn the_command_has_the_flags_of_the_build() {
        let plain = command(&BuildArgs::default(), "/nix/store/x-a.drv");
        assert_eq!(plain, "sdbuild shell /nix/store/x-a.drv");
        let args = BuildArgs {
            config: ConfigArgs {
                config: Some("my pi/it's.nix".into()),
                ..ConfigArgs::default()
            },
            options: Options {
                nixpkgs: Some(NixpkgsSource("../nixpkgs".into())),
                emulation: Some(EmulationChoice::Private),
                ..Options::default()
            },
            login_key: None,
            dry_run: None,
        };
        assert_eq!(
            command(&args, "d"),
            r"sdbuild shell --config 'my pi/it'\''s.nix' --nixpkgs ../nixpkgs --emulation private d"
        );
    }
}
