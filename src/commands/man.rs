//! `sdbuild man`: writes one manual page with every command.

use std::fmt::Write as _;
use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::cli::Cli;
use crate::common::failure::{Failure, OrFail as _};
use crate::ui::Ui;

/// Writes the page to standard output; on a terminal, says how to read it.
pub fn run(ui: &Ui) -> Result<(), Failure> {
    let page = page().or_internal("write the manual page")?;
    ui.data(ascii(&String::from_utf8_lossy(&page)).as_bytes())?;
    if ui.shows_events_and_results() {
        ui.events().notice("to read it: sdbuild man | man -l -");
    }
    Ok(())
}

/// Escapes other characters than ASCII: troff reads Latin-1 by default.
fn ascii(page: &str) -> String {
    page.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii() {
            out.push(c);
        } else {
            write!(out, "\\[u{:04X}]", u32::from(c)).ok();
        }
        out
    })
}

fn page() -> io::Result<Vec<u8>> {
    let mut command = with_all_texts(Cli::command());
    // Building sets the full names of sub-commands and the flags that they inherit.
    command.build();
    let man = Man::new(command.clone());
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    out.extend(commands(&man)?.into_bytes());
    man.render_options_section(&mut out)?;
    for sub in visible(&command) {
        section(sub, &mut out)?;
    }
    out.extend(notes(&man)?.into_bytes());
    out.extend(LAST_SECTIONS.bytes());
    Ok(out)
}

/// `command` with the texts of all flags: of those that `-h` leaves out, the crate would write only the names.
fn with_all_texts(command: Command) -> Command {
    let command = command.mut_args(|arg| arg.hide_short_help(false));
    command.mut_subcommands(with_all_texts)
}

/// A section with a line for each command, without those of clap's own.
fn commands(man: &Man) -> io::Result<String> {
    let mut section = Vec::new();
    man.render_subcommands_section(&mut section)?;
    let section = String::from_utf8_lossy(&section);
    let entries = section.split(".TP\n").skip(1);
    let entries = entries.filter(|entry| !entry.starts_with("sdbuild\\-help(1)"));
    let entries = entries.map(|entry| {
        let entry = entry.replacen("sdbuild\\-", "sdbuild ", 1);
        format!(".TP\n{}", entry.replacen("(1)", "", 1))
    });
    Ok(format!(".SH COMMANDS\n{}", entries.collect::<String>()))
}

/// Writes a section for `command` and for each of its sub-commands.
fn section(command: &Command, out: &mut Vec<u8>) -> io::Result<()> {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let man = Man::new(command.clone());
    let mut parts = Vec::new();
    man.render_synopsis_section(&mut parts)?;
    man.render_description_section(&mut parts)?;
    man.render_options_section(&mut parts)?;
    let mut parts = String::from_utf8_lossy(&parts).into_owned();
    parts.push_str(&notes(&man)?);
    out.extend(format!(".SH \"{}\"\n", name.to_uppercase()).bytes());
    out.extend(parts.replace(".SH ", ".SS ").bytes());
    visible(command).try_for_each(|sub| section(sub, out))
}

/// A section with the end of the help: notes, which are filled, and examples, which are not.
fn notes(man: &Man) -> io::Result<String> {
    const EXAMPLES: &str = "Examples:\n";
    let mut extra = Vec::new();
    man.render_extra_section(&mut extra)?;
    let extra = String::from_utf8_lossy(&extra);
    let body = extra.replacen(".SH EXTRA\n", "", 1);
    let body = match body.split_once(EXAMPLES) {
        Some((prose, examples)) => format!("{prose}.nf\n{EXAMPLES}{examples}.fi\n"),
        None => body,
    };
    Ok(format!(".SH NOTES\n{body}"))
}

/// Sections about files, variables and other pages.
const LAST_SECTIONS: &str = r".SH FILES
.TP
sd\-card.nix, sdbuild.toml, sdbuild.lock
The configuration, its settings, and the pinned nixpkgs, all in one directory.
.TP
~/.config/sdbuild/sdbuild.toml
Your own settings.
.TP
~/.cache/sdbuild, ~/.local/state/sdbuild/logs
Downloads, and the logs of builds. XDG_CONFIG_HOME, XDG_CACHE_HOME and XDG_STATE_HOME name other directories.
.SH ENVIRONMENT
.TP
DOCKER_HOST, DOCKER_CONTEXT
The container engine to use.
.TP
NO_COLOR, CLICOLOR_FORCE
Turn colours off, or on even without a terminal.
.PP
The text of a flag names its variable.
.SH SEE ALSO
docker(1), podman(1), nix\-build(1), ssh\-keygen(1)
";

/// The commands, without clap's own `help`.
fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    let is_own = |sub: &&Command| !sub.is_hide_set() && sub.get_name() != "help";
    command.get_subcommands().filter(is_own)
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn every_flag_and_command_has_a_text() {
        let page = String::from_utf8(page().unwrap()).unwrap();
        let mut entries = page.split(".TP\n").skip(1);
        let without_text = entries.find(|entry| entry.lines().nth(1).is_none_or(str::is_empty));
        assert_eq!(without_text, None);
        assert!(
            page.contains("URLs of the binary caches"),
            "of a flag that -h leaves out"
        );
        assert!(page.contains(".TP\nsdbuild build\n"), "{page:.3000}");
        assert!(!page.contains("sdbuild help\n"), "clap's own");
    }
}
