//! What to write in place of a value of the wrong type, by how the user's file has it.

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTR_SET, NODE_IDENT, NODE_LAMBDA, NODE_LIST, NODE_LITERAL, NODE_PAREN,
    NODE_PATH_ABS, NODE_PATH_HOME, NODE_PATH_REL, NODE_SELECT, NODE_STRING, NODE_WITH,
};
use rnix::{SyntaxKind, SyntaxNode};

use super::evidence::ExitContext;
use super::listed_definitions::{list_element, listed};
use super::missing_files::OF_FILES;
use super::nix_message::definition_excerpt;
use super::option_values;
use super::overlays;
use super::set_members;
use super::set_values;
use super::written_values::{definitions_of, elements_of};
use super::wrong_value::Wrong;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::NixError;
use crate::nixos::nix_definitions::is_modifier;
use crate::nixos::nix_syntax::parse;

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// What is told of a number in place of an address. Most options of addresses take no port, and a few do.
const AN_ADDRESS: &str = "write an address as a string, such as \"0.0.0.0\" or \"192.168.1.10\". Most ports have their \
 own option";

/// The type of texts that are joined.
const LINES: &str = "strings concatenated with \"\\n\"";

/// Longest value that a hint repeats, in characters.
const MAX_CHARS: usize = 60;

/// Values that are no calls, and have nothing around them.
const SINGLE: [SyntaxKind; 7] = [
    NODE_IDENT,
    NODE_LITERAL,
    NODE_PATH_ABS,
    NODE_PATH_HOME,
    NODE_PATH_REL,
    NODE_SELECT,
    NODE_STRING,
];

/// What to write in place of the value whose type the message of `error` calls wrong; `None` if the user's files do not show it.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let (path, kind) = option_and_type(&error.summary)?;
    let kind = kind.strip_prefix("null or ").unwrap_or(kind);
    let element = list_element(path);
    let (option, number) = element.map_or((path, None), |(list, number)| (list, Some(number)));
    // Of an attribute of the element, only Nix's own words tell.
    if number.is_some() && !path.ends_with("]\"") {
        return None;
    }
    let mut found = listed(&error.summary).filter_map(|(file, shown)| {
        let text = context.files?.text(file)?;
        let wrong = Wrong {
            option,
            is_part: number.is_some(),
            is_element: number.is_some(),
            kind,
            shown,
        };
        let exists = |path: &str| exists_beside(context, file, path);
        let mut hints = definitions_of(&text, option)
            .into_iter()
            .filter_map(|value| {
                let written = match number {
                    Some(number) => elements_of(&value.written)?
                        .get(number.checked_sub(1)?)?
                        .clone(),
                    None => value.written,
                };
                Some((value.line, wrong.instead(&written, exists)?))
            });
        let (line, hint) = hints.next().filter(|_| hints.next().is_none())?;
        let file = file.replace(CONFIG_DIR, context.shown_dir);
        Some((format!("{file}:{line}"), hint))
    });
    let (place, hint) = found.next().filter(|_| found.next().is_none())?;
    Some(match definition_excerpt(context, error) {
        Some(_) => hint,
        None => format!("{place}: {hint}"),
    })
}

/// The option of which the message `summary` says that its value is wrong, and the type of its values.
fn option_and_type(summary: &str) -> Option<(&str, &str)> {
    if let Some(rest) = summary.strip_prefix("Cannot merge definitions of `") {
        let (path, values) = rest.split_once('\'')?;
        // The other definition is a text of several lines.
        return values.contains("\n    ''\n").then_some((path, LINES));
    }
    let rest = summary.strip_prefix("A definition for option `")?;
    let (path, rest) = rest.split_once("' is not of type `")?;
    Some((path, rest.split_once("'.")?.0))
}

