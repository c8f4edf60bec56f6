//! The settings of a build, of `check` and of `shell`.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::build_args::{BuildArgs, DryRun};
use super::builders::resolve_builders;
use super::caches::resolve_caches;
use super::common::resolve_common;
use super::environment::Environment;
use super::resolver::{Resolver, Setting, current_dir, origin_hint};
use super::source_choice::{default_source, flake_source, given_source, project_of};
use super::ssh_key::SshKey;
use super::value::{NixpkgsSource, Number};
use sdbuild_build::build_mode::Product;
use sdbuild_build::output::ImagerUrl;
use sdbuild_build::{
    BuildRequest, Output, Questions, ResourceLimits, SourceChoice, SourceRequest, Target,
};
use sdbuild_core::absolute_path::absolute;
use sdbuild_core::compression::CompressionOptions;
use sdbuild_core::failure::Failure;
use sdbuild_core::machine_source::BuildOn;
use sdbuild_image::image_format::Format;
use sdbuild_nix::flake_ref::FlakeRef;

mod checks;
mod project_policy;

/// Bytes in a mebibyte.
const MIB: u64 = 1024 * 1024;

/// The resolved settings of a build: what the pipeline is asked for, and what the commands do besides.
#[derive(Clone, Debug)]
pub struct Build {
    /// What is built, with which engine, and where the image goes.
    pub request: BuildRequest,
    /// Where the build runs: on the engine, or on a machine that it rents.
    pub on: BuildOn,
    /// Whether the price of a rented machine is accepted without a question; set by a command that asks.
    pub accepts_price: bool,
    /// A key that root accepts, or, as before there was a flag for it, a private key for the login of the boot test.
    pub ssh_key: Option<SshKey>,
    /// The private key for the login of the boot test, absolute.
    pub login_key: Option<PathBuf>,
    /// Only describe the build.
    pub dry_run: Option<DryRun>,
    /// Every setting with its origin.
    pub settings: Vec<Setting>,
}

impl Build {
    /// Resolves every setting. A line names the key, from which the variable follows, the field of [`Options`](super::Options), and the
    /// default unless that is the type's. `sdbuild settings` has the same order.
    #[expect(clippy::too_many_lines, reason = "a line for each setting")]
    pub fn resolve(args: &BuildArgs, env: &Environment) -> Result<Self, Failure> {
        let here = current_dir()?;
        let given = &args.config;
        let ssh_key = given.ssh_key.as_deref();
        let ssh_key = ssh_key.map(|path| SshKey::read(path, &here)).transpose()?;
        let (mut s, source) = read_layers(args, env, &here)?;
        record_flags(args, ssh_key.as_ref(), &mut s);
        let format: Format = s.value("format", |o| o.format.clone())?;
        let nixpkgs: NixpkgsSource = s.value("nixpkgs", |o| o.nixpkgs.clone())?;
        let target = Target {
            system: s.value("system", |o| o.system)?,
            board: s.optional("board", |o| o.board)?,
            emulation: s.value("emulation", |o| o.emulation)?,
            glue: s.value("glue", |o| o.glue)?,
            is_default_format: s.is_default("format"),
            product: Product::Image,
            format,
        };
        let on: BuildOn = s.value("on", |o| o.on.clone())?;
        let resources = ResourceLimits {
            rented: on.rented().map(ToString::to_string),
            builders: resolve_builders(env, &mut s)?,
            builder_image: s.optional("builder-image", |o| o.builder_image.clone())?,
            cores: s.optional("cores", |o| o.cores)?.map(Number::get),
            jobs: s.optional("jobs", |o| o.jobs)?.map(Number::get),
            connections: s
                .optional("connections", |o| o.connections)?
                .map(Number::get),
            memory: s
                .optional("memory-mib", |o| o.memory_mib)?
                .map(|mib| u64::from(mib.get()).saturating_mul(MIB)),
        };
        let output = Output {
            dir: s.value_or("output", |o| o.output.clone(), here.clone())?,
            force: s.value("force", |o| o.force)?,
            compress: compression(&target.format, &mut s)?,
            imager: s
                .optional("rpi-imager", |o| o.rpi_imager.clone())?
                .map(|url| match url.as_str() {
                    "" => ImagerUrl::OutputDir,
                    _ => ImagerUrl::Below(url),
                }),
            is_booted: s.value("boot-test", |o| o.boot_test)?,
            source_date_epoch: source_date_epoch(env.text("SOURCE_DATE_EPOCH"))?,
            owner: env.sudo().filter(|_| nix::unistd::geteuid().is_root()),
        };
        let caches = resolve_caches(&mut s)?;
        let git_inputs = s.value("git-inputs", |o| o.git_inputs.clone())?.0;
        let common = resolve_common(env, &mut s)?;
        let settings = s.into_settings();
        let source = SourceRequest {
            choice: source,
            root: given.root.as_deref().map(|dir| absolute(dir, &here)),
            override_inputs: override_inputs(&given.override_input, &here)?,
            next: Vec::new(),
            git_inputs,
            names_git_inputs: project_policy::set_by_project(&settings, "git-inputs").is_none(),
            nixpkgs: nixpkgs.0,
            nixpkgs_origin: origin_hint(&settings, "nixpkgs"),
            writes_lock: args.dry_run.is_none(),
            ssh_key: ssh_key.as_ref().and_then(SshKey::public).map(str::to_owned),
            host_name: given.hostname.clone(),
            set: given.set.clone(),
            path: env.program_path(),
        };
        let build = Self {
            request: BuildRequest {
                common,
                source,
                target,
                resources,
                caches,
                output,
                questions: Questions::default(),
                series: None,
            },
            on,
            accepts_price: false,
            ssh_key,
            login_key: args.login_key.as_ref().map(|path| here.join(path)),
            dry_run: args.dry_run,
            settings,
        };
        build.check()?;
        Ok(build.only_within_reach())
    }

