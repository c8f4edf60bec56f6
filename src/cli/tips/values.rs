//! Tips for values that a flag cannot have.

use std::path::Path;

use clap::Command;
use clap::error::ContextKind;

use super::context::{set_tips, text};
use super::flags_of::without_value;
use sdbuild_core::nearest::is_typo;
use sdbuild_core::system::System;
use sdbuild_image::board::{BoardName, ONLY_64_BIT};

/// Where the boards are described.
pub(super) const DESCRIBED_BOARDS: &str = "`sdbuild boards` describes them";

/// Sets the tip for a value that is none of those that a flag can have.
pub(super) fn explain_value(error: &mut clap::Error) {
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let flag = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let is_board = flag.starts_with("--board");
    let similar = text(error, ContextKind::SuggestedValue);
    // Boards with other numbers are other boards.
    let is_other = |similar: &String| {
        !is_typo(&value, similar) || is_board && without_digits(&value) == without_digits(similar)
    };
    let known = if is_board {
        Some(tip_for_board())
    } else if flag.starts_with("--template") {
        tip_for_template(&value).map(ValueTip::in_place)
    } else if flag.starts_with("--ci") {
        let is_meant = ["actions", "gh", "github-actions"].contains(&value.as_str());
        is_meant.then(|| ValueTip::in_place("did you mean github?".to_owned()))
    } else if flag == "<SHELL>" {
        tip_for_shell(&value).map(ValueTip::in_place)
    } else if flag.starts_with("--system") {
        tip_for_system(&value)
    } else {
        None
    };
    let is_meant = known.as_ref().is_some_and(|tip| tip.replaces_similar);
    error.remove(ContextKind::SuggestedValue);
    let similar = similar.filter(|similar| !is_meant && !is_other(similar));
    let similar = similar.map(|similar| format!("did you mean {similar}?"));
    let tips: Vec<_> = similar
        .into_iter()
        .chain(known.map(|tip| tip.text))
        .collect();
    if !tips.is_empty() {
        set_tips(error, tips);
    }
}

/// The tip for a `value` that is the name of a switch of `command`, as of `--format json` in place of `--json`.
pub(super) fn tip_for_switch(command: &Command, value: &str) -> Option<String> {
    let flag = format!("--{value}");
    without_value(command, &flag).then(|| format!("did you mean {flag}?"))
}

/// A tip for a value.
struct ValueTip {
    text: String,
    /// Whether it stands in place of the similar value that clap proposes.
    replaces_similar: bool,
}

impl ValueTip {
    fn in_place(text: String) -> Self {
        Self {
            text,
            replaces_similar: true,
        }
    }
}

/// The tip for the name of a board, or of something else, in place of a template.
fn tip_for_template(value: &str) -> Option<String> {
    /// What other programs call what a template is for.
    const TEMPLATES: [(&[&str], &str); 4] = [
        (&["docker", "lxc", "podman"], "container"),
        (&["aws", "ec2"], "amazon"),
        (&["iso", "iso-installer"], "installer-cloud-init"),
        (&["libvirt", "proxmox", "qcow2", "qemu"], "vm"),
    ];
    let lower = value.to_lowercase();
    if lower == "flake" {
        return Some("`sdbuild init --flake` writes a flake".to_owned());
    }
    let mut rows = TEMPLATES.iter();
    if let Some((_, template)) = rows.find(|(names, _)| names.contains(&lower.as_str())) {
        return Some(format!("did you mean {template}?"));
    }
    let board: BoardName = value.parse().ok()?;
    Some(format!(
        "boards have their own flag: sdbuild init --board {board}"
    ))
}

/// The tip for the path of a shell in place of its name.
fn tip_for_shell(value: &str) -> Option<String> {
    let name = Path::new(value).file_name()?.to_str()?;
    let is_meant = name != value && SHELLS.contains(&name);
    is_meant.then(|| format!("did you mean {name}?"))
}

/// The shells that there are completions for.
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// The tip for `sdbuild completions` without a shell: the line for the user's, whose program is `shell`.
pub(super) fn tip_for_missing_shell(shell: Option<&str>) -> String {
    let name = shell.and_then(|shell| Path::new(shell).file_name()?.to_str());
    let (name, is_known) = match name.filter(|name| SHELLS.contains(name)) {
        Some(name) => (name, true),
        None => ("bash", false),
    };
    let (dir, file) = match name {
        "zsh" => ("~/.local/share/zsh/site-functions", "_sdbuild"),
        "fish" => ("~/.local/share/fish/vendor_completions.d", "sdbuild.fish"),
        _ => ("~/.local/share/bash-completion/completions", "sdbuild"),
    };
    let whose = if is_known { "yours" } else { "for instance" };
    format!(
        "name bash, zsh or fish; {whose}: mkdir -p {dir} && sdbuild completions {name} > {dir}/{file}"
    )
}

fn tip_for_board() -> ValueTip {
    ValueTip {
        text: DESCRIBED_BOARDS.to_owned(),
        replaces_similar: false,
    }
}

/// Names of processor architectures with 32 bits, as kernels and Debian call them.
const ARCHITECTURES_OF_32_BITS: [&str; 6] = ["armhf", "armv6l", "armv7", "armv7l", "i386", "i686"];

fn tip_for_system(value: &str) -> Option<ValueTip> {
    let architecture = value.strip_suffix("-linux").unwrap_or(value);
    let text = match System::by_other_name(value) {
        Some(system) => format!("did you mean {system}?"),
        None if ARCHITECTURES_OF_32_BITS.contains(&architecture) => ONLY_64_BIT.to_owned(),
        None => return None,
    };
    Some(ValueTip {
        text,
        replaces_similar: true,
    })
}

/// The tip for `--override-input INPUT=REF`, whose two values are words of their own, and for the input alone.
pub(super) fn tip_for_two_values(words: &[String]) -> Option<String> {
    const FLAG: &str = "--override-input";
    let behind = words.iter().zip(words.iter().skip(1));
    let behind = behind
        .filter(|(word, _)| *word == FLAG)
        .map(|(_, value)| value.as_str());
    let joined = words
        .iter()
        .filter_map(|word| word.strip_prefix(FLAG)?.strip_prefix('='));
    let mut values = behind.chain(joined);
    if let Some((input, reference)) = values.find_map(|value| value.split_once('=')) {
        return Some(format!(
            "write INPUT and REF as two words: {FLAG} {input} {reference}"
        ));
    }
    let alone = words.iter().enumerate().find(|(at, word)| {
        let second = words.get(at + 2);
        *word == FLAG && second.is_none_or(|next| next.starts_with("--"))
    });
    let input = words.get(alone?.0 + 1)?;
    Some(format!(
        "write what replaces the input after its name: {FLAG} {input} DIR"
    ))
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}