/// Whether the user's files may have more around a value that the message `summary` calls wrong, such as `lib.mkForce`.
pub(super) fn may_be_part(context: &ExitContext<'_>, summary: &str) -> bool {
    let path = summary.split('`').nth(1);
    let option = path.and_then(|rest| rest.split('\'').next());
    let is_whole = |file: &str| {
        let text = context.files.and_then(|files| files.text(file));
        let found = text.zip(option);
        let found = found.map(|(text, option)| definitions_of(&text, option));
        let found = found.unwrap_or_default();
        !found.is_empty() && found.iter().all(|value| is_single(&value.written))
    };
    !listed(summary).all(|(file, _)| is_whole(file))
}

/// Whether `written` is a value without a function, a condition or a variable of its own around it.
fn is_single(written: &str) -> bool {
    let node = parse(written).syntax().first_child();
    node.is_some_and(|node| SINGLE.contains(&node.kind()) || node.kind() == NODE_LIST)
}

impl Wrong<'_> {
    /// What to write in place of `written`; `exists` tells whether a file beside the configuration exists.
    fn instead(&self, written: &str, exists: impl Fn(&str) -> bool) -> Option<String> {
        // The second one is what nixpkgs says since 26.11.
        if ["overlay", "nixpkgs overlay"].contains(&self.kind) {
            return overlays::as_function(written);
        }
        let mut node = parse(written).syntax().first_child()?;
        let mut is_part = self.is_part;
        while is_modifier(&node) {
            node = node.last_child()?;
            is_part = true;
        }
        let written = node.text().to_string();
        let is_short = written.chars().count() <= MAX_CHARS && !written.contains('\n');
        let whole = Self { is_part, ..*self };
        if let Some(set) = whole.set(&written) {
            return Some(set);
        }
        if let Some(lines) = whole.lines(&node) {
            return Some(lines);
        }
        let instead = || {
            let file = whole.file(&node, exists);
            file.or_else(|| whole.text(&node))
                .or_else(|| whole.package(&node))
                .or_else(|| whole.list(&node))
        };
        is_short.then(instead).flatten()
    }

    /// The set that is meant by what is `written`, which may be an element of the list that the option is.
    fn set(&self, written: &str) -> Option<String> {
        let path = if self.is_element {
            format!("{}.*", self.option)
        } else {
            self.option.to_owned()
        };
        let assignments = || {
            let elements = elements_of(written)?.join(" ");
            let is_set = self.kind.starts_with("attribute set of ") && !self.is_part;
            set_values::assignments(self.option, &format!("[ {elements} ]")).filter(|_| is_set)
        };
        set_members::definition(self, &path, written).or_else(assignments)
    }

    /// The text that is meant by a list of its lines, or of a single text.
    fn lines(&self, node: &SyntaxNode) -> Option<String> {
        let is_lines = self.kind.starts_with(LINES);
        let is_text = is_lines || is_of_text(self.kind);
        let lines = texts_of(node).filter(|_| is_text && !self.is_part)?;
        let option = self.option;
        match lines.as_slice() {
            [] => None,
            [only] if !is_lines => Some(format!(
                "the option takes a string, not a list: {option} = {only};"
            )),
            _ if !is_lines => None,
            lines => {
                let lines: Option<Vec<String>> = lines.iter().map(|line| indented(line)).collect();
                Some(format!(
                    "the option takes one string, not a list: {option} = ''\n{}'';",
                    lines?.concat()
                ))
            }
        }
    }

    /// The path that is meant by a text that is no absolute path.
    fn file(&self, node: &SyntaxNode, exists: impl Fn(&str) -> bool) -> Option<String> {
        let kind = self.kind.strip_prefix("list of ").unwrap_or(self.kind);
        if !kind.starts_with("absolute path") || node.kind() != NODE_STRING {
            return None;
        }
        let written = node.text().to_string();
        let path = written.strip_prefix('"')?.strip_suffix('"')?;
        let attribute = self.option.rsplit('.').next().unwrap_or_default();
        if path.starts_with("~/") && OF_FILES.contains(&attribute) && is_plain_path(path) {
            let name = path.rsplit('/').next().unwrap_or_default();
            return Some(format!(
                "`~/` is not known there. Copy the file next to the configuration, and write ./{name} instead of \
                 {written}"
            ));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+/".contains(c);
        let begins = ["./", "../"].iter().any(|start| path.starts_with(start));
        let name = if begins {
            path.to_owned()
        } else {
            format!("./{path}")
        };
        let is_file = begins || OF_FILES.contains(&attribute) || exists(path);
        let is_path = is_plain_path(path) && path.chars().all(is_plain);
        let value = if kind == self.kind {
            name
        } else {
            format!("[ {name} ]")
        };
        (is_file && is_path).then(|| {
            let definition = self.definition(&value, &written);
            format!("a path has no quotes. Write {definition}")
        })
    }

    /// The text that is meant by a path or a number.
    fn text(&self, node: &SyntaxNode) -> Option<String> {
        let written = node.text().to_string();
        let kind = node.kind();
        let is_lines = self.kind.starts_with("strings concatenated with");
        let is_path = [NODE_PATH_REL, NODE_PATH_ABS, NODE_PATH_HOME].contains(&kind);
        let begins = |starts: &[&str]| starts.iter().any(|start| written.starts_with(start));
        if is_path && begins(&[".", "/", "~"]) {
            let is_content = kind == NODE_PATH_REL && is_lines;
            return is_content.then(|| self.content_of(&written));
        }
        let shown = &written;
        if let Some(hint) = option_values::of_number(&Wrong { shown, ..*self }) {
            return Some(hint);
        }
        let has_any_form = !self.kind.contains("matching") || self.option == "networking.hostName";
        let is_string = is_lines || self.kind.starts_with("string") && has_any_form;
        let is_number = kind == NODE_LITERAL && begins(&DIGITS);
        let last = self.option.rsplit('.').next().unwrap_or_default();
        // Not those of mail, and of network cards.
        let is_of_host = last.ends_with("ddress") && !last.contains("mac") && !last.contains("ail");
        if is_number && is_of_host {
            return is_string.then(|| AN_ADDRESS.to_owned());
        }
        (is_string && (is_number || is_path)).then(|| {
            let definition = self.definition(&format!("\"{written}\""), &written);
            format!("write a string in quotes: {definition}")
        })
    }

    /// The text of the file `path`.
    fn content_of(&self, path: &str) -> String {
        let option = self.option;
        let entry = option.strip_suffix(".text");
        if let Some(entry) = entry.filter(|entry| entry.starts_with("environment.etc.")) {
            return format!(
                "write {entry}.source = {path}; (the option text takes the content itself, such as builtins.readFile \
                 {path})"
            );
        }
        let call = format!("builtins.readFile {path}");
        let call = if self.is_part {
            format!("({call})")
        } else {
            call
        };
        let definition = self.definition(&call, path);
        format!("the option takes the content of the file. Write {definition}")
    }

    /// What is meant by the path of a package in a string: `"${pkgs.vim}"`.
    fn package(&self, node: &SyntaxNode) -> Option<String> {
        let written = node.text().to_string();
        let package = written.strip_prefix("\"${")?.strip_suffix("}\"")?;
        let is_plain = !package.contains(['"', '{', ' ']);
        let value = match self.kind {
            "package" => package.to_owned(),
            "list of package" => format!("[ {package} ]"),
            _ => return None,
        };
        is_plain.then(|| {
            let definition = self.definition(&value, &written);
            format!("the string is only the path of the package. Write {definition}")
        })
    }

    /// The list that is meant by a single package or path.
    fn list(&self, node: &SyntaxNode) -> Option<String> {
        if let Some(names) = switched_on(node).filter(|_| self.kind == "list of string") {
            let list = format!("[ {} ]", names.join(" "));
            return Some(format!("write a list: {}", self.definition_or(&list)));
        }
        let is_package = self.kind == "list of package" && self.shown.starts_with("<derivation ");
        let is_path = self.kind == "list of absolute path" && node.kind() == NODE_PATH_REL;
        let is_overlay = self.kind.starts_with("list of ") && self.kind.contains("overlay");
        let list = list_with(node).filter(|_| is_package || is_path || is_overlay)?;
        let definition = self.definition(&list, &node.text().to_string());
        Some(format!("write a list: {definition}"))
    }
}

