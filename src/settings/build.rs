//! The settings of a build, of `check` and of `shell`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::environment::Environment;
use super::options::Options;
use super::project_policy::{self, Limited};
use super::resolver::{Resolver, current_dir};
use super::source::{Setting, Source};
use super::source_choice::SourceChoice;
use super::ssh_key::SshKey;
use super::value::{Number, PublishedAt};
use super::{Caches, Common, STORE};
use crate::common::build_mode::{EmulationChoice, Glue};
use crate::common::compression::CompressionOptions;
use crate::common::failure::Failure;
use crate::common::flake_ref::FlakeRef;
use crate::common::host_name;
use crate::common::http_url::{self, HttpUrlError};
use crate::common::system::System;

/// Bytes in a mebibyte.
const MIB: u64 = 1024 * 1024;

/// What a build is given: by the command line, or by a command that starts a build itself.
#[derive(Clone, Debug, Default, Args)]
pub struct BuildArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// Settings that `sdbuild.toml` and variables can have as well.
    #[command(flatten)]
    pub options: Options,

    /// Private key for the login of --boot-test [default: the one beside --ssh-key, otherwise yours that the image accepts]
    #[arg(long, value_name = "FILE")]
    pub login_key: Option<PathBuf>,

    /// Show what would be done, and what Nix would fetch and build, without building; =plan does not run Nix and changes nothing
    #[arg(long, value_enum, value_name = "UP TO", num_args = 0..=1, require_equals = true,
        default_missing_value = "forecast", hide_possible_values = true)]
    pub dry_run: Option<DryRun>,
}

/// The configuration that a command is about, and what the command line adds to it.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// NixOS configuration: a file, or a directory with a sd-card.nix; all files in its directory are used too [default: ./sd-card.nix]
    #[arg(short, long, value_name = "PATH", conflicts_with = "flake")]
    pub config: Option<PathBuf>,

    /// Directory above the configuration that is uploaded with it, so that it can import ../common.nix [default: its own directory]
    #[arg(long, value_name = "DIR", conflicts_with = "flake")]
    pub root: Option<PathBuf>,

    /// Flake to build: REF is a directory, or github:OWNER/REPOSITORY and the like; NAME is one of its nixosConfigurations, or a whole attribute [default: the only one]
    #[arg(long, value_name = "REF[#NAME]")]
    pub flake: Option<FlakeRef>,

    /// Use another flake, for instance a directory, instead of an input of the flake
    #[arg(long, value_names = ["INPUT", "REF"], num_args = 2)]
    pub override_input: Vec<String>,

    /// Public key to let log in as root, in addition to those of the configuration
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Option<PathBuf>,

    /// Host name of the machine, instead of the configuration's
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,

    /// Set a NixOS option: a Nix list or set is added to the configuration's value, anything else replaces it
    #[arg(long, value_name = "OPTION=VALUE")]
    pub set: Vec<String>,
}

/// `--dry-run`: how much of a build is done to describe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Plan, and evaluate the configuration for Nix's forecast.
    Forecast,
    /// Only plan.
    Plan,
}

/// The resolved settings of a build.
#[derive(Clone, Debug)]
pub struct Build {
    /// Settings that every command has.
    pub common: Common,
    /// The configuration, absolute.
    pub source: SourceChoice,
    /// The directory that is uploaded with a module file, if it is not the file's own; absolute.
    pub root: Option<PathBuf>,
    /// Inputs of the flake, and the flakes that replace them.
    pub override_inputs: Vec<(String, FlakeRef)>,
    /// Whether the binary caches that a flake names are used.
    pub accept_flake_caches: bool,
    /// Directories to look for programs in, as in `PATH`.
    pub path: OsString,
    /// Directory, URL or release.
    pub nixpkgs: String,
    /// System of the image.
    pub system: System,
    /// Requested emulation.
    pub emulation: EmulationChoice,
    /// What builds the glue.
    pub glue: Glue,
    /// The user's builder image, if it is not sdbuild's own.
    pub builder_image: Option<String>,
    /// The output directory, absolute.
    pub output: PathBuf,
    /// Whether to replace an image of the same name.
    pub force: bool,
    /// Compression of the image.
    pub compress: CompressionOptions,
    /// Whether to write a list for Raspberry Pi Imager, and the URL below which the image will be published.
    pub rpi_imager: Option<PublishedAt>,
    /// The time of the build, in place of the current time.
    pub source_date_epoch: Option<Timestamp>,
    /// Whether to boot the finished image.
    pub boot_test: bool,
    /// A key that root accepts, or, as before there was a flag for it, a private key for the login of the boot test.
    pub ssh_key: Option<SshKey>,
    /// The private key for the login of the boot test, absolute.
    pub login_key: Option<PathBuf>,
    /// Host name that replaces the configuration's.
    pub host_name: Option<String>,
    /// `OPTION=VALUE` pairs that are added to the configuration.
    pub set: Vec<String>,
    /// The binary caches.
    pub caches: Caches,
    /// Cores for each derivation, 0 for all; `None`, here and in the next two fields, for what the engine's machine has
    /// room for.
    pub cores: Option<u32>,
    /// Derivations that are built in parallel.
    pub jobs: Option<u32>,
    /// Parallel connections to binary caches.
    pub connections: Option<u32>,
    /// Memory limit of the builder in bytes.
    pub memory: Option<u64>,
    /// Name of the volume for the builder's `/nix`.
    pub store: String,
    /// User and group to give the image to, if not those of this process.
    pub owner: Option<(u32, u32)>,
    /// Only describe the build.
    pub dry_run: Option<DryRun>,
    /// Every setting with its source.
    pub settings: Vec<Setting>,
}

