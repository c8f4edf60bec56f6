//! The flags of `deploy`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::args::NixArgs;
use crate::settings::{BuildArgs, ConfigArgs, MACHINE, Number, Options, help_of};
use sdbuild_build::build_mode::EmulationChoice;
use sdbuild_core::failure::Failure;
use sdbuild_deploy::{Host, Mode};
use sdbuild_image::image_format::Format;

/// `sdbuild deploy`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Deploy {
    /// [CONFIGURATION] [USER@]HOST, or CONFIGURATION=[USER@]HOST for each of several boards
    ///
    /// CONFIGURATION is a file, a directory or a flake such as .#pi [default: the one here]. HOST is what ssh connects to [default: the board that the configuration was deployed to last].
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,

    /// The configuration.
    #[command(flatten)]
    config: ConfigArgs,

    /// What Nix evaluates it with.
    #[command(flatten)]
    nix: NixArgs,

    #[arg(long, value_name = "NAME", help_heading = MACHINE, hide_short_help = true, help = help_of("format"))]
    format: Option<Format>,

    #[arg(long, value_enum, value_name = "MODE", help_heading = MACHINE, hide_short_help = true, help = help_of("emulation"))]
    emulation: Option<EmulationChoice>,

    /// Show what would change, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,

    /// Change only what the board starts next
    #[arg(long)]
    boot: bool,

    /// Change the board only until it is restarted
    #[arg(long, conflicts_with = "boot", hide_short_help = true)]
    test: bool,

    /// With --boot: restart the board
    ///
    /// Then deploy waits until the board runs the new system.
    #[arg(long, requires = "boot")]
    pub reboot: bool,

    /// Replace the files of the firmware partition that differ, such as U-Boot and device trees
    ///
    /// That happens when the board runs the new system; with --boot, when it starts the new system next. Without the flag, deploy only says which files differ. Firmware that does not start cannot be taken back from here.
    #[arg(long, conflicts_with_all = ["test", "list", "rollback", "collect"], hide_short_help = true)]
    pub firmware: bool,

    /// List the systems that the board has
    #[arg(long, conflicts_with_all = ["boot", "test", "dry_run"])]
    pub list: bool,

    /// Return the board to the system before
    #[arg(long, conflicts_with_all = ["boot", "test", "dry_run", "list"])]
    pub rollback: bool,

    /// Remove the older systems of the board, and what only they need; --dry-run only lists them
    #[arg(long, conflicts_with_all = ["boot", "test", "list", "rollback"], hide_short_help = true)]
    pub collect: bool,

    /// Boards to change at once, of several [default: 4]
    #[arg(short, long, value_name = "N", hide_short_help = true)]
    pub jobs: Option<Number<1, 64>>,

    /// Copy everything that the board lacks, in place of having it fetch what its own binary caches have
    #[arg(long, hide_short_help = true)]
    pub no_substitute: bool,
}

/// What is deployed where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployTarget {
    /// The configuration, if it is named.
    pub configuration: Option<PathBuf>,
    /// The board, if it is named.
    pub host: Option<Host>,
}

/// Configuration and board of `CONFIGURATION=BOARD`. The reference of a flake may have parameters: `path:/pi?dir=kitchen`.
fn pair(word: &str) -> Option<(&str, &str)> {
    let pair = word.rsplit_once('=');
    pair.filter(|(one, _)| !one.contains('?') || one.contains('#'))
}

impl Deploy {
    /// What is deployed where, at least one.
    pub fn targets(&self) -> Result<Vec<DeployTarget>, Failure> {
        let host = |word: &str| word.parse::<Host>().map_err(Failure::usage);
        let target = |configuration: Option<&str>, host| DeployTarget {
            configuration: configuration.map(PathBuf::from),
            host,
        };
        let words: Vec<&str> = self.targets.iter().map(String::as_str).collect();
        let pairs: Option<Vec<_>> = words.iter().map(|word| pair(word)).collect();
        match (words.as_slice(), pairs) {
            ([], _) => Ok(vec![target(None, None)]),
            (_, Some(pairs)) => {
                let pairs = pairs.into_iter();
                pairs
                    .map(|(one, to)| Ok(target(Some(one), Some(host(to)?))))
                    .collect()
            }
            ([one], _) if is_configuration(one) => Ok(vec![target(Some(one), None)]),
            ([to], _) => Ok(vec![target(None, Some(host(to)?))]),
            ([one, to], _) => Ok(vec![target(Some(one), Some(host(to)?))]),
            _ => {
                let text = "deploy takes a configuration and the address of a board";
                Err(Failure::usage(text)
                    .hint("for several boards, write CONFIGURATION=[USER@]HOST for each"))
            }
        }
    }

    /// How far the system is put into effect.
    pub fn mode(&self) -> Mode {
        match (self.boot, self.test) {
            (true, _) => Mode::Boot,
            (_, true) => Mode::Test,
            _ => Mode::Switch,
        }
    }

    /// The build of the system of `configuration`.
    pub fn build(&self, configuration: Option<&Path>) -> BuildArgs {
        BuildArgs {
            config: self.config.or_path(configuration),
            options: Options {
                format: self.format.clone(),
                emulation: self.emulation,
                ..self.nix.options()
            },
            ..BuildArgs::default()
        }
    }
}

/// Whether `word`, which stands alone, is a configuration and not a board.
fn is_configuration(word: &str) -> bool {
    let is_path = word == "." || word.contains(['/', '#']) && !word.starts_with("ssh://");
    let is_file = Path::new(word).extension().is_some_and(|end| end == "nix");
    is_path || is_file && !word.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    type Named = (Option<String>, Option<String>);

    fn targets(words: &[&str]) -> Result<Vec<Named>, Failure> {
        #[derive(Debug, clap::Parser)]
        struct Only {
            #[command(flatten)]
            deploy: Deploy,
        }
        let args = <Only as clap::Parser>::parse_from(["deploy"].iter().chain(words)).deploy;
        let text = |target: DeployTarget| {
            let configuration = target
                .configuration
                .map(|path| path.to_string_lossy().into_owned());
            (configuration, target.host.map(|host| host.to_string()))
        };
        Ok(args.targets()?.into_iter().map(text).collect())
    }

    #[test]
    fn configurations_and_boards_are_told_apart() {
        for (words, expected) in [
            (&[][..], &[(None, None)][..]),
            (&["pi"], &[(None, Some("pi"))]),
            (&["root@pi.local"], &[(None, Some("root@pi.local"))]),
            (&["ssh://root@pi:22"], &[(None, Some("ssh://root@pi:22"))]),
            (&[".#pi"], &[(Some(".#pi"), None)]),
            (&["pi.nix"], &[(Some("pi.nix"), None)]),
            (&[".#pi", "root@pi"], &[(Some(".#pi"), Some("root@pi"))]),
            (&["."], &[(Some("."), None)]),
            (&["path:/x?dir=sub"], &[(Some("path:/x?dir=sub"), None)]),
            (
                &[".#a=h", ".#b=root@i"],
                &[(Some(".#a"), Some("h")), (Some(".#b"), Some("root@i"))],
            ),
        ] {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let expected: Vec<_> = expected
                .iter()
                .map(|(one, host)| (owned(*one), owned(*host)))
                .collect();
            assert_eq!(targets(words).unwrap(), expected, "{words:?}");
        }
        for words in [&["a", "b", "c"][..], &["a=-x"], &["a", "b c"]] {
            assert!(targets(words).is_err(), "{words:?}");
        }
    }
}
