//! `sdbuild man`: shows or writes manual pages, one for sdbuild and one for each command. `clap_mangen` makes the sections about
//! the command line; those about exit codes, variables, files and examples follow here.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{self, Stdio};

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use roff::{Inline, Roff, bold, roman};

use crate::cli;
use crate::cli::{Cli, EXIT_CODES, OTHER_CODES, WHICH_ENGINE, ending_of};
use crate::settings::VARIABLES;
use crate::ui::Ui;
use sdbuild_core::failure::{Failure, OrFail as _};

/// Shows a page on a terminal; elsewhere writes it to standard output, or all pages to files.
pub fn run(args: &cli::Man, ui: &Ui) -> Result<(), Failure> {
    let pages = pages().or_internal("write the manual pages")?;
    if let Some(dir) = &args.dir {
        write_all(&pages, dir)?;
        let written = format!("{} manual pages are in {}", pages.len(), dir.display());
        ui.events().notice(written);
        return Ok(());
    }
    let page = find(&pages, &args.command)?;
    if ui.shows_events_and_results() {
        if show_with_man(&page.text) {
            return Ok(());
        }
        let text = "`man` could not show the page, so its source follows. `sdbuild help` describes the commands too";
        ui.events().warn(text);
    }
    ui.data(page.text.as_bytes()).map(drop)
}

/// Shows the page `text` on this terminal with the program `man`; false if that is missing or fails.
fn show_with_man(text: &str) -> bool {
    let mut man = process::Command::new("man");
    let Ok(mut man) = man.args(["-l", "-"]).stdin(Stdio::piped()).spawn() else {
        return false;
    };
    // It reads all of it before it shows anything, unless it fails.
    let written = man
        .stdin
        .take()
        .map(|mut input| input.write_all(text.as_bytes()));
    man.wait().is_ok_and(|status| status.success()) && matches!(written, Some(Ok(())))
}

/// A manual page.
struct ManualPage {
    /// Such as `sdbuild-publish-aws`.
    name: String,
    /// In troff's language.
    text: String,
}

/// The page of sdbuild, then one for each command and for each of its own commands.
fn pages() -> io::Result<Vec<ManualPage>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    // Sets the whole names of commands, and the flags that they inherit.
    root.build();
    let mut pages = Vec::new();
    add_pages(&root, "", &mut pages)?;
    Ok(pages)
}

/// Adds the page of `command`, which belongs to the one with the page `parent`, and those of its own commands.
fn add_pages(command: &Command, parent: &str, pages: &mut Vec<ManualPage>) -> io::Result<()> {
    let name = match parent {
        "" => command.get_name().to_owned(),
        _ => format!("{parent}-{}", command.get_name()),
    };
    let text = page(command, &name, parent)?;
    pages.push(ManualPage {
        name: name.clone(),
        text,
    });
    let mut own = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    own.try_for_each(|sub| add_pages(sub, &name, pages))
}

fn page(command: &Command, name: &str, parent: &str) -> io::Result<String> {
    let ending = ending_of(command.get_name()).unwrap_or_default();
    let (notes, examples) = ending.split_once("Examples:\n").unwrap_or_default();
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    // Otherwise clap_mangen leaves out the help of flags that the short help hides.
    let shown = command.clone().mut_args(|arg| arg.hide_short_help(false));
    let shown = shown.long_about(format!("{about}\n\n{notes}"));
    let man = Man::new(shown.display_name(name))
        .title(name.to_uppercase())
        .source(format!("sdbuild {}", env!("CARGO_PKG_VERSION")))
        .manual("Manual of sdbuild");
    let mut page = Vec::new();
    man.render(&mut page)?;
    let mut more = Roff::new();
    more.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        entry(&mut more, code, meaning);
    }
    more.control("PP", []).text([roman(OTHER_CODES)]);
    if parent.is_empty() {
        environment_and_files(&mut more);
    }
    more.control("SH", ["EXAMPLES"]);
    more.control("EX", []).text([roman(examples)]);
    more.control("EE", []);
    more.control("SH", ["SEE ALSO"]);
    let related = match parent {
        "" => &["docker", "podman", "nix-build", "ssh-keygen"][..],
        parent => &[parent],
    };
    let related = related.iter().map(|page| vec![bold(*page), roman("(1)")]);
    more.text(related.collect::<Vec<_>>().join(&roman(", ")));
    more.to_writer(&mut page)?;
    Ok(as_ascii(&String::from_utf8_lossy(&page)))
}

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