impl Build {
    /// Resolves every setting. A line names the key, the variable if there is one, the field of [`Options`], and the default
    /// unless that is the type's. `sdbuild settings` has the same order.
    pub fn resolve(args: &BuildArgs, env: &Environment) -> Result<Self, Failure> {
        let here = current_dir()?;
        let given = &args.config;
        let override_inputs = override_inputs(&given.override_input, &here)?;
        let root = given.root.as_deref().map(|dir| absolute(dir, &here));
        let ssh_key = given.ssh_key.as_deref().map(|path| here.join(path));
        let ssh_key = ssh_key.as_deref().map(SshKey::read).transpose()?;
        let login_key = args.login_key.as_ref().map(|path| here.join(path));
        let (mut s, source) = read_layers(args, env, &here)?;
        record_flags(args, ssh_key.as_ref(), &mut s);
        let build = Self {
            nixpkgs: s
                .value("nixpkgs", Some("SDBUILD_NIXPKGS"), |o| o.nixpkgs.clone())?
                .0,
            system: s.value("system", None, |o| o.system)?,
            emulation: s.value("emulation", None, |o| o.emulation)?,
            glue: s.value("glue", Some("SDBUILD_GLUE"), |o| o.glue)?,
            builder_image: s.optional("builder-image", None, |o| o.builder_image.clone())?,
            output: s.value_or("output", None, |o| o.output.clone(), here)?,
            force: s.value("force", None, |o| o.force)?,
            compress: s.value("compress", Some("SDBUILD_COMPRESS"), |o| o.compress)?,
            rpi_imager: s.optional("rpi-imager", None, |o| o.rpi_imager.clone())?,
            boot_test: s.value("boot-test", None, |o| o.boot_test)?,
            caches: Caches::resolve(&mut s)?,
            cores: s
                .optional("cores", Some("SDBUILD_CORES"), |o| o.cores)?
                .map(Number::get),
            jobs: s
                .optional("jobs", Some("SDBUILD_JOBS"), |o| o.jobs)?
                .map(Number::get),
            connections: s
                .optional("connections", None, |o| o.connections)?
                .map(Number::get),
            memory: s
                .optional("memory-mib", None, |o| o.memory_mib)?
                .map(|mib| mib.saturating_mul(MIB)),
            store: s.value_or(
                "store",
                Some("SDBUILD_STORE"),
                |o| o.store.clone(),
                STORE.to_owned(),
            )?,
            accept_flake_caches: s.value("accept-flake-caches", None, |o| o.accept_flake_caches)?,
            common: Common::resolve(env, &mut s)?,
            source,
            root,
            override_inputs,
            path: env.path.clone().unwrap_or_default(),
            ssh_key,
            login_key,
            host_name: given.hostname.clone(),
            set: given.set.clone(),
            source_date_epoch: source_date_epoch(env.source_date_epoch.as_deref())?,
            owner: env.sudo.filter(|_| nix::unistd::geteuid().is_root()),
            dry_run: args.dry_run,
            settings: s.into_settings(),
        };
        build.check()?;
        Ok(build)
    }

