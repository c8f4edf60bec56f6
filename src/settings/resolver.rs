//! The choices of a build, each out of its strongest layer.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use super::source::{Candidate, Layers};
use super::{CACHE, CACHE_KEY, DEFAULT_RELEASE, Environment, STORE, at_least, number};
use crate::cli;
use crate::common::build_mode::{EmulationChoice, Glue};
use crate::common::compression::CompressionOptions;
use crate::common::failure::Failure;
use crate::common::system::System;

/// What the two strongest layers are read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver<'a> {
    pub(super) args: &'a cli::Build,
    pub(super) env: &'a Environment,
    /// The current directory.
    pub(super) here: &'a Path,
}

impl Resolver<'_> {
    /// A directory is made absolute from where it was named: the current one for a flag, the settings file's
    /// for a setting.
    pub(super) fn nixpkgs(self, layers: &mut Layers) -> String {
        let here = |text: &Option<String>| text.as_ref().map(|text| located(text, self.here));
        let said = Candidate::flag(here(&self.args.subject.nixpkgs))
            .or_env("SDBUILD_NIXPKGS", here(&self.env.nixpkgs));
        let nixpkgs = layers.resolve("nixpkgs", said, |file, dir| {
            Some(located(file.nixpkgs.as_ref()?, dir))
        });
        nixpkgs.unwrap_or_else(|| DEFAULT_RELEASE.to_owned())
    }

    pub(super) fn system(self, layers: &mut Layers) -> Result<System, Failure> {
        let said = Candidate::flag(self.args.subject.system.clone());
        let system = layers.resolve("system", said, |file, _| file.system.clone());
        system.map_or(Ok(System::Aarch64Linux), |text| {
            System::from_str(&text).map_err(Failure::usage)
        })
    }

    pub(super) fn emulation(self, layers: &mut Layers) -> Result<EmulationChoice, Failure> {
        let said = Candidate::flag(self.args.emulation.map(Ok));
        let emulation = layers.resolve("emulation", said, |file, _| {
            Some(EmulationChoice::from_str(file.emulation.as_ref()?))
        });
        emulation
            .unwrap_or(Ok(EmulationChoice::Auto))
            .map_err(Failure::usage)
    }

    pub(super) fn glue(self, layers: &mut Layers) -> Result<Glue, Failure> {
        let set = self.env.glue.as_deref().map(Glue::from_str).transpose();
        let set = set.map_err(|e| Failure::usage(e).context("read SDBUILD_GLUE"))?;
        let said = Candidate::flag(self.args.glue.map(Ok)).or_env("SDBUILD_GLUE", set.map(Ok));
        let glue = layers.resolve("glue", said, |file, _| {
            Some(Glue::from_str(file.glue.as_ref()?))
        });
        glue.unwrap_or(Ok(Glue::Auto)).map_err(Failure::usage)
    }

    pub(super) fn builder_image(self, layers: &mut Layers) -> Option<String> {
        let said = Candidate::flag(self.args.builder_image.clone());
        layers.resolve("builder-image", said, |file, _| file.builder_image.clone())
    }

    pub(super) fn output(self, layers: &mut Layers) -> PathBuf {
        let said = Candidate::flag(self.args.output.as_ref().map(|path| self.here.join(path)));
        let output = layers.resolve("output", said, |file, dir| {
            Some(dir.join(file.output.as_ref()?))
        });
        // Without the `.` of `--output .`: the path is shown.
        output.map_or_else(|| self.here.to_owned(), |path| path.components().collect())
    }

    pub(super) fn force(self, layers: &mut Layers) -> bool {
        let said = Candidate::flag(self.args.force.then_some(true));
        layers
            .resolve("force", said, |file, _| file.force)
            .unwrap_or(false)
    }

    pub(super) fn compress(self, layers: &mut Layers) -> Result<CompressionOptions, Failure> {
        let said = Candidate::flag(self.args.compress.clone())
            .or_env("SDBUILD_COMPRESS", self.env.compress.clone());
        let compress = layers.resolve("compress", said, |file, _| file.compress.clone());
        compress.map_or(Ok(CompressionOptions::default()), |text| {
            text.parse().map_err(Failure::usage)
        })
    }

    #[expect(
        clippy::option_option,
        reason = "asked for or not, with an address or not"
    )]
    pub(super) fn rpi_imager(self, layers: &mut Layers) -> Option<Option<String>> {
        let said = Candidate::flag(self.args.rpi_imager.clone());
        layers.resolve("rpi-imager", said, |file, _| {
            let url = file.rpi_imager.clone()?;
            Some(Some(url).filter(|url| !url.is_empty()))
        })
    }

    pub(super) fn boot_test(self, layers: &mut Layers) -> bool {
        let said = Candidate::flag(self.args.boot_test.then_some(true));
        let boot_test = layers.resolve("boot-test", said, |file, _| file.boot_test);
        boot_test.unwrap_or(false)
    }

    /// Binary caches and their keys.
    pub(super) fn caches(self, layers: &mut Layers) -> (Vec<String>, Vec<String>) {
        let words = |text: &Option<String>| {
            let words = text.as_ref()?.split_whitespace();
            Some(words.map(str::to_owned).collect::<Vec<_>>())
        };
        let said = Candidate::flag(words(&self.args.substituters))
            .or_env("SDBUILD_SUBSTITUTERS", words(&self.env.substituters));
        let caches = layers.resolve("substituters", said, |file, _| file.substituters.clone());
        let said = Candidate::flag(words(&self.args.trusted_public_keys)).or_env(
            "SDBUILD_TRUSTED_PUBLIC_KEYS",
            words(&self.env.trusted_public_keys),
        );
        let keys = layers.resolve("trusted-public-keys", said, |file, _| {
            file.trusted_public_keys.clone()
        });
        (
            caches.unwrap_or_else(|| vec![CACHE.to_owned()]),
            keys.unwrap_or_else(|| vec![CACHE_KEY.to_owned()]),
        )
    }

    /// Cores, jobs and connections.
    pub(super) fn numbers(self, layers: &mut Layers) -> Result<[Option<u32>; 3], Failure> {
        let set = number(("SDBUILD_CORES", self.env.cores.as_ref()), 0)?;
        let said = Candidate::flag(self.args.cores).or_env("SDBUILD_CORES", set);
        let cores = layers.resolve("cores", said, |file, _| file.cores);
        let set = number(("SDBUILD_JOBS", self.env.jobs.as_ref()), 1)?;
        let said = Candidate::flag(self.args.jobs).or_env("SDBUILD_JOBS", set);
        let jobs = layers.resolve("jobs", said, |file, _| file.jobs);
        let said = Candidate::flag(self.args.connections);
        let connections = layers.resolve("connections", said, |file, _| file.connections);
        Ok([
            cores,
            at_least(("jobs in sdbuild.toml", jobs), 1)?,
            at_least(("connections in sdbuild.toml", connections), 1)?,
        ])
    }

    pub(super) fn store(self, layers: &mut Layers) -> Result<String, Failure> {
        let said = Candidate::nothing().or_env("SDBUILD_STORE", self.env.store.clone());
        let name = layers.resolve("store", said, |file, _| file.store.clone());
        store(name.as_ref())
    }
}

/// A directory's path made absolute from `base`; releases and URLs as they are.
fn located(text: &str, base: &Path) -> String {
    let is_path = text.starts_with('.') || text.contains('/') && !text.contains("://");
    match base.join(text).to_str() {
        Some(path) if is_path => path.to_owned(),
        _ => text.to_owned(),
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
