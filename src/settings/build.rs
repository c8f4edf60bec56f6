//! What a build is asked for.

use std::path::{Path, PathBuf};

use super::resolver::Resolver;
use super::source::{Candidate, Layers, Sources};
use super::source_date_epoch::source_date_epoch;
use super::{Common, Environment, SshKey};
use crate::cli;
use crate::common::build_mode::{EmulationChoice, Glue};
use crate::common::compression::CompressionOptions;
use crate::common::failure::{Failure, OrFail};
use crate::common::system::System;

/// Where release channels are looked up.
const CHANNELS: &str = "https://channels.nixos.org";

/// `sdbuild build`.
#[derive(Clone, Debug)]
pub struct Build {
    /// What every command needs to know.
    pub common: Common,
    /// The configuration file, absolute.
    pub config: PathBuf,
    /// Directory, URL or release.
    pub nixpkgs: String,
    /// Base URL of the release channels.
    pub channels: String,
    /// What the image is for.
    pub system: System,
    /// How to emulate.
    pub emulation: EmulationChoice,
    /// What builds the glue.
    pub glue: Glue,
    /// A foreign builder.
    pub builder_image: Option<String>,
    /// The output directory, absolute.
    pub output: PathBuf,
    /// Replace an image of the same name.
    pub force: bool,
    /// How the image is compressed.
    pub compress: CompressionOptions,
    /// A list for Raspberry Pi Imager; inside, the address below which the image will be.
    pub rpi_imager: Option<Option<String>>,
    /// The moment that counts as now in what is written, in seconds since 1970.
    pub source_date_epoch: Option<jiff::Timestamp>,
    /// Boot the image when it is there.
    pub boot_test: bool,
    /// A key that root shall let in, or that of the boot test.
    pub ssh_key: Option<SshKey>,
    /// The machine's name, whatever the configuration says.
    pub host_name: Option<String>,
    /// `OPTION=VALUE`, laid over the configuration.
    pub set: Vec<String>,
    /// Binary caches; may be empty.
    pub substituters: Vec<String>,
    /// Their public keys.
    pub trusted_public_keys: Vec<String>,
    /// Cores for each derivation, 0 for all; `None`, here and below, for what the engine's machine has room for.
    pub cores: Option<u32>,
    /// Derivations at a time.
    pub jobs: Option<u32>,
    /// Connections to binary caches.
    pub connections: Option<u32>,
    /// Memory limit of the builder in bytes.
    pub memory: Option<u64>,
    /// The volume behind the builder's `/nix`.
    pub store: String,
    /// Who shall own the image when it is not this process's user.
    pub owner: Option<(u32, u32)>,
    /// Only say what would be done.
    pub dry_run: Option<cli::DryRun>,
    /// Where each of these came from.
    pub sources: Sources,
}

impl Build {
    /// Puts together flags, environment, `sdbuild.toml` and defaults.
    pub fn resolve(args: &cli::Build, env: &Environment) -> Result<Self, Failure> {
        let here = std::env::current_dir().or_environment("find the current directory")?;
        let config = here.join(
            args.subject
                .config
                .as_deref()
                .unwrap_or(Path::new("sd-card.nix")),
        );
        let dir = config.parent().unwrap_or(&here).to_owned();
        let mut layers = Layers::read(&dir, env)?;
        let common = Common::resolve(env, &layers.common(env)?)?;
        let choices = Resolver {
            args,
            env,
            here: &here,
        };
        let (substituters, trusted_public_keys) = choices.caches(&mut layers);
        let [cores, jobs, connections] = choices.numbers(&mut layers)?;
        let boot_test = choices.boot_test(&mut layers);
        let ssh_key = args.subject.ssh_key.as_deref().map(|path| here.join(path));
        let ssh_key = ssh_key.as_deref().map(SshKey::read).transpose()?;
        ssh_key.as_ref().map_or(Ok(()), |key| key.fits(boot_test))?;
        let memory = layers.resolve("memory-mib", Candidate::nothing(), |file, _| {
            file.memory_mib
        });
        let build = Self {
            common,
            nixpkgs: choices.nixpkgs(&mut layers),
            channels: env.channels.clone().unwrap_or_else(|| CHANNELS.to_owned()),
            system: choices.system(&mut layers)?,
            emulation: choices.emulation(&mut layers)?,
            glue: choices.glue(&mut layers)?,
            builder_image: reference(choices.builder_image(&mut layers))?,
            output: choices.output(&mut layers),
            force: choices.force(&mut layers),
            compress: choices.compress(&mut layers)?,
            rpi_imager: choices.rpi_imager(&mut layers),
            source_date_epoch: source_date_epoch(env.source_date_epoch.as_ref())?,
            boot_test,
            ssh_key,
            host_name: args.subject.hostname.clone(),
            set: args.subject.set.clone(),
            substituters,
            trusted_public_keys,
            cores,
            jobs,
            connections,
            memory: memory.map(|mib| mib.saturating_mul(1024 * 1024)),
            store: choices.store(&mut layers)?,
            owner: env.sudo.filter(|_| nix::unistd::geteuid().is_root()),
            dry_run: args.dry_run,
            sources: {
                layers.mark("config", args.subject.config.is_some());
                layers.mark("ssh-key", args.subject.ssh_key.is_some());
                layers.mark("hostname", args.subject.hostname.is_some());
                layers.mark("set", !args.subject.set.is_empty());
                layers.mark("dry-run", args.dry_run.is_some());
                layers.into_sources()
            },
            config,
        };
        build.check_project_policy()?;
        Ok(build)
    }
}

