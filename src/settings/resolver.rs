//! Precedence: a flag wins over a variable, a variable over the project's `sdbuild.toml`, that over the user's own, and that
//! over the default.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::environment::{Environment, user_file};
use super::file;
use super::options::Options;
use super::value::{Base, Value};
use super::variables;
use sdbuild_core::failure::{Failure, OrFail as _};

/// Resolves settings one by one, and records each with its origin.
#[derive(Debug)]
pub(super) struct Resolver<'a> {
    flags: Options,
    env: &'a Environment,
    /// The project's file, then the user's own; each only if it exists.
    files: Vec<SettingsFile>,
    current_dir: PathBuf,
    resolved: Vec<Setting>,
}

/// A settings file that was read.
#[derive(Debug)]
struct SettingsFile {
    dir: PathBuf,
    options: Options,
    origin: Origin,
}

impl<'a> Resolver<'a> {
    /// Reads the settings files: `sdbuild.toml` in `project`, and the user's own. Without `project` only variables count,
    /// for commands that must work with a broken settings file.
    pub(super) fn new(
        flags: Options,
        env: &'a Environment,
        project: Option<&Path>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            flags,
            env,
            files: project.map_or(Ok(Vec::new()), |dir| read_files(dir, env))?,
            current_dir: current_dir()?,
            resolved: Vec::new(),
        })
    }

    /// The value of a setting, or its type's default.
    pub(super) fn value<T: Value + Default>(
        &mut self,
        key: &'static str,
        field: fn(&Options) -> Option<T>,
    ) -> Result<T, Failure> {
        self.value_or(key, field, T::default())
    }

    /// The value of a setting, or `default`.
    pub(super) fn value_or<T: Value>(
        &mut self,
        key: &'static str,
        field: fn(&Options) -> Option<T>,
        default: T,
    ) -> Result<T, Failure> {
        let found = self.find(key, field)?;
        let (value, origin) = found.unwrap_or((default, Origin::Default));
        self.record(key, value.as_json(), origin);
        Ok(value)
    }

    /// The value of a setting that has no default: without one, the run decides.
    pub(super) fn optional<T: Value>(
        &mut self,
        key: &'static str,
        field: fn(&Options) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let (value, origin) = self.find(key, field)?.unzip();
        let json = value.as_ref().map_or(Json::Null, Value::as_json);
        self.record(key, json, origin.unwrap_or_default());
        Ok(value)
    }

    /// Records a value that only a flag can set.
    pub(super) fn flag(&mut self, key: &'static str, value: &impl Serialize, given: bool) {
        let origin = if given { Origin::Flag } else { Origin::Default };
        self.record(key, json!(value), origin);
    }

    /// The value from the strongest layer that has one, and that layer.
    fn find<T: Value>(
        &self,
        key: &str,
        field: fn(&Options) -> Option<T>,
    ) -> Result<Option<(T, Origin)>, Failure> {
        let home = self.env.home_dir();
        let base = |dir| Base {
            dir,
            home: home.as_deref(),
        };
        let here = base(&self.current_dir);
        if let Some(value) = field(&self.flags) {
            return Ok(Some((value.relative_to(here), Origin::Flag)));
        }
        let variable = variables::of_setting(key);
        if let Some((name, text)) = variable.and_then(|name| Some((name, self.env.text(name)?))) {
            let value = T::from_variable(text);
            let value = value.map_err(|e| Failure::usage(format!("{name}: {e}")))?;
            let value = value.relative_to(here);
            return Ok(Some((value, Origin::Environment(name))));
        }
        Ok(self.files.iter().find_map(|file| {
            let value = field(&file.options)?.relative_to(base(&file.dir));
            Some((value, file.origin.clone()))
        }))
    }

    fn record(&mut self, key: &'static str, value: Json, origin: Origin) {
        self.resolved.push(Setting { key, value, origin });
    }

    /// Whether the setting `key`, which was resolved, is set nowhere.
    pub(super) fn is_default(&self, key: &str) -> bool {
        let mut named = self.resolved.iter().filter(|setting| setting.key == key);
        named.all(|setting| setting.origin == Origin::Default)
    }

    /// All settings in the order in which they were resolved.
    pub(super) fn into_settings(self) -> Vec<Setting> {
        self.resolved
    }
}

/// The process's current directory.
pub(super) fn current_dir() -> Result<PathBuf, Failure> {
    std::env::current_dir().or_environment("find the current directory")
}

