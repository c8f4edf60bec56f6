//! The arguments of a command in its manual page: in the synopsis, and with their texts.

use clap::{Arg, ArgAction, Command};

use super::roff::{Page, bold, italic};

/// What follows an argument that can be given several times. Without `\&`, troff takes it for the end of a sentence.
const DOTS: &str = "...\\&";

/// What stands for each argument of `command` in its synopsis, which leaves out `--help`.
pub(super) fn in_synopsis(command: &Command) -> Vec<String> {
    let options = groups(command).into_iter().flat_map(|(_, group)| group);
    let options = options.filter(|arg| !is_help(arg)).map(optional);
    options.chain(operands(command)).collect()
}

/// The arguments without a flag, as in a synopsis.
pub(super) fn operands(command: &Command) -> impl Iterator<Item = String> + '_ {
    positionals(command).map(|arg| {
        let name = operand(arg);
        if arg.is_required_set() {
            name
        } else {
            format!("[{name}]")
        }
    })
}

/// The section with all arguments: those without a flag, then the options in the groups of the help.
pub(super) fn section(command: &Command, page: &mut Page) {
    page.section("OPTIONS");
    for arg in positionals(command) {
        entry(&operand(arg), arg, page);
    }
    for (heading, group) in groups(command) {
        if let Some(heading) = heading {
            page.part(heading);
        }
        for arg in group {
            entry(&option(arg, ", "), arg, page);
        }
    }
}

/// The options with their headings in the order of the help: those without one are the first.
fn groups(command: &Command) -> Vec<(Option<&str>, Vec<&Arg>)> {
    let mut groups: Vec<(Option<&str>, Vec<&Arg>)> = vec![(None, Vec::new())];
    for arg in options(command) {
        let heading = arg.get_help_heading();
        match groups.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, group)) => group.push(arg),
            None => groups.push((heading, vec![arg])),
        }
    }
    groups
}

fn positionals(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_positionals().filter(|arg| !arg.is_hide_set())
}

/// The flags in the order of the help, in which that of `--help` is the last.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    let all = || {
        let all = command.get_arguments();
        all.filter(|arg| !arg.is_positional() && !arg.is_hide_set())
    };
    let help = all().filter(|arg| is_help(arg));
    all().filter(|arg| !is_help(arg)).chain(help)
}

fn is_help(arg: &Arg) -> bool {
    matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong
    )
}

/// An option in a synopsis, such as `[-c, --config <PATH>]`, which is not broken into lines.
fn optional(arg: &Arg) -> String {
    let shown = option(arg, ",\\ ");
    let shown = if arg.is_required_set() {
        shown
    } else {
        format!("[{shown}]")
    };
    let is_repeated = matches!(arg.get_action(), ArgAction::Append | ArgAction::Count);
    shown + if is_repeated { DOTS } else { "" }
}

/// The names of an option, with `between` after the short one, and its values.
fn option(arg: &Arg, between: &str) -> String {
    let short = arg.get_short().map(|name| bold(&format!("-{name}")));
    let long = arg.get_long().map(|name| bold(&format!("--{name}")));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let names = names.join(between);
    if !takes_values(arg) {
        return names;
    }
    let values = values(arg);
    let may_lack = arg
        .get_num_args()
        .is_some_and(|range| range.min_values() == 0);
    if may_lack {
        format!("{names}[={values}]")
    } else {
        format!("{names}\\ {values}")
    }
}

fn takes_values(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.takes_values())
}

/// The names of an option's values, each between angle brackets.
fn values(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<_> = names
        .iter()
        .map(|name| italic(&format!("<{name}>")))
        .collect();
    names.join("\\ ")
}

/// The name of an argument without a flag, with dots if it can be given several times.
fn operand(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default().join(" ");
    let name = if names.is_empty() {
        arg.get_id().as_str().to_uppercase()
    } else {
        names
    };
    let dots = if matches!(arg.get_action(), ArgAction::Append) {
        DOTS
    } else {
        ""
    };
    format!("{}{dots}", italic(&name))
}

/// The term, its text, and its possible values.
fn entry(term: &str, arg: &Arg, page: &mut Page) {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    page.entry(term, &help);
    let possible = if arg.is_hide_possible_values_set() || !takes_values(arg) {
        Vec::new()
    } else {
        arg.get_possible_values()
    };
    let visible = possible.iter().filter(|value| !value.is_hide_set());
    let values: Vec<_> = visible
        .map(|value| {
            let help = value
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            (value.get_name().to_owned(), help)
        })
        .collect();
    if !values.is_empty() {
        page.values(&values);
    }
}
