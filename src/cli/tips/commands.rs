//! Tips for commands that do not exist.

use std::path::Path;

use clap::Command;

use super::answers;
use super::flags_of::takes;
use super::other_names;
use super::packages;
use sdbuild_core::nearest::{is_slip, nearest};
use sdbuild_core::shell_word::{command_line, quoted};
use sdbuild_image::board::BoardName;
use sdbuild_image::image_name::is_image;
use sdbuild_nix::flake_ref::has_scheme;

/// The tips for the command `name` that does not exist, or is none of the command in front of it, such as `publish`. clap proposes
/// any that looks similar, also one that removes data.
pub(super) fn tips_for_command(command: &Command, name: &str, words: &[String]) -> Vec<String> {
    if words.first().is_some_and(|word| word == "help") && command.find_subcommand(name).is_some() {
        return vec![format!("`{} help {name}` describes it", command.get_name())];
    }
    let lower = name.to_lowercase();
    let before = words.iter().take_while(|word| *word != name);
    let mut named = before.map(|word| command.find_subcommand(word));
    // `help NAME` names the commands of sdbuild.
    let has_own = |sub: &&Command| sub.has_subcommands() && sub.get_name() != "help";
    let outer = named.find_map(|sub| sub.filter(has_own));
    if let Some(tips) = tips_behind_program(command, outer, &lower, words) {
        return tips;
    }
    if let Some(meant) = tip_for_words(command, outer, &lower, words) {
        return vec![meant];
    }
    let others = other_names::commands(&lower);
    let meant = match outer {
        Some(_) => Vec::new(),
        None => others
            .iter()
            .map(|name| described(command, name))
            .chain(other_names::other_meaning(&lower).map(str::to_owned))
            .collect(),
    };
    if !meant.is_empty() {
        return meant;
    }
    if let Some(explained) = other_names::explained_command(&lower).filter(|_| outer.is_none()) {
        return vec![explained.to_owned()];
    }
    let subcommands = outer.unwrap_or(command).get_subcommands();
    let visible = subcommands.filter(|sub| !sub.is_hide_set());
    let visible: Vec<&str> = visible.map(Command::get_name).collect();
    let similar = nearest(&lower, visible.iter().copied());
    let similar = similar.filter(|similar| is_slip(&lower, similar));
    let similar = similar.or_else(|| first_of(&lower, &visible));
    let tip = match (similar, outer) {
        (Some(similar), _) => format!("did you mean {similar}?"),
        (None, Some(outer)) => {
            let outer = outer.get_name();
            format!("`{} {outer} --help` lists its commands", command.get_name())
        }
        (None, None) => {
            let tip = tip_for_argument(command, name).or_else(|| tip_for_path(name));
            tip.unwrap_or_else(|| "`sdbuild help` lists all commands".to_owned())
        }
    };
    vec![tip]
}

/// Programs whose commands resemble those of sdbuild.
const PROGRAMS: [&str; 8] = [
    "apt", "apt-get", "cargo", "docker", "git", "nix", "podman", "sdbuild",
];

/// The tips for what stands behind `name`, another program: `docker build .`.
fn tips_behind_program(
    command: &Command,
    outer: Option<&Command>,
    name: &str,
    words: &[String],
) -> Option<Vec<String>> {
    if outer.is_some() || !PROGRAMS.contains(&name) {
        return None;
    }
    let at = words.iter().position(|word| word.to_lowercase() == name)?;
    let behind = words.get(at + 1..)?;
    let next = behind.first().filter(|word| !word.starts_with('-'))?;
    Some(match command.find_subcommand(next) {
        // That of Nix has packages in it.
        Some(sub) if sub.get_name() == "shell" => other_names::explained_command("nix")
            .map(str::to_owned)
            .into_iter()
            .collect(),
        Some(sub) if !sub.is_hide_set() => {
            let line = command_line(behind);
            vec![format!("leave out `{name}`: sdbuild {line}")]
        }
        Some(_) | None => tips_for_command(command, next, behind),
    })
}

