//! Names that nothing binds, where only the value that they stand in tells what is meant: a string, a package or a variable of a
//! shell.

use super::lists_of_words::LISTS_OF_WORDS;
use super::shell_length::shell_variable;
use super::switches;
use super::syntax_at::{NameAt, Role};
use crate::common::locale;
use crate::common::time_zone;

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
const OF_STRINGS: [&str; 22] = [
    "defaultLocale",
    "description",
    "domain",
    "EDITOR",
    "experimental-features",
    "externalInterface",
    "extra-experimental-features",
    "fsType",
    "hashedPassword",
    "hostId",
    "hostName",
    "hostPlatform",
    "initialHashedPassword",
    "initialPassword",
    "kernelModules",
    "kernelParams",
    "keyMap",
    "LANG",
    "password",
    "psk",
    "stateVersion",
    "timeZone",
];

/// Attributes whose value is a package in every option that has them.
const OF_A_PACKAGE: [&str; 3] = ["kernelPackages", "package", "shell"];

/// Attributes that end in `packages`, and whose value is a set of packages, or a list of their names.
const NO_LISTS_OF_PACKAGES: [&str; 3] = [
    "allowUnfreePackages",
    "kernelPackages",
    "permittedInsecurePackages",
];

/// Directories of a package: `${python3}/bin/python`.
const DIRECTORIES: [&str; 6] = ["/bin/", "/etc/", "/lib/", "/libexec/", "/sbin/", "/share/"];

/// Attributes whose value is a shell script, and ends of the names of others, in lower case.
const OF_SCRIPTS: [&str; 8] = [
    "buildCommand",
    "postBuild",
    "postInstall",
    "postStart",
    "postStop",
    "preStart",
    "preStop",
    "reload",
];
const SCRIPT_ENDS: [&str; 5] = ["commands", "hook", "init", "phase", "script"];
/// How the names of functions that make a script begin.
const SCRIPT_MAKERS: [&str; 3] = ["runCommand", "writeShell", "writeScript"];

/// What is meant by `name`, of which `at` tells what it stands in, and `behind` what follows it in the file.
pub(super) fn hint(name: &str, at: &NameAt, behind: &str) -> String {
    let written = &at.written;
    let attribute = at.attribute();
    let known = alias(at, behind)
        .or_else(|| listed_name(at, behind))
        .or_else(|| listed_switch(at));
    if let Some(hint) = known {
        return hint;
    }
    let in_quotes = format!("put a string in quotes: \"{written}\"");
    let of_strings = |list: &str| format!("write a list of strings: {} = {list};", at.defines);
    match at.role {
        Role::Element if attribute == "extraGroups" => {
            format!("put the name of a group in double quotes: \"{written}\"")
        }
        Role::Element if attribute.ends_with("Ports") => {
            "a port is a number, such as 22 for SSH, 80 for HTTP and 443 for HTTPS".to_owned()
        }
        Role::Element if at.called.iter().any(|called| called == "withPackages") => format!(
            "withPackages takes a function of the packages: withPackages (ps: [ ps.{written} … ])"
        ),
        Role::Element if is_list_of_packages(attribute) => format!(
            "write pkgs.{written}, or `with pkgs;` before the list: with pkgs; [ {written} … ]"
        ),
        Role::Element if attribute == "kernelPackages" => {
            format!(
                "write one set of packages, not a list: {} = pkgs.{written};",
                at.defines
            )
        }
        Role::Definition if takes_a_package(attribute) => {
            format!("packages are attributes of pkgs. Write pkgs.{written}")
        }
        Role::Definition if LISTS_OF_WORDS.contains(&attribute) => {
            of_strings(&format!("[ \"{written}\" ]"))
        }
        Role::Definition | Role::Element
            if OF_STRINGS.contains(&attribute) || attribute.starts_with("LC_") =>
        {
            in_quotes
        }
        Role::Element if LISTS_OF_WORDS.contains(&attribute) => in_quotes,
        Role::Definition | Role::Element => {
            format!("{in_quotes}. If it is a package, write pkgs.{written}")
        }
        Role::Interpolated => interpolated(at, behind),
        Role::Called if COMMANDS.contains(&name) => {
            format!("write shell commands as a string: {attribute} = ''{written} …'';")
        }
        Role::Called if LISTS_OF_WORDS.contains(&attribute) => {
            list_of_strings(behind).map_or(in_quotes, |list| of_strings(&list))
        }
        // Functions have no such names.
        Role::Called if name.contains('-') => {
            format!("put text in double quotes: \"{name} …\"")
        }
        Role::Called => format!(
            "put text in double quotes. A function of the library is lib.{name}, and one of nixpkgs is pkgs.{name}"
        ),
        Role::Other => package_or_spelling(name),
    }
}

/// The hint for a word of an alias of a shell: `ll = ls -l;`.
fn alias(at: &NameAt, behind: &str) -> Option<String> {
    let set = at.defines.strip_suffix(at.attribute())?;
    let (rest, _) = behind.split_once(';')?;
    let is_plain = !rest.contains(['"', '\'', '\n', '\\', '$', '#']);
    // What is before the name would be missing.
    let is_whole = [Role::Definition, Role::Called].contains(&at.role) || rest.contains(" -");
    (set.ends_with("shellAliases.") && is_plain && is_whole && rest.starts_with(&at.written)).then(
        || {
            format!(
                "put the alias in double quotes: {} = \"{}\";",
                at.defines,
                rest.trim_end()
            )
        },
    )
}

