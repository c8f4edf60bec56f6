//! Files that Nix does not find or cannot read.

use std::path::Path;

use super::evidence::ExitContext;
use super::file_systems;
use super::foreign_module;
use super::nixpkgs_file;
use super::other_nixpkgs::in_place_of_channel;
use super::set_members;
use super::written_values;
use super::written_values::{DefinedValue, is_value, paths_to, strings, whole_paths};
use super::written_words::{place_of, place_of_search_path};
use crate::common::attribute_path;
use crate::common::nixos_option::NAMESPACES;
use crate::nixos::layout::{CONFIG_DIR, HOME_OF_NIX};
use crate::nixos::log::NixError;
use crate::nixos::nix_definitions::option_at;

pub(super) fn not_in_search_path(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let (path, _) = summary
        .strip_prefix("file '")?
        .split_once("' was not found in the Nix search path")?;
    if path.starts_with("nixpkgs/") {
        return Some(nixpkgs_file::hint(context, summary));
    }
    let known =
        in_place_of_channel(path).or_else(|| foreign_module::in_place_of_channel(context, path));
    if let Some(hint) = placeholder(context, path).filter(|_| known.is_none()) {
        return Some(hint);
    }
    let hint = known.unwrap_or_else(|| {
            "only <nixpkgs> exists here. Name a file by its path, or fetch it with builtins.fetchTarball"
                .to_owned()
        });
    let place = place_of_search_path(context, path);
    Some(place.map_or_else(String::new, |place| format!("{place} names <{path}>, but ")) + &hint)
}

/// What to write in place of `<name>`, which is the whole value of an option: instructions mark so what the user gives.
fn placeholder(context: &ExitContext<'_>, name: &str) -> Option<String> {
    let written = format!("<{name}>");
    let (place, option) = context.files?.only_place(|text| {
        let values = written_values::all(text, |node| {
            let is_option = is_value(node) && option_at(node, None).is_some();
            is_option && node.text() == written.as_str()
        });
        values
            .into_iter()
            .map(|value| (value.line, value.defines))
            .collect()
    })?;
    let namespace = option.split('.').next().unwrap_or_default();
    let is_option = NAMESPACES.contains(&namespace) && !name.contains('/');
    is_option.then(|| {
        let dir = context.shown_dir;
        format!("{dir}{place}: {written} is a placeholder. Write your value: {option} = \"…\";")
    })
}

/// Attributes whose value is a file that the build reads.
pub(super) const OF_FILES: [&str; 5] = ["imports", "keyFiles", "modules", "source", "src"];

/// What to do about the file at `path`, which the builder lacks.
pub(super) fn not_sent(context: &ExitContext<'_>, path: &str) -> Option<String> {
    device(context, path)
        .or_else(|| home_of_user(context, path))
        .or_else(|| path_of_machine(context, path))
        .or_else(|| Some(context.files?.why_absent(path, context.shown_dir)))
}

/// How to write the device or the file with the `path`, a string in place of a set: Nix reads it as the path of a module.
fn device(context: &ExitContext<'_>, path: &str) -> Option<String> {
    // Of a directory, Nix reads a file.
    let of_dir = path.strip_suffix("/default.nix");
    let (place, value) = context.files?.only_place(|text| {
        let paths = [Some(path), of_dir].into_iter().flatten();
        let found = paths.flat_map(|path| strings(text, path));
        found.map(|value| (value.line, value)).collect()
    })?;
    let place = format!("{}{place}", context.shown_dir);
    let defines = value.defines.as_str();
    let known = match defines {
        "swapDevices" => Some(("each element of swapDevices", file_systems::swap(path))),
        _ => file_systems::mount(defines, path).map(|set| (defines, set)),
    };
    let Some((option, set)) = known else {
        let hint = set_members::of_options(defines, &value.written)
            .or_else(|| in_place_of_unit(defines, path))?;
        return Some(format!("{place}: {hint}"));
    };
    Some(format!(
        "{place}: {option} is a set. Write {set} instead of \"{path}\""
    ))
}

/// What to write in place of the `path` of a unit's file that is the value of `option`: NixOS writes that file itself.
fn in_place_of_unit(option: &str, path: &str) -> Option<String> {
    let names = attribute_path::parse(option).ok()?;
    let [kind, example] = match names.as_slice() {
        [first, second, _] if first == "systemd" && second == "services" => [
            "service",
            "{ serviceConfig.ExecStart = \"…\"; wantedBy = [ \"multi-user.target\" ]; }",
        ],
        [first, second, _] if first == "systemd" && second == "timers" => [
            "timer",
            "{ timerConfig.OnCalendar = \"daily\"; wantedBy = [ \"timers.target\" ]; }",
        ],
        _ => return None,
    };
    path.ends_with(&format!(".{kind}")).then(|| {
        format!("NixOS writes the file of a {kind} itself. Give it a set: {option} = {example};")
    })
}

/// Whether `option` is `environment.etc.NAME`.
fn is_etc(option: &str) -> bool {
    let names = attribute_path::parse(option).unwrap_or_default();
    matches!(names.as_slice(), [first, second, _] if first == "environment" && second == "etc")
}

/// How a file becomes one of `/etc`, where Nix read it as a module: `environment.etc.motd = ./motd;`.
pub(super) fn text_as_module(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let file = &error.position.as_ref()?.file;
    let path = file.strip_prefix(CONFIG_DIR)?;
    let name = path
        .rsplit('/')
        .next()
        .filter(|name| name.rsplit('.').next() != Some("nix"))?;
    let (place, value) = context.files?.only_place(|text| {
        let mut found = paths_to(text, name);
        found.retain(|value| is_etc(&value.defines));
        found.into_iter().map(|value| (value.line, value)).collect()
    })?;
    let DefinedValue {
        defines, written, ..
    } = value;
    Some(format!(
        "{}{place}: Nix read that file as the set {defines}. Write {defines}.source = {written};",
        context.shown_dir
    ))
}

