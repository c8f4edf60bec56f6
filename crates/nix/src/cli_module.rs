//! The definitions of the command line (`--set`, `--ssh-key`, `--hostname`) as a NixOS module.

use crate::attribute_path;
use crate::brackets::{Imbalance, imbalance};
use crate::nix_name::is_of_path;
use crate::nix_syntax::parse;
use sdbuild_core::failure::Failure;
use sdbuild_core::nix_string::nix_string;

/// A NixOS module that is added to the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CliModule(Vec<Definition>);

/// A definition of the module.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Definition {
    /// Attribute path of the option.
    option: String,
    /// The flag as the user wrote it.
    flag: String,
    /// The Nix code; a value of `--set` may have several lines.
    code: String,
    /// The code as a user reads it, without sdbuild's own function.
    shown: String,
}

/// Lines of the module before the first definition.
const HEAD_LINES: usize = 5;

impl CliModule {
    /// Adds `key` to root's authorized SSH keys.
    pub fn key(&mut self, key: &str) {
        let option = "users.users.root.openssh.authorizedKeys.keys";
        let code = format!("{option} = [ {} ];", nix_string(key));
        self.add(option, "--ssh-key".to_owned(), code.clone(), code);
    }

    /// Sets the host name, overriding the configuration.
    pub fn host_name(&mut self, name: &str) {
        let option = "networking.hostName";
        let code = format!("{option} = lib.mkForce {};", nix_string(name));
        self.add(option, format!("--hostname {name}"), code.clone(), code);
    }

    fn add(&mut self, option: &str, flag: String, code: String, shown: String) {
        let option = option.to_owned();
        self.0.push(Definition {
            option,
            flag,
            code,
            shown,
        });
    }

    /// Whether the command line adds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The flag whose definition is in line `line` of the module, counted from 1.
    pub fn flag_at(&self, line: u64) -> Option<&str> {
        let mut line = usize::try_from(line).ok()?.checked_sub(HEAD_LINES + 1)?;
        let definition = self.0.iter().find(|definition| {
            let lines = definition.code.split('\n').count();
            let is_in = line < lines;
            line = line.saturating_sub(lines);
            is_in
        });
        definition.map(|definition| definition.flag.as_str())
    }

    /// The flag that defines `option`, an option below it, or the set that it is in.
    pub fn flag_of(&self, option: &str) -> Option<&str> {
        let is_below = |inner: &str, outer: &str| {
            let rest = inner.strip_prefix(outer);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let is_of = |definition: &&Definition| {
            is_below(&definition.option, option) || is_below(option, &definition.option)
        };
        let definition = self.0.iter().rev().find(is_of);
        definition.map(|definition| definition.flag.as_str())
    }

    /// The flag, without its value, that overrides what the configuration defines of `option`.
    pub fn overriding(&self, option: &str) -> Option<String> {
        let forced = format!("{option} = lib.mkForce ");
        let is_of = |definition: &&Definition| definition.code.starts_with(&forced);
        let definition = self.0.iter().find(is_of)?;
        let flag = definition.flag.split_once(' ');
        flag.map(|(flag, value)| match value.split_once('=') {
            Some(_) => format!("{flag} {option}=…"),
            None => flag.to_owned(),
        })
    }

    /// Adds the definition `text` of the form `OPTION=VALUE`. A list or a set is merged with the configuration's value,
    /// any other value overrides it. A usage error when `text` has another form.
    pub fn set(&mut self, text: &str) -> Result<(), Failure> {
        let (option, value) = text
            .split_once('=')
            .map(|(option, value)| (option.trim(), value.trim()))
            .filter(|(option, _)| is_attribute_path(option))
            .ok_or_else(|| {
                Failure::usage(format!("--set `{text}` is not of the form OPTION=VALUE"))
                    .hint("for instance --set time.timeZone=Europe/Berlin")
            })?;
        if has_relative_path(value) {
            let text = format!(
                "--set `{text}` has the path of a file, which the builder would look for elsewhere"
            );
            return Err(Failure::usage(text).hint(format!(
                "--set cannot take paths; write this into the configuration: {option} = {value};"
            )));
        }
        let (code, shown) = if value.starts_with(['[', '{', '(']) {
            complete(option, value)?;
            let shown = format!("{option} = {value};");
            (format!("{option} = over ({value});"), shown)
        } else {
            let code = format!("{option} = lib.mkForce {};", scalar(value));
            (code.clone(), code)
        };
        self.add(option, format!("--set {text}"), code, shown);
        Ok(())
    }

    /// The Nix code of each definition.
    pub fn definitions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|definition| definition.code.as_str())
    }

    /// Each definition as a user reads it.
    pub fn shown(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|definition| definition.shown.as_str())
    }

    /// The module's text.
    pub fn module(&self) -> String {
        let definitions = self.definitions().collect::<Vec<_>>().join("\n  ");
        format!("{{ lib, pkgs, ... }}:\nlet\n{OVERRIDE_FUNCTION}in\n{{\n  {definitions}\n}}\n")
    }
}

/// The function for values whose type only Nix can determine.
const OVERRIDE_FUNCTION: &str =
    "  over = value: if lib.isList value || lib.isAttrs value then value else lib.mkForce value;\n";

/// `value` as a Nix expression: numbers, booleans, `null` and quoted strings as they are, anything else as a string.
fn scalar(value: &str) -> String {
    // Nix has no sign for positive numbers.
    let is_number = !value.starts_with('+') && value.parse::<i64>().is_ok();
    let is_nix = matches!(value, "true" | "false" | "null")
        || is_number
        || value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    if value.starts_with('-') && is_nix {
        format!("({value})")
    } else if is_nix {
        value.to_owned()
    } else {
        nix_string(value)
    }
}

