//! `sdbuild` alone: what to do next. Unlike the help, it fits a terminal of 24 rows.

use std::path::PathBuf;

use crate::commands::newest_image::{changed_since, newest, rebuild_advice};
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::flake;
use crate::settings::{Environment, configuration_here, output_dir};
use crate::ui::Ui;
use crate::ui::layout::labelled;
use sdbuild_core::failure::Failure;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_image::image_format;
use sdbuild_image::image_format::extension_of;

/// Names the configuration and the newest image here, and the commands to go on with.
pub fn run(env: &Environment, ui: &Ui) -> Result<(), Failure> {
    let columns = ui.result_columns();
    let Some(configuration) = configuration_here() else {
        // The first steps are the same in a directory that was removed, and beside settings that are wrong.
        let image = output_dir(env).ok().and_then(NewestImage::find);
        let steps = first_steps(None, image.as_ref(), columns);
        return ui.result(&steps.join("\n"));
    };
    let (here, output) = output_dir(env)?;
    let lacks_lock = configuration == FLAKE_FILE && !here.join(flake::LOCK).exists();
    let has_both = configuration != FLAKE_FILE && here.join(FLAKE_FILE).is_file();
    let image = NewestImage::find((here, output));
    let configuration = Configuration {
        name: configuration,
        lacks_lock,
        has_both,
    };
    let steps = steps(configuration, image.as_ref(), columns);
    ui.result(&steps.join("\n"))
}

/// The configuration here.
#[derive(Clone, Copy, Debug)]
struct Configuration {
    name: &'static str,
    /// Whether it is a flake without its lock file.
    lacks_lock: bool,
    /// Whether there is a flake too, which is not taken.
    has_both: bool,
}

/// What is said of a flake beside a configuration.
const ALSO_FLAKE: &str = "There is also a flake, which `sdbuild build flake.nix` builds instead.";

/// The newest image here.
struct NewestImage {
    shown: String,
    /// The file of the configuration that is newer.
    newer: Option<PathBuf>,
}

impl NewestImage {
    /// The newest one in the current directory and the output directory.
    fn find((here, output): (PathBuf, PathBuf)) -> Option<Self> {
        newest(&here, &output).map(|path| Self {
            shown: shown_path(&path),
            newer: changed_since(&path, &here),
        })
    }
}

/// The commands where there is no configuration but perhaps one `nearby`, or an `image`, in lines of `columns` columns.
fn first_steps(nearby: Option<&str>, image: Option<&NewestImage>, columns: usize) -> Vec<String> {
    let mut lines = vec![format!("sdbuild {}", env!("CARGO_PKG_VERSION"))];
    lines.extend(labelled("", 0, env!("CARGO_PKG_DESCRIPTION"), columns));
    lines.push(String::new());
    let text = "There is no sd-card.nix or flake.nix in this directory.";
    if nearby.is_none() && image.is_none() {
        lines.extend(labelled("", 0, &format!("{text} To begin:"), columns));
    } else {
        lines.extend(labelled("", 0, text, columns));
        if let Some(hint) = nearby {
            lines.extend(labelled("", 0, &format!("hint: {hint}"), columns));
        }
        lines.extend(
            image
                .into_iter()
                .flat_map(|image| image_steps(image, columns)),
        );
        lines.push("To begin with a new configuration:".to_owned());
    }
    lines.extend([
        step("doctor", "checks that this machine can build", columns),
        step(
            "try",
            "builds and boots a very small NixOS, as a test",
            columns,
        ),
        step(
            "init",
            "asks a few questions and writes sd-card.nix",
            columns,
        ),
    ]);
    if image.is_none() {
        lines.extend([String::new(), "Then:".to_owned()]);
        lines.extend(with_configuration(columns));
        lines.extend(WITH_IMAGE.map(|(command, purpose)| step(command, purpose, columns)));
    }
    lines.push(String::new());
    lines.extend(labelled("", 0, ALL_COMMANDS, columns));
    lines
}

const ALL_COMMANDS: &str =
    "`sdbuild help` lists all commands, `sdbuild help COMMAND` describes one.";

fn with_configuration(columns: usize) -> [String; 2] {
    [
        step("check", "finds what must be fixed", columns),
        step("build", "builds the image", columns),
    ]
}

/// The commands that go on with an image, each with its purpose.
const WITH_IMAGE: [(&str, &str); 2] = [
    ("boot", "starts the image in a virtual machine"),
    ("flash", "lists the SD cards, and writes it to one"),
];

/// The commands that a format goes on with whose files have names such as `name`.
fn with_image(name: &str, columns: usize) -> Vec<String> {
    let formats = image_format::all()
        .filter(|row| extension_of(name, row.extensions.iter().copied()).is_some());
    let named: Vec<_> = formats.flat_map(|row| row.next).collect();
    let is_next = |command: &str| {
        named
            .iter()
            .any(|(next, _)| next.strip_prefix("sdbuild ") == Some(command))
    };
    let steps = WITH_IMAGE
        .into_iter()
        .filter(|(command, _)| is_next(command));
    steps
        .map(|(command, purpose)| step(command, purpose, columns))
        .collect()
}

/// Columns of the longest line of a command with its purpose.
const STEP_COLUMNS: usize = 65;

/// A command, with its purpose where there is room for the purposes of all commands.
fn step(command: &str, purpose: &str, columns: usize) -> String {
    let command = format!("  sdbuild {command:<6}");
    // A command must stay one line.
    if columns >= STEP_COLUMNS {
        format!("{command}   {purpose}")
    } else {
        command.trim_end().to_owned()
    }
}