    /// Refuses values that their types allow and that would fail later, and combinations that cannot work.
    fn check(&self) -> Result<(), Failure> {
        self.builder_image
            .as_deref()
            .map_or(Ok(()), check_image_reference)?;
        check_store_name(&self.store)?;
        check_addresses(self)?;
        self.host_name.as_deref().map_or(Ok(()), host_name::check)?;
        self.check_source()?;
        self.ssh_key
            .as_ref()
            .map_or(Ok(()), |key| key.check_use(self.boot_test))?;
        project_policy::check(&Limited {
            settings: &self.settings,
            force: self.force,
            emulation: self.emulation,
            nixpkgs: &self.nixpkgs,
            paths: [
                ("output", Some(&self.output)),
                // What these name is sent into the builder.
                ("netrc-file", self.caches.netrc_file.as_deref()),
                ("ca-file", self.common.ca_file.as_deref()),
            ],
        })?;
        project_policy::check_flake(&self.settings, &self.source, self.accept_flake_caches)
    }

    /// Refuses flags that are not for the kind of source.
    fn check_source(&self) -> Result<(), Failure> {
        let is_flag =
            |setting: &&Setting| setting.key == "nixpkgs" && setting.source == Source::Flag;
        let nixpkgs = self.settings.iter().find(is_flag);
        match &self.source {
            SourceChoice::Flake { .. } if nixpkgs.is_some() => Err(Failure::usage(
                "--nixpkgs is for module files: a flake names its own nixpkgs",
            )
            .hint("--override-input nixpkgs REF replaces the flake's input of that name")),
            SourceChoice::Flake { .. } if self.root.is_some() => Err(Failure::usage(
                "--root is for module files: a flake is uploaded with its whole git tree",
            )),
            SourceChoice::Config(_) if !self.override_inputs.is_empty() => Err(Failure::usage(
                "--override-input is for flakes: a module file has no inputs",
            )
            .hint("--nixpkgs takes another nixpkgs")),
            SourceChoice::Flake { .. } | SourceChoice::Config(_) => Ok(()),
        }
    }
}

/// `path`, which is relative to `here`, without `.` and slashes that messages would show.
fn absolute(path: &Path, here: &Path) -> PathBuf {
    here.join(path).components().collect()
}

/// The layers of settings, and the source that the strongest of them names: the settings file is the one beside the source.
fn read_layers<'a>(
    args: &BuildArgs,
    env: &'a Environment,
    here: &Path,
) -> Result<(Resolver<'a>, SourceChoice), Failure> {
    let given = &args.config;
    let source = SourceChoice::given(given.flake.as_ref(), given.config.as_deref(), here)?;
    let default = SourceChoice::default_in(here);
    let project = source.as_ref().unwrap_or(&default).project();
    let mut options = args.options.clone();
    options.flake.clone_from(&given.flake);
    let mut s = Resolver::new(options, env, Some(project.as_deref().unwrap_or(here)))?;
    let flake = s.optional("flake", None, |o| o.flake.clone())?;
    // A path among the flags wins over a flake in the settings file.
    let source = source
        .or_else(|| flake.map(SourceChoice::flake))
        .unwrap_or(default);
    let config = match &source {
        SourceChoice::Config(path) => Some(path.to_string_lossy()),
        SourceChoice::Flake { .. } => None,
    };
    s.flag("config", &config, given.config.is_some());
    Ok((s, source))
}

/// Records the values that only flags can set.
fn record_flags(args: &BuildArgs, ssh_key: Option<&SshKey>, s: &mut Resolver<'_>) {
    let given = &args.config;
    let key_path = ssh_key.map(|key| key.path().to_string_lossy());
    s.flag("ssh-key", &key_path, ssh_key.is_some());
    s.flag("login-key", &args.login_key, args.login_key.is_some());
    s.flag("hostname", &given.hostname, given.hostname.is_some());
    s.flag("set", &given.set, !given.set.is_empty());
    s.flag("root", &given.root, given.root.is_some());
    let overridden = !given.override_input.is_empty();
    s.flag("override-input", &given.override_input, overridden);
    s.flag("dry-run", &args.dry_run.is_some(), args.dry_run.is_some());
}

/// The pairs of `--override-input`; paths are relative to `here`.
fn override_inputs(words: &[String], here: &Path) -> Result<Vec<(String, FlakeRef)>, Failure> {
    let pairs = words.chunks_exact(2);
    let pair = |pair: &[String]| match pair {
        [input, reference] => {
            let reference: FlakeRef = reference.parse().map_err(Failure::usage)?;
            Ok(Some((input.clone(), reference.relative_to(here))))
        }
        _ => Ok(None),
    };
    pairs.filter_map(|words| pair(words).transpose()).collect()
}

