//! Settings: every choice of a run, typed and whole. Flag, then environment, then `sdbuild.toml` beside
//! the configuration, then the person's own, then default.
//!
//! The only reader of the environment; nothing reads it after
//! `resolve`. May read files of the host to learn its habits; calls no other room.

mod boot;
mod choices;
mod compress;
mod emulation;
mod environment;
mod file;
mod glue;
mod init;
mod mirrors;
mod moment;
mod origin;
mod reach;
mod ssh_key;
mod system;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use boot::{Boot, Emulator};
pub use compress::{Compress, Format};
pub use emulation::Emulate;
pub use environment::Environment;
pub use glue::Glue;
pub use init::Init;
pub use origin::{Origin, Origins, Setting};
pub use ssh_key::SshKey;
pub use system::System;

use crate::cli;
use crate::failure::{Failure, OrFail};
use choices::Choices;
use file::File;
use moment::moment;
use origin::{Layers, Said};

/// The NixOS release that is built when nobody says otherwise.
pub const DEFAULT_RELEASE: &str = "26.05";
/// The binary cache of the NixOS project and the key that signs it.
const CACHE: &str = "https://cache.nixos.org";
const CACHE_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
/// The store volume when nobody says otherwise.
pub const STORE: &str = "sdbuild-store";
/// Seconds that a download may stand still: longer than a mirror takes to wake its disk.
const STALL: u32 = 20;
/// Where release channels are looked up.
const CHANNELS: &str = "https://channels.nixos.org";
/// Where accounts have their public keys.
const GITHUB: &str = "https://github.com";

/// What every command needs to know.
#[derive(Clone, Debug)]
pub struct Common {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// Docker's own configuration folder.
    pub docker_config: PathBuf,
    /// `DOCKER_TLS_VERIFY`.
    pub docker_tls_verify: bool,
    /// `DOCKER_CERT_PATH`.
    pub docker_cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// The person's home folder.
    pub home: Option<PathBuf>,
    /// Our cache folder.
    pub cache_dir: PathBuf,
    /// Our state folder: logs.
    pub state_dir: PathBuf,
    /// Debian mirrors, in the order in which they are asked.
    pub mirrors: Vec<String>,
    /// How long a download may stand still before it is given up.
    pub stall_timeout: Duration,
    /// A folder with locks that replace the built-in ones.
    pub locks: Option<PathBuf>,
}

/// `sdbuild build`.
#[derive(Clone, Debug)]
pub struct Build {
    /// What every command needs to know.
    pub common: Common,
    /// The configuration file, absolute.
    pub config: PathBuf,
    /// Folder, URL or release.
    pub nixpkgs: String,
    /// Base URL of the release channels.
    pub channels: String,
    /// What the image is for.
    pub system: System,
    /// How to emulate.
    pub emulation: Emulate,
    /// What builds the glue.
    pub glue: Glue,
    /// A foreign builder.
    pub builder_image: Option<String>,
    /// The output folder, absolute.
    pub output: PathBuf,
    /// Replace an image of the same name.
    pub force: bool,
    /// How the image is compressed.
    pub compress: Compress,
    /// A list for Raspberry Pi Imager; inside, the address below which the image will be.
    pub rpi_imager: Option<Option<String>>,
    /// The moment that counts as now in what is written, in seconds since 1970.
    pub source_date_epoch: Option<u64>,
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
    pub origins: Origins,
}

/// `sdbuild clean`.
#[derive(Clone, Debug)]
pub struct Clean {
    /// What every command needs to know.
    pub common: Common,
    /// Only list.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
}

impl Common {
    /// For commands that read no `sdbuild.toml`.
    pub fn without_file(env: &Environment) -> Result<Self, Failure> {
        Self::resolve(env, &File::default())
    }

