//! The commands of a cloud-config, of which cloud-init runs none if one of them is not a command.

use super::yaml::{Node, Value, YamlError};

/// The lists of commands.
const LISTS: [&str; 2] = ["runcmd", "bootcmd"];

/// An error for a list in `config` with something else than texts and lists, which are commands with their arguments.
pub(super) fn check(config: &Node) -> Result<(), YamlError> {
    let lists = LISTS
        .iter()
        .filter_map(|name| Some((*name, config.get(name)?)));
    for (name, list) in lists {
        let Value::List(commands) = &list.value else {
            if matches!(&list.value, Value::Scalar(text) if !is_nothing(text)) {
                return Err(error(name, list, "is not a list of commands"));
            }
            continue;
        };
        let mut commands = commands.iter();
        if let Some(other) = commands.find(|command| matches!(command.value, Value::Mapping(_))) {
            let what = "has an item that is not a command: a text with a colon and a space must be in quotes";
            return Err(error(name, other, what));
        }
    }
    Ok(())
}

fn error(name: &str, node: &Node, what: &str) -> YamlError {
    let what = format!("`{name}` {what}; cloud-init would run none of it");
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
            "runcmd: [ls, [ls, -l]]",
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
    }
}
