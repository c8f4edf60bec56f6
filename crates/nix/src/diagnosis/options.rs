//! Options, their definitions and their values.

use rnix::SyntaxKind::{NODE_BIN_OP, NODE_LIST, NODE_SELECT, NODE_STRING, TOKEN_ADD};
use rnix::SyntaxNode;

use super::cause::{Definition, is_name};
use super::evidence::ExitContext;
use super::files::naming;
use super::names::not_passed;
use super::place::{
    Place, Span, definition_in, definitions_below, definitions_of, is_value, only, only_definition,
    spans,
};
use super::table::{Advice, Row};
use crate::known_repository::KnownRepository;
use crate::layout::{CLI_MODULE, CONFIG_DIR};
use crate::nix_definitions::{defines, option_at};
use crate::source_files::HARDWARE_FILE;
use sdbuild_core::nearest::{may_mean, with_other_capitals};
use sdbuild_core::text::alternatives;
use sdbuild_image::image_format::SD_CARD;

/// Part of the names of the modules that define the image.
const IMAGE_MODULES: &str = "/installer/sd-card/sd-image";
/// Characters of a value that a hint repeats at most.
const MAX_VALUE: usize = 80;

/// Where `option` is defined, according to nixpkgs' list of `definitions`, or else the user's files.
pub(super) fn place(
    context: &ExitContext<'_>,
    option: &str,
    definitions: &[Definition],
) -> Option<Place> {
    let option = option.split(".\"[").next().unwrap_or(option);
    let mut own = definitions
        .iter()
        .filter(|it| it.file.starts_with(CONFIG_DIR));
    match (own.next(), own.next()) {
        (Some(only), None) => Some(definition_in(context, &only.file, option, &only.value)?.0),
        (None, _) if definitions.iter().any(|it| it.file == CLI_MODULE) => None,
        (Some(_), Some(_)) => None,
        (None, _) => Some(only_definition(context, option)?.0),
    }
}

/// What helps with an `option` that does not exist.
pub(super) fn unknown(
    context: &ExitContext<'_>,
    option: &str,
    suggestions: &[String],
    definitions: &[Definition],
) -> Advice {
    if ["sdImage", "image.fileName"].contains(&option) {
        let file = definitions.first().map(|it| it.file.as_str());
        return import_image(context, file);
    }
    if let Some(known) = KnownRepository::with_option(option) {
        let branch = known.branch(context.release);
        let (module, place) = if context.is_flake {
            let module = format!("{}.{}", known.name, known.output);
            (module, "modules of nixosSystem in flake.nix")
        } else {
            let url = format!(
                "https://github.com/{}/archive/{branch}.tar.gz",
                known.address
            );
            let module = format!("(builtins.fetchTarball \"{url}\" + \"{}\")", known.file);
            (module, "imports")
        };
        return Row::ForeignModule
            .with("name", known.name)
            .and("module", module)
            .and("where", place);
    }
    // nixpkgs suggests the nearest three of a set, near or not.
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let near: Vec<&str> = suggestions
        .iter()
        .map(String::as_str)
        .filter(|known| may_mean(&last(option), &last(known)))
        .collect();
    let names = match with_other_capitals(option, near.iter().copied()) {
        Some(only) => only.to_owned(),
        None => alternatives(&near),
    };
    match near.is_empty() {
        true => Row::CheckOption.advice(),
        false => Row::SimilarOption.with("names", names),
    }
}

/// How to import the module that makes SD card images, in the builder's `file` or the configuration itself.
pub(super) fn import_image(context: &ExitContext<'_>, file: Option<&str>) -> Advice {
    let module = SD_CARD.module.unwrap_or_default();
    let file = file.map(|file| file.replace(CONFIG_DIR, context.shown_dir));
    let file = file.unwrap_or_else(|| context.source.to_owned());
    Row::ImportImage
        .with("module", format!("(modulesPath + \"{module}\")"))
        .and("file", file)
}