/// The definition that is meant by the name of a program or a service in a list.
fn listed_switch(at: &NameAt) -> Option<String> {
    let elements = std::slice::from_ref(&at.written);
    switches::listed_switches(&at.defines, elements).filter(|_| at.role == Role::Element)
}

/// The string that is meant by the value that begins with the name, of an option that takes a time zone or a locale.
fn listed_name(at: &NameAt, behind: &str) -> Option<String> {
    let (value, _) = behind.split_once(';')?;
    let value = value.trim_end();
    let is_plain = |c: char| c.is_alphanumeric() || "_+-.:@".contains(c);
    let is_value = [Role::Definition, Role::Other].contains(&at.role);
    if !is_value || !value.chars().all(is_plain) {
        return None;
    }
    let (attribute, option) = (at.attribute(), &at.defines);
    if attribute == "timeZone" {
        return Some(time_zone(option, value));
    }
    let is_locale = ["LANG", "defaultLocale"].contains(&attribute) || attribute.starts_with("LC_");
    let name = locale::with_utf8(value).or_else(|| locale::suggestion(value));
    let name = name.filter(|_| is_locale)?;
    Some(format!(
        "write the locale as a string: {option} = \"{name}\";"
    ))
}

/// The definition of `option` with the time zone that is meant by `value`.
fn time_zone(option: &str, value: &str) -> String {
    let known = Some(value).filter(|value| time_zone::is_known(value));
    if let Some(zone) = known.or_else(|| time_zone::suggestion(value)) {
        return format!("write the time zone as a string: {option} = \"{zone}\";");
    }
    let name = "a time zone is a string with a name of the tz database, such as \"Europe/Berlin\"";
    time_zone::of_offset(value).map_or_else(|| name.to_owned(), |zone| {
        format!(
            "{name}. For {value} in summer and winter, write {option} = \"{zone}\"; (the names in Etc have the opposite \
             sign)"
        )
    })
}

/// The list of the words up to the end of the definition, if they are plain ones.
fn list_of_strings(behind: &str) -> Option<String> {
    let (value, _) = behind.split_once(';')?;
    let is_plain = |word: &str| {
        let mut chars = word.chars();
        chars.all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    let quoted = |word| is_plain(word).then(|| format!("\"{word}\""));
    let words: Option<Vec<String>> = value.split_whitespace().map(quoted).collect();
    Some(format!("[ {} ]", words?.join(" ")))
}

/// Whether the value of `attribute` is a package.
pub(super) fn takes_a_package(attribute: &str) -> bool {
    OF_A_PACKAGE.contains(&attribute)
}

/// Whether the options whose names end in `attribute` are lists of packages.
pub(super) fn is_list_of_packages(attribute: &str) -> bool {
    let is_other = NO_LISTS_OF_PACKAGES.contains(&attribute);
    !is_other && (attribute == "fonts" || attribute.to_lowercase().ends_with("packages"))
}

/// The hint for `${WRITTEN}`: packages have known directories, and scripts have variables of their own.
fn interpolated(at: &NameAt, behind: &str) -> String {
    let written = &at.written;
    let path = behind.split_once('}').map_or("", |(_, path)| path);
    if DIRECTORIES.iter().any(|dir| path.starts_with(dir)) {
        return format!("packages are attributes of pkgs. Write ${{pkgs.{written}}}");
    }
    let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let as_variable = shell_variable(at.sign_of_string, &format!("{{{written}}}"));
    let of_nix = format!("${{{written}}} stands for a value of Nix, but {written} has none there");
    match (is_script(at), written.chars().all(is_upper)) {
        (true, true) => as_variable,
        _ if at.is_selection() => format!("{of_nix}. Check its spelling"),
        (true, false) | (false, true) => format!("{of_nix}. Check its spelling, or {as_variable}"),
        (false, false) => format!("{of_nix}. Check its spelling, or {}", literal(at, written)),
    }
}

/// How a string has `${WRITTEN}` as these characters.
fn literal(at: &NameAt, written: &str) -> String {
    let of_shell = shell_variable(at.sign_of_string, &format!("{{{written}}}"));
    of_shell.replacen("for a shell variable", "for these characters", 1)
}

/// Whether the value that the name is part of is a script of a shell.
fn is_script(at: &NameAt) -> bool {
    let attribute = at.attribute();
    let lower = attribute.to_lowercase();
    let of_name = OF_SCRIPTS.contains(&attribute)
        || SCRIPT_ENDS.iter().any(|end| lower.ends_with(end))
        || at.defines.contains("activationScripts.");
    let of_function = |name: &String| SCRIPT_MAKERS.iter().any(|maker| name.starts_with(maker));
    of_name || at.called.iter().any(of_function)
}

pub(super) fn package_or_spelling(name: &str) -> String {
    format!("if it is a package, write pkgs.{name}. Otherwise check its spelling")
}