fn environment_and_files(page: &mut Roff) {
    page.control("SH", ["ENVIRONMENT"]);
    page.text([roman("A flag overrides the variable for the same setting, and a variable overrides sdbuild.toml.")]);
    page.control("PP", []).text([roman(WHICH_ENGINE)]);
    for group in &VARIABLES {
        page.control("SS", [group.heading]);
        for (names, meaning) in group.variables {
            entry(page, names, meaning);
        }
    }
    page.control("SH", ["FILES"]);
    for (file, meaning) in FILES {
        entry(page, file, meaning);
    }
}

/// A term, and below it what it means.
fn entry(page: &mut Roff, term: &str, meaning: &str) {
    let term: [Inline; 1] = [bold(term)];
    page.control("TP", []).text(term).text([roman(meaning)]);
}

/// Names for the characters that troff reads as Latin-1, or shows as other ones: `~`, `^` and a backtick.
fn as_ascii(page: &str) -> String {
    let mut out = String::new();
    for c in page.chars() {
        match c {
            '~' => out.push_str("\\(ti"),
            '^' => out.push_str("\\(ha"),
            '`' => out.push_str("\\(ga"),
            c if c.is_ascii() => out.push(c),
            c => write!(out, "\\[u{:04X}]", u32::from(c)).unwrap_or_default(),
        }
    }
    out
}

/// The page of the command with these words: `publish aws`, `publish-aws` or `sdbuild-publish-aws`; without any, that of sdbuild.
fn find<'a>(pages: &'a [ManualPage], words: &[String]) -> Result<&'a ManualPage, Failure> {
    let name = words.join("-");
    let names = [name.clone(), format!("sdbuild-{name}")];
    let is_it = |page: &&ManualPage| names.contains(&page.name);
    let root = || pages.first().filter(|_| words.is_empty());
    pages.iter().find(is_it).or_else(root).ok_or_else(|| {
        Failure::usage(format!("sdbuild has no command {}", words.join(" ")))
            .hint("`sdbuild help` lists all commands")
    })
}

/// Writes each page to a file in `dir`.
fn write_all(pages: &[ManualPage], dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir).or_usage(format!("create the directory {}", dir.display()))?;
    for page in pages {
        let file = dir.join(format!("{}.1", page.name));
        fs::write(&file, &page.text).or_usage(format!("write {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_by_the_words_of_its_command() {
        let pages = pages().unwrap();
        let found = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let page = find(&pages, &words).map(|page| page.name.clone());
            page.map_err(|failure| failure.hints.join("\n"))
        };
        assert_eq!(found(&[]).unwrap(), "sdbuild");
        assert_eq!(found(&["sdbuild"]).unwrap(), "sdbuild");
        for words in [
            &["publish", "aws"][..],
            &["publish-aws"],
            &["sdbuild-publish-aws"],
            &["sdbuild", "publish", "aws"],
        ] {
            assert_eq!(found(words).unwrap(), "sdbuild-publish-aws");
        }
        assert!(found(&["biuld"]).unwrap_err().contains("build"));
    }

    #[test]
    fn pages_have_their_sections_and_only_ascii() {
        for page in pages().unwrap() {
            assert!(page.text.is_ascii(), "{}", page.name);
            for section in [
                "NAME",
                "SYNOPSIS",
                "DESCRIPTION",
                "OPTIONS",
                "\"EXIT STATUS\"",
            ] {
                let heading = format!(".SH {section}\n");
                assert!(page.text.contains(&heading), "{} {section}", page.name);
            }
        }
    }
}