/// The names in a set such as `{ wheel = true; }`, in quotes; `None` for every other value.
fn switched_on(node: &SyntaxNode) -> Option<Vec<String>> {
    let names = node.children().map(|definition| {
        let is_true = definition.last_child()?.text() == "true";
        let name = definition.first_child()?.text().to_string();
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        (is_true && is_plain).then(|| format!("\"{name}\""))
    });
    let is_set = node.kind() == NODE_ATTR_SET;
    let names: Option<Vec<String>> = if is_set { names.collect() } else { None };
    names.filter(|names| !names.is_empty())
}

/// Whether values of the type `kind` are any texts, of one line perhaps.
fn is_of_text(kind: &str) -> bool {
    let ends = ["single-line string", "string without spaces"];
    kind == "string"
        || kind.contains("or string convertible to it")
        || ends.iter().any(|end| kind.ends_with(end)) && !kind.starts_with("list of ")
}

/// The elements of the list `node`, if all of them are short texts in double quotes.
fn texts_of(node: &SyntaxNode) -> Option<Vec<String>> {
    const MAX_LINES: usize = 8;
    let elements = node.children().map(|element| element.text().to_string());
    let elements: Vec<String> = elements.collect();
    let is_text = |text: &String| {
        text.starts_with('"') && !text.contains('\n') && text.chars().count() <= 2 * MAX_CHARS
    };
    (node.kind() == NODE_LIST && elements.len() <= MAX_LINES && elements.iter().all(is_text))
        .then_some(elements)
}