/// The commands for `configuration` and the newest `image`, each with its purpose. In lines of `columns` columns.
fn steps(configuration: Configuration, image: Option<&NewestImage>, columns: usize) -> Vec<String> {
    let text = format!("The configuration is {}. Next:", configuration.name);
    let mut lines = labelled("", 0, &text, columns);
    if configuration.lacks_lock {
        lines.push(step("lock", "writes flake.lock, which is missing", columns));
    }
    lines.extend(with_configuration(columns));
    if configuration.has_both {
        lines.extend(labelled("", 0, ALSO_FLAKE, columns));
    }
    lines.extend(
        image
            .into_iter()
            .flat_map(|image| image_steps(image, columns)),
    );
    lines.push(String::new());
    lines.extend(labelled("", 0, ALL_COMMANDS, columns));
    lines
}

/// The newest `image` and the commands that go on with it, in lines of `columns` columns.
fn image_steps(image: &NewestImage, columns: usize) -> Vec<String> {
    let newer = image.newer.as_deref().map(rebuild_advice);
    let newer = newer.map_or_else(String::new, |text| format!("; {text}"));
    let text = format!("The newest image is {}{newer}. Next:", quoted(&image.shown));
    let mut lines = labelled("", 0, &text, columns);
    lines.extend(with_image(&image.shown, columns));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::configuration_file::CONFIG_NAME;

    const MODULE: Configuration = Configuration {
        name: CONFIG_NAME,
        lacks_lock: false,
        has_both: false,
    };

    #[test]
    fn a_flake_beside_the_configuration_is_named() {
        let both = Configuration {
            has_both: true,
            ..MODULE
        };
        let text = steps(both, None, 80).join("\n");
        assert!(text.contains(ALSO_FLAKE), "{text}");
        let alone = steps(MODULE, None, 80).join("\n");
        assert!(!alone.contains("flake"), "{alone}");
    }

    #[test]
    fn an_image_is_named_with_what_can_be_done_with_it() {
        let without = steps(MODULE, None, 80).join("\n");
        assert!(without.contains("sdbuild build") && !without.contains("sdbuild flash"));
        let mut image = NewestImage {
            shown: "out/my pi.img".to_owned(),
            newer: None,
        };
        let with = steps(MODULE, Some(&image), 80).join("\n");
        assert!(!with.contains("newer"), "{with}");
        image.shown = "out/pi.qcow2".to_owned();
        let disk = steps(MODULE, Some(&image), 80).join("\n");
        assert!(
            disk.contains("sdbuild boot") && !disk.contains("sdbuild flash"),
            "{disk}"
        );
        image.newer = Some("my keys.nix".into());
        let narrow = steps(MODULE, Some(&image), 40);
        assert!(narrow.len() <= 22, "{narrow:#?}");
        let text = narrow.join(" ");
        assert!(text.contains("'my keys.nix' is newer"), "{text}");
        assert!(narrow.iter().all(|line| line.len() <= 40), "{narrow:#?}");
        assert!(
            with.contains("'out/my pi.img'") && with.contains("sdbuild flash"),
            "{with}"
        );
    }

    #[test]
    fn a_flake_is_locked_before_it_is_built() {
        let flake = Configuration {
            name: FLAKE_FILE,
            lacks_lock: true,
            has_both: false,
        };
        let steps = steps(flake, None, 80).join("\n");
        let (lock, build) = (steps.find("sdbuild lock"), steps.find("sdbuild build"));
        assert!(lock.is_some() && lock < build, "{steps}");
    }

    #[test]
    fn a_configuration_nearby_is_named() {
        let hint = "to use kitchen.nix instead: sdbuild build kitchen.nix";
        for columns in [40, 80] {
            let lines = first_steps(Some(hint), None, columns);
            assert!(lines.len() <= 22, "{lines:#?}");
        }
        let text = first_steps(Some(hint), None, 80).join("\n");
        assert!(
            text.contains(&format!("directory.\nhint: {hint}\n")),
            "{text}"
        );
    }

    #[test]
    fn an_image_is_named_without_a_configuration() {
        let image = NewestImage {
            shown: "nixos-pi.img.zst".to_owned(),
            newer: None,
        };
        let hint = "to use kitchen.nix instead: sdbuild build kitchen.nix";
        for columns in [40, 80] {
            let lines = first_steps(Some(hint), Some(&image), columns);
            assert!(lines.len() <= 22, "{lines:#?}");
        }
        let text = first_steps(None, Some(&image), 80).join("\n");
        assert!(
            text.contains("The newest image is nixos-pi.img.zst. Next:\n  sdbuild boot"),
            "{text}"
        );
    }

    #[test]
    fn all_commands_have_a_purpose_beside_them_or_none() {
        for columns in [30, 40, 50, 60, STEP_COLUMNS - 1, STEP_COLUMNS, 80] {
            let lines = first_steps(None, None, columns);
            let mut commands = lines.iter().filter(|line| line.starts_with("  sdbuild "));
            let has_purpose = |line: &&String| line.split_whitespace().count() > 2;
            let is_wide = columns >= STEP_COLUMNS;
            assert!(commands.all(|line| has_purpose(&line) == is_wide && line.len() <= columns));
        }
    }

    #[test]
    fn first_steps_fit_a_small_terminal() {
        for columns in [40, 80] {
            let lines = first_steps(None, None, columns);
            // The prompt takes a line before and after them.
            assert!(lines.len() <= 22, "{lines:#?}");
            assert!(lines.iter().all(|line| line.len() <= columns), "{lines:#?}");
        }
    }
}
