//! Expressions of Nix that `--set` took for a text: it reads only lists, sets and what is in parentheses as Nix.

use super::evidence::ExitContext;
use super::names::is_name;
use crate::common::shell_word::quoted;
use crate::nixos::cli_module::CliModule;
use crate::nixos::layout::CLI_MODULE;

/// What `--set` takes.
const TAKES: &str = "--set takes a value as text, a package in parentheses, a list in brackets";

/// The option to which packages are added.
const PACKAGES: &str = "environment.systemPackages";

/// The flag to write in place of the one whose value Nix refuses with `summary`.
pub(super) fn hint(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let flags = || context.cli_module.into_iter().flat_map(CliModule::settings);
    if let Some(found) = summary.strip_prefix("expected a set but found a string: \"") {
        let found = found.strip_suffix('"')?;
        let (option, value) = flags().find(|(_, value)| *value == found)?;
        return is_package(value).then(|| line(option, &format!("({value})")));
    }
    let rest = summary.strip_prefix("A definition for option `")?;
    let (option, rest) = rest.split_once("' is not of type `")?;
    let (kind, rest) = rest.split_once("'.")?;
    if !rest.contains(&format!("- In `{CLI_MODULE}'")) {
        return None;
    }
    let (_, value) = flags().find(|(name, _)| *name == option)?;
    let code = code(kind, value)?;
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

/// The value of the type `kind` that is meant by the text `value`.
fn code(kind: &str, value: &str) -> Option<String> {
    let kind = kind.strip_prefix("null or ").unwrap_or(kind);
    let is_of_packages = kind == "list of package";
    if kind.starts_with("list of ") && value.starts_with("with pkgs;") && value.ends_with(']') {
        Some(format!("({value})"))
    } else if is_of_packages && is_package(value) {
        Some(format!("[ {value} ]"))
    } else if is_of_packages && is_name(value) && !value.contains('.') {
        Some(format!("[ pkgs.{value} ]"))
    } else if kind.contains("package") && is_package(value) {
        Some(format!("({value})"))
    } else {
        None
    }
}

/// Whether `value` names a package: `pkgs.htop`.
fn is_package(value: &str) -> bool {
    value.strip_prefix("pkgs.").is_some_and(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_is_set_is_no_text() {
        let told = |text: &str, kind: &str| {
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
        };
        let list = "list of package";
        for (text, kind, meant) in [
            (
                "environment.systemPackages=pkgs.htop",
                list,
                "'environment.systemPackages=[ pkgs.htop ]'. In the configuration: environment.systemPackages = [ pkgs.htop ];",
            ),
            (
                "environment.systemPackages=htop",
                list,
                "'environment.systemPackages=[ pkgs.htop ]'. In the configuration: environment.systemPackages = [ pkgs.htop ];",
            ),
            (
                "fonts.packages=with pkgs; [ dejavu_fonts ]",
                "list of absolute path",
                "'fonts.packages=(with pkgs; [ dejavu_fonts ])'",
            ),
            (
                "users.defaultUserShell=pkgs.zsh",
                "absolute path or package",
                "'users.defaultUserShell=(pkgs.zsh)'",
            ),
            (
                "boot.kernelPackages=pkgs.linuxPackages_latest",
                "set",
                "'boot.kernelPackages=(pkgs.linuxPackages_latest)'",
            ),
        ] {
            let expected = format!("{TAKES}: --set {meant}");
            assert_eq!(told(text, kind), Some(expected), "{text}");
        }
        for (text, kind) in [
            (
                "networking.hostName=pkgs.foo",
                "string matching the pattern x",
            ),
            ("environment.systemPackages=a b", list),
            ("boot.kernelModules=i2c-dev", "list of string"),
            ("boot.kernelPackages=5", "set"),
        ] {
            assert_eq!(told(text, kind), None, "{text}");
        }
    }
}