/// The tip for the command `name`, by the command `outer` in front of it, or by the word behind it.
fn tip_for_words(
    command: &Command,
    outer: Option<&Command>,
    name: &str,
    words: &[String],
) -> Option<String> {
    if let Some(outer) = outer {
        let meant = other_names::inner(outer.get_name(), name)?;
        return Some(format!("did you mean {meant}?"));
    }
    let at = words.iter().position(|word| word.to_lowercase() == name)?;
    let next = words.get(at + 1).map_or("", String::as_str);
    let given: Vec<&str> = words.iter().skip(at + 1).map(String::as_str).collect();
    // `install x.img /dev/sda` is `flash`.
    let are_packages = given.iter().all(|word| packages::is_likely(word));
    if name == "add" && are_packages || name == "install" && are_packages && !given.is_empty() {
        return Some(packages::line(Some(&given.join(" "))));
    }
    if ["remove", "uninstall"].contains(&name) && are_packages && is_no_part(command, &given) {
        return Some(packages::REMOVED.to_owned());
    }
    if let (true, Some(image)) = (
        LOOKS.contains(&name),
        given.iter().find(|word| is_image(word)),
    ) {
        let rest = given.iter().filter(|word| *word != image);
        let line = [image, &name]
            .into_iter()
            .chain(rest)
            .map(|word| quoted(word));
        let line: Vec<String> = line.collect();
        return Some(format!(
            "give the image first: sdbuild inspect {}",
            line.join(" ")
        ));
    }
    other_names::pair(name, next).map(str::to_owned)
}

/// What is shown of an image.
const LOOKS: [&str; 2] = ["cat", "ls"];

/// Whether `given` are words, and none of them names what `clean` removes.
fn is_no_part(command: &Command, given: &[&str]) -> bool {
    let clean = command.find_subcommand("clean");
    let is_part = |word: &&str| {
        answers::tip("clean", word, &[]).is_some()
            || clean.is_some_and(|clean| takes(clean, &format!("--{word}")))
    };
    !given.is_empty() && !given.iter().any(is_part)
}

/// The one of `commands` that a `name` such as `flash-card` begins with.
fn first_of<'a>(name: &str, commands: &[&'a str]) -> Option<&'a str> {
    let (first, _) = name.split_once(['-', '_'])?;
    commands.iter().find(|command| **command == first).copied()
}

/// The tip for a command with its argument behind an equals sign, `build=sd-card.nix`.
fn tip_for_argument(command: &Command, name: &str) -> Option<String> {
    let (first, argument) = name.split_once('=')?;
    command.find_subcommand(first)?;
    let argument = quoted(argument);
    Some(format!("write a space: sdbuild {first} {argument}"))
}

/// The tip for an image, a disk or a configuration in the place of a command.
fn tip_for_path(name: &str) -> Option<String> {
    let path = quoted(name);
    if let Ok(BoardName(board)) = name.parse() {
        let name = board.name;
        return Some(format!(
            "{name} is a board. `sdbuild init --board {name}` writes a configuration for it; to build: sdbuild build \
             --board {name}"
        ));
    }
    if is_image(name) {
        return Some(format!(
            "that is an image. `sdbuild boot {path}` starts it, and `sdbuild flash {path}` writes it to a card"
        ));
    }
    if name.starts_with("/dev/") {
        return Some(format!(
            "`sdbuild flash IMAGE {path}` writes an image to that disk"
        ));
    }
    let is_path = [".", ".."].contains(&name) || name.contains('/');
    let is_module = Path::new(name).extension().is_some_and(|end| end == "nix");
    let is_flake = name.contains('#') || has_scheme(name);
    (is_path || is_module || is_flake).then(|| format!("`sdbuild build {path}` builds it"))
}

/// That the command `name` may be meant, and what it is for: did you mean `flash` (write an image …)?
fn described(command: &Command, name: &str) -> String {
    let sub = command.find_subcommand(name);
    let about = sub.and_then(Command::get_about).map(ToString::to_string);
    let about = about.unwrap_or_default();
    let mut rest = about.chars();
    let first = rest.next().map(|c| c.to_ascii_lowercase());
    let about: String = first.into_iter().chain(rest).collect();
    let program = command.get_name();
    format!("did you mean `{program} {name}` ({about})?")
}
