//! Text of the help in lines of the terminal: the examples at the end of each command's help, which clap would break like prose,
//! so that a command and its explanation look alike; what describes a command at length, behind its flags; and arguments whose
//! help depends on the command.

use clap::{Arg, Command};

use super::EXAMPLES as HEADING;

/// What begins an explanation: the shell ignores it, so that the whole line can be pasted.
const EXPLANATION: &str = "# ";
/// Columns of an explanation beside its command, at least.
const MIN_EXPLANATION: usize = 28;
/// Columns before an explanation that has lines of its own, and before the further lines of a command.
const INDENT: usize = 6;

/// `command` and its subcommands, with examples in lines of at most `columns` columns. A longer word stays whole. What describes
/// a command at length stands before its examples, so that `--help` begins with the usage.
pub(super) fn with_examples_in(command: Command, columns: usize) -> Command {
    let help = command.get_after_help().map(ToString::to_string);
    let command = match help.as_deref().and_then(|help| help.split_once(HEADING)) {
        Some((notes, examples)) => {
            let lines = examples.lines().flat_map(|line| example(line, columns));
            let lines: Vec<String> = lines.collect();
            let help = format!("{notes}{HEADING}{}", lines.join("\n"));
            with_description_in(command, &help).after_help(help)
        }
        None => command,
    };
    command.mut_subcommands(|sub| with_examples_in(sub, columns))
}

/// `command`, where all paragraphs but the first of its long description stand before `help`, which ends the help.
fn with_description_in(command: Command, help: &str) -> Command {
    let about = command.get_long_about().map(ToString::to_string);
    match about.as_deref().and_then(|about| about.split_once("\n\n")) {
        Some((first, description)) => {
            let help = format!("{description}\n\n{help}");
            command.long_about(first.to_owned()).after_long_help(help)
        }
        None => command,
    }
}

/// The lines of one example, which is `  command   # explanation`.
fn example(line: &str, columns: usize) -> Vec<String> {
    if line.len() <= columns {
        return vec![line.to_owned()];
    }
    let (command, explanation) = line.split_once(EXPLANATION).unwrap_or((line, ""));
    let words = explanation.split_whitespace();
    let indent = command.len();
    if indent + MIN_EXPLANATION <= columns && !explanation.is_empty() {
        let mut lines = filled(words, &start(indent), columns);
        if let Some(first) = lines.first_mut() {
            first.replace_range(..indent, command);
        }
        return lines;
    }
    let mut lines = continued(&shell_words(command.trim()), columns);
    lines.extend(filled(words, &start(INDENT), columns));
    lines
}

/// What a line of an explanation begins with that stands `indent` columns from the left.
fn start(indent: usize) -> String {
    " ".repeat(indent) + EXPLANATION
}

/// The words of a command, quoted as they are there.
fn shell_words(command: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in command.split(' ') {
        match words.last_mut() {
            Some(last) if last.matches('\'').count() % 2 == 1 => {
                last.push(' ');
                last.push_str(word);
            }
            Some(_) | None => words.push(word.to_owned()),
        }
    }
    words
}

/// A command that goes on in the next line where a backslash ends one, as in a shell.
fn continued(words: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            // Two columns are left for the backslash.
            Some(line) if line.len() + 1 + word.len() + 2 <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(line) => {
                line.push_str(" \\");
                lines.push(" ".repeat(INDENT - 2) + word);
            }
            None => lines.push(format!("  {word}")),
        }
    }
    lines
}

/// `words` in lines that begin with `start`; none without words.
pub(super) fn filled<'a>(
    words: impl Iterator<Item = &'a str>,
    start: &str,
    columns: usize,
) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(format!("{start}{word}")),
        }
    }
    lines
}

/// An argument of `settings` as its help shows it. The flags of a build, which set values for this call only, are in the help of `build`.
pub(super) fn argument_of_settings(arg: Arg) -> Arg {
    const NAME: &str = "Setting to show alone, such as jobs, or a configuration, as for build [default: all settings of .]";
    match arg.get_id().as_str() {
        "path" => arg.value_name("NAME|PATH").help(NAME).long_help(None),
        "json" => arg
            .help("Print one JSON object instead of lines")
            .long_help(None),
        _ => arg.hide(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_and_explanation_look_different() {
        let line = "  sdbuild build pi --output pi   # build pi/sd-card.nix into pi";
        assert_eq!(example(line, 80), [line]);
        assert_eq!(
            example(line, 62),
            [
                "  sdbuild build pi --output pi   # build pi/sd-card.nix into",
                "                                 # pi",
            ]
        );
        assert_eq!(
            example(line, 28),
            [
                "  sdbuild build pi \\",
                "    --output pi",
                "      # build pi/sd-card.nix",
                "      # into pi",
            ]
        );
    }

    #[test]
    fn quoted_words_stay_whole() {
        let line = "  sdbuild boot card.img --run 'systemctl --failed'";
        assert_eq!(
            example(line, 40),
            [
                "  sdbuild boot card.img --run \\",
                "    'systemctl --failed'",
            ]
        );
    }

    #[test]
    fn subcommands_have_their_examples_in_lines_too() {
        let sub = Command::new("ls").after_help("Notes.\n\nExamples:\n  a b   # c d e f");
        let command = with_examples_in(Command::new("inspect").subcommand(sub), 12);
        let sub = command.find_subcommand("ls").unwrap();
        assert_eq!(
            sub.get_after_help().unwrap().to_string(),
            "Notes.\n\nExamples:\n  a b\n      # c d\n      # e f"
        );
    }

    #[test]
    fn help_begins_with_the_usage() {
        let command = Command::new("flash").about("Write.");
        let command = command.long_about("Write.\n\nFind the disk.\n\nIt asks.");
        let command = command.after_help("Notes.\n\nExamples:\n  flash   # list");
        let mut command = with_examples_in(command, 80);
        let help = command.render_long_help().to_string();
        assert!(help.starts_with("Write.\n\nUsage: flash\n"), "{help}");
        let end = "Find the disk.\n\nIt asks.\n\nNotes.\n\nExamples:\n  flash   # list\n";
        assert!(help.ends_with(end), "{help}");
    }
}
