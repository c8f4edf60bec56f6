//! The manual page of sdbuild itself.

use clap::Command;
use roff::roman;

use super::arguments;
use super::command_page::reference;
use super::commands::about;
use super::exit_status;
use super::page::{Page, bold, italic};
use super::variables;
use crate::cli::COMMAND_GROUPS;

const DESCRIPTION: &str = "sdbuild builds the image of a NixOS configuration: of an `sd-card.nix` or of a flake. Nix runs in a container \
of Docker or Podman, so this machine needs no Nix, and root only to write a card.

The first commands that a new user needs are in the EXAMPLES. `sdbuild help COMMAND` describes the flags of a command, and so does its own \
page: `man sdbuild-build`, or `sdbuild man build`.";

/// What each file or directory is for.
const FILES: [(&str, &str); 8] = [
    (
        "sd-card.nix",
        "The configuration, which `sdbuild init` writes.",
    ),
    (
        "sdbuild.toml",
        "The settings of its builds: `sdbuild settings` shows them.",
    ),
    (
        "sdbuild.lock",
        "The nixpkgs that it is built with, which `sdbuild lock` updates.",
    ),
    (
        "flake.nix, flake.lock",
        "A flake that has the configuration instead, and its inputs.",
    ),
    (
        "~/.config/sdbuild/sdbuild.toml",
        "The settings of all your builds.",
    ),
    (
        "~/.config/sdbuild/builder-key",
        "The private key for --builders.",
    ),
    (
        "~/.cache/sdbuild",
        "Downloads, which `sdbuild clean` removes.",
    ),
    ("~/.local/state/sdbuild/logs", "The logs of builds."),
];

/// The commands on the way to a first card, and what each does.
const EXAMPLES: [(&str, &str); 6] = [
    ("sdbuild doctor", "Check that this machine can build."),
    ("sdbuild init", "Write ./sd-card.nix with your SSH keys."),
    (
        "sdbuild check",
        "Find what must be fixed before the image is built.",
    ),
    (
        "sdbuild build",
        "Build the image of ./sd-card.nix into this directory.",
    ),
    (
        "sdbuild boot --until-ssh",
        "Boot the newest image in QEMU, and log in.",
    ),
    (
        "sudo \"$(command -v sdbuild)\" flash /dev/sdb",
        "Write the newest image to the card in /dev/sdb, and verify it.",
    ),
];

/// The page; `root` is the whole command line.
pub(super) fn text(root: &Command) -> String {
    let mut page = Page::new("sdbuild", &about(root));
    page.section("SYNOPSIS");
    let mut arguments = arguments::in_synopsis(root);
    arguments.push(vec![italic("COMMAND")]);
    arguments.push(vec![roman("["), italic("ARGUMENTS"), roman("]")]);
    page.synopsis("sdbuild", &arguments);
    page.section("DESCRIPTION");
    page.paragraphs(DESCRIPTION);
    page.section("COMMANDS");
    for (heading, names) in COMMAND_GROUPS {
        page.part(heading);
        for command in names.iter().filter_map(|name| root.find_subcommand(name)) {
            let name = format!("sdbuild-{}", command.get_name());
            page.entry(reference(&name), &about(command));
        }
    }
    arguments::section(root, &mut page);
    let help = root.get_after_long_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    exit_status::of_sdbuild(&help, &mut page);
    page.section("ENVIRONMENT");
    page.paragraphs("A flag overrides the variable for the same setting, and a variable overrides sdbuild.toml.");
    // The last paragraph says which engine is used.
    page.paragraphs(help.rsplit("\n\n").next().unwrap_or_default());
    variables::add_to(&mut page);
    page.section("FILES");
    for (file, text) in FILES {
        page.entry([bold(file)], text);
    }
    page.section("EXAMPLES");
    for (command, text) in EXAMPLES {
        page.entry([bold(command)], text);
    }
    page.section("SEE ALSO");
    page.paragraphs("`docker`(1), `podman`(1), `nix-build`(1), `ssh-keygen`(1)");
    page.into_text()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn sections_are_those_of_a_manual_page() {
        let mut root = Cli::command();
        root.build();
        let page = text(&root);
        let sections: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix(".SH "))
            .map(|title| title.trim_matches('"'))
            .collect();
        let expected = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "COMMANDS",
            "OPTIONS",
            "EXIT STATUS",
            "ENVIRONMENT",
            "FILES",
            "EXAMPLES",
            "SEE ALSO",
        ];
        assert_eq!(sections, expected);
        for part in [
            ".SS \"To begin\"\n.TP\n\\fBsdbuild\\-doctor\\fR(1)\nCheck that",
            ".TP\n\\fB70\\fR\na bug in sdbuild\n",
            ".PP\nboot \\-\\-run exits with",
            ".PP\nsdbuild uses the engine (Docker or Podman) of",
            ".TP\n\\fBsd\\-card.nix\\fR\n",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert!(page.lines().count() < 500, "a page that nobody reads");
    }
}
