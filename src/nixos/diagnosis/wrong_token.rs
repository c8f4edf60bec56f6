//! What to write in place of the token at which Nix's parser stopped, where the text around it tells.

mod brackets;
mod calls;
mod comments;
mod conditions;
mod foreign_lines;
mod joined;
mod json;
mod lists;
mod packages;
mod place;
mod signs;
mod statements;
mod texts;
mod unquoted;
mod variables;

pub(super) use self::comments::SIGNS;
use self::place::{Place, as_definitions, last_number};
use super::brackets::open_brackets;
use super::invalid_character;
use super::misread::end_of_definition;
use super::module_arguments::ARGUMENTS;
use super::names::SEARCH;
use super::unquoted_name::is_list_of_packages;
use crate::common::nix_name::{is_of_name, is_of_path, path_of};
use crate::nixos::log::Position;

/// The hint for a calculation in a list.
const PARENTHESES: &str = "put a calculation inside a list in parentheses: [ (a + b) ]";

/// What to do about the token at `position` of `text`, of which the syntax error `summary` speaks.
pub(super) fn hint(text: &str, position: &Position, summary: &str) -> Option<String> {
    let place = Place::find(text, position)?;
    let certain = unquoted::hint(&place, summary)
        .or_else(|| signs::variable_of_shell(&place))
        .or_else(|| comments::hint(&place));
    if certain.is_some() {
        return certain;
    }
    if let Some(hint) = foreign_lines::hint(&place) {
        return Some(hint.to_owned());
    }
    if summary.contains("invalid token") {
        let found = place.here.chars().next()?;
        return texts::hint(&place)
            .or_else(|| invalid_character::hint(found, position.line, place.is_in_list));
    }
    if summary.contains("unexpected PATH, expecting INHERIT") {
        return unquoted::with_slash(&place).or_else(|| joined::hint(&place, summary));
    }
    if place.is_in_key() {
        return Some("put the key in double quotes: \"ssh-ed25519 …\"".to_owned());
    }
    if summary.contains("unexpected FLOAT_LIT") && place.here.starts_with('.') {
        return Some(name_with_number(&place));
    }
    packages::with_version(&place, summary)
        .or_else(|| signs::arguments(text, &place))
        .or_else(|| signs::arguments_without_commas(&place, summary))
        .or_else(|| lists::comma_in_package(&place, summary))
        .or_else(|| lists::in_other_brackets(&place))
        .or_else(|| lists::names_in_braces(&place, summary))
        .or_else(|| lists::path_with_variable(&place, summary))
        .or_else(|| lists::whole_variable(&place, summary))
        .or_else(|| lists::number_with_colon(&place, summary))
        .or_else(|| lists::text_of_another_program(&place, summary))
        .or_else(|| lists::text_with_at(&place, summary))
        .or_else(|| statements::hint(&place, summary))
        .or_else(|| variables::without_in(&place, summary))
        .or_else(|| brackets::set(&place, summary))
        .or_else(|| brackets::with(&place, summary))
        .or_else(|| joined::hint(&place, summary))
        .or_else(|| packages::added(text, &place, summary))
        .or_else(|| in_list(&place, summary))
        .or_else(|| among_definitions(&place, summary))
        .or_else(|| signs::comma(&place, summary))
        .or_else(|| signs::arrow(&place, summary))
        .or_else(|| json::hint(&place, summary))
        .or_else(|| signs::colon(&place, summary))
        .or_else(|| signs::colon_of_module(&place, summary))
        .or_else(|| signs::colon_after_arguments(&place, summary))
        .or_else(|| missing(&place, summary))
        .or_else(|| behind_name(&place, summary))
        .or_else(|| signs::dot(&place, summary))
}

/// The hint for a number after a dot, as in `interfaces.eth0.100`.
fn name_with_number(place: &Place<'_>) -> String {
    let name = place.name_before().rsplit('.').next().unwrap_or_default();
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let end = place
        .here
        .find(|c| !is_number(c))
        .unwrap_or(place.here.len());
    let number = place
        .here
        .get(..end)
        .unwrap_or_default()
        .trim_end_matches('.');
    format!("put a name with a dot in quotes: \"{name}{number}\"")
}

