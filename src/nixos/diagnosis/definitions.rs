//! Definitions that have the wrong type or form, or contradict each other.

use rnix::SyntaxKind;
use rnix::SyntaxKind::{
    NODE_LIST, NODE_LITERAL, NODE_PATH_ABS, NODE_PATH_REL, NODE_SELECT, NODE_STRING,
};

use super::boolean_values;
use super::choices;
use super::evidence::{ExitContext, MAX_SHOWN};
use super::file_systems;
use super::listed_definitions::values;
use super::names::{is_name, quoted_after};
use super::number_values;
use super::number_values::is_number;
use super::option_values;
use super::public_keys;
use super::set_members;
use super::set_values;
use super::switches;
use super::syntax_at::{Definition, top_level_names};
use super::unit_names;
use super::written_forms;
use super::written_values::elements_of;
use super::wrong_value::Wrong;
use crate::nixos::log::{NixError, Position};

/// What the first line of a private key ends with.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// The form of a value of an `option` that is a set.
fn set_of_options(option: &str, kind: &str, summary: &str, is_part: bool) -> String {
    let value = values(summary).next().unwrap_or_default();
    let known = set_values::definition(option, value).filter(|_| !is_part);
    let wrong = Wrong::at(option, is_part, kind, value);
    let known = known.or_else(|| set_members::definition(&wrong, option, value));
    if let Some(known) = known {
        return known;
    }
    if value.starts_with('{') {
        return "this set has a value that the option does not take".to_owned();
    }
    if kind == "submodule" {
        return submodule(option, summary, is_part);
    }
    "write a set: { … }".to_owned()
}

/// The form of a value of an `option` that is a list, with the value that stands in place of it if its type is that of an element.
fn list_of_one(option: &str, kind: &str, summary: &str, is_part: bool) -> String {
    /// Letters of a value that are repeated at most.
    const MAX_LETTERS: usize = 60;
    let value = values(summary).next().unwrap_or_default();
    let is_whole = value.len() <= MAX_LETTERS && value.ends_with('"') && !value.contains('…');
    let element = if value.starts_with('{') && !kind.contains("string") {
        Some("{ … }".to_owned())
    } else {
        elements(kind, value).filter(|_| is_whole)
    };
    match element.filter(|_| !is_part && is_name(option)) {
        Some(element) => format!("write a list: {option} = [ {element} ];"),
        None => "write a list: [ … ], with spaces between the elements".to_owned(),
    }
}

/// The elements of the list of the type `kind` that are meant by the text `value`, which is in quotes: itself, or its words.
fn elements(kind: &str, value: &str) -> Option<String> {
    if kind.starts_with("list of string") {
        return value.starts_with('"').then(|| value.to_owned());
    }
    let (choices, _) = kind.strip_prefix("list of (one of ")?.split_once(')')?;
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    let words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    let is_choice = |word: &String| choices.split(',').any(|choice| choice.trim() == word);
    words.iter().all(is_choice).then(|| words.join(" "))
}

/// The form of a value of an `option` that is a set with options of its own.
fn submodule(option: &str, summary: &str, is_part: bool) -> String {
    let switch = values(summary).find(|value| ["true", "false"].contains(value));
    match switch {
        Some(value) if is_part => format!("write {{ enable = {value}; }} instead of {value}"),
        Some(value) => format!("write {option}.enable = {value};"),
        None => {
            let text = values(summary).find_map(|value| value.strip_prefix('"')?.strip_suffix('"'));
            let is_plain = |text: &&str| !text.contains(['"', '\\', '$']);
            let device = text.filter(is_plain).unwrap_or("/dev/…");
            let set = file_systems::mount(option, device);
            format!("write a set: {}", set.as_deref().unwrap_or("{ … }"))
        }
    }
}