/// The text in double quotes as a line of one between `''`; `None` if it has other escapes than those of quotes.
fn indented(string: &str) -> Option<String> {
    let text = string.strip_prefix('"')?.strip_suffix('"')?;
    let text = text.replace("\\\"", "\"");
    let is_plain = !text.contains('\\') && !text.contains("''");
    is_plain.then(|| format!("  {text}\n"))
}

/// Whether `path` is a file beside the user's file at the path `file` of the builder.
fn exists_beside(context: &ExitContext<'_>, file: &str, path: &str) -> bool {
    let dir = file.rsplit_once('/').map_or("", |(dir, _)| dir);
    let is_below = is_plain_path(path) && !path.split('/').any(|part| part == "..");
    let files = context.files.filter(|_| is_below);
    files.is_some_and(|files| files.has_file(&format!("{dir}/{path}")))
}

/// Whether `path` names something below a directory.
fn is_plain_path(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    !path.starts_with('/') && !["", ".", ".."].contains(&last) && !path.contains("//")
}

/// The list of the only element `node`; `None` if it may be more than one value, or none.
fn list_with(node: &SyntaxNode) -> Option<String> {
    let written = node.text().to_string();
    let kind = node.kind();
    if kind == NODE_WITH {
        let inner = node.last_child()?;
        let before = written.strip_suffix(inner.text().to_string().as_str())?;
        return Some(format!("{before}{}", list_with(&inner)?));
    }
    let is_call = kind == NODE_APPLY && !is_modifier(node) || kind == NODE_LAMBDA;
    let is_plain = [NODE_IDENT, NODE_PAREN, NODE_PATH_REL, NODE_SELECT].contains(&kind);
    if is_call {
        Some(format!("[ ({written}) ]"))
    } else {
        is_plain.then(|| format!("[ {written} ]"))
    }
}

/// How a string is given to `option`.
pub(super) fn in_quotes(option: &str) -> String {
    let told = "write a string in quotes";
    match list_element(option) {
        Some(_) => told.to_owned(),
        None => format!("{told}: {option} = \"…\";"),
    }
}

#[cfg(test)]
mod tests;