/// Refuses text that no engine accepts as the reference of a container image; the engine reports what else is wrong with it.
fn check_image_reference(reference: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let starts_well = reference.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && reference.chars().all(allowed) {
        return Ok(());
    }
    Err(
        Failure::usage(format!("`{reference}` cannot be a container image's name"))
            .hint("--builder-image takes names like nixos/nix:latest or host:5000/nix@sha256:…"),
    )
}

/// Refuses addresses with a secret in them: sdbuild writes them to the lock, to the terminal and beside the image.
fn check_addresses(settings: &Build) -> Result<(), Failure> {
    let published = settings.rpi_imager.as_ref();
    let published = published.and_then(|PublishedAt(url)| url.as_deref());
    let unpacked = "download the archive yourself, and give the directory that you unpacked it to with --nixpkgs";
    for (of, address, hint) in [
        ("nixpkgs", Some(settings.nixpkgs.as_str()), unpacked),
        (
            "the release channels",
            Some(settings.common.channels.as_str()),
            "use a server without a login",
        ),
        (
            "the published image",
            published,
            "give --rpi-imager an address that anybody may read",
        ),
    ] {
        // A directory, a release, and what other checks refuse.
        let Some(address) = address.filter(|address| address.contains("://")) else {
            continue;
        };
        http_url::check(address).map_err(|error| {
            let failure = Failure::usage(format!("the address of {of} {error}"));
            match error {
                HttpUrlError::NotHttp => failure,
                HttpUrlError::HasCredentials | HttpUrlError::HasToken => failure.hint(format!(
                    "sdbuild writes addresses to files and to the terminal: {hint}"
                )),
            }
        })?;
    }
    Ok(())
}

/// Refuses a name for the store volume that does not begin with [`STORE`], so that sdbuild never takes another program's
/// volume, or that is not valid for every engine.
fn check_store_name(name: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.starts_with(STORE) && name.len() <= 64 && name.chars().all(allowed) {
        return Ok(());
    }
    Err(
        Failure::usage(format!("`{name}` cannot be the store volume's name")).hint(format!(
            "it must begin with `{STORE}` and contain only lower-case letters, digits and `-`, at most 64"
        )),
    )
}

