//! Nix's remote builders.

use super::builder_list::BuilderList;
use super::environment::Environment;
use super::resolver::Resolver;
use super::user_file::user_file;
use crate::pipeline::Builders;
use sdbuild_core::failure::Failure;

/// The key that is used when none is named, in the directory of the user's settings.
const KEY: &str = "builder-key";
/// The system's list of host keys.
const SYSTEM_KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";

/// Resolves the remote builders.
pub(super) fn resolve_builders(
    env: &Environment,
    s: &mut Resolver<'_>,
) -> Result<Builders, Failure> {
    let given = s.value("builders", Some("SDBUILD_BUILDERS"), |o| {
        o.builders.as_deref().map(BuilderList::joined)
    })?;
    let home = env.home_dir();
    let own = home.map(|home| home.join(".ssh/known_hosts"));
    Ok(Builders {
        machines: given.into_machines(),
        key: s.optional("builder-key", Some("SDBUILD_BUILDER_KEY"), |o| {
            o.builder_key.clone()
        })?,
        default_key: user_file(env, KEY),
        known_hosts: own.into_iter().chain([SYSTEM_KNOWN_HOSTS.into()]).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::Options;

    fn resolve(options: Options, env: &Environment) -> Result<Builders, Failure> {
        resolve_builders(env, &mut Resolver::new(options, env, None)?)
    }

    #[test]
    fn builders_of_all_flags_and_lines_are_joined() {
        let env = Environment {
            home: Some("/home/me".into()),
            ..Environment::default()
        };
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
    fn a_wrong_builder_in_a_variable_names_the_variable() {
        let setting = ("SDBUILD_BUILDERS".to_owned(), "ssh://pi x".to_owned());
        let env = Environment {
            settings: [setting].into(),
            ..Environment::default()
        };
        let failure = resolve(Options::default(), &env).unwrap_err().to_string();
        assert!(
            failure.starts_with("SDBUILD_BUILDERS: the builder ssh://pi"),
            "{failure}"
        );
    }
}
