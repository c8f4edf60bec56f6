//! What to write in place of a value, where the option tells more than its type. Pure.

use super::host_values;
use super::listed_definitions::list_element;
use super::lists_of_words::LISTS_OF_WORDS;
use super::names::is_name;
use super::text_options;
use super::wrong_value::Wrong;
use sdbuild_core::ssh_key::KEY_TYPES;

/// Shells that nixpkgs has under the name of their program.
const SHELLS: [&str; 9] = [
    "bash", "dash", "elvish", "fish", "ksh", "nushell", "tcsh", "xonsh", "zsh",
];

/// What to write for a text, in its quotes, which the option takes in another form.
pub(super) fn of_text(wrong: &Wrong<'_>) -> Option<String> {
    let Wrong {
        option,
        kind,
        shown: value,
        ..
    } = *wrong;
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    if option.starts_with("environment.etc.") && kind == "submodule" {
        let is_short = text.len() < 60 && !text.contains(['\\', '"', '$', '*']);
        let shown = if is_short { value } else { "\"…\"" };
        return Some(if wrong.is_part {
            format!("write {{ text = {shown}; }} instead of {shown}")
        } else {
            format!("write {option}.text = {shown};")
        });
    }
    if let Some(hint) = text_options::hint(wrong, text) {
        return Some(hint);
    }
    let takes_package = ["Shell", ".drivers"].iter().any(|end| {
        let list = list_element(option).map_or(option, |(list, _)| list);
        list.ends_with(end)
    });
    if kind.starts_with("absolute path") && takes_package && is_name(text) && !text.contains('/') {
        return Some(format!(
            "write {}",
            wrong.definition(&format!("pkgs.{text}"), value)
        ));
    }
    if kind.starts_with("absolute path") && !text.starts_with('/') {
        let of_home = text.strip_prefix("~/").filter(|rest| is_name(rest));
        let path = of_home.map_or("\"/…\"".to_owned(), |rest| {
            format!("\"/home/NAME/{rest}\"")
        });
        let definition = wrong.definition(&path, value);
        return Some(format!("begin the path with a slash: {definition}"));
    }
    if kind == "package" && is_name(text) && !text.contains('/') {
        let name = text.strip_prefix("pkgs.").unwrap_or(text);
        return Some(format!("write pkgs.{name}, without quotes"));
    }
    let is_of_user = option
        .strip_prefix("users.users.")
        .is_some_and(|rest| rest.rsplit('.').next() == Some("shell"));
    let is_shell = is_of_user || option == "users.defaultUserShell";
    (is_shell && SHELLS.contains(&text) && is_name(text)).then(|| match text {
        "bash" | "dash" | "elvish" | "ksh" | "nushell" | "tcsh" => {
            format!("write pkgs.{text}, without quotes")
        }
        _ => format!("write pkgs.{text}, without quotes, and programs.{text}.enable = true;"),
    })
}

/// What to write for a number in place of the text that the option takes, where the number is the one that the user wrote.
pub(super) fn of_number(wrong: &Wrong<'_>) -> Option<String> {
    let Wrong {
        option,
        shown: value,
        ..
    } = *wrong;
    let is_digit = |byte: u8| byte.is_ascii_digit();
    let of_network = option.strip_prefix("networking.wireless.networks.");
    if of_network.is_some_and(|rest| rest.rsplit('.').next() == Some("psk"))
        && value.bytes().all(is_digit)
    {
        // Not the number, which lacks a zero that it was written with.
        let definition = wrong.definition_or("\"…\"");
        return Some(format!("write the passphrase in quotes: {definition}"));
    }
    if option == "time.timeZone" && value.bytes().all(is_digit) {
        return Some(
            "a time zone is a string with a name of the tz database, such as \"Europe/Berlin\""
                .to_owned(),
        );
    }
    let (year, month) = value.split_once('.')?;
    let is_pair = |text: &str| text.len() == 2 && text.bytes().all(is_digit);
    let is_release = option == "system.stateVersion" && is_pair(year) && is_pair(month);
    let definition = wrong.definition(&format!("\"{value}\""), value);
    is_release.then(|| format!("write the release in quotes: {definition}"))
}