/// The hint for a token in a list, or at its end.
fn in_list(place: &Place<'_>, summary: &str) -> Option<String> {
    let has = |text: &str| summary.contains(text);
    if has("unexpected ']', expecting ';'") && place.follows("]") {
        return Some("there is one `]` too many".to_owned());
    }
    if !place.is_in_list {
        return None;
    }
    if has("unexpected ')'") && !open_brackets(place.before).contains(&'(') {
        return Some("there is one `)` too many".to_owned());
    }
    if has("unexpected '-'") {
        return Some(minus_in_list(place));
    }
    if has("unexpected CONCAT") {
        return joined_path(place);
    }
    if let Some(hint) = lists::joined(place) {
        return Some(hint);
    }
    if has("unexpected WITH") {
        return packages::with_inside(place);
    }
    let fixed = if has("unexpected '+'") {
        PARENTHESES
    } else if has("unexpected ';'") && place.is_balanced {
        "remove the `;`. The elements of a list are separated by spaces"
    } else if has("unexpected '='") && place.is_balanced {
        "put an element of a list with a `=` in double quotes: [ \"a=b\" ]"
    } else {
        return None;
    };
    Some(fixed.to_owned())
}

/// The hint for a path and a string that `++` joins in a list, as in `[ modulesPath ++ "/a.nix" ]`.
fn joined_path(place: &Place<'_>) -> Option<String> {
    let string = place.here.strip_prefix("++")?.trim_start();
    let (string, rest) = string.strip_prefix('"')?.split_once('"')?;
    let is_end = |c: char| c.is_whitespace() || "[(".contains(c);
    let name = place.before.trim_end().rsplit(is_end).next()?;
    let is_path = |c: char| c.is_alphanumeric() || "_-'./".contains(c);
    let is_whole =
        !name.is_empty() && name.chars().all(is_path) && !rest.trim_start().starts_with('+');
    // With a variable, the quote found may be one inside it.
    let is_plain = string.starts_with('/') && !string.contains(['$', '\\']);
    (is_whole && is_plain).then(|| {
        format!("join a path and the rest of it with `+`, in parentheses: ({name} + \"{string}\")")
    })
}

/// The hint for a minus in a list: of a range, a negative number, an option of a program or a calculation.
fn minus_in_list(place: &Place<'_>) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let rest = place.here.get(1..).unwrap_or_default();
    let (follows_digit, is_before_digit) =
        (place.before.ends_with(is_digit), rest.starts_with(is_digit));
    let option = place.option_of_list().unwrap_or_default();
    let name = option.rsplit('.').next().unwrap_or_default();
    if let Some(kind) = name
        .strip_suffix("Ports")
        .filter(|_| follows_digit && is_before_digit)
    {
        return format!(
            "write a range of ports as a set, in its own option: {kind}PortRanges = [ {{ from = 80; to = 90; }} ];"
        );
    }
    if name.ends_with("PortRanges")
        && let Some(range) = range_of_ports(place)
    {
        return range;
    }
    if let Some(hint) = name_with_digit_and_minus(place) {
        return hint;
    }
    if is_before_digit && !follows_digit {
        return "a negative number in a list needs parentheses: [ (-1) ]".to_owned();
    }
    if rest.starts_with(|c: char| c.is_alphabetic() || c == '-') {
        return "put an element of a list that begins with `-` in double quotes".to_owned();
    }
    PARENTHESES.to_owned()
}

/// The hint for `8000-8010` in a list of ranges of ports.
fn range_of_ports(place: &Place<'_>) -> Option<String> {
    let (_, from) = last_number(place.before.trim_end());
    let rest = place.here.strip_prefix('-')?.trim_start();
    let to = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    let is_range = from.parse::<u16>().ok()? <= to.parse::<u16>().ok()?;
    is_range.then(|| {
        format!("a range of ports is a set. Write {{ from = {from}; to = {to}; }} instead of {from}-{to}")
    })
}

