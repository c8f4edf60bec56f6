//! Expressions of Nix that `--set` took for a text: it reads only lists, sets and what is in parentheses as Nix.

use super::digit_names::name_in_nixpkgs;
use super::evidence::ExitContext;
use super::names::is_name;
use super::secret_values::is_name_of_secret;
use crate::nixos::cli_module::CliModule;
use crate::nixos::layout::CLI_MODULE;
use sdbuild_core::shell_word::quoted;

/// What `--set` takes.
const TAKES: &str = "--set takes a value as text, a package in parentheses and a list in brackets";

/// The option to which packages are added.
const PACKAGES: &str = "environment.systemPackages";

/// The flag to write in place of the one whose value Nix refuses with `summary`.
pub(super) fn hint(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let flags = || context.cli_module.into_iter().flat_map(CliModule::settings);
    if let Some(found) = summary.strip_prefix("expected a set but found a string: \"") {
        let found = found.strip_suffix('"')?;
        let (option, value) = flags().find(|(_, value)| *value == found)?;
        let package = package(value).filter(|_| value.starts_with("pkgs."))?;
        return Some(line(option, &format!("({package})")));
    }
    let rest = summary.strip_prefix("A definition for option `")?;
    let (option, rest) = rest.split_once("' is not of type `")?;
    let (kind, rest) = rest.split_once("'.")?;
    if !rest.contains(&format!("- In `{CLI_MODULE}'")) {
        return None;
    }
    let (_, value) = flags().find(|(name, _)| *name == option)?;
    // Of a time zone, more is said than that.
    let is_of_text = is_text(kind.strip_prefix("null or ").unwrap_or(kind));
    if is_of_text && option != "time.timeZone" {
        let value = text(value).filter(|_| !is_name_of_secret(option));
        let value = value.unwrap_or_else(|| "\"…\"".to_owned());
        let flag = quoted(&format!("{option}={value}"));
        return Some(format!(
            "put the value in quotes, and the whole argument too: --set {flag}"
        ));
    }
    let code = code(option, kind, value)?;
    let told = line(option, &code);
    let list = code.strip_prefix('[').filter(|_| option == PACKAGES);
    Some(match list {
        Some(list) => format!("{told}. In the configuration: {PACKAGES} = [{list};"),
        None => told,
    })
}

/// The flag that gives `option` the value `code`, and why.
fn line(option: &str, code: &str) -> String {
    format!("{TAKES}: --set {}", quoted(&format!("{option}={code}")))
}

/// The value of the type `kind` that `option` is meant to have by the text `value`.
fn code(option: &str, kind: &str, value: &str) -> Option<String> {
    let kind = kind.strip_prefix("null or ").unwrap_or(kind);
    let Some(element) = kind.strip_prefix("list of ") else {
        let of_package = || package(value).filter(|_| kind.contains("package"));
        return of_package().map(|package| format!("({package})"));
    };
    if value.starts_with("with pkgs;") && value.ends_with(']') {
        return Some(format!("({value})"));
    }
    let words = value.split_whitespace();
    let elements: Option<Vec<String>> = if is_of_packages(option, element) {
        words.map(package).collect()
    } else if is_text(element) {
        words.map(text).collect()
    } else {
        let is_number = |word: &&str| word.chars().all(|c| c.is_ascii_digit());
        let number = |word| Some(word).filter(is_number).map(str::to_owned);
        let is_meant = element.contains("integer");
        words
            .map(|word| number(word).filter(|_| is_meant))
            .collect()
    };
    let elements = elements.filter(|elements| !elements.is_empty())?;
    Some(format!("[ {} ]", elements.join(" ")))
}

/// Whether the elements of the list `option`, of the type `element`, are packages.
fn is_of_packages(option: &str, element: &str) -> bool {
    let name = option.rsplit('.').next().unwrap_or_default();
    let has_name = name == "packages" || name.ends_with("Packages");
    element == "package" || element.ends_with("path") && has_name
}

/// Whether every word is of the type `element`.
fn is_text(element: &str) -> bool {
    let texts = [
        "string",
        "string, with spaces inside double quotes",
        "non-empty string",
        "(optionally newline-terminated) single-line string",
    ];
    texts.contains(&element)
}

/// `word` as a string of Nix; `None` for what may be several words, or is no word.
fn text(word: &str) -> Option<String> {
    let is_plain = |c: char| c.is_alphanumeric() || "._-+/:=@%".contains(c);
    word.chars().all(is_plain).then(|| format!("\"{word}\""))
}