/// The definition that is meant by a single value in place of the list that the option takes; `None` if that is not certain.
pub(super) fn of_list(wrong: &Wrong<'_>) -> Option<String> {
    let Wrong {
        option,
        kind,
        shown: value,
        ..
    } = *wrong;
    let quoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    if let Some(host) = quoted.and_then(|text| host_values::definition(wrong, text)) {
        return Some(host);
    }
    let elements = elements_of(kind)?;
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && elements.contains("integer") {
        let definition = wrong.definition(&format!("[ {value} ]"), value);
        return Some(format!("write a list: {definition}"));
    }
    if elements == "package" && value.starts_with("<derivation ") {
        let definition = wrong.definition_or("[ pkgs.NAME ]");
        return Some(format!("write a list: {definition}"));
    }
    let text = quoted?;
    let attribute = option.rsplit('.').next()?;
    if let Some(key) = of_key(wrong, text) {
        return Some(key);
    }
    // Some of the kernel's parameters have commas of their own.
    let separators: &[char] = if attribute == "kernelParams" {
        &[' ']
    } else {
        &[' ', ',']
    };
    let words = text.split(separators).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    if elements == "package" {
        let list = packages(wrong, &words)?;
        return Some(format!("write {}", wrong.definition(&list, value)));
    }
    let is_word = |word: &&str| word.chars().all(is_of_word);
    let of_mount = option.starts_with("fileSystems.") && attribute == "options";
    let has_words = LISTS_OF_WORDS.contains(&attribute) || of_mount;
    let is_certain = has_words || words.len() == 1 && !text.contains(',');
    let strings: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let is_list = elements.starts_with("string") && !elements.contains("matching");
    (is_list && is_certain && !words.is_empty() && words.iter().all(is_word)).then(|| {
        let list = format!("[ {} ]", strings.join(" "));
        format!("write {}", wrong.definition(&list, value))
    })
}

/// The list of the public key `text`, which it repeats if that is as short as those of Ed25519.
fn of_key(wrong: &Wrong<'_>, text: &str) -> Option<String> {
    let first = text.split(' ').next()?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || " ._-+/=@".contains(c);
    let is_shown = text.len() <= 140 && text.chars().all(is_part);
    let key = if is_shown {
        text.to_owned()
    } else {
        format!("{first} …")
    };
    let is_key = wrong.option.ends_with(".authorizedKeys.keys") && KEY_TYPES.contains(&first);
    let list = wrong.definition_or(&format!("[ \"{key}\" ]"));
    is_key.then(|| format!("write a list: {list}"))
}

/// The type of the elements of lists of the type `kind`.
fn elements_of(kind: &str) -> Option<&str> {
    // As `(attribute set of boolean) or (list of string) convertible to it`, and `non-empty (list of string (with check: non-empty))`.
    let inside = || {
        let starts = ["or (list of ", "non-empty (list of "];
        let rest = starts.iter().find_map(|start| kind.split_once(start))?.1;
        rest.split(')').next()?.split(" (with check").next()
    };
    kind.strip_prefix("list of ").or_else(inside)
}

/// The list of the packages with the names `words` for `wrong`.
fn packages(wrong: &Wrong<'_>, words: &[&str]) -> Option<String> {
    // Those of the kernel are in the set of its packages.
    if wrong.option == "boot.extraModulePackages" {
        return None;
    }
    let names = words.iter().map(|word| {
        let name = word.strip_prefix("pkgs.").unwrap_or(word);
        (is_name(name) && !name.contains('/')).then_some(name)
    });
    let names: Option<Vec<&str>> = names.collect();
    match names?.as_slice() {
        [] => None,
        [name] => Some(format!("[ pkgs.{name} ]")),
        names if wrong.is_part => Some(format!("(with pkgs; [ {} ])", names.join(" "))),
        names => Some(format!("with pkgs; [ {} ]", names.join(" "))),
    }
}