/// The hint for `2048-in-terminal`, of which Nix reads the first part as a number.
fn name_with_digit_and_minus(place: &Place<'_>) -> Option<String> {
    let (before, number) = last_number(place.before);
    let end = place.here.trim_start_matches(is_of_name);
    let rest = place.here.strip_suffix(end)?;
    let begins = rest
        .strip_prefix('-')?
        .starts_with(|c: char| c.is_alphabetic());
    let of_pkgs = before.strip_suffix("pkgs.");
    let is_whole = of_pkgs
        .unwrap_or(before)
        .ends_with(|c: char| c.is_whitespace() || c == '[');
    if number.is_empty() || !begins || !is_whole {
        return None;
    }
    let option = place.option_of_list().unwrap_or_default();
    let attribute = option.rsplit('.').next().unwrap_or_default();
    let is_package = of_pkgs.is_some() || is_list_of_packages(attribute) || place.is_in_with_pkgs();
    let name = format!("{number}{rest}");
    Some(if is_package {
        let pkgs = if of_pkgs.is_some() { "pkgs." } else { "" };
        format!(
            "no name begins with a digit. In nixpkgs most such names begin with `_`, as {pkgs}_{name}: {SEARCH}{name}"
        )
    } else {
        format!(
            "put text with a `-` in double quotes: \"{name}\". A calculation needs parentheses: [ (a - b) ]"
        )
    })
}

/// The hint for a token where a definition is expected.
fn among_definitions(place: &Place<'_>, summary: &str) -> Option<String> {
    let (_, token) = summary.split_once("unexpected ")?;
    let token = token.strip_suffix(", expecting INHERIT")?;
    let fixed = match token {
        "';'" if place.follows(";") && place.is_balanced => "there is one `;` too many",
        "';'" if place.follows(";") => "there is one `;` too many, or a `}` is missing before it",
        "'['" if let Some(name) = foreign_lines::section(place.here) => {
            return Some(foreign_lines::instead_of_section(place, name));
        }
        "'-'" if place.here.starts_with("- ") => {
            return Some(foreign_lines::instead_of_elements(place));
        }
        "'/'" if place.after.starts_with(['*', '/']) => "a comment begins with `#`",
        "REC" => {
            let definition = place.here.strip_prefix("rec").and_then(end_of_definition);
            let definition = definition.and_then(|it| as_definitions(format!("{};", it.trim())));
            let definition = definition.unwrap_or_else(|| "NAME = rec { … };".to_owned());
            return Some(format!(
                "`rec` belongs only before the `{{` of a value: {definition}"
            ));
        }
        "LET" => return Some(variables::among_definitions(place)),
        "IF" => return Some(conditions::choice_of_definitions(place)),
        "WITH" => return Some(variables::with_among_definitions(place)),
        "ELLIPSIS" => {
            "`...` is allowed only in the arguments of a function. Write what it stands for, or remove it"
        }
        "'{'" if place.before.ends_with('{') => {
            "`{{ … }}` is a place that a template fills in. Write the value there"
        }
        _ => return None,
    };
    Some(fixed.to_owned())
}

/// The hint for a token after a name, where a `=` or a dot is expected.
fn behind_name(place: &Place<'_>, summary: &str) -> Option<String> {
    let (_, token) = summary.split_once("unexpected ")?;
    let token = token.strip_suffix(", expecting '.' or '='")?;
    let name = Some(place.name_before()).filter(|name| !name.is_empty())?;
    let rest = place.here.trim_start_matches(is_of_name);
    let next = place.here.get(..place.here.len() - rest.len())?;
    Some(match token {
        "'{'" | "'['" | "PATH" | "INT_LIT" | "IND_STRING_OPEN" => {
            format!("a `=` is missing between {name} and its value")
        }
        "';'" if ARGUMENTS.contains(&name) => format!(
            "separate the arguments of a module by commas: {}",
            signs::header(place)
        ),
        "';'" if name.starts_with("pkgs.") && open_brackets(place.before) == ['{'] => {
            packages::installed(&[name])
        }
        "';'" | "'}'" => match path_of(name)?.rsplit_once('.').unwrap_or(("", name)) {
            (option, value @ ("true" | "false")) if !option.is_empty() => {
                format!("write {option} = {value};")
            }
            (_, "enable") => format!("write {name} = true;"),
            (_, _) => format!("{name} has no value. A definition is NAME = VALUE;"),
        },
        "':'" if place.here.starts_with(":=") => "write `=` instead of `:=`".to_owned(),
        "ELLIPSIS" => "a `,` is missing before `...`".to_owned(),
        "CONCAT" => {
            let list = place.redefined(name, "++", "");
            let list = list.unwrap_or_else(|| format!("{name} = [ … ];"));
            format!("NixOS joins the lists of several files. Write {list}")
        }
        "ID" if name == "set" => "remove `set`. A definition is NAME = VALUE;".to_owned(),
        "ID" if let Some(list) = brackets::list_in_braces(place) => {
            format!("write a list in square brackets: {list}")
        }
        "ID" if whole_value(place) == Some("enable") => format!("write {name}.enable = true;"),
        "ID" if let Some(value) = whole_value(place) => with_value(name, value)?,
        "ID" if rest.trim_start().starts_with(['=', '.']) => joined::without_dot(place, name, next),
        _ => return None,
    })
}