    fn resolve(env: &Environment, file: &File) -> Result<Self, Failure> {
        let home = env.home.clone().or_else(std::env::home_dir);
        let below_home = |folder: &str| {
            home.as_ref().map(|home| home.join(folder)).ok_or_else(|| {
                Failure::environment("no home folder is known").hint("set HOME and try again")
            })
        };
        let base = |set: &Option<PathBuf>, folder: &str| match set {
            Some(path) => Ok(path.clone()),
            None => below_home(folder),
        };
        let roots = roots_home(env);
        let written = |base, folder: &str| own_base(base, roots.as_ref(), folder).join("sdbuild");
        let chosen = env
            .debian_mirror
            .as_deref()
            .or(file.debian_mirror.as_deref());
        chosen.map_or(Ok(()), mirrors::check)?;
        Ok(Self {
            docker_host: env.docker_host.clone(),
            docker_context: env.docker_context.clone(),
            docker_config: base(&env.docker_config, ".docker")?,
            docker_tls_verify: env.docker_tls_verify.is_some(),
            docker_cert_path: env.docker_cert_path.clone(),
            runtime_dir: env.runtime_dir.clone(),
            cache_dir: written(base(&env.cache_home, ".cache")?, ".cache"),
            state_dir: written(base(&env.state_home, ".local/state")?, ".local/state"),
            home: home.clone(),
            mirrors: mirrors::mirrors(chosen, Path::new("/etc/apt")),
            stall_timeout: stall_timeout(env, file)?,
            locks: env.locks.clone(),
        })
    }
}

/// Root, on somebody's behalf.
struct Root {
    /// The person behind `sudo`.
    person: u32,
    home: PathBuf,
}

/// Root's own home when `sudo` may have kept the person's.
fn roots_home(env: &Environment) -> Option<Root> {
    let (person, _) = env.sudo.filter(|(uid, _)| *uid != 0)?;
    let root = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(root).ok().flatten();
    user.filter(|_| root.is_root()).map(|user| Root {
        person,
        home: user.dir,
    })
}

/// `base`, unless it is the person's and we are root: what root leaves there the person could neither
/// use nor remove. Then the same `folder` below root's own home.
fn own_base(base: PathBuf, root: Option<&Root>, folder: &str) -> PathBuf {
    let owner = base.ancestors().find_map(|path| path.metadata().ok());
    match root {
        Some(root) if owner.is_some_and(|meta| meta.uid() == root.person) => root.home.join(folder),
        Some(_) | None => base,
    }
}

impl Build {
    /// Puts together flags, environment, `sdbuild.toml` and defaults.
    pub fn resolve(args: &cli::Build, env: &Environment) -> Result<Self, Failure> {
        let here = std::env::current_dir().or_environment("find the current folder")?;
        let config = here.join(
            args.subject
                .config
                .as_deref()
                .unwrap_or(Path::new("sd-card.nix")),
        );
        let folder = config.parent().unwrap_or(&here).to_owned();
        let mut layers = Layers::read(&folder, env)?;
        let common = Common::resolve(env, &layers.common(env)?)?;
        let choices = Choices {
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
        let memory = layers.pick("memory-mib", Said::nothing(), |file, _| file.memory_mib);
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
            source_date_epoch: moment(env.source_date_epoch.as_ref())?,
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
            origins: {
                layers.mark("config", args.subject.config.is_some());
                layers.mark("ssh-key", args.subject.ssh_key.is_some());
                layers.mark("hostname", args.subject.hostname.is_some());
                layers.mark("set", !args.subject.set.is_empty());
                layers.mark("dry-run", args.dry_run.is_some());
                layers.into_origins()
            },
            config,
        };
        build.is_confined()?;
        Ok(build)
    }
}

/// A number from the environment.
fn number((name, text): (&str, Option<&String>), least: u32) -> Result<Option<u32>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let number = text
        .parse()
        .map_err(|_| Failure::usage(format!("{name} is `{text}`, which is no number")))?;
    at_least((name, Some(number)), least)
}

