//! What the user laid over the configuration on the command line: a module of its own, which can be shown.

use crate::common::failure::Failure;
use crate::common::nix_string::nix_string;

/// Definitions that are laid over a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CliModule {
    lines: Vec<String>,
}

impl CliModule {
    /// Whoever has `key` may log in as root.
    pub fn key(&mut self, key: &str) {
        let key = nix_string(key);
        self.lines.push(format!(
            "users.users.root.openssh.authorizedKeys.keys = [ {key} ];"
        ));
    }

    /// The machine is called `name`, whatever the configuration says.
    pub fn host_name(&mut self, name: &str) {
        let name = nix_string(name);
        self.lines
            .push(format!("networking.hostName = lib.mkForce {name};"));
    }

    /// `OPTION=VALUE`: a list or a set is added to what is there, anything else takes its place.
    pub fn set(&mut self, text: &str) -> Result<(), Failure> {
        let (option, value) = text
            .split_once('=')
            .map(|(option, value)| (option.trim(), value.trim()))
            .filter(|(option, _)| is_path(option))
            .ok_or_else(|| {
                Failure::usage(format!("--set `{text}` is not of the form OPTION=VALUE"))
                    .hint("for instance --set time.timeZone=Europe/Berlin")
            })?;
        let line = match value.chars().next() {
            Some('[' | '{' | '(') => format!("{option} = over ({value});"),
            _ => format!("{option} = lib.mkForce {};", scalar(value)),
        };
        self.lines.push(line);
        Ok(())
    }

    /// The definitions, a line each.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The module.
    pub(super) fn module(&self) -> String {
        let lines = self.lines.join("\n  ");
        format!("{{ lib, pkgs, ... }}:\nlet\n{OVER}in\n{{\n  {lines}\n}}\n")
    }
}

/// What becomes of a value whose kind only Nix knows.
const OVER: &str =
    "  over = value: if lib.isList value || lib.isAttrs value then value else lib.mkForce value;\n";

/// A number, a truth value or a text: what needs no quotes on the command line gets them here.
fn scalar(value: &str) -> String {
    let is_nix = matches!(value, "true" | "false" | "null")
        || value.parse::<i64>().is_ok()
        || value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    if value.starts_with('-') && is_nix {
        format!("({value})")
    } else if is_nix {
        value.to_owned()
    } else {
        nix_string(value)
    }
}

/// `services.openssh.enable`, `users.users."a b".uid`.
fn is_path(option: &str) -> bool {
    let mut quoted = false;
    let mut empty = true;
    for c in option.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                empty = false;
            }
            '$' | '\\' => return false,
            _ if quoted => {}
            '.' if empty => return false,
            '.' => empty = true,
            c if c.is_ascii_alphanumeric() || "_-'".contains(c) => empty = false,
            _ => return false,
        }
    }
    !quoted && !empty
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<String, Failure> {
        let mut overlay = CliModule::default();
        overlay.set(text)?;
        Ok(overlay.lines().concat())
    }

    #[test]
    fn values_are_taken_for_what_they_look_like() {
        for (text, line) in [
            ("a.b=true", "a.b = lib.mkForce true;"),
            ("a=-5", "a = lib.mkForce (-5);"),
            ("a = Europe/Berlin", "a = lib.mkForce \"Europe/Berlin\";"),
            ("a=x=y", "a = lib.mkForce \"x=y\";"),
            ("a=\"5\"", "a = lib.mkForce \"5\";"),
            ("a=", "a = lib.mkForce \"\";"),
            ("a=[ pkgs.vim ]", "a = over ([ pkgs.vim ]);"),
            ("u.\"a b\".c=${x}", "u.\"a b\".c = lib.mkForce \"\\${x}\";"),
        ] {
            assert_eq!(set(text).unwrap(), line, "{text}");
        }
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for text in [
            "a", "=b", "a..b=1", ".a=1", "a.=1", "a b=1", "a;b=1", "a.\"b=1", "${x}=1",
        ] {
            let failure = set(text).unwrap_err();
            assert_eq!(
                failure.class,
                crate::common::failure::Class::Usage,
                "{text}"
            );
        }
    }

    #[test]
    fn keys_and_names_stay_texts() {
        let mut overlay = CliModule::default();
        overlay.key("ssh-ed25519 AAAA \"; evil = ${x}");
        overlay.host_name("kitchen");
        let module = overlay.module();
        assert!(
            module.contains("keys = [ \"ssh-ed25519 AAAA \\\"; evil = \\${x}\" ];\n"),
            "{module}"
        );
        assert!(
            module.contains("  networking.hostName = lib.mkForce \"kitchen\";\n}\n"),
            "{module}"
        );
    }
}
