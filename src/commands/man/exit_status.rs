//! The exit codes in manual pages. Their general meanings are in the help of sdbuild.

use clap::Command;

use super::page::{Page, bold};

/// What begins the list of codes in the help.
const HEADING: &str = "Exit codes:\n";

/// What the codes of a command mean that have a meaning of its own, or that are the point of it.
const OF_COMMANDS: [(&str, &[(&str, &str)]); 10] = [
    (
        "doctor",
        &[
            ("0", "This machine can build."),
            (
                "3",
                "Something must be fixed first, which the lines with \u{2717} name.",
            ),
        ],
    ),
    (
        "try",
        &[
            ("0", "The image was built, and let sdbuild log in."),
            ("3", "This machine, the engine or the network prevented it."),
            (
                "4",
                "The build failed, or the image did not boot or refused the login.",
            ),
        ],
    ),
    (
        "init",
        &[
            ("0", "The files were written."),
            (
                "2",
                "A flag or an answer is wrong, a file is there already, or you answered no.",
            ),
        ],
    ),
    (
        "check",
        &[
            ("0", "There is no finding with \u{2717}."),
            ("2", "Nix cannot evaluate the configuration."),
            ("3", "This machine, the engine or the network prevented it."),
            ("6", "There is a finding with \u{2717}."),
        ],
    ),
    (
        "build",
        &[
            (
                "0",
                "The image was written, and booted if that was asked for.",
            ),
            (
                "2",
                "A flag, a setting or the configuration is wrong, or you answered no.",
            ),
            ("3", "This machine, the engine or the network prevented it."),
            (
                "4",
                "The Nix build failed, or the image of --boot-test did not boot or refused the login.",
            ),
        ],
    ),
    (
        "boot",
        &[
            (
                "0",
                "The machine booted, and the command of --run ended with 0.",
            ),
            ("2", "A flag is wrong, or the image cannot be read."),
            (
                "4",
                "The image did not boot, refused the login, or the command took too long.",
            ),
            ("others", "The command of --run ended with this code."),
        ],
    ),
    (
        "flash",
        &[
            (
                "0",
                "The image is on the disk, and was read back unless --no-verify was given.",
            ),
            ("2", "The image or the disk is refused, or you answered no."),
            (
                "3",
                "The disk could not be written or read; the error says what is on it.",
            ),
        ],
    ),
    (
        "inspect",
        &[
            ("0", "The image has no defect."),
            ("2", "The image is damaged, or has no such file."),
        ],
    ),
    (
        "shell",
        &[
            ("2", "A flag, a setting or the configuration is wrong."),
            ("3", "This machine, the engine or the network prevented it."),
            ("others", "The shell ended with this code."),
        ],
    ),
    (
        "clean",
        &[
            (
                "0",
                "Everything was removed that was asked for, or you answered no.",
            ),
            (
                "3",
                "There is no engine: only downloads and logs were removed.",
            ),
            (
                "5",
                "Something could not be removed, which the error lists.",
            ),
        ],
    ),
];

/// The section of the last command of `path`.
pub(super) fn of_command(path: &[&Command], page: &mut Page) {
    let name = match path {
        [_, command] => Some(command.get_name()),
        _ => None,
    };
    let own = OF_COMMANDS
        .iter()
        .find(|(command, _)| Some(*command) == name);
    page.section("EXIT STATUS");
    let codes = own.map_or(&[("0", "Done.")][..], |(_, codes)| *codes);
    for (code, meaning) in codes {
        page.entry([bold(code)], meaning);
    }
    page.paragraphs("`sdbuild`(1) has the codes that all commands share.");
}

/// The section of sdbuild itself, with the list in its `help`, and the paragraph behind it.
pub(super) fn of_sdbuild(help: &str, page: &mut Page) {
    page.section("EXIT STATUS");
    let mut paragraphs = help.split("\n\n");
    let list = paragraphs.find_map(|paragraph| paragraph.strip_prefix(HEADING));
    for line in list.unwrap_or_default().lines() {
        if let Some((code, meaning)) = line.trim().split_once(' ') {
            page.entry([bold(code)], meaning);
        }
    }
    page.paragraphs(paragraphs.next().unwrap_or_default());
}
