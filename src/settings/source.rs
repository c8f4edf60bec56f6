//! Which layer each setting came from: a flag, the environment, a settings file, or nobody.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::file::File;
use super::{Build, Environment, SshKey};
use crate::common::failure::Failure;

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from", content = "name")]
pub enum Source {
    /// The command line.
    Flag,
    /// That variable.
    Environment(&'static str),
    /// `sdbuild.toml` beside the configuration.
    Project(PathBuf),
    /// The user's own `sdbuild.toml`.
    User(PathBuf),
    /// Nobody said otherwise.
    #[default]
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::Project(path) | Self::User(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The origins of the settings of one build, by key; what is not there is a default.
pub type Sources = BTreeMap<&'static str, Source>;

/// One setting, resolved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Its key in `sdbuild.toml`, or the flag's name.
    pub key: &'static str,
    /// What it is; `null` when it is left to the run.
    pub value: Value,
    /// Why.
    pub origin: Source,
}

/// The settings files of a build, the stronger first, and what was taken from where.
#[derive(Debug)]
pub(super) struct Layers {
    files: [(PathBuf, File); 2],
    origins: Sources,
}

impl Layers {
    /// Reads the file in `project`, and the user's own.
    pub(super) fn read(project: &Path, env: &Environment) -> Result<Self, Failure> {
        let home = env.home.clone().or_else(std::env::home_dir);
        let config = env
            .config_home
            .clone()
            .or_else(|| Some(home?.join(".config")));
        let user = config.map(|config| config.join("sdbuild"));
        // A home that may not be looked into is somebody else's: that of root, kept by `sudo -u`.
        let user = user.filter(|user| user.join(super::file::NAME).try_exists().is_ok());
        let (project, file) = (project.to_owned(), File::read(project)?);
        let nobodys = || (PathBuf::new(), File::default());
        let files = match user {
            // A configuration that lies there has one settings file, the user's own.
            Some(user) if user == project => [nobodys(), (project, file)],
            Some(user) => {
                let own = File::read(&user)?;
                [(project, file), (user, own)]
            }
            None => [(project, file), nobodys()],
        };
        Ok(Self {
            files,
            origins: Sources::new(),
        })
    }

    /// The value of `key` from the strongest layer that has one. `file` is given each settings file with
    /// the directory that it lies in.
    pub(super) fn resolve<T>(
        &mut self,
        key: &'static str,
        said: Candidate<T>,
        file: impl Fn(&File, &Path) -> Option<T>,
    ) -> Option<T> {
        let [project, user] = &self.files;
        let of = |(dir, layer): &(PathBuf, File), origin: fn(PathBuf) -> Source| {
            let value = file(layer, dir)?;
            Some((value, origin(dir.join(super::file::NAME))))
        };
        let environment = || {
            said.environment
                .map(|(name, value)| (value, Source::Environment(name)))
        };
        let (value, origin) = (said.flag.map(|value| (value, Source::Flag)))
            .or_else(environment)
            .or_else(|| of(project, Source::Project))
            .or_else(|| of(user, Source::User))?;
        self.origins.insert(key, origin);
        Some(value)
    }

    /// What of the files every command needs.
    pub(super) fn common(&mut self, env: &Environment) -> Result<File, Failure> {
        let mirror =
            Candidate::nothing().or_env("SDBUILD_DEBIAN_MIRROR", env.debian_mirror.clone());
        let stall = super::number(("SDBUILD_STALL_TIMEOUT", env.stall_timeout.as_ref()), 1)?;
        let stall = Candidate::nothing().or_env("SDBUILD_STALL_TIMEOUT", stall);
        for (key, name, set) in [
            ("channels", "SDBUILD_CHANNELS", env.channels.is_some()),
            ("locks", "SDBUILD_LOCKS", env.locks.is_some()),
        ] {
            let said = Candidate::nothing().or_env(name, set.then_some(()));
            self.resolve(key, said, |_, _| None);
        }
        Ok(File {
            debian_mirror: self.resolve("debian-mirror", mirror, |file, _| {
                file.debian_mirror.clone()
            }),
            stall_timeout: self.resolve("stall-timeout", stall, |file, _| file.stall_timeout),
            ..File::default()
        })
    }

    /// Notes that `key` was given on the command line, where no file may name it.
    pub(super) fn mark(&mut self, key: &'static str, given: bool) {
        if given {
            self.origins.insert(key, Source::Flag);
        }
    }

    /// What was taken from where.
    pub(super) fn into_sources(self) -> Sources {
        self.origins
    }
}

/// What the command line and the environment say about a setting.
#[derive(Debug)]
pub(super) struct Candidate<T> {
    flag: Option<T>,
    environment: Option<(&'static str, T)>,
}

impl<T> Candidate<T> {
    /// Nothing so far.
    pub(super) fn nothing() -> Self {
        Self::flag(None)
    }

    /// What the command line says.
    pub(super) fn flag(flag: Option<T>) -> Self {
        Self {
            flag,
            environment: None,
        }
    }

    /// And the variable `name`.
    pub(super) fn or_env(mut self, name: &'static str, value: Option<T>) -> Self {
        self.environment = value.map(|value| (name, value));
        self
    }
}

impl Build {
    /// Every setting of a build with its value and its origin.
    pub fn listed(&self) -> Vec<Setting> {
        let bytes = |bytes: u64| bytes / (1024 * 1024);
        let values = [
            ("config", json!(self.config)),
            ("nixpkgs", json!(self.nixpkgs)),
            ("system", json!(self.system.to_string())),
            ("emulation", json!(self.emulation.to_string())),
            ("glue", json!(self.glue.to_string())),
            ("builder-image", json!(self.builder_image)),
            ("output", json!(self.output)),
            ("force", json!(self.force)),
            ("compress", json!(self.compress.to_string())),
            ("rpi-imager", json!(self.rpi_imager)),
            ("boot-test", json!(self.boot_test)),
            ("ssh-key", json!(self.ssh_key.as_ref().map(SshKey::path))),
            ("hostname", json!(self.host_name)),
            ("set", json!(self.set)),
            ("substituters", json!(self.substituters)),
            ("trusted-public-keys", json!(self.trusted_public_keys)),
            ("cores", json!(self.cores)),
            ("jobs", json!(self.jobs)),
            ("connections", json!(self.connections)),
            ("memory-mib", json!(self.memory.map(bytes))),
            ("store", json!(self.store)),
            ("debian-mirror", json!(self.common.mirrors.first())),
            ("stall-timeout", json!(self.common.stall_timeout.as_secs())),
            ("channels", json!(self.channels)),
            ("locks", json!(self.common.locks)),
            ("dry-run", json!(self.dry_run.is_some())),
        ];
        let setting = |(key, value)| Setting {
            origin: self.sources.get(key).cloned().unwrap_or_default(),
            key,
            value,
        };
        values.into_iter().map(setting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    /// The four layers above the default, each of which may name a number of cores.
    fn cores(flag: Option<u32>, env: Option<&str>, project: &str, user: &str) -> (Value, Source) {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("config/sdbuild");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(dir.path().join("sdbuild.toml"), project).unwrap();
        std::fs::write(own.join("sdbuild.toml"), user).unwrap();
        let args = cli::Build {
            subject: cli::ConfigArgs {
                config: Some(dir.path().join("sd-card.nix")),
                ..cli::ConfigArgs::default()
            },
            cores: flag,
            ..cli::Build::default()
        };
        let env = Environment {
            home: Some("/home/me".into()),
            config_home: Some(dir.path().join("config")),
            cores: env.map(str::to_owned),
            ..Environment::default()
        };
        let listed = Build::resolve(&args, &env).unwrap().listed();
        let setting = listed.into_iter().find(|s| s.key == "cores").unwrap();
        (setting.value, setting.origin)
    }

    #[test]
    fn a_configuration_among_the_users_own_settings_has_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("sdbuild");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("sdbuild.toml"), "cores = 3").unwrap();
        let env = Environment {
            config_home: Some(dir.path().to_owned()),
            ..Environment::default()
        };
        let mut layers = Layers::read(&own, &env).unwrap();
        let cores = layers.resolve("cores", Candidate::nothing(), |file, _| file.cores);
        assert_eq!(cores, Some(3));
        let origins = layers.into_sources();
        assert!(matches!(origins["cores"], Source::User(_)), "{origins:?}");
    }

    #[test]
    fn the_strongest_layer_wins_and_is_named() {
        let (project, user) = ("cores = 3", "cores = 4");
        assert_eq!(
            cores(Some(1), Some("2"), project, user),
            (json!(1), Source::Flag)
        );
        let env = Source::Environment("SDBUILD_CORES");
        assert_eq!(cores(None, Some("2"), project, user), (json!(2), env));
        let (value, origin) = cores(None, None, project, user);
        assert!(
            value == json!(3) && matches!(origin, Source::Project(_)),
            "{origin}"
        );
        let (value, origin) = cores(None, None, "", user);
        assert!(
            value == json!(4) && matches!(origin, Source::User(_)),
            "{origin}"
        );
        assert_eq!(cores(None, None, "", ""), (Value::Null, Source::Default));
    }
}
