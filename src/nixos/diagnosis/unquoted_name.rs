//! Names that nothing binds, where only the value that they stand in tells what is meant: a string, a package or a variable of a
//! shell.

use super::syntax_at::{NameAt, Role};

/// Commands that scripts of configurations begin with.
const COMMANDS: [&str; 18] = [
    "bash",
    "cat",
    "chmod",
    "chown",
    "cp",
    "curl",
    "echo",
    "exec",
    "export",
    "ln",
    "ls",
    "mkdir",
    "mount",
    "mv",
    "rm",
    "sh",
    "sleep",
    "systemctl",
];

/// Attributes whose value, or whose elements, are strings in every option that has them.
const OF_STRINGS: [&str; 16] = [
    "defaultLocale",
    "description",
    "domain",
    "fsType",
    "hashedPassword",
    "hostId",
    "hostName",
    "initialHashedPassword",
    "initialPassword",
    "kernelModules",
    "kernelParams",
    "keyMap",
    "password",
    "psk",
    "stateVersion",
    "timeZone",
];

/// Attributes whose value is a package in every option that has them.
const OF_A_PACKAGE: [&str; 3] = ["kernelPackages", "package", "shell"];

/// Directories of a package: `${python3}/bin/python`.
const DIRECTORIES: [&str; 6] = ["/bin/", "/etc/", "/lib/", "/libexec/", "/sbin/", "/share/"];

/// What is meant by `name`, of which `at` tells what it stands in, and `behind` what follows it in the file.
pub(super) fn hint(name: &str, at: &NameAt, behind: &str) -> String {
    let written = &at.written;
    let attribute = at.attribute();
    let in_quotes = format!("a string is written in quotes: \"{written}\"");
    match at.role {
        Role::Element if attribute == "extraGroups" => {
            format!("a group is a string, in double quotes: \"{written}\"")
        }
        Role::Element if is_list_of_packages(attribute) => format!(
            "write pkgs.{written}, or `with pkgs;` before the list: with pkgs; [ {written} … ]"
        ),
        Role::Definition if OF_A_PACKAGE.contains(&attribute) => {
            format!("packages are attributes of pkgs: write pkgs.{written}")
        }
        Role::Definition | Role::Element if OF_STRINGS.contains(&attribute) => in_quotes,
        Role::Definition | Role::Element => {
            format!("{in_quotes}; if it is a package, write pkgs.{written}")
        }
        Role::Interpolated => interpolated(written, behind),
        Role::Called if COMMANDS.contains(&name) => {
            format!("commands of a shell are a string: {attribute} = ''{written} …'';")
        }
        Role::Called => format!(
            "a text is written in double quotes; a function of the library is lib.{name}, one of nixpkgs pkgs.{name}"
        ),
        Role::Other => package_or_spelling(name),
    }
}

fn is_list_of_packages(attribute: &str) -> bool {
    attribute == "fonts" || attribute.to_lowercase().ends_with("packages")
}

/// The hint for `${WRITTEN}`: variables of a shell are in upper case, and packages have known directories.
fn interpolated(written: &str, behind: &str) -> String {
    let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let path = behind.split_once('}').map_or("", |(_, path)| path);
    if written.chars().all(is_upper) {
        return format!(
            "write ''${{{written}}} for a variable of the shell in a string that begins with '', or \\${{{written}}} in one that \
             begins with \""
        );
    }
    if DIRECTORIES.iter().any(|dir| path.starts_with(dir)) {
        return format!("packages are attributes of pkgs: write ${{pkgs.{written}}}");
    }
    format!(
        "${{{written}}} stands for a value of Nix, and {written} has none there: check its spelling"
    )
}

pub(super) fn package_or_spelling(name: &str) -> String {
    format!("if it is a package, write pkgs.{name}; otherwise check its spelling")
}