/// What to write in place of a value that the type of the option does not allow, and that may be only a part of its definition.
pub(super) fn wrong_type(summary: &str, is_part: bool) -> Option<String> {
    let (option, rest) = summary
        .strip_prefix("A definition for option `")?
        .split_once("' is not of type `")?;
    let (wanted, _) = rest.split_once("'.")?;
    let kind = wanted.strip_prefix("null or ").unwrap_or(wanted);
    let inside = kind
        .strip_prefix('(')
        .and_then(|kind| kind.strip_suffix(')'));
    let kind = inside.unwrap_or(kind);
    let has_set = values(summary).any(|value| value.starts_with('{'));
    if has_set && option.starts_with("boot.kernel.sysctl.") {
        return Some(
            "put a name with dots in quotes: boot.kernel.sysctl.\"net.ipv4.ip_forward\" = 1;"
                .to_owned(),
        );
    }
    let mut values = values(summary);
    if summary.contains(PRIVATE_KEY) {
        let hint = "that is a private key, but a login needs the public one. Give the content of its .pub file";
        return Some(hint.to_owned());
    }
    let of_value = |value| {
        let wrong = Wrong::at(option, is_part, kind, value);
        number_values::hint(&wrong)
            .or_else(|| boolean_values::hint(&wrong))
            .or_else(|| switches::with_detail(option, value))
            .or_else(|| choices::hint(&wrong))
            .or_else(|| option_values::of_text(&wrong))
            .or_else(|| option_values::of_number(&wrong))
            .or_else(|| option_values::of_list(&wrong))
    };
    let of_text = values.find_map(of_value);
    of_text
        .or_else(|| public_keys::hint(option, summary))
        .or_else(|| unit_names::hint(kind, summary))
        .or_else(|| form_of_type(option, kind, summary, is_part))
}

/// The form that values of the type `kind` have.
fn form_of_type(option: &str, kind: &str, summary: &str, is_part: bool) -> Option<String> {
    let form = match kind {
        _ if is_string(kind) && option.ends_with("File") && is_path(summary) => {
            "write the path of the file on the machine, in quotes. Without quotes Nix copies the file into its store, \
             which every user of the machine can read"
        }
        _ if kind.starts_with("string matching ") && ends_with_a_line_break(summary) => {
            "the value ends with a line break. If it is read from a file, write lib.fileContents instead of \
             builtins.readFile"
        }
        "strings concatenated with \"\\n\"" if summary.contains('{') => {
            return Some(format!(
                "write the lines as they are in the program's file, not as a set: {option} = ''…'';"
            ));
        }
        _ if is_only_string(kind) && !is_text(summary) => {
            return Some(written_forms::in_quotes(option));
        }
        _ if kind.ends_with("single-line string") && has_line_end(summary) => {
            "the text has several lines. Write it in one line"
        }
        _ if option == "networking.hostName" => {
            "a host name has at most 63 letters from a to z, digits and `-`. Put a domain into networking.domain"
        }
        "package" if option.contains("-entry ") && summary.ends_with("<function>") => {
            "a call inside a list needs parentheses: [ (callPackage ./x.nix { }) ]"
        }
        "package" if option.contains("-entry ") && summary.ends_with(" ]") => {
            "remove the brackets inside the list. Join another list to it with `++`: [ a ] ++ (with pkgs; [ b c ])"
        }
        "boolean" if values(summary).any(|value| value.starts_with("<function")) => {
            "the value is a function without its argument: write true or false behind it"
        }
        "boolean" => "write true or false, in lower case and without quotes",
        "package" if values(summary).any(is_number) => {
            "a number is not a package. In nixpkgs most names that would begin with a digit begin with `_`: pkgs._7zz"
        }
        "package" => {
            let with_slash = values(summary).find_map(|value| value.split_once("pkgs/"));
            return Some(match with_slash.filter(|(_, name)| is_name(name)) {
                Some((_, name)) => format!("write pkgs.{name}, with a dot"),
                None => "write pkgs.NAME, without quotes".to_owned(),
            });
        }
        _ if kind.starts_with("list of ") => {
            return Some(list_of_one(option, kind, summary, is_part));
        }
        _ if kind.starts_with("attribute set") || kind == "submodule" => {
            return Some(set_of_options(option, kind, summary, is_part));
        }
        _ if kind.contains("[[:print:]]{8,63}") => "a passphrase has 8 to 63 characters",
        // The type itself tells which numbers it takes.
        _ if kind.contains("integer") && values(summary).any(is_number) => return None,
        _ if kind.contains("integer") => "write a number, without quotes",
        _ if choices::choices(kind).is_some() => return Some(format!("write {kind}, in quotes")),
        _ => return accepted_values(option),
    };
    Some(form.to_owned())
}