/// Whether `c` may be part of a word that is repeated in a string: of the kernel's parameter `console=ttyS0,115200`, too.
fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-+/=,:@".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number<'a>(option: &'a str, value: &'a str) -> Wrong<'a> {
        Wrong::at(option, false, "string", value)
    }

    #[test]
    fn texts_of_some_options_have_another_form() {
        for (option, value, hint) in [
            (
                "environment.etc.motd",
                "\"hello\"",
                Some("write environment.etc.motd.text = \"hello\";"),
            ),
            (
                "environment.etc.\"a/b\"",
                "\"a\\nb\"",
                Some("write environment.etc.\"a/b\".text = \"…\";"),
            ),
            ("environment.etc.motd", "/c/motd", None),
            (
                "users.users.root.shell",
                "\"zsh\"",
                Some("write pkgs.zsh, without quotes, and programs.zsh.enable = true;"),
            ),
            (
                "users.defaultUserShell",
                "\"bash\"",
                Some("write pkgs.bash, without quotes"),
            ),
            ("users.users.root.shell", "\"mine\"", None),
            ("services.x.shell", "\"zsh\"", None),
        ] {
            let written = of_text(&Wrong::at(option, false, "submodule", value));
            assert_eq!(written.as_deref(), hint, "{option}");
        }
    }

    #[test]
    fn a_release_is_no_number() {
        let written = of_number(&number("system.stateVersion", "26.05"));
        let hint = "write the release in quotes: system.stateVersion = \"26.05\";";
        assert_eq!(written.as_deref(), Some(hint));
        for (option, value) in [("system.stateVersion", "26.1"), ("a.b", "26.05")] {
            assert_eq!(of_number(&number(option, value)), None, "{option}");
        }
    }

    #[test]
    fn a_passphrase_is_no_number() {
        let psk = "networking.wireless.networks.\"My home\".psk";
        let hint =
            "write the passphrase in quotes: networking.wireless.networks.\"My home\".psk = \"…\";";
        assert_eq!(of_number(&number(psk, "12345678")).as_deref(), Some(hint));
        let kind = "null or string matching the pattern [[:print:]]{8,63}";
        let summary = format!(
            "A definition for option `{psk}' is not of type `{kind}'. Definition values:\n- In `/build/config/c.nix': 12345678"
        );
        let told = super::super::definitions::wrong_type(&summary, false);
        assert_eq!(told.as_deref(), Some(hint));
        assert_eq!(of_number(&number(psk, "\"short\"")), None);
    }

    #[test]
    fn a_single_value_becomes_a_list() {
        let packages = "environment.systemPackages";
        let keys = "users.users.root.openssh.authorizedKeys.keys";
        let groups = "users.users.ann.extraGroups";
        for (option, kind, value, hint) in [
            (
                packages,
                "list of package",
                "\"vim htop, git\"",
                Some("write environment.systemPackages = with pkgs; [ vim htop git ];"),
            ),
            (
                packages,
                "list of package",
                "<derivation vim-9.1>",
                Some("write a list: environment.systemPackages = [ pkgs.NAME ];"),
            ),
            (
                groups,
                "list of string",
                "\"wheel\"",
                Some("write users.users.ann.extraGroups = [ \"wheel\" ];"),
            ),
            (
                keys,
                "list of (optionally newline-terminated) single-line string",
                "\"ssh-ed25519 AAAA ann@pc\"",
                Some(
                    "write a list: users.users.root.openssh.authorizedKeys.keys = [ \"ssh-ed25519 AAAA ann@pc\" ];",
                ),
            ),
            (packages, "list of package", "\"/nix/store/x-vim\"", None),
            (packages, "list of package", "\"a $b\"", None),
            (
                "boot.extraModulePackages",
                "list of package",
                "\"rtl8821ce\"",
                None,
            ),
            ("services.x.names", "list of string", "\"a b\"", None),
            (packages, "package", "\"vim\"", None),
        ] {
            assert_eq!(
                of_list(&Wrong::at(option, false, kind, value)).as_deref(),
                hint,
                "{value}"
            );
        }
    }

    #[test]
    fn words_in_one_string_become_a_list() {
        let packages = "environment.systemPackages";
        for (option, kind, value, hint) in [
            (
                packages,
                "list of package",
                "\"pkgs.htop\"",
                Some("write environment.systemPackages = [ pkgs.htop ];"),
            ),
            (
                "boot.kernelParams",
                "list of string, with spaces inside double quotes",
                "\"quiet console=ttyS0,115200\"",
                Some("write boot.kernelParams = [ \"quiet\" \"console=ttyS0,115200\" ];"),
            ),
            (
                "boot.kernelModules",
                "(attribute set of boolean) or (list of string) convertible to it",
                "\"i2c-dev\"",
                Some("write boot.kernelModules = [ \"i2c-dev\" ];"),
            ),
            (
                "services.x.names",
                "list of string",
                "\"a\"",
                Some("write services.x.names = [ \"a\" ];"),
            ),
            (
                "fileSystems.\"/data\".options",
                "non-empty (list of string (with check: non-empty))",
                "\"noatime,nofail\"",
                Some("write fileSystems.\"/data\".options = [ \"noatime\" \"nofail\" ];"),
            ),
        ] {
            assert_eq!(
                of_list(&Wrong::at(option, false, kind, value)).as_deref(),
                hint,
                "{value}"
            );
        }
    }
}