/// The hint for a `name`, and a `value` after it, without a `=` between them.
fn with_value(name: &str, value: &str) -> Option<String> {
    let (is_boolean, first) = (["true", "false"].contains(&value), value.split('.').next()?);
    let is_value = is_boolean || value == "null" || ["config", "lib", "pkgs"].contains(&first);
    // A switch has no other value.
    let is_switch = name.rsplit('.').next() == Some("enable");
    if is_boolean || is_value && !is_switch {
        return Some(format!("write `=` before {value}: {name} = {value};"));
    }
    // Of a word that is no value, more than the `=` is missing.
    (name.contains('.') && !is_value)
        .then(|| format!("a `=` is missing between {name} and its value"))
}

/// The name at `place`, with its dots, if the definition ends after it.
fn whole_value<'a>(place: &Place<'a>) -> Option<&'a str> {
    let rest = place.here.trim_start_matches(is_of_path);
    let value = place.here.strip_suffix(rest)?;
    rest.trim_start().starts_with(';').then_some(value)
}

/// The hint for a token in front of which something is missing.
fn missing(place: &Place<'_>, summary: &str) -> Option<String> {
    if summary.contains("unexpected '\"', expecting '.' or '='") {
        return before_string(place);
    }
    if summary.contains("unexpected WITH") && place.follows("++") {
        return with_behind_list(place);
    }
    let fixed = if summary.contains("unexpected IF") && place.follows("++") {
        "`++` joins two lists. Write ++ lib.optionals CONDITION [ … ], or with parentheses ++ (if CONDITION then [ … ] \
         else [ ])"
    } else if summary.contains("unexpected ';', expecting ELSE") {
        "an `if` needs an `else`: if … then … else …. To define something only sometimes, write lib.mkIf CONDITION VALUE"
    } else if summary.contains("expecting THEN") {
        "an `if` needs a `then`: if … then … else …"
    } else if summary.contains("unexpected '=', expecting IN") && place.follows("let") {
        "`let` has no `=`, and no braces around its definitions: let NAME = VALUE; in { … }"
    } else if summary.contains("unexpected '}'") && place.is_in_inherit() {
        "a `;` is missing after the names of `inherit`"
    } else if summary.contains("unexpected ';'")
        && ["&&", "||", "++", "//"]
            .iter()
            .any(|sign| place.follows(sign))
    {
        "a value is missing before the `;`"
    } else if summary.contains("unexpected ';'") && place.follows("=") {
        "a value is missing between `=` and `;`"
    } else if summary.contains("unexpected ';'") && place.follows("+") {
        "a value is missing between `+` and `;`"
    } else {
        return None;
    };
    Some(fixed.to_owned())
}

/// The hint for `[ a ] ++ with pkgs; [ b ]`.
fn with_behind_list(place: &Place<'_>) -> Option<String> {
    let (set, _) = place.here.strip_prefix("with ")?.split_once(';')?;
    let set = Some(set.trim()).filter(|set| set.chars().all(is_of_path))?;
    Some(format!(
        "`with` after `++` needs parentheses, together with its list: ++ (with {set}; [ … ])"
    ))
}

/// The hint for a string after a name: of `fileSystems "/" = …`, or of a value.
fn before_string(place: &Place<'_>) -> Option<String> {
    let mut parts = place.here.splitn(3, '"').skip(1);
    let (string, rest) = (parts.next().unwrap_or_default(), parts.next());
    let is_name = rest.is_some_and(|rest| rest.trim_start().starts_with(['=', '.']));
    let name = Some(place.name_before()).filter(|name| !name.is_empty())?;
    Some(if is_name {
        format!("a dot is missing between the two names: {name}.\"{string}\"")
    } else {
        "a `=` is missing between the name and the string".to_owned()
    })
}

#[cfg(test)]
mod tests;