/// Where the values of `option` are documented.
fn accepted_values(option: &str) -> Option<String> {
    let option = option.split(".\"[").next().filter(|it| is_name(it))?;
    // The search knows options of users by another name.
    let of_user = option.strip_prefix("users.users.");
    let of_user = of_user.and_then(|rest| rest.split_once('.'));
    let query = of_user.map_or(option, |(_, option)| option);
    Some(format!(
        "accepted values: https://search.nixos.org/options?query={query}"
    ))
}

/// Whether values of this type are texts.
fn is_string(kind: &str) -> bool {
    kind.starts_with("string") || kind.ends_with("single-line string")
}

/// Whether they are texts alone, and no sets, for whose options a value may be meant.
fn is_only_string(kind: &str) -> bool {
    is_string(kind) && !kind.contains("(submodule)")
}

/// Whether a file defines the option by a text.
fn is_text(summary: &str) -> bool {
    values(summary).any(|value| value.starts_with('"'))
}

/// Whether the values are paths; Nix does not show that of a file that is missing.
fn is_path(summary: &str) -> bool {
    values(summary).all(|value| value.starts_with('/'))
}

/// Whether a value has several lines.
fn has_line_end(summary: &str) -> bool {
    values(summary).any(|value| value.trim_end_matches("\\n\"").contains("\\n"))
}

/// Whether a value ends with a line break, which `builtins.readFile` keeps of a file.
fn ends_with_a_line_break(summary: &str) -> bool {
    let is_in_one_line = values(summary).any(|value| value.ends_with("\\n\""));
    // nixpkgs shows a text of several lines between `''` and `''`, each in a line of its own if the text ends with a line break.
    let quotes = summary.lines().filter(|line| line.trim() == "''");
    let is_only = summary.matches("\n- In `").count() == 1;
    is_in_one_line || is_only && quotes.count() == 2
}

pub(super) fn defined_twice(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let place = error.summary.split_once("' already defined at ")?.1;
    let first = parse_place(place)?;
    let second = error.position.as_ref()?;
    if first.line == second.line {
        return Some(format!(
            "remove one of the two definitions in line {}",
            first.line
        ));
    }
    let text = context.files.and_then(|files| files.text(&second.file));
    let both = text.and_then(|text| {
        let found = [&first, second].map(|place| Definition::find(&text, place));
        let [Some(first), Some(second)] = found else {
            return None;
        };
        Some([first, second])
    });
    let lines = [first.line, second.line];
    let hint =
        both.and_then(|both| two_lists(&both, lines).or_else(|| whole_and_part(&both, lines)));
    Some(hint.unwrap_or_else(|| {
        let [first, second] = lines;
        format!("remove the definition in line {first} or the one in line {second}")
    }))
}

/// The place in `FILE:LINE:COLUMN`.
fn parse_place(text: &str) -> Option<Position> {
    let (rest, column) = text.trim().rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some(Position {
        file: file.to_owned(),
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    })
}