fn at_least((name, number): (&str, Option<u32>), least: u32) -> Result<Option<u32>, Failure> {
    match number {
        Some(number) if number < least => Err(Failure::usage(format!(
            "{name} is {number}; {least} is the least"
        ))),
        number => Ok(number),
    }
}

fn stall_timeout(env: &Environment, file: &File) -> Result<Duration, Failure> {
    let chosen = number(("SDBUILD_STALL_TIMEOUT", env.stall_timeout.as_ref()), 1)?;
    let written = at_least(("stall-timeout in sdbuild.toml", file.stall_timeout), 1)?;
    let seconds = chosen.or(written).unwrap_or(STALL);
    Ok(Duration::from_secs(seconds.into()))
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

/// The store volume's name. The prefix keeps it apart from other people's volumes, and a name of
/// few kinds of characters is the same for every engine.
fn store(name: Option<&String>) -> Result<String, Failure> {
    let Some(name) = name else {
        return Ok(STORE.to_owned());
    };
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.starts_with(STORE) && name.len() <= 64 && name.chars().all(known) {
        return Ok(name.clone());
    }
    Err(
        Failure::usage(format!("`{name}` cannot be the store volume's name")).hint(format!(
            "it begins with `{STORE}` and has lower-case letters, digits and `-`, 64 at most"
        )),
    )
}

impl Clean {
    /// Puts together flags, environment and defaults.
    pub fn resolve(args: &cli::Clean, env: &Environment) -> Result<Self, Failure> {
        Ok(Self {
            common: Common::resolve(env, &File::default())?,
            dry_run: args.dry_run,
            yes: args.yes,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn build(words: &[&str], toml: &str) -> Result<Build, Failure> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(file::NAME), toml).unwrap();
        let config = folder.path().join("sd-card.nix");
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
        assert_eq!(settings.nixpkgs, DEFAULT_RELEASE);
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
        assert_eq!(build(&[], "").unwrap().substituters, [CACHE]);
    }

    #[test]
    fn a_nixpkgs_folder_in_the_file_is_relative_to_the_file() {
        let settings = build(&[], "nixpkgs = './tree'").unwrap();
        let folder = settings.config.parent().unwrap();
        assert_eq!(Path::new(&settings.nixpkgs), folder.join("./tree"));
        let url = build(&["--nixpkgs", "https://x.example/n.tar.xz"], "").unwrap();
        assert_eq!(url.nixpkgs, "https://x.example/n.tar.xz");
    }

    #[test]
    fn an_unknown_system_is_a_usage_error_that_names_it() {
        let failure = build(&["--system", "z80-linux"], "").unwrap_err();
        assert_eq!(failure.class, crate::failure::Class::Usage);
        assert!(failure.to_string().contains("z80-linux"));
    }

    #[test]
    fn a_builder_image_that_no_engine_would_take_is_refused() {
        for name in ["Nix OS", "", "-x", "nix\n", "https://nix?"] {
            let failure = build(&[&format!("--builder-image={name}")], "").unwrap_err();
            assert_eq!(failure.class, crate::failure::Class::Usage, "{name}");
            assert!(failure.hints[0].contains("nixos/nix"), "{name}");
        }
        for name in ["nixos/nix", "localhost:5000/a/b_c.d:1-x", "sha256:00ff"] {
            let settings = build(&["--builder-image", name], "").unwrap();
            assert_eq!(settings.builder_image.as_deref(), Some(name));
        }
    }

    #[test]
    fn root_leaves_nothing_in_the_persons_home() {
        let home = tempfile::tempdir().unwrap();
        let mine = home.path().metadata().unwrap().uid();
        let root = |person| Root {
            person,
            home: "/root".into(),
        };
        let base = home.path().join(".cache");
        let chosen = |root: Option<Root>| own_base(base.clone(), root.as_ref(), ".cache");
        assert_eq!(chosen(Some(root(mine))), Path::new("/root/.cache"));
        assert_eq!(chosen(Some(root(mine + 1))), base);
        assert_eq!(chosen(None), base);
    }
}