/// The reference of a container image, unless no engine would take it. What is left to be wrong with it the
/// engine says.
fn reference(text: Option<String>) -> Result<Option<String>, Failure> {
    let known = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let begins = |text: &str| text.starts_with(|c: char| c.is_ascii_alphanumeric());
    match text {
        Some(text) if !begins(&text) || !text.chars().all(known) => Err(Failure::usage(format!(
            "`{text}` cannot be a container image's name"
        ))
        .hint("--builder-image takes names like nixos/nix:latest or host:5000/nix@sha256:…")),
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn build(words: &[&str], toml: &str) -> Result<Build, Failure> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(super::super::file::NAME), toml).unwrap();
        let config = dir.path().join("sd-card.nix");
        let start = ["sdbuild", "build", "--config", config.to_str().unwrap()];
        let cli = cli::Cli::parse_from(start.iter().chain(words));
        let cli::Command::Build(args) = cli.command else {
            panic!("not build")
        };
        let env = Environment {
            home: Some("/home/me".into()),
            ..Environment::default()
        };
        Build::resolve(&args, &env)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let toml = "system = 'x86_64-linux'\ncores = 3\nsubstituters = []\n";
        let settings = build(&["--cores", "2"], toml).unwrap();
        assert_eq!(settings.system, System::X8664Linux);
        assert_eq!(settings.cores, Some(2));
        assert!(settings.substituters.is_empty());
        assert_eq!(settings.nixpkgs, super::super::DEFAULT_RELEASE);
        assert_eq!(
            settings.common.cache_dir,
            Path::new("/home/me/.cache/sdbuild")
        );
    }

    #[test]
    fn an_empty_substituters_flag_means_none() {
        assert!(
            build(&["--substituters", ""], "")
                .unwrap()
                .substituters
                .is_empty()
        );
        assert_eq!(build(&[], "").unwrap().substituters, [super::super::CACHE]);
    }

    #[test]
    fn a_nixpkgs_dir_in_the_file_is_relative_to_the_file() {
        let settings = build(&[], "nixpkgs = './tree'").unwrap();
        let dir = settings.config.parent().unwrap();
        assert_eq!(Path::new(&settings.nixpkgs), dir.join("./tree"));
        let url = build(&["--nixpkgs", "https://x.example/n.tar.xz"], "").unwrap();
        assert_eq!(url.nixpkgs, "https://x.example/n.tar.xz");
    }

    #[test]
    fn an_unknown_system_is_a_usage_error_that_names_it() {
        let failure = build(&["--system", "z80-linux"], "").unwrap_err();
        assert_eq!(failure.class, crate::common::failure::Class::Usage);
        assert!(failure.to_string().contains("z80-linux"));
    }

    #[test]
    fn a_builder_image_that_no_engine_would_take_is_refused() {
        for name in ["Nix OS", "", "-x", "nix\n", "https://nix?"] {
            let failure = build(&[&format!("--builder-image={name}")], "").unwrap_err();
            assert_eq!(
                failure.class,
                crate::common::failure::Class::Usage,
                "{name}"
            );
            assert!(failure.hints[0].contains("nixos/nix"), "{name}");
        }
        for name in ["nixos/nix", "localhost:5000/a/b_c.d:1-x", "sha256:00ff"] {
            let settings = build(&["--builder-image", name], "").unwrap();
            assert_eq!(settings.builder_image.as_deref(), Some(name));
        }
    }
}