    /// The same build on the engine of this machine.
    pub fn runs_on_engine(&mut self) {
        self.on = BuildOn::Engine;
        self.request.resources.rented = None;
    }

    /// Without what only a network leads to, if there is to be none.
    fn only_within_reach(mut self) -> Self {
        if self.request.common.offline {
            self.request.caches.substituters.clear();
            self.request.resources.builders.machines.clear();
            self.runs_on_engine();
        }
        self
    }
}

/// The compression of an image in `format`.
fn compression(format: &Format, s: &mut Resolver<'_>) -> Result<CompressionOptions, Failure> {
    let default = format.default_compression();
    s.value_or("compress", |o| o.compress, default)
}

/// The layers of settings, and the source that the strongest of them names: the settings file is the one beside the source.
fn read_layers<'a>(
    args: &BuildArgs,
    env: &'a Environment,
    here: &Path,
) -> Result<(Resolver<'a>, SourceChoice), Failure> {
    let given = &args.config;
    let source = given_source(given.flake.as_ref(), given.config.as_deref(), here)?;
    let default = default_source(here);
    let project = project_of(source.as_ref().unwrap_or(&default));
    let mut options = args.options.clone();
    options.flake.clone_from(&given.flake);
    options.git_inputs.clone_from(&given.git_inputs);
    options.offline = given.offline;
    let mut s = Resolver::new(options, env, Some(project.as_deref().unwrap_or(here)))?;
    let flake = s.optional("flake", |o| o.flake.clone())?;
    // A path among the flags wins over a flake in the settings file.
    let source = source
        .or_else(|| flake.map(flake_source))
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
        check_input_name(input)?;
        let reference: FlakeRef = reference.parse().map_err(Failure::usage)?;
        Ok((input.clone(), reference.relative_to(here)))
    };
    pairs.iter().map(pair).collect()
}

/// Fails if `input` cannot be the name of an input, such as `nixpkgs` or `home-manager/nixpkgs`.
fn check_input_name(input: &str) -> Result<(), Failure> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let is_part = |part: &str| !part.is_empty() && part.chars().all(is_of_name);
    if input.split('/').all(is_part) {
        return Ok(());
    }
    let text = format!("`{input}` is not the name of an input");
    Err(Failure::usage(text).hint("for instance --override-input nixpkgs ~/nixpkgs"))
}

/// `SOURCE_DATE_EPOCH`, which replaces the current time in what a build writes (reproducible-builds.org).
pub fn source_date_epoch(text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
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
