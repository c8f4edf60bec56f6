//! The settings of a build, of `check` and of `shell`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::build_args::{BuildArgs, DryRun};
use super::builders::Builders;
use super::environment::Environment;
use super::origin::Setting;
use super::resolver::{Resolver, current_dir};
use super::source_choice::SourceChoice;
use super::ssh_key::SshKey;
use super::value::{Number, PublishedAt};
use super::{Caches, Common};
use crate::common::absolute_path::absolute;
use crate::common::board::BoardName;
use crate::common::build_mode::{EmulationChoice, Glue};
use crate::common::compression::CompressionOptions;
use crate::common::failure::Failure;
use crate::common::flake_ref::FlakeRef;
use crate::common::image_format::Format;
use crate::common::machine_source::BuildOn;
use crate::common::shell_word::quoted;
use crate::common::system::System;

mod checks;
mod project_policy;

/// Bytes in a mebibyte.
const MIB: u64 = 1024 * 1024;

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
    /// Inputs of the flake that the user's own git fetches although the builder could ask for them; `self` is the flake.
    pub git_inputs: Vec<String>,
    /// Whether the binary caches that a flake names are used; `None`: those that the user accepts when asked.
    pub accept_flake_caches: Option<bool>,
    /// What the user can be asked; set by commands that ask, if there is a terminal.
    pub questions: Questions,
    /// Directories to look for programs in, as in `PATH`.
    pub path: OsString,
    /// Directory, URL or release.
    pub nixpkgs: String,
    /// System of the image.
    pub system: System,
    /// The format of the image.
    pub format: Format,
    /// The board that the image is for, if it is for one in particular.
    pub board: Option<BoardName>,
    /// Requested emulation.
    pub emulation: EmulationChoice,
    /// What builds the glue.
    pub glue: Glue,
    /// Where the build runs: on the engine, or on a machine that it rents.
    pub on: BuildOn,
    /// Whether the price of a rented machine is accepted without a question; set by a command that asks.
    pub accepts_price: bool,
    /// The machines that Nix sends derivations to.
    pub builders: Builders,
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
    /// User and group to give the image to, if not those of this process.
    pub owner: Option<(u32, u32)>,
    /// Only describe the build.
    pub dry_run: Option<DryRun>,
    /// Every setting with its origin.
    pub settings: Vec<Setting>,
}

/// Questions that the user can be asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Questions {
    /// Whether the binary caches that a flake names are used.
    pub caches: bool,
    /// Whether the image may replace a file that is in its way.
    pub replacing: bool,
}

impl Build {
    /// Resolves every setting. A line names the key, the variable if there is one, the field of [`Options`](super::Options), and the default
    /// unless that is the type's. `sdbuild settings` has the same order.
    pub fn resolve(args: &BuildArgs, env: &Environment) -> Result<Self, Failure> {
        let here = current_dir()?;
        let given = &args.config;
        let override_inputs = override_inputs(&given.override_input, &here)?;
        let root = given.root.as_deref().map(|dir| absolute(dir, &here));
        let ssh_key = given.ssh_key.as_deref();
        let ssh_key = ssh_key.map(|path| SshKey::read(path, &here)).transpose()?;
        let (mut s, source) = read_layers(args, env, &here)?;
        record_flags(args, ssh_key.as_ref(), &mut s);
        let format: Format = s.value("format", Some("SDBUILD_FORMAT"), |o| o.format.clone())?;
        let build = Self {
            nixpkgs: s
                .value("nixpkgs", Some("SDBUILD_NIXPKGS"), |o| o.nixpkgs.clone())?
                .0,
            system: s.value("system", None, |o| o.system)?,
            board: s.optional("board", None, |o| o.board)?,
            emulation: s.value("emulation", None, |o| o.emulation)?,
            glue: s.value("glue", Some("SDBUILD_GLUE"), |o| o.glue)?,
            on: s.value("on", Some("SDBUILD_ON"), |o| o.on.clone())?,
            accepts_price: false,
            builders: Builders::resolve(env, &mut s)?,
            builder_image: s.optional("builder-image", None, |o| o.builder_image.clone())?,
            login_key: args.login_key.as_ref().map(|path| here.join(path)),
            output: s.value_or("output", None, |o| o.output.clone(), here)?,
            force: s.value("force", None, |o| o.force)?,
            compress: compression(&format, &mut s)?,
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
                .map(|mib| u64::from(mib.get()).saturating_mul(MIB)),
            git_inputs: s.value("git-inputs", None, |o| o.git_inputs.clone())?.0,
            accept_flake_caches: s
                .optional("accept-flake-caches", None, |o| o.accept_flake_caches)?,
            questions: Questions::default(),
            common: Common::resolve(env, &mut s)?,
            source,
            root,
            override_inputs,
            format,
            path: env.program_path(),
            ssh_key,
            host_name: given.hostname.clone(),
            set: given.set.clone(),
            source_date_epoch: source_date_epoch(env.source_date_epoch.as_deref())?,
            owner: env.sudo.filter(|_| nix::unistd::geteuid().is_root()),
            dry_run: args.dry_run,
            settings: s.into_settings(),
        };
        build.check()?;
        Ok(build.only_within_reach())
    }

    /// Without what only a network leads to, if there is to be none.
    fn only_within_reach(mut self) -> Self {
        if self.common.offline {
            self.caches.substituters.clear();
            self.builders.machines.clear();
            self.on = BuildOn::Engine;
        }
        self
    }
}

/// The compression of an image in `format`.
fn compression(format: &Format, s: &mut Resolver<'_>) -> Result<CompressionOptions, Failure> {
    let default = format.default_compression();
    s.value_or(
        "compress",
        Some("SDBUILD_COMPRESS"),
        |o| o.compress,
        default,
    )
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
    options.git_inputs.clone_from(&given.git_inputs);
    options.offline = given.offline;
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
    // The parser takes two words for each flag.
    let (pairs, _) = words.as_chunks::<2>();
    let pair = |[input, reference]: &[String; 2]| {
        check_input_name(input, reference)?;
        let reference: FlakeRef = reference.parse().map_err(Failure::usage)?;
        Ok((input.clone(), reference.relative_to(here)))
    };
    let pairs = pairs.iter().map(pair);
    let pairs = pairs.collect::<Result<Vec<(String, FlakeRef)>, Failure>>()?;
    let names: BTreeSet<&String> = pairs.iter().map(|(input, _)| input).collect();
    let count = |name: &String| pairs.iter().filter(|(input, _)| input == name).count();
    if let Some(name) = names.into_iter().find(|name| count(name) > 1) {
        let text = format!("--override-input {name} is given more than once");
        let hint = "an input can have only one replacement; leave out the others";
        return Err(Failure::usage(text).hint(hint));
    }
    Ok(pairs)
}

/// Fails if `input`, which is replaced by `reference`, cannot be the name of an input, such as `nixpkgs` or `home-manager/nixpkgs`.
fn check_input_name(input: &str, reference: &str) -> Result<(), Failure> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let is_part = |part: &str| !part.is_empty() && part.chars().all(is_of_name);
    let is_name = |text: &str| text.split('/').all(is_part);
    if is_name(input) {
        return Ok(());
    }
    let failure = Failure::usage(format!("`{input}` is not the name of an input"));
    Err(if is_name(reference) {
        let replacement = quoted(input);
        failure.hint(format!(
            "write the input first: --override-input {reference} {replacement}"
        ))
    } else {
        failure.hint("for instance --override-input nixpkgs ~/nixpkgs")
    })
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
mod tests;
