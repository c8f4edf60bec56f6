//! What user-data may be (<https://cloudinit.readthedocs.io/en/latest/explanation/format.html>), which mistakes cloud-init would answer by ignoring
//! all of it, what NixOS does not follow, and which users can log in.

use std::path::Path;

use super::yaml;
use super::yaml::{Node, Value, YamlError};
use sdbuild_core::failure::Failure;

/// The first line of a configuration.
const CLOUD_CONFIG: &str = "#cloud-config";
/// How every other kind of user-data that cloud-init documents begins, in lower case.
const OTHER_STARTS: [&str; 9] = [
    "#!",
    "## template: jinja",
    "#include",
    "#cloud-boothook",
    "#part-handler",
    "#cloud-config-archive",
    "#cloud-config-jsonp",
    "content-type: multipart/",
    "mime-version:",
];
/// What to do about another first line.
const START_HINT: &str =
    "begin it with the line `#cloud-config` for a configuration, or with `#!/bin/sh` for a script";

/// A file with a text, for error messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeedFile<'a> {
    /// What the file is: `user-data`.
    pub(super) name: &'a str,
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl SeedFile<'_> {
    fn failure(&self, what: impl std::fmt::Display) -> Failure {
        let Self { name, path, .. } = self;
        Failure::usage(format!("{name} {}: {what}", path.display()))
    }

    /// The failure of a text that is not YAML.
    fn invalid(&self, error: &YamlError) -> Failure {
        let YamlError { line, what } = error;
        self.failure(format!("line {line}: {what}"))
            .hint("it must be YAML; `cloud-init schema -c FILE` checks it completely")
    }

    /// The mapping that the text has to be as YAML; `None` if it says nothing.
    pub(super) fn mapping(&self) -> Result<Option<Node>, Failure> {
        let node = yaml::parse(self.text).map_err(|error| self.invalid(&error))?;
        match node {
            Some(node) if matches!(node.value, Value::Mapping(_)) => Ok(Some(node)),
            Some(node) if node.text().is_some_and(is_nothing) => Ok(None),
            None => Ok(None),
            Some(node) => Err(self
                .failure(format!(
                    "line {}: keys with values are expected here",
                    node.line
                ))
                .hint("every setting is `key: value`, with a space after the colon")),
        }
    }

    /// Checks the text as user-data; the configuration that it is, if it is one.
    pub(super) fn checked(&self) -> Result<Option<Node>, Failure> {
        // cloud-init looks for the start behind spaces and empty lines, and takes upper case for lower case.
        let trimmed = self.text.trim_start();
        let first = trimmed.lines().next().unwrap_or_default();
        let start = first.to_ascii_lowercase();
        let is_one_of = |starts: &[&str]| starts.iter().any(|known| start.starts_with(known));
        if trimmed.is_empty() || is_one_of(&OTHER_STARTS) {
            return Ok(None);
        }
        if start.starts_with(CLOUD_CONFIG) {
            let config = self.mapping()?;
            if let Some(config) = &config {
                check_commands(config).map_err(|error| self.invalid(&error))?;
            }
            return Ok(config);
        }
        let text = format!(
            "cloud-init does not recognise its first line, `{}`",
            first.trim_end()
        );
        Err(self.failure(text).hint(START_HINT))
    }
}

/// The lists of commands.
const LISTS: [&str; 2] = ["runcmd", "bootcmd"];

/// An `command_error` for commands in `config` that are not a list, or a list with something else than texts and lists, which are commands with
/// their arguments.
fn check_commands(config: &Node) -> Result<(), YamlError> {
    let lists = LISTS
        .iter()
        .filter_map(|name| Some((*name, config.get(name)?)));
    for (name, list) in lists {
        match &list.value {
            Value::List(commands) => commands.iter().try_for_each(|one| check_one(name, one))?,
            Value::Scalar(text) if is_nothing(text) => {}
            Value::Scalar(_) | Value::Mapping(_) => {
                return Err(command_error(name, list, "is not a list of commands"));
            }
            // What it names is not known here.
            Value::Alias => {}
        }
    }
    Ok(())
}