/// How to write the absolute path `path` that is the value of an option, and no file of this machine: one of the machine that is
/// built may be meant.
fn path_of_machine(context: &ExitContext<'_>, path: &str) -> Option<String> {
    let files = context.files.filter(|_| !Path::new(path).is_file())?;
    let (place, value) = files.only_place(|text| {
        let found = whole_paths(text, path).into_iter();
        found.map(|value| (value.line, value)).collect()
    })?;
    let defines = &value.defines;
    let attribute = defines.rsplit('.').next().unwrap_or_default();
    if OF_FILES.contains(&attribute) {
        return None;
    }
    let place = format!("{}{place}", context.shown_dir);
    Some(format!(
        "{place}: Nix looks for a path without quotes where it builds. If {path} is a path on the machine that the \
         image is for, put it in quotes: {defines} = \"{path}\";"
    ))
}

/// How to write the home of a user, for which `~/` is no beginning.
fn home_of_user(context: &ExitContext<'_>, path: &str) -> Option<String> {
    home_of_user_at(context, &format!("~{}", path.strip_prefix(HOME_OF_NIX)?))
}

/// What to do about a path that begins with `~/`, which a flake cannot have.
pub(super) fn home_in_flake(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let rest = summary.strip_prefix("the path '")?;
    let (written, _) = rest.split_once("' can not be resolved in pure mode")?;
    let name = written.strip_prefix("~/")?.rsplit('/').next()?;
    let copy = || {
        let place = place_of(context, written);
        let place = place.map_or_else(String::new, |place| format!("{place}: "));
        format!(
            "{place}a flake has only the files in it that git tracks. Copy it there, git add it, and write ./{name} \
             instead of {written}"
        )
    };
    Some(home_of_user_at(context, written).unwrap_or_else(copy))
}

/// The same for the path as it is `written`.
fn home_of_user_at(context: &ExitContext<'_>, written: &str) -> Option<String> {
    let (place, option) = context.files?.only_place(|text| {
        let found = whole_paths(text, written).into_iter();
        found.map(|value| (value.line, value.defines)).collect()
    })?;
    let names = attribute_path::parse(&option).ok()?;
    let attribute = names.last()?.to_ascii_lowercase();
    let is_dir = ["dir", "directory", "folder", "path"]
        .iter()
        .any(|end| attribute.ends_with(end));
    if is_dir && !OF_FILES.contains(&attribute.as_str()) {
        return Some(format!(
            "{}{place}: `~/` is the home of whoever runs sdbuild. Write a path on the machine as a string: {option} = \
             \"/home/NAME/{}\";",
            context.shown_dir,
            written.strip_prefix("~/")?
        ));
    }
    let user = match names.as_slice() {
        // In a flake, the path of the module is in front of it.
        [.., users, set, user, home] if users == "users" && set == "users" && home == "home" => {
            user
        }
        _ => return None,
    };
    let home = if user == "root" {
        "/root".to_owned()
    } else {
        format!("/home/{user}")
    };
    let option = format!(
        "users.users.{}.home",
        attribute_path::text(std::slice::from_ref(user))
    );
    Some(format!(
        "{}{place}: `~/` is the home of whoever runs sdbuild. Write a path on the machine as a string: {option} = \
         \"{home}\";",
        context.shown_dir
    ))
}

/// The path in a message about a file that does not exist, unless it is in the Nix store.
pub(super) fn missing_path(summary: &str) -> Option<&str> {
    let by_path = summary
        .strip_prefix("path '")
        .and_then(|rest| rest.split_once("' does not exist"));
    let by_open = summary
        .strip_prefix("opening file '")
        .and_then(|rest| rest.split_once("': No such file"));
    let by_status = summary
        .strip_prefix("getting status of '")
        .and_then(|rest| rest.split_once("': "));
    let (path, _) = by_path.or(by_open).or(by_status)?;
    let is_home = path.starts_with(HOME_OF_NIX);
    let is_users = path.starts_with('/') && !path.starts_with("/nix/") && !path.starts_with("//");
    (is_users || is_home).then_some(path)
}

pub(super) fn other_encoding(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let is_reported = summary.contains("invalid UTF-8 byte");
    let place = context.files?.place_that_is_not_utf_8();
    let place = place.filter(|_| is_reported)?;
    Some(format!(
        "{}{place} is not UTF-8. Save the file in that encoding",
        context.shown_dir
    ))
}

#[cfg(test)]
mod tests {
    use super::missing_path;

    /// As Nix reports them.
    #[test]
    fn the_users_files_are_found_in_messages() {
        for (summary, path) in [
            (
                "opening file '/nix/var/sdbuild/home/.ssh/id_ed25519.pub': No such file or directory",
                Some("/nix/var/sdbuild/home/.ssh/id_ed25519.pub"),
            ),
            (
                "getting status of '/root/.ssh': Permission denied",
                Some("/root/.ssh"),
            ),
            (
                "path '/home/me/x.nix' does not exist",
                Some("/home/me/x.nix"),
            ),
            ("getting status of '/nix/store/x': No such file", None),
            ("path '//lib' does not exist", None),
        ] {
            assert_eq!(missing_path(summary), path, "{summary}");
        }
    }
}
