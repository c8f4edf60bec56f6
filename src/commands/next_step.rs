//! `sdbuild` alone: what to do next. Unlike the help, it fits a terminal of 24 rows.

use crate::commands::newest_image::{changed_since, newest, rebuild_advice};
use crate::settings::{Environment, configuration_here, output_dir};
use crate::ui::Ui;
use crate::ui::layout::labelled;
use sdbuild_build::flake;
use sdbuild_core::failure::Failure;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_nix::configuration_file::FLAKE_FILE;

/// The commands on the way to a card, each with its purpose.
const LOCK: (&str, &str) = ("lock", "writes flake.lock, which is missing");
const BEGIN: [(&str, &str); 3] = [
    ("doctor", "checks that this machine can build"),
    ("try", "builds and boots a very small NixOS, as a test"),
    ("init", "asks a few questions and writes sd-card.nix"),
];
const BUILD: [(&str, &str); 2] = [
    ("check", "finds what must be fixed"),
    ("build", "builds the image"),
];
const USE_IMAGE: [(&str, &str); 2] = [
    ("boot", "starts the image in a virtual machine"),
    ("flash", "lists the SD cards, and writes it to one"),
];
const ALL_COMMANDS: &str =
    "`sdbuild help` lists all commands, `sdbuild help COMMAND` describes one.";

/// Shows the configuration and the newest image here, and the commands to go on with.
pub fn run(env: &Environment, ui: &Ui) -> Result<(), Failure> {
    let columns = ui.result_columns();
    let mut lines = Vec::new();
    let text = |lines: &mut Vec<String>, text: &str| lines.extend(labelled("", 0, text, columns));
    let steps = |lines: &mut Vec<String>, steps: &[(&str, &str)]| {
        let steps = steps.iter();
        lines.extend(steps.map(|(command, purpose)| format!("  sdbuild {command:<6}   {purpose}")));
    };
    // The first steps are the same beside settings that are wrong.
    let dirs = output_dir(env).ok();
    let image = dirs.and_then(|(here, output)| Some((newest(&here, &output)?, here)));
    if let Some(configuration) = configuration_here() {
        text(
            &mut lines,
            &format!("The configuration is {configuration}. Next:"),
        );
        if configuration == FLAKE_FILE && !std::path::Path::new(flake::LOCK).exists() {
            steps(&mut lines, &[LOCK]);
        }
        steps(&mut lines, &BUILD);
    } else {
        text(
            &mut lines,
            &format!("sdbuild {}", env!("CARGO_PKG_VERSION")),
        );
        text(&mut lines, env!("CARGO_PKG_DESCRIPTION"));
        text(&mut lines, "");
        text(
            &mut lines,
            "There is no sd-card.nix or flake.nix in this directory.",
        );
        text(&mut lines, "To begin with a new configuration:");
        steps(&mut lines, &BEGIN);
        steps(&mut lines, &BUILD);
    }
    if let Some((image, here)) = image {
        let newer = changed_since(&image, &here).map(|file| rebuild_advice(&file));
        let newer = newer.map_or_else(String::new, |text| format!("; {text}"));
        let shown = quoted(&shown_path(&image));
        text(
            &mut lines,
            &format!("The newest image is {shown}{newer}. Next:"),
        );
    }
    steps(&mut lines, &USE_IMAGE);
    text(&mut lines, "");
    text(&mut lines, ALL_COMMANDS);
    ui.result(&lines.join("\n"))
}
