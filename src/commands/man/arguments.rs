//! The arguments of a command in its manual page: in the synopsis, and with their texts.

use clap::{Arg, ArgAction, Command};
use roff::{Inline, roman};

use super::page::{NO_BREAK, Page, bold, italic};

/// What follows an argument that can be given several times.
const DOTS: &str = "...";
/// A synopsis with more options would fill half of a terminal, so it names none.
const MAX_OPTIONS: usize = 10;

/// What stands for each argument of `command` in its synopsis, which leaves out `--help`.
pub(super) fn in_synopsis(command: &Command) -> Vec<Vec<Inline>> {
    let options = groups(command).into_iter().flat_map(|(_, group)| group);
    let options: Vec<_> = options.filter(|arg| !is_help(arg)).map(optional).collect();
    let options = if options.len() > MAX_OPTIONS {
        vec![in_brackets(vec![italic("OPTIONS")])]
    } else {
        options
    };
    options.into_iter().chain(operands(command)).collect()
}

/// The arguments without a flag, as in a synopsis.
pub(super) fn operands(command: &Command) -> impl Iterator<Item = Vec<Inline>> + '_ {
    positionals(command).map(|arg| {
        let name = operand(arg);
        if arg.is_required_set() {
            name
        } else {
            in_brackets(name)
        }
    })
}

/// The section with all arguments: those without a flag, then the options in the groups of the help.
pub(super) fn section(command: &Command, page: &mut Page) {
    page.section("OPTIONS");
    for arg in positionals(command) {
        entry(operand(arg), arg, page);
    }
    for (heading, group) in groups(command) {
        if let Some(heading) = heading {
            page.part(heading);
        }
        for arg in group {
            entry(option(arg, ", "), arg, page);
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

/// An option in a synopsis, such as `[-c | --config PATH]`, which is not broken into lines.
fn optional(arg: &Arg) -> Vec<Inline> {
    let mut shown = option(arg, &format!("{NO_BREAK}|{NO_BREAK}"));
    if !arg.is_required_set() {
        shown = in_brackets(shown);
    }
    if matches!(arg.get_action(), ArgAction::Append | ArgAction::Count) {
        shown.push(roman(DOTS));
    }
    shown
}

fn in_brackets(shown: Vec<Inline>) -> Vec<Inline> {
    [vec![roman("[")], shown, vec![roman("]")]].concat()
}

/// The names of an option, with `between` after the short one, and its values.
fn option(arg: &Arg, between: &str) -> Vec<Inline> {
    let short = arg.get_short().map(|name| [bold(&format!("-{name}"))]);
    let long = arg.get_long().map(|name| [bold(&format!("--{name}"))]);
    let names: Vec<_> = short.into_iter().chain(long).collect();
    let mut shown = names.join(&roman(between));
    if !takes_values(arg) {
        return shown;
    }
    let values = values(arg);
    let may_lack = arg
        .get_num_args()
        .is_some_and(|range| range.min_values() == 0);
    if may_lack {
        shown.extend([roman("[="), values, roman("]")]);
    } else {
        shown.extend([roman(NO_BREAK), values]);
    }
    shown
}

fn takes_values(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.takes_values())
}

/// The names of an option's values.
fn values(arg: &Arg) -> Inline {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<&str> = names.iter().map(clap::builder::Str::as_str).collect();
    italic(&names.join(" "))
}

/// The name of an argument without a flag, with dots if it can be given several times.
fn operand(arg: &Arg) -> Vec<Inline> {
    let names = arg.get_value_names().unwrap_or_default().join(" ");
    let mut shown = vec![if names.is_empty() {
        italic(&arg.get_id().as_str().to_uppercase())
    } else {
        italic(&names)
    }];
    if matches!(arg.get_action(), ArgAction::Append) {
        shown.push(roman(DOTS));
    }
    shown
}

/// The term, its text, and its possible values.
fn entry(term: Vec<Inline>, arg: &Arg, page: &mut Page) {
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