/// What helps with a definition of `option` that is not of the type `wanted`.
pub(super) fn wrong_type(option: &str, wanted: &str, definitions: &[Definition]) -> Option<Advice> {
    let mut values = definitions.iter().map(|it| it.value.as_str());
    let value = values.find(|value| !value.is_empty()).unwrap_or_default();
    let kind = wanted.strip_prefix("null or ").unwrap_or(wanted);
    let kind = kind.trim_start_matches('(');
    let is_element = option.contains("-entry ");
    let text = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let is_number = |text: &str| text.parse::<i64>().is_ok();
    let is_plain =
        !is_element && is_name(option) && value.len() <= MAX_VALUE && !value.contains('…');
    // The whole line, if the value is known.
    let write = |row: Row, value: Option<String>| match value.filter(|_| is_plain) {
        Some(value) => Row::WriteValue.with("option", option).and("value", value),
        None => row.advice(),
    };
    if values_have(definitions, "PRIVATE KEY-----") {
        return Some(Row::PrivateKey.advice());
    }
    if option == "networking.hostName" {
        return Some(Row::HostName.advice());
    }
    let quoted =
        || (is_number(value) || ["true", "false"].contains(&value)).then(|| format!("\"{value}\""));
    Some(match kind {
        "boolean" => {
            let meant = text.and_then(|text| match text {
                "yes" | "on" | "true" => Some("true"),
                "no" | "off" | "false" => Some("false"),
                _ => None,
            });
            write(Row::WriteBoolean, meant.map(str::to_owned))
        }
        "package" if is_element && value.starts_with("<function") => Row::CallInList.advice(),
        "package" => Row::WritePackage.advice(),
        _ if kind.starts_with("list of ") => {
            let is_one = kind.contains("string") && text.is_some()
                || kind.contains("integer") && is_number(value);
            write(Row::WriteList, is_one.then(|| format!("[ {value} ]")))
        }
        _ if kind.starts_with("attribute set") || kind.starts_with("submodule") => {
            Row::WriteSet.advice()
        }
        // The type itself says which numbers it takes.
        _ if kind.contains("integer") && is_number(value) => return None,
        _ if kind.contains("integer") => {
            let number = text.filter(|text| is_number(text));
            write(Row::WriteNumber, number.map(str::to_owned))
        }
        _ if kind.contains("string") && text.is_none() => write(Row::WriteString, quoted()),
        _ => {
            let option = option.split(".\"[").next().unwrap_or(option);
            Row::AcceptedValues.with("option", option)
        }
    })
}

fn values_have(definitions: &[Definition], part: &str) -> bool {
    definitions.iter().any(|it| it.value.contains(part))
}

/// What helps with contradicting `definitions` of `option`. `lib.mkForce`, which Nix proposes, would make an image that does not boot of
/// what the image sets itself.
pub(super) fn conflict(
    context: &ExitContext<'_>,
    option: &str,
    definitions: &[Definition],
) -> Advice {
    let mut files = definitions.iter().map(|it| it.file.as_str());
    if files.clone().any(|file| file.contains(IMAGE_MODULES)) {
        let is_hardware = files.any(|file| file.rsplit('/').next() == Some(HARDWARE_FILE));
        let row = if is_hardware {
            Row::ByImageHardware
        } else {
            Row::ByImage
        };
        return row.with("option", option);
    }
    let is_own = |it: &&Definition| it.file.starts_with(CONFIG_DIR) || it.file == CLI_MODULE;
    let (own, others): (Vec<&Definition>, Vec<&Definition>) = definitions.iter().partition(is_own);
    let place = |it: &Definition| match definition_in(context, &it.file, option, &it.value) {
        Some((place, _)) => Place {
            column: None,
            ..place
        }
        .shown(context),
        None => it.file.replace(CONFIG_DIR, context.shown_dir),
    };
    let by_flag = own.iter().any(|it| it.file == CLI_MODULE);
    match (own.as_slice(), others.as_slice()) {
        ([first, second], []) if !by_flag && place(first) != place(second) => Row::TwoDefinitions
            .with("first", place(first))
            .and("second", place(second)),
        ([own], [_, ..]) if !by_flag => Row::OtherDefinition
            .with("option", option)
            .and("own", place(own)),
        _ => Row::KeepOne.advice(),
    }
}

/// What helps with an `option` that something needs, and that has no value, and where the user's files enable that.
pub(super) fn no_value(context: &ExitContext<'_>, option: &str) -> (Option<Place>, Advice) {
    let mut part = option.split(".\"[").next().unwrap_or(option);
    let mut place = None;
    while let Some((outer, _)) = part.rsplit_once('.').filter(|_| place.is_none()) {
        let enable = format!("{outer}.enable");
        place = only(context, |text| definitions_of(text, &enable)).map(|(place, _)| place);
        part = outer;
    }
    let place = place.or_else(|| {
        let list = option.split(".\"[").next().filter(|list| *list != option)?;
        Some(only(context, |text| definitions_below_or_of(text, list))?.0)
    });
    let name = option.rsplit("\".").next().unwrap_or(option);
    (place, Row::NoValue.with("option", name))
}

fn definitions_below_or_of(text: &str, option: &str) -> Vec<Span> {
    let found = definitions_of(text, option);
    if found.is_empty() {
        definitions_below(text, option)
    } else {
        found
    }
}