/// What to do about an attribute that `both` define as a list, or one of them as an element of it, in these lines.
fn two_lists([one, other]: &[Definition; 2], [first, second]: [u64; 2]) -> Option<String> {
    // In a set its path begins with the set's own name.
    let is_end = |end: &str, path: &str| {
        let start = path.strip_suffix(end);
        start.is_some_and(|start| start.is_empty() || start.ends_with('.'))
    };
    let path = if is_end(&one.path, &other.path) {
        &other.path
    } else {
        Some(&one.path).filter(|path| is_end(&other.path, path))?
    };
    let (element, of_element, of_list) = match (one.is_list, other.is_list) {
        (true, true) => {
            let list = joined([&one.written, &other.written]);
            let list = list.as_deref().unwrap_or("…");
            return Some(format!(
                "put the lists of line {first} and line {second} into one definition: {path} = [ {list} ];"
            ));
        }
        (true, false) => (other, second, first),
        (false, true) => (one, first, second),
        (false, false) => return None,
    };
    let written = &element.written;
    let is_package = element.value == NODE_SELECT && written.starts_with("pkgs.");
    let is_word = element.value == NODE_STRING && !written.contains([' ', '\n']);
    (is_package || is_word).then(|| {
        format!(
            "put {written} of line {of_element} into the list of line {of_list}: {path} = [ {written} … ];"
        )
    })
}

/// The elements of both `lists`; `None` if that is too long for a hint, or one of them is not only a list.
fn joined(lists: [&str; 2]) -> Option<String> {
    let elements = lists.map(|list| elements_of(list).filter(|_| list.starts_with('[')));
    let [Some(one), Some(other)] = elements else {
        return None;
    };
    let mut all = one;
    let new: Vec<String> = other.into_iter().filter(|it| !all.contains(it)).collect();
    all.extend(new);
    let all = all.join(" ");
    (all.len() <= MAX_SHOWN && !all.contains('\n')).then_some(all)
}

/// What to do about an attribute of which one definition sets all, and the other a part.
fn whole_and_part([first, second]: &[Definition; 2], lines: [u64; 2]) -> Option<String> {
    let is_part = |part: &Definition, of: &Definition| {
        let rest = part.path.strip_prefix(&of.path);
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    let (of_whole, of_part, [whole, part]) = if is_part(second, first) {
        (first, second, lines)
    } else if is_part(first, second) {
        (second, first, [lines[1], lines[0]])
    } else {
        return None;
    };
    let (name, path) = (&of_whole.path, &of_part.path);
    if let Some(instead) = switches::switch(name, &of_whole.written) {
        return Some(if *path == format!("{name}.enable") {
            format!(
                "line {part} already sets {path}. Remove the definition of {name} from line {whole}"
            )
        } else {
            format!("{instead} in line {whole}")
        });
    }
    if let Some(instead) = set_members::in_place_of_list(name, &of_whole.written) {
        let is_set = format!("{path} = {}; ", of_part.written);
        let instead = instead.replacen(&is_set, "", 1);
        return Some(format!(
            "{name} is a set, but line {whole} gives it a list, so {instead}"
        ));
    }
    // Sets that are written out are one.
    Some(if has_no_parts(of_whole.value) {
        format!(
            "line {whole} gives {name} a single value, but line {part} sets {path} inside it. Keep one of the two"
        )
    } else {
        format!(
            "line {whole} sets all of {name}, and line {part} sets a part of it. Put {path} into the value of line \
             {whole}"
        )
    })
}

/// Whether a value of this kind is no set.
fn has_no_parts(kind: SyntaxKind) -> bool {
    [
        NODE_LIST,
        NODE_LITERAL,
        NODE_PATH_ABS,
        NODE_PATH_REL,
        NODE_STRING,
    ]
    .contains(&kind)
}

/// What to do about a module that has definitions beside `config` or `options`.
pub(super) fn mixed_module(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let (file, rest) = summary.strip_prefix("Module `")?.split_once('\'')?;
    let name = quoted_after(rest, "has an unsupported attribute")?;
    let text = context.files.and_then(|files| files.text(file));
    let has_options = text.map(|text| top_level_names(&text).contains("options"));
    Some(match has_options {
        Some(false) => {
            "write all definitions without `config.`, or put all except imports into config = { … }"
                .to_owned()
        }
        Some(true) | None => format!(
            "a module with `options` or `config` has its definitions in config = {{ … }}. Move {name} and all others \
             except imports there"
        ),
    })
}

#[cfg(test)]
mod tests;