/// An `command_error` if `command`, in the list `name`, is not a command.
fn check_one(name: &str, command: &Node) -> Result<(), YamlError> {
    if matches!(command.value, Value::Mapping(_)) {
        let what =
            "has an item that is not a command; text with a colon and a space must be in quotes";
        return Err(command_error(name, command, what));
    }
    Ok(())
}

fn command_error(name: &str, node: &Node, what: &str) -> YamlError {
    let what = format!("`{name}` {what}, so cloud-init would not run any of it");
    YamlError {
        line: node.line,
        what,
    }
}

fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "~" | "null")
}

/// The user who gets the keys that no user is named for: NixOS has no other one by default.
const KEYS_WITHOUT_A_USER: &str = "root";
/// The lists of a user's keys; the second is an older name.
const KEY_LISTS: [&str; 2] = ["ssh_authorized_keys", "ssh-authorized-keys"];

/// A user of user-data, with the lines of keys that it may log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedLogin {
    /// The user's name.
    pub user: String,
    /// Lines as in `authorized_keys`.
    pub keys: Vec<String>,
}

/// The users of `config` with at least one key, in their order; last the user of the keys that belong to no user.
pub(super) fn logins(config: &Node) -> Vec<SeedLogin> {
    let users = config.get("users");
    let mut found: Vec<SeedLogin> = match users.map(|users| &users.value) {
        Some(Value::List(users)) => users.iter().filter_map(login_of).collect(),
        Some(Value::Scalar(_) | Value::Mapping(_) | Value::Alias) | None => Vec::new(),
    };
    let keys = keys_of(config);
    if !keys.is_empty() {
        let user = KEYS_WITHOUT_A_USER.to_owned();
        found.push(SeedLogin { user, keys });
    }
    found
}

fn login_of(user: &Node) -> Option<SeedLogin> {
    let name = user.get("name")?.text()?;
    let keys = keys_of(user);
    (!keys.is_empty()).then(|| SeedLogin {
        user: name.to_owned(),
        keys,
    })
}