/// Whether `value`, a list or a set, has a path such as `./b.nix` outside of quotes.
fn has_relative_path(value: &str) -> bool {
    let unquoted = value.split('"').step_by(2);
    let mut words = unquoted.flat_map(|code| code.split([' ', '[', '(', '{', '=']));
    let is_path = |word: &str| word.starts_with("./") || word.starts_with("../");
    value.starts_with(['[', '{', '(']) && words.any(is_path)
}

/// Whether `option` is an attribute path: `services.openssh.enable`, `users.users."a b".uid`.
fn is_attribute_path(option: &str) -> bool {
    let mut unquoted = option.split('"').step_by(2).flat_map(str::chars);
    attribute_path::parse(option).is_ok_and(|names| !names.is_empty()) && unquoted.all(is_of_path)
}

/// A usage error if the `value` of `option`, a list, a set or an expression in parentheses, ends too early or too late: Nix would report
/// a character that sdbuild puts behind it.
fn complete(option: &str, value: &str) -> Result<(), Failure> {
    let found = imbalance(value).filter(|found| found.token != "/*");
    let Some(Imbalance { token, opens, .. }) = found.filter(|_| !parse(value).errors().is_empty())
    else {
        return Ok(());
    };
    let wrong = if opens {
        "is not closed"
    } else {
        "closes nothing that is open"
    };
    let text = format!("in the value of --set {option}, the `{token}` {wrong}");
    Err(Failure::usage(text)
        .hint("check its brackets and quotes, and put the whole argument in quotes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<String, Failure> {
        let mut cli_module = CliModule::default();
        cli_module.set(text)?;
        Ok(cli_module.definitions().collect())
    }

    #[test]
    fn a_relative_path_stands_in_the_configuration() {
        let refused = set("imports=[ ./b.nix ]").unwrap_err();
        let told =
            "--set cannot take paths; write this into the configuration: imports = [ ./b.nix ];";
        assert_eq!(refused.hints, [told]);
        for right in ["a=[ \"./b\" ]", "a={ b = \"../c\"; }", "a=./b"] {
            assert!(set(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn values_become_nix_expressions() {
        for row in r#"a.b=true => a.b = lib.mkForce true;
            a=-5 => a = lib.mkForce (-5);
            a=+5 => a = lib.mkForce "+5";
            a = Europe/Berlin => a = lib.mkForce "Europe/Berlin";
            a=x=y => a = lib.mkForce "x=y";
            a="5" => a = lib.mkForce "5";
            a= => a = lib.mkForce "";
            a=[ pkgs.vim ] => a = over ([ pkgs.vim ]);
            u."a b".c=${x} => u."a b".c = lib.mkForce "\${x}";"#
            .lines()
        {
            let (text, line) = row.trim_start().split_once(" => ").unwrap();
            assert_eq!(set(text).unwrap(), line, "{text}");
        }
    }

    #[test]
    fn definitions_are_traced_to_their_flags() {
        let mut cli_module = CliModule::default();
        cli_module.host_name("kitchen");
        // The lines after it were taken for those of the next flags.
        let packages = "environment.systemPackages=[\n  pkgs.vim\n]";
        cli_module.set(packages).unwrap();
        cli_module.set("services.opensh.enable=true").unwrap();
        let text = cli_module.module();
        let line_of = |part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
        let flag_at = |part| cli_module.flag_at(line_of(part) as u64);
        assert_eq!(flag_at("hostName"), Some("--hostname kitchen"));
        assert_eq!(flag_at("opensh"), Some("--set services.opensh.enable=true"));
        let packages = format!("--set {packages}");
        assert_eq!(flag_at("pkgs.vim"), Some(packages.as_str()));
        assert_eq!(flag_at("let"), None);
        let flag = Some("--set services.opensh.enable=true");
        for option in [
            "services.opensh",
            "services.opensh.enable",
            "services.opensh.enable.x",
        ] {
            assert_eq!(cli_module.flag_of(option), flag, "{option}");
        }
        assert_eq!(cli_module.flag_of("services.open"), None);
    }

    #[test]
    fn invalid_options_are_refused() {
        for text in [
            "a", "=b", "a..b=1", ".a=1", "a.=1", "a b=1", "a;b=1", "a.\"b=1", "${x}=1",
        ] {
            let failure = set(text).unwrap_err();
            assert_eq!(failure.class, sdbuild_core::failure::Class::Usage, "{text}");
        }
    }

    #[test]
    fn brackets_and_quotes_of_a_value_match() {
        for (value, token) in [
            ("[pkgs.vim", "["),
            ("[ 1 (f 2", "("),
            ("{ c = [ 1 ];", "{"),
            ("[ 1 ]]", "]"),
            ("[ \"c ]", "\""),
        ] {
            let failure = set(&format!("a.b={value}")).unwrap_err();
            assert!(
                failure.to_string().contains(&format!("the `{token}` ")),
                "{failure}"
            );
        }
        for value in [
            "[ \"a\n]\" ]",
            "(with pkgs; [ vim ])",
            "{ a = 1 }",
            "[ # ]\n1 ]",
        ] {
            assert!(set(&format!("a.b={value}")).is_ok(), "{value}");
        }
    }

    #[test]
    fn keys_and_names_are_quoted() {
        let mut cli_module = CliModule::default();
        cli_module.key("ssh-ed25519 AAAA \"; evil = ${x}");
        cli_module.host_name("kitchen");
        let module = cli_module.module();
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