/// `SOURCE_DATE_EPOCH`, which replaces the current time in what a build writes (reproducible-builds.org).
fn source_date_epoch(text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let seconds = text.parse().ok().filter(|seconds| *seconds >= 0);
    // Years after 9999 are out of range.
    match seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        Some(timestamp) => Ok(Some(timestamp)),
        None => Err(Failure::usage(format!(
            "SOURCE_DATE_EPOCH: `{text}` is not a number of seconds since 1970"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::common::failure::Class;
    use crate::settings::DEFAULT_RELEASE;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: BuildArgs,
    }

    fn env() -> Environment {
        Environment {
            home: Some("/home/me".into()),
            ..Environment::default()
        }
    }

    fn build(flags: &[&str], toml: &str) -> Result<Build, Failure> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("sdbuild.toml"), toml).unwrap();
        let config = dir.path().join("sd-card.nix");
        let start = ["build", "--config", config.to_str().unwrap()];
        let command_line = CommandLine::parse_from(start.iter().chain(flags));
        Build::resolve(&command_line.args, &env())
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let toml = "system = 'x86_64-linux'\ncores = 3\n";
        let settings = build(&["--cores", "2"], toml).unwrap();
        assert_eq!(settings.system, System::X8664Linux);
        assert_eq!(settings.cores, Some(2));
        assert_eq!(settings.nixpkgs, DEFAULT_RELEASE);
        assert_eq!(
            settings.common.cache_dir,
            Path::new("/home/me/.cache/sdbuild")
        );
    }

    #[test]
    fn flags_without_a_value_are_on() {
        let settings = build(&["--force", "--boot-test"], "").unwrap();
        assert!(settings.force && settings.boot_test);
        assert!(!build(&[], "").unwrap().force);
        let imager = |flag| build(&[flag], "").unwrap().rpi_imager.unwrap().0;
        assert_eq!(imager("--rpi-imager"), None);
        let url = "https://x.example";
        assert_eq!(
            imager("--rpi-imager=https://x.example").as_deref(),
            Some(url)
        );
    }

    #[test]
    fn the_help_names_every_variable() {
        let command = BuildArgs::augment_args(clap::Command::new("build"));
        for flag in command.get_arguments() {
            let (Some(key), Some(help)) = (flag.get_long(), flag.get_help()) else {
                continue;
            };
            let variable = format!("SDBUILD_{}", key.replace('-', "_").to_uppercase());
            let value = match key {
                "glue" => "auto",
                "compress" => "xz",
                _ => "1",
            };
            let env = Environment {
                settings: [(variable.clone(), value.into())].into(),
                ..env()
            };
            let settings = Build::resolve(&BuildArgs::default(), &env).unwrap();
            let setting = settings.settings.iter().find(|s| s.key == key).unwrap();
            let is_read = matches!(setting.source, Source::Environment(_));
            let documented = help.to_string().contains(&format!("[env: {variable}]"));
            assert_eq!(documented, is_read, "--{key}: {help}");
        }
    }

    #[test]
    fn a_nixpkgs_directory_in_the_file_is_relative_to_the_file() {
        let settings = build(&[], "nixpkgs = './tree'").unwrap();
        let dir = settings.source.project().unwrap();
        assert_eq!(Path::new(&settings.nixpkgs), dir.join("./tree"));
        let url = build(&["--nixpkgs", "https://x.example/n.tar.xz"], "").unwrap();
        assert_eq!(url.nixpkgs, "https://x.example/n.tar.xz");
    }

    #[test]
    fn flags_for_the_other_kind_of_source_are_refused() {
        let with = |flags: &[&str]| {
            let command_line = CommandLine::parse_from([&["build"], flags].concat());
            Build::resolve(&command_line.args, &env())
        };
        let failure = with(&["--flake", "x:y", "--nixpkgs", "26.05"]).unwrap_err();
        assert!(
            failure.hints.concat().contains("--override-input"),
            "{failure}"
        );
        let failure = with(&["--override-input", "nixpkgs", "x:y"]).unwrap_err();
        assert!(failure.to_string().contains("for flakes"), "{failure}");
        let flags = ["--flake", "x:y#pi", "--override-input", "nixpkgs", "./n"];
        let settings = with(&flags).unwrap();
        let here = std::env::current_dir().unwrap();
        let [(input, reference)] = &settings.override_inputs[..] else {
            panic!("{:?}", settings.override_inputs);
        };
        assert_eq!(
            (input.as_str(), reference.directory()),
            ("nixpkgs", Some(here.join("n")))
        );
    }

    #[test]
    fn a_settings_file_may_name_a_flake() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().canonicalize().unwrap();
        std::fs::write(here.join("sdbuild.toml"), "flake = './sub#pi'").unwrap();
        std::fs::create_dir(here.join("sub")).unwrap();
        let env = env();
        let mut s = Resolver::new(Options::default(), &env, Some(&here)).unwrap();
        let flake = s
            .optional("flake", None, |o| o.flake.clone())
            .unwrap()
            .unwrap();
        assert_eq!(
            (flake.directory(), flake.attribute),
            (Some(here.join("sub")), vec!["pi".to_owned()])
        );
        let source = |path: &Path| {
            let location = path.to_str().unwrap();
            SourceChoice::flake(format!("{location}#pi").parse().unwrap())
        };
        let settings = s.into_settings();
        let check = |path: &Path| project_policy::check_flake(&settings, &source(path), false);
        assert!(check(&here.join("sub")).is_ok());
        assert!(
            check(Path::new("/"))
                .unwrap_err()
                .to_string()
                .contains("leads out")
        );
    }

    #[test]
    fn an_unknown_system_is_a_usage_error_that_names_it() {
        let failure = build(&[], "system = 'z80-linux'").unwrap_err();
        assert_eq!(failure.class, Class::Usage);
        assert!(failure.to_string().contains("z80-linux"));
    }

    #[test]
    fn an_impossible_builder_image_is_refused() {
        for name in ["Nix OS", "", "-x", "nix\n", "https://nix?"] {
            let failure = build(&[&format!("--builder-image={name}")], "").unwrap_err();
            assert_eq!(failure.class, Class::Usage, "{name}");
            assert!(failure.hints[0].contains("nixos/nix"), "{name}");
        }
        for name in ["nixos/nix", "localhost:5000/a/b_c.d:1-x", "sha256:00ff"] {
            let settings = build(&["--builder-image", name], "").unwrap();
            assert_eq!(settings.builder_image.as_deref(), Some(name));
        }
    }

    #[test]
    fn the_source_date_is_a_number_of_seconds_or_unset() {
        assert_eq!(source_date_epoch(None).unwrap(), None);
        let seconds = source_date_epoch(Some("1700000000")).unwrap();
        assert_eq!(seconds, Timestamp::from_second(1_700_000_000).ok());
        for text in ["x", "-1", "1.5", "253402300800"] {
            let failure = source_date_epoch(Some(text)).unwrap_err();
            assert_eq!(failure.class, Class::Usage);
            assert!(failure.to_string().contains(text), "{failure}");
        }
    }
}
