//! The commands of a cloud-config, of which cloud-init runs none if one of them is not a command.

use super::yaml::{Node, Value, YamlError};

/// The lists of commands.
const LISTS: [&str; 2] = ["runcmd", "bootcmd"];

/// An error for commands in `config` that are not a list, or a list with something else than texts and lists, which are commands with
/// their arguments.
pub(super) fn check(config: &Node) -> Result<(), YamlError> {
    let lists = LISTS
        .iter()
        .filter_map(|name| Some((*name, config.get(name)?)));
    for (name, list) in lists {
        match &list.value {
            Value::List(commands) => commands.iter().try_for_each(|one| check_one(name, one))?,
            Value::Scalar(text) if list.is_plain && is_nothing(text) => {}
            Value::Scalar(_) | Value::Mapping(_) => {
                return Err(error(name, list, "is not a list of commands"));
            }
            // What it names is not known here.
            Value::Alias => {}
        }
    }
    Ok(())
}

/// An error if `command`, in the list `name`, is not a command.
fn check_one(name: &str, command: &Node) -> Result<(), YamlError> {
    if matches!(command.value, Value::Mapping(_)) {
        let what =
            "has an item that is not a command; text with a colon and a space must be in quotes";
        return Err(error(name, command, what));
    }
    if command.is_truth_or_number() {
        let text = command.text().unwrap_or_default();
        let what = format!("has `{text}`, which YAML does not read as text; put it in quotes");
        return Err(error(name, command, &what));
    }
    Ok(())
}

fn error(name: &str, node: &Node, what: &str) -> YamlError {
    let what = format!("`{name}` {what}, so cloud-init would not run any of it");
    YamlError {
        line: node.line,
        what,
    }
}

fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "~" | "null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::yaml;

    fn checked(text: &str) -> Result<(), YamlError> {
        check(&yaml::parse(text).unwrap().unwrap())
    }

    #[test]
    fn commands_are_texts_and_lists() {
        for text in [
            "runcmd: [ls, [ls, -l], 'true', [sleep, 1], ~]",
            "runcmd:",
            "bootcmd: []",
            "a: &a [ls]\nruncmd: *a",
            "a: {runcmd: {}}",
        ] {
            checked(text).unwrap();
        }
    }

    #[test]
    fn what_is_not_a_command_has_its_line() {
        let line = |text: &str| checked(text).unwrap_err().line;
        assert_eq!(line("runcmd:\n- ls\n- echo a: b\n"), 3);
        assert_eq!(line("bootcmd:\n- {ls: 1}\n"), 2);
        assert_eq!(line("a: 1\nruncmd: ls\n"), 2);
        assert_eq!(line("a: 1\nruncmd: {touch: /x}\n"), 2);
        assert_eq!(line("runcmd:\n- ls\n- true\n"), 3);
        assert_eq!(line("bootcmd:\n- ls\n- 7\n"), 3);
    }
}
