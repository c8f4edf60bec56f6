//! Nix's remote builders.

use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::environment::Environment;
use super::environment::user_file;
use super::resolver::Resolver;
use super::value::{Base, Value};
use sdbuild_build::Builders;
use sdbuild_build::remote_builder::RemoteBuilder;
use sdbuild_core::failure::Failure;
use sdbuild_core::plain_file;

/// The key that is used when none is named, in the directory of the user's settings.
const KEY: &str = "builder-key";
/// The system's list of host keys.
const SYSTEM_KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";

/// Resolves the remote builders.
pub(super) fn resolve_builders(
    env: &Environment,
    s: &mut Resolver<'_>,
) -> Result<Builders, Failure> {
    let given = s.value("builders", |o| {
        o.builders.as_deref().map(BuilderList::joined)
    })?;
    let home = env.home_dir();
    let own = home.map(|home| home.join(".ssh/known_hosts"));
    Ok(Builders {
        machines: given.into_machines(),
        key: s.optional("builder-key", |o| o.builder_key.clone())?,
        default_key: user_file(env, KEY),
        known_hosts: own.into_iter().chain([SYSTEM_KNOWN_HOSTS.into()]).collect(),
    })
}

/// Bytes that are read of a file of builders: a line has some 200.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Remote builders, separated by semicolons or line ends; what follows a `#` in a line is a comment. `@FILE` stands for the lines
/// of a file of that form, as in Nix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "Vec<String>")]
pub struct BuilderList(Vec<RemoteBuilder>);

impl BuilderList {
    /// All builders of several lists.
    pub(super) fn joined(lists: &[Self]) -> Self {
        Self(lists.iter().flat_map(|list| list.0.clone()).collect())
    }

    /// The builders.
    pub(super) fn into_machines(self) -> Vec<RemoteBuilder> {
        self.0
    }
}

impl FromStr for BuilderList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = |entry| match str::strip_prefix(entry, '@') {
            Some(path) => of_file(path.trim()),
            None => Ok(vec![entry.parse()?]),
        };
        let lists: Result<Vec<_>, String> = entries(text).map(read).collect();
        Ok(Self(lists?.concat()))
    }
}

/// The words between semicolons and line ends, without comments.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let entries = lines.flat_map(|line| line.split(';')).map(str::trim);
    entries.filter(|entry| !entry.is_empty())
}

/// The builders of the file `path`, such as `/etc/nix/machines`. Nix takes a missing file for an empty one; here it is an error.
fn of_file(path: &str) -> Result<Vec<RemoteBuilder>, String> {
    let in_file = |problem: String| format!("the file of builders {path}: {problem}");
    if !Path::new(path).is_absolute() {
        return Err(in_file(
            "give its whole path, as in @/etc/nix/machines".to_owned(),
        ));
    }
    let text = plain_file::read_text(Path::new(path), MAX_FILE_BYTES);
    let text = text.map_err(|error| in_file(error.to_string()))?;
    let machine = |entry: &str| match entry.strip_prefix('@') {
        Some(_) => Err(in_file(format!("a file names no other file ({entry})"))),
        None => entry.parse().map_err(in_file),
    };
    entries(&text).map(machine).collect()
}

impl TryFrom<String> for BuilderList {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BuilderList> for Vec<String> {
    fn from(list: BuilderList) -> Self {
        list.0.iter().map(RemoteBuilder::machine).collect()
    }
}

impl Value for BuilderList {
    fn relative_to(self, base: Base<'_>) -> Self {
        let machines = self.0.into_iter();
        Self(machines.map(|one| one.relative_to(base.dir)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Options;

    fn resolve(options: Options, env: &Environment) -> Result<Builders, Failure> {
        resolve_builders(env, &mut Resolver::new(options, env, None)?)
    }

    #[test]
    fn builders_of_all_flags_and_lines_are_joined() {
        let env: Environment = [("HOME", "/home/me")].into_iter().collect();
        let lists = [
            "ssh://a@one x86_64-linux; ssh://b@two x86_64-linux\n# none\n",
            "c@three x86_64-linux",
        ];
        let options = Options {
            builders: Some(lists.map(|list| list.parse().unwrap()).into()),
            ..Options::default()
        };
        let builders = resolve(options, &env).unwrap();
        let hosts = builders.machines.iter().map(|one| one.host.as_str());
        assert_eq!(hosts.collect::<Vec<_>>(), ["one", "two", "three"]);
        let default = builders.default_key.unwrap();
        assert_eq!(default, Path::new("/home/me/.config/sdbuild/builder-key"));
        assert_eq!(
            builders.known_hosts[0],
            Path::new("/home/me/.ssh/known_hosts")
        );
        assert!(
            resolve(Options::default(), &env)
                .unwrap()
                .machines
                .is_empty()
        );
    }

    #[test]
    fn a_file_of_builders_is_read_as_nix_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("machines"), dir.path().join("other"));
        let text = "# board\nssh-ng://a@one x - 2 # slow\n\nb@two x;ssh://c@three x\n";
        std::fs::write(&file, text).unwrap();
        let list = |text: &str| text.parse::<BuilderList>().map(BuilderList::into_machines);
        let both = list(&format!("@{} ; ssh-ng://d@four x", file.display())).unwrap();
        let hosts: Vec<_> = both.iter().map(|one| one.host.as_str()).collect();
        assert_eq!(hosts, ["one", "two", "three", "four"]);

        std::fs::write(&other, format!("@{}\n", file.display())).unwrap();
        let missing = dir.path().join("none");
        for (path, problem) in [
            (other.to_str().unwrap(), "a file names no other file"),
            (missing.to_str().unwrap(), "none: No such file"),
            (dir.path().to_str().unwrap(), "the file of builders"),
            ("machines", "give its whole path"),
        ] {
            let error = list(&format!("@{path}")).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        std::fs::write(&other, "ssh-ng://a@one x\nssh-ng://nobody\n").unwrap();
        let error = list(&format!("@{}", other.display())).unwrap_err();
        let expected = "other: the builder ssh-ng://nobody: the account is missing";
        assert!(error.contains(expected), "{error}");
    }
}