/// The package that `word` names, `htop` or `pkgs.htop`, with `pkgs.`.
fn package(word: &str) -> Option<String> {
    let given = word.strip_prefix("pkgs.");
    let name = given.unwrap_or(word);
    // A file, such as /bin/sh or vim.nix, is none; a package in a set has `pkgs.` in front of it.
    let is_meant = is_name(name) && !name.contains('/') && (given.is_some() || !name.contains('.'));
    let name = if name.starts_with(|c: char| c.is_ascii_digit()) {
        name_in_nixpkgs(name)?
    } else {
        name
    };
    let begins = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    (is_meant && begins && !name.contains('+')).then(|| format!("pkgs.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES_TYPE: &str = "list of package";

    /// What is said of `--set` with `text`, an option that is of the type `kind`.
    fn told(text: &str, kind: &str) -> Option<String> {
        let mut module = CliModule::default();
        module.set(text).unwrap();
        let context = ExitContext {
            cli_module: Some(&module),
            ..ExitContext::default()
        };
        let (option, value) = text.split_once('=').unwrap();
        let summary = if kind == "set" {
            format!("expected a set but found a string: \"{value}\"")
        } else {
            format!(
                "A definition for option `{option}' is not of type `{kind}'. Definition values:\n- In `{CLI_MODULE}': \"{value}\""
            )
        };
        hint(&context, &summary)
    }

    /// Asserts that of each text, an option of that type, the last one is said to be meant.
    fn assert_meant(lines: &[(&str, &str, &str)]) {
        for (text, kind, meant) in lines {
            let expected = format!("{TAKES}: --set '{meant}'");
            assert_eq!(told(text, kind), Some(expected), "{text}");
        }
    }

    #[test]
    fn texts_that_are_numbers_are_put_in_quotes() {
        for (text, meant) in [
            ("networking.domain=5", "networking.domain=\"5\""),
            ("users.users.a.password=5", "users.users.a.password=\"…\""),
        ] {
            let expected =
                format!("put the value in quotes, and the whole argument too: --set '{meant}'");
            assert_eq!(told(text, "null or string"), Some(expected));
        }
    }

    #[test]
    fn packages_for_the_system_are_shown_for_the_configuration_too() {
        for (value, list) in [
            ("pkgs.htop", "[ pkgs.htop ]"),
            ("htop", "[ pkgs.htop ]"),
            ("7zip", "[ pkgs._7zz ]"),
            ("htop pkgs.vim", "[ pkgs.htop pkgs.vim ]"),
        ] {
            let expected = format!(
                "{TAKES}: --set '{PACKAGES}={list}'. In the configuration: {PACKAGES} = {list};"
            );
            let told = told(&format!("{PACKAGES}={value}"), PACKAGES_TYPE);
            assert_eq!(told, Some(expected), "{value}");
        }
    }

    #[test]
    fn a_package_that_is_set_is_no_text() {
        assert_meant(&[
            (
                "fonts.packages=pkgs.dejavu_fonts",
                "list of absolute path",
                "fonts.packages=[ pkgs.dejavu_fonts ]",
            ),
            (
                "fonts.packages=with pkgs; [ dejavu_fonts ]",
                "list of absolute path",
                "fonts.packages=(with pkgs; [ dejavu_fonts ])",
            ),
            (
                "users.defaultUserShell=pkgs.zsh",
                "absolute path or package",
                "users.defaultUserShell=(pkgs.zsh)",
            ),
            (
                "users.users.root.shell=zsh",
                "null or absolute path or package",
                "users.users.root.shell=(pkgs.zsh)",
            ),
            (
                "boot.kernelPackages=pkgs.linuxPackages_latest",
                "set",
                "boot.kernelPackages=(pkgs.linuxPackages_latest)",
            ),
        ]);
    }

    #[test]
    fn a_list_of_texts_or_numbers_has_brackets() {
        assert_meant(&[
            (
                "networking.nameservers=1.1.1.1 9.9.9.9",
                "list of string",
                "networking.nameservers=[ \"1.1.1.1\" \"9.9.9.9\" ]",
            ),
            (
                "boot.kernelModules=i2c-dev",
                "list of string",
                "boot.kernelModules=[ \"i2c-dev\" ]",
            ),
            (
                "networking.firewall.allowedTCPPorts=80 443",
                "list of 16 bit unsigned integer; between 0 and 65535 (both inclusive)",
                "networking.firewall.allowedTCPPorts=[ 80 443 ]",
            ),
        ]);
    }

    #[test]
    fn what_is_not_certain_is_not_shown() {
        for (text, kind) in [
            (
                "networking.hostName=pkgs.foo",
                "string matching the pattern x",
            ),
            ("environment.systemPackages=2048-in-terminal", PACKAGES_TYPE),
            ("environment.systemPackages=./a.nix", PACKAGES_TYPE),
            ("networking.nameservers=1.1.1.1,9.9.9.9", "list of string"),
            (
                "boot.kernelModules=a",
                "list of string matching the pattern b",
            ),
            (
                "users.users.root.shell=/bin/zsh",
                "null or absolute path or package",
            ),
            ("nix.nixPath=nixpkgs", "list of absolute path"),
            ("boot.kernelPackages=5", "set"),
        ] {
            assert_eq!(told(text, kind), None, "{text}");
        }
    }
}
