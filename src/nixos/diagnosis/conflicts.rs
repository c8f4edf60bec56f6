//! Options that several definitions set to different values, and the lines of the user's files that do.

use super::aliased_options::SHOWN_AS_WRITTEN;
use super::evidence::ExitContext;
use super::listed_definitions::{IN_FILE, listed};
use super::option_names::OTHER_NAMES;
use super::written_values::{definitions_of, named_alike, values_below};
use crate::nixos::layout::{CLI_MODULE, CONFIG_DIR};
use crate::nixos::user_files::HARDWARE_FILE;

/// Part of the names of the modules that define the image.
const IMAGE_MODULES: &str = "/installer/sd-card/sd-image";

/// What to do about an option that the modules of the image set as well. `lib.mkForce`, which Nix proposes, would make an
/// image that does not boot.
pub(super) fn defined_by_image(summary: &str) -> Option<String> {
    let option = conflicting(summary)?;
    let by_image = files(summary).any(|file| file.contains(IMAGE_MODULES));
    let mut names = files(summary).filter_map(|file| file.rsplit('/').next());
    // `nixos-generate-config` writes the same file on the machine that the image is for.
    let remove = if names.any(|name| name == HARDWARE_FILE) {
        format!(
            "remove it from {HARDWARE_FILE}. If that file is from another machine, do not import it"
        )
    } else {
        "remove it from the configuration".to_owned()
    };
    by_image.then(|| format!("the image sets {option} itself, so {remove}"))
}

/// What to do about an option that two files set to different values. `lib.mkForce` is for a value that is not the user's own.
pub(super) fn hint(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let option = conflicting(summary)?;
    if let Some(hint) = second_boot_loader(context, summary, option) {
        return Some(hint);
    }
    let is_own = |(file, _): &(&str, &str)| file.starts_with(CONFIG_DIR) || *file == CLI_MODULE;
    let (own, others): (Vec<_>, Vec<_>) = listed(summary).partition(is_own);
    let place = |&(file, value): &(&str, &str)| {
        let shown = file.replace(CONFIG_DIR, context.shown_dir);
        match line_of(context, file, option, value) {
            Some(line) => format!("{shown}:{line}"),
            None => shown,
        }
    };
    let by_flag = own.iter().any(|(file, _)| *file == CLI_MODULE);
    Some(match (own.as_slice(), others.as_slice()) {
        ([first, second], []) if place(first) != place(second) && !by_flag => format!(
            "remove the definition in {} or the one in {}",
            place(first),
            place(second)
        ),
        ([own], [_]) if let Some((older, alias)) = older_definition(context, summary, option) => {
            format!(
                "{alias} in {}{older} is another name of the same option. Remove that definition or the one in {}",
                context.shown_dir,
                place(own)
            )
        }
        ([own], [_, ..]) if !by_flag => format!(
            "another module sets {option} too. Remove your definition in {}, or write lib.mkForce before its value to \
             override the other one",
            place(own)
        ),
        _ => "keep one of the definitions".to_owned(),
    })
}

/// The only definition in the user's files that has the value of the one in a module of nixpkgs, and by which `option` may be
/// meant: its file and line, and its path. Nix names the module that passes the value of an older name on.
fn older_definition(
    context: &ExitContext<'_>,
    summary: &str,
    option: &str,
) -> Option<(String, String)> {
    let (_, value) = listed(summary).find(|(file, _)| file.contains("/nixos/modules/"))?;
    context.files?.only_place(|text| {
        let mut found = named_alike(
            text,
            option.rsplit('.').next().unwrap_or_default(),
            &SHOWN_AS_WRITTEN,
        );
        found.retain(|found| found.written == value);
        let paths = found.into_iter().map(|found| {
            let path = found.defines.strip_prefix("config.").map(str::to_owned);
            (found.line, path.unwrap_or(found.defines))
        });
        paths.filter(|(_, path)| is_older(path, option)).collect()
    })
}

/// Whether `path`, whose last name is that of `option` but for capitals, is an older name of it: a known one, or one of the same
/// service.
fn is_older(path: &str, option: &str) -> bool {
    let service = |path: &str| {
        let names = path.split('.').take(2).map(str::to_owned);
        names.collect::<Vec<_>>()
    };
    path != option && (OTHER_NAMES.contains(&(path, option)) || service(path) == service(option))
}