/// What helps with a recursion, of which the `imports` of a module need an argument, and where it is.
pub(super) fn recursion(
    context: &ExitContext<'_>,
    imports: Option<&(String, String)>,
) -> (Option<Place>, Vec<Advice>) {
    if let Some((place, span)) = only(context, own_values) {
        let option = span.defines.trim_start_matches("config.");
        let advice = Row::OwnValue
            .with("option", option)
            .and("source", &span.text);
        return (Some(place), vec![advice]);
    }
    let by_itself = |text: &str| {
        spans(text, |node| {
            let written = node.text().to_string();
            let path = format!(".{}", defines(node));
            let own = written.strip_prefix("self.");
            is_value(node) && own.is_some_and(|own| path.ends_with(&format!(".{own}")))
        })
    };
    if context.is_flake
        && let Some((place, _)) = only(context, by_itself)
    {
        return (Some(place), vec![Row::ConfigurationByItself.advice()]);
    }
    let Some((argument, module)) = imports else {
        return (None, vec![Row::OtherRecursion.advice()]);
    };
    let place = imports_of(context, module);
    let shown = module.replace(CONFIG_DIR, context.shown_dir);
    let advice = match argument.as_str() {
        "pkgs" => vec![Row::ImportsNeedPkgs.with("module", shown)],
        "config" | "options" => vec![Row::ImportsNeedConfig.with("module", shown)],
        _ => not_passed(context, argument, module).1,
    };
    (place, advice)
}

/// The values of options in `text` that read the option that they define: `config.a.b` in the definition of `a.b`.
fn own_values(text: &str) -> Vec<Span> {
    let reads_itself = |node: &SyntaxNode| {
        let written = node.text().to_string();
        let path = written.strip_prefix("config.");
        let defined = option_at(node, None).map(|names| names.join("."));
        node.kind() == NODE_SELECT && path.is_some() && defined.as_deref() == path
    };
    spans(text, reads_itself)
}

/// The imports of the builder's file `module`.
fn imports_of(context: &ExitContext<'_>, module: &str) -> Option<Place> {
    let text = context.files?.text(module)?;
    let found = spans(&text, |node| is_value(node) && defines(node) == "imports");
    Some(found.first()?.place(module.strip_prefix(CONFIG_DIR)?))
}

/// What helps where an expression needs the type `wanted` and has `found`, and where it is.
pub(super) fn wrong_value(
    context: &ExitContext<'_>,
    wanted: &str,
    found: &str,
) -> (Option<Place>, Option<Advice>) {
    let text = found.strip_prefix("a string: \"");
    let text = text.and_then(|text| text.strip_suffix('"'));
    if wanted == "a list" {
        if let Some((place, span)) = text.and_then(|text| string(context, text)) {
            let list = format!("[ {} ]", path_of(&span));
            let advice =
                Row::ListNeeded.saying(format!("write a list: {} = {list};", span.defines));
            return (Some(place), Some(advice));
        }
        let path = found.strip_prefix("a path: ");
        let place = path.and_then(|path| naming(context, path));
        return (place, Some(Row::ListNeeded.advice()));
    }
    if found.starts_with("a list") && wanted.contains("string") {
        let sums = only(context, |text| spans(text, is_sum_of_lists));
        return (sums.map(|(place, _)| place), Some(Row::JoinLists.advice()));
    }
    let place = text.and_then(|text| string(context, text));
    let is_number = found.starts_with("an integer");
    let advice = match wanted {
        "a set" => Some(Row::SetNeeded.advice()),
        _ if is_number && wanted.contains("string") => Some(Row::NotAText.advice()),
        _ => None,
    };
    (place.map(|(place, _)| place), advice)
}

/// What helps with a string in place of a path, and where it is.
pub(super) fn string_as_path(context: &ExitContext<'_>, text: &str) -> (Option<Place>, Advice) {
    let found = string(context, text);
    let path = found
        .as_ref()
        .map_or_else(|| as_path(text), |(_, span)| path_of(span));
    let place = found.map(|(place, _)| place);
    (place, Row::PathInQuotes.with("path", path))
}

/// The only string `text` in the user's files.
fn string(context: &ExitContext<'_>, text: &str) -> Option<(Place, Span)> {
    let quoted = format!("\"{text}\"");
    only(context, |file| {
        spans(file, |node| {
            node.kind() == NODE_STRING && node.text() == quoted.as_str()
        })
    })
}

/// The string as a path of Nix where a path is needed; else itself.
fn path_of(span: &Span) -> String {
    let is_file =
        ["imports", "modules"].contains(&span.defines.rsplit('.').next().unwrap_or_default());
    match is_file {
        true => as_path(span.text.trim_matches('"')),
        false => span.text.clone(),
    }
}

/// `text` as a path of Nix.
fn as_path(text: &str) -> String {
    if text.starts_with("nixpkgs/") {
        format!("<{text}>")
    } else if text.starts_with(['.', '/', '~', '<']) {
        text.to_owned()
    } else {
        format!("./{text}")
    }
}

fn is_sum_of_lists(node: &SyntaxNode) -> bool {
    let mut parts = node.children_with_tokens();
    let is_sum = node.kind() == NODE_BIN_OP && parts.any(|part| part.kind() == TOKEN_ADD);
    is_sum && node.children().any(|part| part.kind() == NODE_LIST)
}