fn read_files(project: &Path, env: &Environment) -> Result<Vec<SettingsFile>, Failure> {
    let user = user_file(env, file::NAME);
    let user = user.and_then(|file| file.parent().map(Path::to_owned));
    // Unreadable: another user's home directory, which `sudo -u` keeps in HOME.
    let user = user.filter(|user| user.join(file::NAME).try_exists().is_ok());
    let read = |dir: &Path, origin: fn(PathBuf) -> Origin| {
        Ok::<_, Failure>(SettingsFile {
            dir: dir.to_owned(),
            options: file::read(dir)?,
            origin: origin(dir.join(file::NAME)),
        })
    };
    match user {
        Some(user) if user == project => Ok(vec![read(&user, Origin::User)?]),
        Some(user) => Ok(vec![
            read(project, Origin::Project)?,
            read(&user, Origin::User)?,
        ]),
        None => Ok(vec![read(project, Origin::Project)?]),
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from", content = "name")]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment variable of this name.
    Environment(&'static str),
    /// `sdbuild.toml` beside the configuration.
    Project(PathBuf),
    /// The user's own `sdbuild.toml`.
    User(PathBuf),
    /// Not set anywhere.
    #[default]
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::Project(path) | Self::User(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A resolved setting, as `sdbuild settings` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Its key in `sdbuild.toml`, or the flag's name.
    pub key: &'static str,
    /// Its value; `null` if the run chooses one.
    pub value: Json,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Where the value of the setting `key` comes from, as a hint for a failure about it; `None` for the command line and the default.
pub(super) fn origin_hint(settings: &[Setting], key: &str) -> Option<String> {
    match &settings.iter().find(|setting| setting.key == key)?.origin {
        Origin::Environment(variable) => Some(format!("the variable {variable} sets it")),
        Origin::Project(file) | Origin::User(file) => Some(format!("{} sets it", file.display())),
        Origin::Flag | Origin::Default => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::value::Number;

    fn in_files(project: &str, user: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("config/sdbuild");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(dir.path().join("sdbuild.toml"), project).unwrap();
        std::fs::write(own.join("sdbuild.toml"), user).unwrap();
        dir
    }

    /// The number of cores by the layers above the default, each of which may set it.
    fn cores(flag: Option<&str>, env: Option<&str>, project: &str, user: &str) -> (Json, Origin) {
        let dir = in_files(project, user);
        let flags = Options {
            cores: flag.map(|text| text.parse().unwrap()),
            ..Options::default()
        };
        let config = dir.path().join("config").into_os_string();
        let variable = env.map(|text| ("SDBUILD_CORES", text.into()));
        let variables = variable.into_iter().chain([("XDG_CONFIG_HOME", config)]);
        let env = variables.collect();
        let mut resolver = Resolver::new(flags, &env, Some(dir.path())).unwrap();
        let cores = resolver.optional("cores", |o| o.cores);
        let cores = cores.unwrap().map(Number::get);
        let setting = resolver.into_settings().remove(0);
        assert_eq!(json!(cores), setting.value);
        (setting.value, setting.origin)
    }

    #[test]
    fn the_strongest_layer_wins_and_is_recorded() {
        let (project, user) = ("cores = 3", "cores = 4");
        let (value, origin) = cores(Some("1"), Some("2"), project, user);
        assert_eq!((value, origin), (1.into(), Origin::Flag));
        let (value, origin) = cores(None, Some("2"), project, user);
        assert_eq!(value, 2);
        assert_eq!(origin, Origin::Environment("SDBUILD_CORES"));
        let (value, origin) = cores(None, None, project, user);
        assert!(
            value == 3 && matches!(origin, Origin::Project(_)),
            "{origin}"
        );
        let (value, origin) = cores(None, None, "", user);
        assert!(value == 4 && matches!(origin, Origin::User(_)), "{origin}");
        assert_eq!(cores(None, None, "", ""), (Json::Null, Origin::Default));
    }

    #[test]
    fn a_configuration_in_the_users_settings_directory_has_one_file() {
        let dir = in_files("", "cores = 3");
        let config = dir.path().join("config");
        let env = [("XDG_CONFIG_HOME", config)].into_iter().collect();
        let project = dir.path().join("config/sdbuild");
        let mut resolver = Resolver::new(Options::default(), &env, Some(&project)).unwrap();
        let cores = resolver.optional("cores", |o| o.cores).unwrap();
        assert_eq!(cores.map(Number::get), Some(3));
        let settings = resolver.into_settings();
        assert!(
            matches!(settings[0].origin, Origin::User(_)),
            "{settings:?}"
        );
    }

    #[test]
    fn a_variable_that_cannot_be_parsed_is_named() {
        let settings = [("SDBUILD_JOBS", "many"), ("SDBUILD_OFFLINE", "maybe")];
        let env = settings.into_iter().collect();
        let mut resolver = Resolver::new(Options::default(), &env, None).unwrap();
        let jobs = resolver.optional("jobs", |o| o.jobs);
        let failure = jobs.unwrap_err();
        assert_eq!(failure.class, sdbuild_core::failure::Class::Usage);
        assert_eq!(failure.to_string(), "SDBUILD_JOBS: `many` is not a number");
        let offline = resolver.optional("offline", |o| o.offline);
        let message = offline.unwrap_err().to_string();
        assert_eq!(
            message,
            "SDBUILD_OFFLINE: `maybe` is neither true nor false"
        );
        for (text, value) in [
            ("1", true),
            ("true", true),
            ("yes", true),
            ("YES", true),
            ("0", false),
            ("False", false),
            ("off", false),
        ] {
            assert_eq!(bool::from_variable(text), Ok(value), "{text}");
        }
    }
}
