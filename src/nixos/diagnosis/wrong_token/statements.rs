//! Statements, as other languages have them, in place of a definition or a value.

use super::place::Place;

/// Functions of `lib` that stand before the value of an option.
const BEFORE_A_VALUE: [&str; 6] = [
    "mkAfter",
    "mkBefore",
    "mkDefault",
    "mkForce",
    "mkIf",
    "mkOverride",
];

/// The hint for a statement that the place is a part of.
pub(super) fn hint(place: &Place<'_>, summary: &str) -> Option<String> {
    if summary.contains("unexpected '.'") {
        return inherit(place);
    }
    if summary.contains("unexpected ':', expecting ';'") {
        return choice(place);
    }
    if !summary.contains("expecting '.' or '='") {
        return None;
    }
    let begun = place.begun().trim_end();
    match begun {
        "import" | "imports" | "include" | "includes" | "require" | "source" => import(place),
        "enable" | "start" => enable(place),
        "export" => variable(place),
        "for" | "foreach" => Some(
            "Nix has no loops: map (x: …) [ … ] makes a list, lib.genAttrs [ … ] (x: …) a set"
                .to_owned(),
        ),
        "var" | "const" | "local" | "def" => Some(
            "variables are between `let` and `in`, before the `{` of the definitions: let NAME = VALUE; in"
                .to_owned(),
        ),
        "do" => script(place),
        _ => function(place, begun),
    }
}

/// A function of the library where a definition begins: `lib.mkIf CONDITION { … };`.
fn function(place: &Place<'_>, begun: &str) -> Option<String> {
    let name = begun.strip_prefix("lib.").unwrap_or(begun);
    if !BEFORE_A_VALUE.contains(&name) {
        return None;
    }
    let general = || {
        let arguments = match name {
            "mkIf" => "CONDITION VALUE",
            "mkOverride" => "PRIORITY VALUE",
            _ => "VALUE",
        };
        format!("`{begun}` stands behind the `=` of a definition: NAME = {begun} {arguments};")
    };
    let written = || {
        let (condition, rest) = place.here.split_once('{')?;
        let (definition, _) = rest.trim().split_once('}')?;
        let definition = definition.trim().strip_suffix(';')?;
        let (option, value) = definition.split_once('=')?;
        let condition = condition.trim();
        let is_plain = !definition.contains([';', '{', '"']) && !condition.is_empty();
        (is_plain && name == "mkIf").then(|| {
            format!(
                "`{begun}` stands behind the `=` of a definition: {} = {begun} {condition} {};",
                option.trim(),
                value.trim()
            )
        })
    };
    Some(written().unwrap_or_else(general))
}

/// A file that is imported: `import ./wifi.nix;`.
fn import(place: &Place<'_>) -> Option<String> {
    let (files, _) = place.here.split_once(';')?;
    let files = files.trim();
    let is_path = |file: &str| file.starts_with("./") || file.starts_with("../");
    let is_list = !files.is_empty() && files.split_whitespace().all(is_path);
    is_list.then(|| format!("other files are a list, with `=` before it: imports = [ {files} ];"))
}

/// A service that is switched on: `enable services.openssh;`.
fn enable(place: &Place<'_>) -> Option<String> {
    let option = name_of(place.here.split_once(';')?.0)?;
    option
        .contains('.')
        .then(|| format!("write {option}.enable = true;"))
}

/// A variable of the environment: `export EDITOR=vim;`.
fn variable(place: &Place<'_>) -> Option<String> {
    let (name, value) = place.here.split_once('=')?;
    let name = name_of(name)?;
    let value = value.split(';').next()?.trim().trim_matches('"');
    let is_plain = !value.is_empty() && !value.contains(['$', '"', '\'', '\\']);
    is_plain.then(|| {
        format!("a variable of the environment is an option: environment.variables.{name} = \"{value}\";")
    })
}

/// `text`, if it is the name of an attribute.
fn name_of(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_part = |c: char| c.is_alphanumeric() || "_-'.".contains(c);
    (!text.is_empty() && text.chars().all(is_part)).then_some(text)
}

/// A loop of a shell that is a value: `script = while true; do …`.
fn script(place: &Place<'_>) -> Option<String> {
    let line = place.before.rsplit('\n').next()?;
    let (name, value) = line.split_once('=')?;
    let keyword = value.split_whitespace().next()?;
    let name = name_of(name)?;
    ["while", "until", "for"]
        .contains(&keyword)
        .then(|| format!("commands of a shell are a string: {name} = '' {keyword} … '';"))
}

/// The attribute of a set in `inherit`: `inherit pkgs.vim;`.
fn inherit(place: &Place<'_>) -> Option<String> {
    let statement = place.begun();
    let mut words = statement.split_whitespace();
    let is_inherit = words.next() == Some("inherit") && !statement.contains(['(', '#', '"']);
    let first = words.next_back().filter(|_| is_inherit)?;
    let is_end = |c: char| c.is_whitespace() || c == ';';
    let rest = place.here.split(is_end).next()?;
    let path = name_of(rest).map(|rest| format!("{first}{rest}"))?;
    let (set, name) = path.rsplit_once('.')?;
    (!set.is_empty() && !name.is_empty()).then(|| {
        format!("`inherit` takes an attribute of a set with the set in parentheses: inherit ({set}) {name};")
    })
}

/// A choice as C has it: `a = b ? 1 : 2;`.
fn choice(place: &Place<'_>) -> Option<String> {
    let line = place.before.rsplit(['\n', ';', '{']).next()?;
    let (name, value) = line.split_once(" = ")?;
    let (condition, first) = value.split_once('?')?;
    let (second, _) = place.here.strip_prefix(':')?.split_once(';')?;
    let name = name_of(name)?;
    let [condition, first, second] = [condition, first, second].map(str::trim);
    let is_whole = ![condition, first, second].contains(&"") && !second.contains(['?', ':', '}']);
    is_whole.then(|| {
        format!(
            "a choice is written with `if`: {name} = if {condition} then {first} else {second};"
        )
    })
}