/// What to do about a boot loader that the user's files add to that of the image, where `option` is defined by both.
fn second_boot_loader(context: &ExitContext<'_>, summary: &str, option: &str) -> Option<String> {
    /// What the firmware of the boards starts.
    const OF_IMAGE: &str = "generic-extlinux-compatible";
    let is_beside = files(summary).any(|file| file.contains(OF_IMAGE));
    if option != "system.build.installBootLoader" || !is_beside {
        return None;
    }
    let (place, loader) = context.files?.only_place(|text| {
        let values = values_below(text, "boot.loader").into_iter();
        let loaders = values.filter(|value| {
            let name = value.defines.split('.').nth(2).unwrap_or_default();
            files(summary).any(|file| file.contains(&format!("/{name}/")))
        });
        loaders
            .take(1)
            .map(|value| (value.line, value.defines))
            .collect()
    })?;
    Some(format!(
        "{}{place}: the boards start the boot loader of the image, {OF_IMAGE}. Remove {loader}",
        context.shown_dir
    ))
}

/// `summary` with the line of each definition in a file of the user.
pub(super) fn with_lines(context: &ExitContext<'_>, summary: &str) -> String {
    let Some(option) = conflicting(summary) else {
        return summary.to_owned();
    };
    let line_with_place = |line: &str| {
        let (before, rest) = line.split_once(IN_FILE)?;
        let (file, value) = rest.split_once('\'')?;
        let written = value.strip_prefix(": ").unwrap_or_default();
        let place = line_of(context, file, option, written).filter(|_| before.trim().is_empty())?;
        Some(format!("{before}{IN_FILE}{file}:{place}'{value}"))
    };
    let lines = summary.lines();
    let lines = lines.map(|line| line_with_place(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

/// The line of the only definition of `option` in the user's `file`, or of the only one with this `value`.
fn line_of(context: &ExitContext<'_>, file: &str, option: &str, value: &str) -> Option<usize> {
    let text = context.files?.text(file)?;
    let mut found = definitions_of(&text, option);
    if found.len() > 1 {
        found.retain(|found| found.written == value);
    }
    match found.as_slice() {
        [found] => Some(found.line),
        _ => None,
    }
}

/// The option that has conflicting definitions.
fn conflicting(summary: &str) -> Option<&str> {
    let (option, rest) = summary.strip_prefix("The option `")?.split_once("' ")?;
    let is_conflict = [
        "has conflicting definition values",
        "is defined multiple times while it's expected to be unique",
    ];
    is_conflict
        .iter()
        .any(|text| rest.starts_with(text))
        .then_some(option)
}

/// The files that define the option.
fn files(summary: &str) -> impl Iterator<Item = &str> {
    listed(summary).map(|(file, _)| file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::nixos::user_files::UserFiles;

    /// As nixpkgs 26.11 reports them.
    const CONFLICT: &str = "The option `time.timeZone' has conflicting definition values:\n- In `/build/config/a.nix': \"UTC\"\n- In \
                            `/build/config/b.nix': \"Europe/Berlin\"";
    const NOT_UNIQUE: &str = "The option `users.users.a.shell' is defined multiple times while it's expected to be unique.\n\
                              \nDefinition values:\n- In `/build/config/a.nix': <derivation bash>\n- In `/build/config/b.nix': \
                              <derivation zsh>";

    /// The message and the hint for `summary` about these files.
    fn explained(summary: &str, a: &str, b: &str) -> (String, Option<String>) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.nix"), a).unwrap();
        fs::write(dir.path().join("b.nix"), b).unwrap();
        let context = ExitContext {
            shown_dir: "pi/",
            files: Some(&UserFiles::new(dir.path())),
            ..ExitContext::default()
        };
        (with_lines(&context, summary), hint(&context, summary))
    }

    #[test]
    fn definitions_in_two_files_have_their_lines() {
        let (message, hint) = explained(
            CONFLICT,
            "{\n  time = {\n    timeZone = \"UTC\"; };\n}",
            "{ config.time.timeZone = \"Europe/Berlin\"; }",
        );
        assert!(message.contains("/a.nix:3': \"UTC\"\n"), "{message}");
        assert!(
            message.ends_with("/b.nix:1': \"Europe/Berlin\""),
            "{message}"
        );
        let places = "remove the definition in pi/a.nix:3 or the one in pi/b.nix:1";
        assert_eq!(hint.as_deref(), Some(places));
        let (message, hint) = explained(
            NOT_UNIQUE,
            "{ users.users.a = { shell = x; }; }",
            "{ users.users.b.shell = x;\n  users.users.a.shell = x; }",
        );
        assert!(message.contains("/b.nix:2': <derivation zsh>"), "{message}");
        let places = "remove the definition in pi/a.nix:1 or the one in pi/b.nix:2";
        assert_eq!(hint.as_deref(), Some(places));
    }

    #[test]
    fn definitions_in_one_file_are_told_apart_by_their_values() {
        let in_one_file = CONFLICT.replace("b.nix", "a.nix");
        let modules = "{ modules = [\n  { time.timeZone = \"UTC\"; }\n  { time.timeZone = \"Europe/Berlin\"; }\n]; }";
        let (_, hint) = explained(&in_one_file, modules, "{ }");
        let places = "remove the definition in pi/a.nix:2 or the one in pi/a.nix:3";
        assert_eq!(hint.as_deref(), Some(places));
    }

    #[test]
    fn a_line_that_is_not_certain_is_not_named() {
        let (message, hint) = explained(CONFLICT, "f \"UTC\"", "{ time.timeZone = 1; x = { }; ");
        assert!(message.contains("/a.nix': \"UTC\""), "{message}");
        let places = "remove the definition in pi/a.nix or the one in pi/b.nix:1";
        assert_eq!(hint.as_deref(), Some(places));
    }

    #[test]
    fn the_file_of_another_machine_is_named_where_it_is() {
        let own = "a.nix': \"UTC\"\n- In `/nixpkgs/installer/sd-card/sd-image.nix': \"ext4\"";
        let conflict = CONFLICT.split("a.nix").next().unwrap().to_owned() + own;
        let hint = "the image sets time.timeZone itself, so remove it from the configuration";
        assert_eq!(defined_by_image(&conflict).as_deref(), Some(hint));
        let of_machine = conflict.replace("/a.nix", "/hardware-configuration.nix");
        let told = defined_by_image(&of_machine).unwrap();
        assert_eq!(
            told,
            "the image sets time.timeZone itself, so remove it from hardware-configuration.nix. If that file is from \
             another machine, do not import it"
        );
    }

    #[test]
    fn the_older_name_of_an_option_is_named() {
        let summary = CONFLICT
            .replace("time.timeZone", "services.a.settings.UseB")
            .replace("/build/config/b.nix", "/nixpkgs/nixos/modules/a.nix")
            .replace("Europe/Berlin", "no");
        let own = "{ services.a.settings.UseB = \"UTC\"; }";
        let told = |b: &str| explained(&summary, own, b).1.unwrap();
        let older = "services.a.useB in pi/b.nix:2 is another name of the same option. Remove that definition or the \
         one in pi/a.nix:1";
        assert_eq!(told("{\n  services.a.useB = \"no\";\n}"), older);
        // Another value, and another service.
        for other in ["services.a.useB = \"UTC\";", "services.b.useB = \"no\";"] {
            let told = told(&format!("{{ {other} }}"));
            assert!(told.starts_with("another module sets"), "{told}");
        }
    }

    #[test]
    fn only_a_value_of_nixpkgs_is_replaced_by_force() {
        let of_nixpkgs = CONFLICT.replace("/build/config/b.nix", "/nix/store/x-source/b.nix");
        let (_, hint) = explained(&of_nixpkgs, "{ time.timeZone = \"UTC\"; }", "{ }");
        let force = "another module sets time.timeZone too. Remove your definition in pi/a.nix:1, or write lib.mkForce \
         before its value to override the other one";
        assert_eq!(hint.as_deref(), Some(force));
        let in_one_file = CONFLICT.replace("b.nix", "a.nix");
        let (_, hint) = explained(&in_one_file, "{ }", "{ }");
        assert_eq!(hint.as_deref(), Some("keep one of the definitions"));
    }
}
