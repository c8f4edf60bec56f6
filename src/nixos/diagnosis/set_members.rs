//! What to write in place of a value that is no set: the set that has it as the value of one of its options. Pure.

use rnix::SyntaxKind::{NODE_ATTR_SET, NODE_ATTRPATH_VALUE, NODE_LIST, NODE_STRING};
use rnix::SyntaxNode;

use super::known_sets::{MAX_CHARS, members, shown, without_quotes};
use super::names::is_name;
use super::switches;
use super::written_values::elements_of;
use super::wrong_value::Wrong;
use crate::nixos::nix_syntax::parse;

/// The definition in place of `wrong`, which is `written` or shown so by Nix; `None` if its set is not known.
pub(super) fn definition(wrong: &Wrong<'_>, path: &str, written: &str) -> Option<String> {
    let root = parse(written);
    let value = root
        .syntax()
        .first_child()
        .filter(|_| root.errors().is_empty())?;
    let kinds = [
        "attribute set of (submodule)",
        "attribute set of (open submodule",
    ];
    if !wrong.is_part && kinds.iter().any(|kind| wrong.kind.contains(kind)) {
        return named_elements(wrong.option, &value)
            .or_else(|| definition_with_members(wrong, path, &value));
    }
    if let Some(range) = range(wrong, &value) {
        return Some(range);
    }
    let element = format!("{path}.*");
    if wrong.kind == "list of (submodule)" && !wrong.is_part {
        let one = if value.kind() == NODE_ATTR_SET {
            Some("…".to_owned())
        } else {
            members(&element, &value)
        };
        return Some(format!(
            "write a list: {} = [ {{ {} }} ];",
            wrong.option, one?
        ));
    }
    definition_with_members(wrong, path, &value)
}

/// The definition of the option at `path`, or the set in place of `value`, with what is known of its set.
fn definition_with_members(wrong: &Wrong<'_>, path: &str, value: &SyntaxNode) -> Option<String> {
    let members = members(path, value)?;
    let written = shown(value);
    if wrong.is_part {
        // What the members do not repeat may be a secret.
        let is_repeated = members.contains(without_quotes(&written));
        let instead = if is_repeated {
            format!("instead of {written}")
        } else {
            "in its place".to_owned()
        };
        return Some(format!("write {{ {members} }} {instead}"));
    }
    let option = wrong.option;
    Some(if members.matches("; ").count() == 0 {
        format!("write {option}.{members}")
    } else {
        format!("write {option} = {{ {members} }};")
    })
}

/// The definitions that are meant by the list `written` in place of an `option` that has options, or names, of its own.
pub(super) fn in_place_of_list(option: &str, written: &str) -> Option<String> {
    let elements = elements_of(written)?;
    let root = parse(written);
    let value = root.syntax().first_child()?;
    let has_names = OF_NAMES.contains(&option);
    switches::listed_switches(option, &elements)
        .or_else(|| named_elements(option, &value).filter(|_| has_names))
}

/// Options whose elements have names.
const OF_NAMES: [&str; 4] = [
    "networking.wireless.networks",
    "systemd.services",
    "users.groups",
    "users.users",
];

/// The definition that is meant by `written` in place of an `option` that has options of its own.
pub(super) fn of_options(option: &str, written: &str) -> Option<String> {
    let root = parse(written);
    let value = root
        .syntax()
        .first_child()
        .filter(|_| root.errors().is_empty())?;
    definition_with_members(&Wrong::at(option, false, "", written), option, &value)
}

/// The range of ports that is meant by `8000-8010`.
fn range(wrong: &Wrong<'_>, value: &SyntaxNode) -> Option<String> {
    if !wrong.option.contains("PortRanges") {
        return None;
    }
    let written = value.text().to_string();
    let text = written
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let ends = text.and_then(|text| text.split_once(['-', ':']));
    let port = |text: &str| text.trim().parse::<u16>().ok();
    let ends = ends.and_then(|(from, to)| Some((port(from)?, port(to)?)));
    let Some((from, to)) = ends else {
        return Some(
            "write each range of ports as a set, such as { from = 8000; to = 8010; }".to_owned(),
        );
    };
    let set = format!("{{ from = {from}; to = {to}; }}");
    Some(if wrong.kind.starts_with("list of ") && !wrong.is_part {
        format!("write a list: {} = [ {set} ];", wrong.option)
    } else {
        format!("write {set} instead of {written}")
    })
}

/// The definitions of the elements of the list `value`, of which each has a name: a text, or an attribute `name`.
fn named_elements(option: &str, value: &SyntaxNode) -> Option<String> {
    if value.kind() != NODE_LIST {
        return None;
    }
    let usual = match option {
        "users.groups" => "{ }",
        "users.users" => "{ isNormalUser = true; }",
        _ => "{ … }",
    };
    let definitions = value.children().map(|element| {
        if element.kind() == NODE_STRING {
            return Some(format!("{option}.{} = {usual};", name(&element)?));
        }
        let set = Some(element).filter(|element| element.kind() == NODE_ATTR_SET)?;
        let attributes = set
            .children()
            .filter(|node| node.kind() == NODE_ATTRPATH_VALUE);
        let is_its_name =
            |node: &SyntaxNode| node.first_child().is_some_and(|path| path.text() == "name");
        let (of_name, others): (Vec<_>, Vec<_>) = attributes.partition(is_its_name);
        let name = of_name
            .first()
            .and_then(SyntaxNode::last_child)
            .and_then(|value| name(&value));
        let others: Vec<String> = others.iter().map(|node| node.text().to_string()).collect();
        let others = others.join(" ");
        let is_short = others.chars().count() <= MAX_CHARS && !others.contains('\n');
        let content = match others.as_str() {
            "" => usual.to_owned(),
            _ if is_short => format!("{{ {others} }}"),
            _ => "{ … }".to_owned(),
        };
        let name = name.unwrap_or_else(|| "NAME".to_owned());
        Some(format!("{option}.{name} = {content};"))
    });
    let definitions: Option<Vec<String>> = definitions.take(3).collect();
    let definitions = definitions.filter(|all| !all.is_empty())?;
    let first = definitions.join(" ");
    Some(format!("write each one with its name: {first}"))
}

/// The text `value` as a name in a path; `None` if it has variables.
fn name(value: &SyntaxNode) -> Option<String> {
    let written = value.text().to_string();
    let text = written.strip_prefix('"')?.strip_suffix('"')?;
    let is_whole = !text.is_empty() && !text.contains(['"', '\\', '$', '\n']);
    let starts =
        text.starts_with(|c: char| c.is_ascii_digit()) || text.contains(['.', '/', '+', ' ', ':']);
    is_whole.then(|| {
        if is_name(text) && !starts {
            text.to_owned()
        } else {
            written.clone()
        }
    })
}
