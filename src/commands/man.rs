//! `sdbuild man`: shows or writes manual pages, one for sdbuild and one for each command.

mod arguments;
mod command_page;
mod commands;
mod exit_status;
mod page;
mod sdbuild_page;
mod variables;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{self, Stdio};

use clap::{Command, CommandFactory as _};

use self::commands::{page_name, visible};
use crate::cli;
use crate::cli::Cli;
use crate::ui::Ui;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::nearest::nearest;

/// Shows a page on a terminal; elsewhere writes it to standard output, or all pages to files.
pub fn run(args: &cli::Man, ui: &Ui) -> Result<(), Failure> {
    let pages = pages();
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
fn pages() -> Vec<ManualPage> {
    let mut root = Cli::command();
    // Sets the whole names of commands, and the flags that they inherit.
    root.build();
    let mut pages = vec![ManualPage {
        name: "sdbuild".to_owned(),
        text: sdbuild_page::text(&root),
    }];
    add_pages(&[&root], &mut pages);
    pages
}

/// Adds the pages of the commands of the last of `path`, which begins with sdbuild itself.
fn add_pages(path: &[&Command], pages: &mut Vec<ManualPage>) {
    let Some(parent) = path.last() else {
        return;
    };
    for command in visible(parent) {
        let path = [path, &[command]].concat();
        pages.push(ManualPage {
            name: page_name(&path),
            text: command_page::text(&path),
        });
        add_pages(&path, pages);
    }
}

/// The page of the command with these words: `publish aws`, `publish-aws` or `sdbuild-publish-aws`; without any, that of sdbuild.
fn find<'a>(pages: &'a [ManualPage], words: &[String]) -> Result<&'a ManualPage, Failure> {
    let name = words.join("-");
    let short = name.strip_prefix("sdbuild").unwrap_or(&name);
    let short = short.trim_start_matches('-');
    let is_it = |page: &&ManualPage| {
        let own = page.name.strip_prefix("sdbuild").unwrap_or(&page.name);
        own.trim_start_matches('-') == short
    };
    pages.iter().find(is_it).ok_or_else(|| {
        let failure = Failure::usage(format!("sdbuild has no command {}", words.join(" ")));
        let names = pages
            .iter()
            .filter_map(|page| page.name.strip_prefix("sdbuild-"));
        match nearest(short, names) {
            Some(meant) => failure.hint(format!("did you mean {}?", meant.replace('-', " "))),
            None => failure.hint("`sdbuild help` lists all commands"),
        }
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

    fn found(words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let page = find(&pages(), &words).map(|page| page.name.clone());
        page.map_err(|failure| failure.hints.join("\n"))
    }

    #[test]
    fn a_page_is_found_by_the_words_of_its_command() {
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
        assert_eq!(found(&["biuld"]).unwrap_err(), "did you mean build?");
        let all = "`sdbuild help` lists all commands";
        assert_eq!(found(&["xyzzy"]).unwrap_err(), all);
    }

    #[test]
    fn every_entry_has_a_text() {
        for page in pages() {
            let entries = page.text.split(".TP\n").skip(1);
            for entry in entries {
                let text = entry.lines().nth(1).unwrap_or_default();
                assert!(
                    !text.is_empty() && !text.starts_with('.'),
                    "{}: {entry}",
                    page.name
                );
            }
        }
    }

    #[test]
    fn no_line_is_an_unknown_macro() {
        const MACROS: [&str; 18] = [
            ".TH", ".SH", ".SS", ".TP", ".PP", ".IP", ".RS", ".RE", ".EX", ".EE", ".SY", ".YS",
            ".nh", ".ad", ".nr", ".ds", ".ie", ".el",
        ];
        for page in pages() {
            assert!(page.text.is_ascii(), "troff would take it for Latin-1");
            for line in page
                .text
                .lines()
                .filter(|line| line.starts_with(['.', '\'']))
            {
                let name = line.split(' ').next().unwrap_or_default();
                assert!(MACROS.contains(&name), "{}: {line}", page.name);
            }
        }
    }
}