/// The keys that `node` lists.
fn keys_of(node: &Node) -> Vec<String> {
    let lists = KEY_LISTS.iter().filter_map(|name| node.get(name));
    let keys = lists.flat_map(|list| match &list.value {
        Value::List(keys) => keys.iter().filter_map(Node::text).collect(),
        Value::Scalar(key) => vec![key.as_str()],
        Value::Mapping(_) | Value::Alias => Vec::new(),
    });
    keys.filter(|key| !key.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

/// Keys that none of the modules reads that nixpkgs lets cloud-init run, and what does the same.
const NOT_READ: [(&str, &str); 13] = [
    ("packages", PACKAGES),
    ("package_update", PACKAGES),
    ("package_upgrade", PACKAGES),
    ("apt", PACKAGES),
    ("snap", PACKAGES),
    ("yum_repos", PACKAGES),
    ("ntp", CONFIGURATION),
    ("locale", CONFIGURATION),
    ("keyboard", CONFIGURATION),
    ("timezone", CONFIGURATION),
    ("manage_etc_hosts", CONFIGURATION),
    ("wireguard", CONFIGURATION),
    ("ansible", CONFIGURATION),
];
const PACKAGES: &str =
    "put packages into the configuration of the image, or install them with Nix in `runcmd`";
const CONFIGURATION: &str = "set it in the configuration of the image";

/// A sentence for each setting of `config` that cloud-init does not follow on NixOS.
pub(super) fn not_followed(config: &Node) -> Vec<String> {
    let keys = NOT_READ.iter();
    keys.filter_map(|(key, instead)| {
        let line = config.get(key)?.line;
        Some(format!(
            "line {line}: on NixOS, cloud-init ignores `{key}`; {instead}"
        ))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    mod user_data {
        use super::super::*;

        fn checked(text: &str) -> Result<Option<Node>, Failure> {
            let path = Path::new("u.yaml");
            let name = "user-data";
            SeedFile { name, path, text }.checked()
        }

        fn refused(text: &str) -> String {
            let failure = checked(text).unwrap_err();
            assert!(failure.to_string().starts_with("user-data u.yaml: "));
            format!("{failure} ({})", failure.hints.concat())
        }

        #[test]
        fn every_documented_kind_is_accepted() {
            for text in [
                "#cloud-config\n",
                "#cloud-config\n{}\n",
                "#cloud-config  \nusers: [default]\n",
                "#cloud-config\r\nusers:\r\n- default\r\n",
                "#Cloud-Config-mine\na: 1\n",
                "\n #cloud-config\na: 1\n",
                "",
                "\n",
                "#!/bin/sh\n\ttrue\n",
                "## template: jinja\n#cloud-config\n{% if 1 %}\n",
                "#include\nhttps://example.org/x\n",
                "#cloud-boothook\n#!/bin/sh\n",
                "#cloud-config-archive\n- {}\n",
                "Content-Type: multipart/mixed; boundary=\"x\"\n",
            ] {
                checked(text).unwrap_or_else(|failure| panic!("{text}: {failure}"));
            }
            assert!(checked("#cloud-config\na: 1\n").unwrap().is_some());
        }

        #[test]
        fn mistakes_in_the_first_line_are_named() {
            for first in ["#cloud_config", "\u{feff}#cloud-config"] {
                let text = refused(&format!("{first}\na: 1\n"));
                assert!(text.contains("does not recognise its first line"), "{text}");
            }
            assert!(refused("users: []\n").contains("begin it with the line"));
        }

        #[test]
        fn broken_yaml_has_its_line() {
            assert!(refused("#cloud-config\na: b: c\n").contains("line 2: "));
            assert!(refused("#cloud-config\n- a\n").contains("line 2: keys with values"));
            assert!(
                refused("#cloud-config\nhostname kitchen\n").contains("line 2: keys with values")
            );
        }
    }

    mod commands {
        use super::super::*;
        use crate::seed::yaml;

        fn checked(text: &str) -> Result<(), YamlError> {
            check_commands(&yaml::parse(text).unwrap().unwrap())
        }

        #[test]
        fn commands_are_texts_and_lists() {
            for text in [
                "runcmd: [ls, [ls, -l], 'true', [sleep, 1], ~]",
                "runcmd:",
                "bootcmd: []",
                "a: &a [ls]\nruncmd: *a",
                "a: {runcmd: {}}",
            ] {
                checked(text).unwrap();
            }
        }

        #[test]
        fn what_is_not_a_command_has_its_line() {
            let line = |text: &str| checked(text).unwrap_err().line;
            assert_eq!(line("runcmd:\n- ls\n- echo a: b\n"), 3);
            assert_eq!(line("bootcmd:\n- {ls: 1}\n"), 2);
            assert_eq!(line("a: 1\nruncmd: ls\n"), 2);
            assert_eq!(line("a: 1\nruncmd: {touch: /x}\n"), 2);
        }
    }

    mod logins {
        use super::super::*;
        use crate::seed::yaml;

        fn found(text: &str) -> Vec<(String, usize)> {
            let config = yaml::parse(text).unwrap().unwrap();
            let logins = logins(&config).into_iter();
            logins.map(|login| (login.user, login.keys.len())).collect()
        }

        #[test]
        fn users_with_a_key_come_in_their_order() {
            let text = "users:\n- default\n- name: none\n- {name: a, ssh_authorized_keys: [k, l]}\n\
            - name: b\n  ssh-authorized-keys: k\nssh_authorized_keys:\n- k\n";
            let expected = [("a", 2), ("b", 1), ("root", 1)];
            assert_eq!(found(text), expected.map(|(user, n)| (user.to_owned(), n)));
        }

        #[test]
        fn other_shapes_have_no_logins() {
            for text in [
                "users: a",
                "users: {}",
                "users: [[x]]",
                "a: 1",
                "ssh_authorized_keys: []",
            ] {
                assert!(found(text).is_empty(), "{text}");
            }
        }
    }

    mod nixos {
        use super::super::*;
        use crate::seed::yaml;

        #[test]
        fn packages_are_reported_with_their_line() {
            let text = "runcmd: [ls]\npackages: [htop]\ntimezone: UTC\n";
            let told = not_followed(&yaml::parse(text).unwrap().unwrap());
            assert_eq!(told.len(), 2, "{told:?}");
            assert!(told[0].starts_with("line 2: ") && told[0].contains("`packages`"));
            assert!(told[1].starts_with("line 3: ") && told[1].contains("configuration"));
        }
    }
}
