//! Searches for values in a file of the user, for messages of Nix that do not name their place.

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTR_SET, NODE_ATTRPATH_VALUE, NODE_BIN_OP, NODE_IDENT, NODE_INTERPOL,
    NODE_LIST, NODE_PAREN, NODE_PATH_ABS, NODE_PATH_HOME, NODE_PATH_REL, NODE_SELECT, NODE_STRING,
    NODE_WITH, TOKEN_ADD,
};
use rnix::{SyntaxKind, SyntaxNode};

use super::scopes::binds_anywhere;
use super::syntax_at::is_joined;
use crate::common::attribute_path;
use crate::nixos::nix_definitions::{defines, option_at, plain_name};
use crate::nixos::nix_syntax::parse;

/// A value in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DefinedValue {
    /// Its line, counted from 1.
    pub(super) line: usize,
    /// The number of characters before it in its line.
    pub(super) column: usize,
    /// The path of the definition that it is in, such as `imports`; empty outside of definitions.
    pub(super) defines: String,
    /// Its text.
    pub(super) written: String,
    /// Whether it is before a `++`, and after that no list: both may be strings. What is after a list is wrong itself.
    pub(super) is_joined: bool,
}

/// The strings with this content.
pub(super) fn strings(text: &str, content: &str) -> Vec<DefinedValue> {
    let quoted = format!("\"{content}\"");
    all(text, |node| {
        node.kind() == NODE_STRING && node.text() == quoted.as_str()
    })
}

/// The elements of lists that are only the variable `name`.
pub(super) fn elements_named(text: &str, name: &str) -> Vec<DefinedValue> {
    let is_list = |node: SyntaxNode| node.kind() == NODE_LIST;
    all(text, |node| {
        node.kind() == NODE_IDENT && node.text() == name && node.parent().is_some_and(is_list)
    })
}

/// The strings with this content that are the whole value of a definition.
pub(super) fn whole_strings(text: &str, content: &str) -> Vec<DefinedValue> {
    let quoted = format!("\"{content}\"");
    all(text, |node| {
        node.kind() == NODE_STRING && is_value(node) && node.text() == quoted.as_str()
    })
}

/// The strings with `part` in them that are the whole value of a definition.
pub(super) fn strings_with(text: &str, part: &str) -> Vec<DefinedValue> {
    all(text, |node| {
        node.kind() == NODE_STRING && is_value(node) && node.text().to_string().contains(part)
    })
}

/// The values of `imports` that are a sum or a string with variables, and can end in the path `path` as far as they are written out.
pub(super) fn imports_ending_like(text: &str, path: &str) -> Vec<DefinedValue> {
    all(text, |node| {
        let is_named = || defines(node).rsplit('.').next() == Some("imports");
        let written = node.text().to_string();
        let sign = if node.kind() == NODE_BIN_OP { '+' } else { '}' };
        let is_path = [NODE_BIN_OP, NODE_STRING].contains(&node.kind());
        let rest = written.rsplit_once(sign).filter(|_| is_path);
        let rest = rest.map(|(_, end)| end);
        let end = rest.map(|end| end.trim().trim_matches('"'));
        let is_end = end.is_some_and(|end| !end.is_empty() && path.ends_with(end));
        let parent = node.parent();
        let in_parentheses = parent.filter(|parent| parent.kind() == NODE_PAREN);
        let is_whole = is_value(node) || in_parentheses.is_some_and(|parent| is_value(&parent));
        is_whole && is_end && is_named()
    })
}

/// Each `pkgs.NAME` beside `++`, and each name that `with pkgs;` in front of it may give.
pub(super) fn joined_packages(text: &str) -> Vec<DefinedValue> {
    let in_with_pkgs = |node: &SyntaxNode| {
        let mut scopes = node.ancestors().filter(|around| around.kind() == NODE_WITH);
        let is_set =
            |scope: SyntaxNode| scope.first_child().is_some_and(|set| set.text() == "pkgs");
        scopes.any(is_set) && !binds_anywhere(text, &node.text().to_string())
    };
    all(text, |node| {
        let is_beside = node.parent().is_some_and(|parent| is_joined(&parent));
        let of_pkgs = node.text().to_string().starts_with("pkgs.");
        let is_selected = node.kind() == NODE_SELECT && of_pkgs;
        is_beside && (is_selected || node.kind() == NODE_IDENT && in_with_pkgs(node))
    })
}

/// The paths that end in the file `name` and are the whole value of a definition.
pub(super) fn paths_to(text: &str, name: &str) -> Vec<DefinedValue> {
    let end = format!("/{name}");
    let is_path = |kind| [NODE_PATH_REL, NODE_PATH_ABS, NODE_PATH_HOME].contains(&kind);
    all(text, |node| {
        is_path(node.kind()) && is_value(node) && node.text().to_string().ends_with(&end)
    })
}

/// The absolute paths that begin with the directory or file `start`.
pub(super) fn paths_below(text: &str, start: &str) -> Vec<DefinedValue> {
    all(text, |node| {
        let path = node.text().to_string();
        let below = path.strip_prefix(start);
        node.kind() == NODE_PATH_ABS
            && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The path `path`, absolute or in a home, where it is the whole value of a definition.
pub(super) fn whole_paths(text: &str, path: &str) -> Vec<DefinedValue> {
    let is_path = |kind| [NODE_PATH_ABS, NODE_PATH_HOME].contains(&kind);
    all(text, |node| {
        is_path(node.kind()) && is_value(node) && node.text() == path
    })
}

/// The values of the definitions whose whole path is `path`.
pub(super) fn values_of(text: &str, path: &str) -> Vec<DefinedValue> {
    all(text, |node| is_value(node) && defines(node) == path)
}

/// The values of the definitions of `option`, as Nix shows its path, however the names in it are written.
pub(super) fn definitions_of(text: &str, option: &str) -> Vec<DefinedValue> {
    let Ok(wanted) = attribute_path::parse(option) else {
        return Vec::new();
    };
    all(text, |node| {
        let names = option_at(node, None).filter(|_| is_value(node));
        let names = names.unwrap_or_default();
        let names: Option<Vec<String>> = names.iter().map(|name| plain_name(name)).collect();
        names.is_some_and(|names| names == wanted)
    })
}

/// The values of the definitions whose path begins with `option` and a dot, without what is inside other ones.
pub(super) fn values_below(text: &str, option: &str) -> Vec<DefinedValue> {
    let mut found = all(text, |node| {
        let path = defines(node);
        let below = path.strip_prefix(option);
        is_value(node) && below.is_some_and(|rest| rest.starts_with('.'))
    });
    let mut last = String::new();
    found.retain(|value| {
        let is_inside = !last.is_empty() && value.defines.starts_with(&last);
        if !is_inside {
            last = format!("{}.", value.defines);
        }
        !is_inside
    });
    found
}

/// The texts of the elements of the list that is the whole value of `option`, also with `with pkgs;` before it; `None` if `text`
/// does not define it exactly once.
pub(super) fn list_elements(text: &str, option: &str) -> Option<Vec<String>> {
    let root = parse(text).syntax();
    let mut values = root
        .descendants()
        .filter(|node| is_value(node) && defines(node) == option);
    let value = values.next().filter(|_| values.next().is_none())?;
    elements(value)
}

/// The texts of the elements of the list `written`, also with `with pkgs;` before it; `None` for everything else.
pub(super) fn elements_of(written: &str) -> Option<Vec<String>> {
    elements(parse(written).syntax().first_child()?)
}

fn elements(value: SyntaxNode) -> Option<Vec<String>> {
    let inner = value.last_child().filter(|_| value.kind() == NODE_WITH);
    let list = inner.unwrap_or(value);
    let elements = list.children().map(|node| node.text().to_string());
    (list.kind() == NODE_LIST).then(|| elements.collect())
}

/// Each `+` with a list on one side and no string on the other.
pub(super) fn sums_of_lists(text: &str) -> Vec<DefinedValue> {
    let is_list = |part: SyntaxNode| {
        let of_with = part.last_child().filter(|_| part.kind() == NODE_WITH);
        part.kind() == NODE_LIST || of_with.is_some_and(|list| list.kind() == NODE_LIST)
    };
    all(text, |node| {
        let mut parts = node.children_with_tokens();
        let is_sum = node.kind() == NODE_BIN_OP && parts.any(|part| part.kind() == TOKEN_ADD);
        let no_string = node.children().all(|part| part.kind() != NODE_STRING);
        is_sum && no_string && node.children().any(is_list)
    })
}

/// The parts of strings, by `${…}` or `+`, that are `number` or a name of which this file says that it is.
pub(super) fn numbers_in_strings(text: &str, number: &str) -> Vec<DefinedValue> {
    let root = parse(text).syntax();
    let definitions = root.descendants().filter(is_value);
    let is_number = |node: &SyntaxNode| node.text() == number;
    let paths: Vec<String> = definitions
        .filter(is_number)
        .map(|node| defines(&node))
        .collect();
    // A name by itself is that of a variable, and a selection begins with one, or with `config`.
    let means_number = |node: &SyntaxNode| {
        let written = node.text().to_string();
        let path = written.strip_prefix("config.").unwrap_or(&written);
        let is_name = [NODE_IDENT, NODE_SELECT].contains(&node.kind());
        written == number || is_name && paths.iter().any(|known| known == path)
    };
    all(text, |node| {
        let Some(around) = node.parent().filter(|_| means_number(node)) else {
            return false;
        };
        let is_string = |part: SyntaxNode| part.kind() == NODE_STRING;
        let has_sign = || {
            around
                .children_with_tokens()
                .any(|part| part.kind() == TOKEN_ADD)
        };
        let is_sum =
            || around.kind() == NODE_BIN_OP && has_sign() && around.children().any(is_string);
        let is_in_string = || around.parent().is_some_and(is_string);
        around.kind() == NODE_INTERPOL && is_in_string() || is_sum()
    })
}

/// Each element of a list after the function `import`, which is not called there.
pub(super) fn imports_in_lists(text: &str) -> Vec<DefinedValue> {
    all(text, |node| {
        let is_element = node
            .parent()
            .is_some_and(|parent| parent.kind() == NODE_LIST);
        let before = node.prev_sibling();
        let is_import =
            |before: SyntaxNode| before.kind() == NODE_IDENT && before.text() == "import";
        is_element && before.is_some_and(is_import)
    })
}

/// The sets that are elements of a list that is the value of a definition whose path ends in `name`.
pub(super) fn sets_in_list(text: &str, name: &str) -> Vec<DefinedValue> {
    all(text, |node| {
        let list = node.parent().filter(|list| list.kind() == NODE_LIST);
        let is_named = || defines(node).rsplit('.').next() == Some(name);
        node.kind() == NODE_ATTR_SET && list.is_some_and(|list| is_value(&list)) && is_named()
    })
}

/// The values `self.x` of definitions whose path ends in `x`.
pub(super) fn defined_by_themselves(text: &str) -> Vec<DefinedValue> {
    all(text, |node| {
        let written = node.text().to_string();
        let defined = written.strip_prefix("self.");
        let path = format!(".{}", defines(node));
        is_value(node) && defined.is_some_and(|defined| path.ends_with(&format!(".{defined}")))
    })
}

/// The values of these `kinds` that are the attribute `name` of a set that is given to `function`.
pub(super) fn arguments(
    text: &str,
    function: &str,
    name: &str,
    kinds: &[SyntaxKind],
) -> Vec<DefinedValue> {
    all(text, |node| {
        let definition = node.parent().filter(|_| is_value(node));
        let set = definition.and_then(|definition| definition.parent());
        let is_given = set.is_some_and(|set| is_argument(&set) && is_call_of(&set, function));
        let is_named = || defines(node).rsplit('.').next() == Some(name);
        kinds.contains(&node.kind()) && is_given && is_named()
    })
}

/// The values of these `kinds` of the definitions whose path ends in `name`.
pub(super) fn named(text: &str, name: &str, kinds: &[SyntaxKind]) -> Vec<DefinedValue> {
    all(text, |node| {
        let is_named = || defines(node).rsplit('.').next() == Some(name);
        kinds.contains(&node.kind()) && is_value(node) && is_named()
    })
}

/// The values of these `kinds` of the definitions whose path ends in `name`, with small letters or capitals.
pub(super) fn named_alike(text: &str, name: &str, kinds: &[SyntaxKind]) -> Vec<DefinedValue> {
    all(text, |node| {
        let is_named = || {
            let path = defines(node);
            let last = path.rsplit('.').next().unwrap_or_default();
            last.eq_ignore_ascii_case(name)
        };
        kinds.contains(&node.kind()) && is_value(node) && is_named()
    })
}

/// The values of these `kinds` that are the argument of a call of `function`, whatever set it is selected from.
pub(super) fn given_to(text: &str, function: &str, kinds: &[SyntaxKind]) -> Vec<DefinedValue> {
    all(text, |node| {
        kinds.contains(&node.kind()) && is_argument(node) && is_call_of(node, function)
    })
}

/// The names and selections that end in `argument` and are the argument of a call of `function`.
pub(super) fn calls_of(text: &str, function: &str, argument: &str) -> Vec<DefinedValue> {
    all(text, |node| {
        let ends = node.text().to_string().rsplit('.').next() == Some(argument);
        [NODE_IDENT, NODE_SELECT].contains(&node.kind())
            && ends
            && is_argument(node)
            && is_call_of(node, function)
    })
}

/// Whether `text` is a set without attributes.
pub(super) fn is_empty_set(text: &str) -> bool {
    let root = parse(text).syntax();
    let set = root.first_child();
    set.is_some_and(|set| set.kind() == NODE_ATTR_SET && set.first_child().is_none())
}

/// Whether `node` is the argument of a call.
fn is_argument(node: &SyntaxNode) -> bool {
    let call = node.parent().filter(|call| call.kind() == NODE_APPLY);
    call.is_some_and(|call| call.last_child().as_ref() == Some(node))
}

/// Whether what `node` is given to is `function`, whatever set it is selected from.
fn is_call_of(node: &SyntaxNode, function: &str) -> bool {
    let called = node.parent().and_then(|call| call.first_child());
    let name = called.map(|called| called.text().to_string());
    name.is_some_and(|name| name.rsplit('.').next() == Some(function))
}

/// The values of `text` that are what `is_it` says.
pub(super) fn all(text: &str, is_it: impl Fn(&SyntaxNode) -> bool) -> Vec<DefinedValue> {
    let root = parse(text).syntax();
    let found = root.descendants().filter(is_it);
    let value = |node: SyntaxNode| {
        let before = text.get(..usize::from(node.text_range().start()))?;
        Some(DefinedValue {
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next()?.chars().count(),
            defines: defines(&node),
            written: node.text().to_string(),
            is_joined: stands_before_no_list(&node),
        })
    };
    found.filter_map(value).collect()
}

/// Whether `node` is before a `++`, and after that no list.
pub(super) fn stands_before_no_list(node: &SyntaxNode) -> bool {
    let Some(sum) = node.parent().filter(is_joined) else {
        return false;
    };
    let is_first = sum.first_child().as_ref() == Some(node);
    let other = sum.last_child();
    is_first && other.is_some_and(|other| elements(other).is_none())
}

/// Whether `node` is the whole value of a definition.
pub(super) fn is_value(node: &SyntaxNode) -> bool {
    let definition = node
        .parent()
        .filter(|of| of.last_child().as_ref() == Some(node));
    definition.is_some_and(|of| of.kind() == NODE_ATTRPATH_VALUE)
}

#[cfg(test)]
mod tests;
