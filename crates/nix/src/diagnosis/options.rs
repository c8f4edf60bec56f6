//! Options, their definitions and their values.

use rnix::SyntaxKind::{NODE_SELECT, NODE_STRING};
use rnix::SyntaxNode;

use super::cause::{Definition, is_name};
use super::evidence::ExitContext;
use super::files::naming;
use super::names::not_passed;
use super::place::{Place, Span, definition_in, is_value, only, only_definition, spans};
use super::table::{Advice, Row};
use crate::known_repository::KnownRepository;
use crate::layout::{CLI_MODULE, CONFIG_DIR, EXPRESSIONS};
use crate::nix_definitions::{defines, option_at};
use sdbuild_core::image_choice::ImageChoice;
use sdbuild_core::nearest::nearest;
use sdbuild_core::text::alternatives;
use sdbuild_image::image_format::SD_CARD;

/// Part of the names of the modules that define the image.
const IMAGE_MODULES: &str = "/installer/sd-card/sd-image";
/// Parts of the paths of the modules with which nixpkgs and sdbuild make a variant of an image.
const VARIANT_MODULES: [&str; 5] = [
    "/nixos/modules/installer/",
    "/nixos/modules/virtualisation/",
    "/nixos/modules/profiles/",
    "/nixos/maintainers/scripts/",
    EXPRESSIONS,
];
/// How a list is written.
const LIST: &str = "a list: [ … ], with spaces between the elements";
/// How a set is written.
const SET: &str = "a set: { … }";
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

/// Where the user's files define or read an `option` that NixOS no longer has, and what helps.
pub(super) fn gone(context: &ExitContext<'_>, option: &str) -> (Option<Place>, Option<Advice>) {
    let read = format!("config.{option}");
    let reads = |node: &SyntaxNode| {
        let text = node.text().to_string();
        let rest = text
            .strip_prefix(&read)
            .filter(|_| node.kind() == NODE_SELECT);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let reading = || Some(only(context, |text| spans(text, reads))?.0);
    let advice = option
        .starts_with("boot.loader.raspberryPi")
        .then(|| Row::RaspberryPiLoader.advice());
    (place(context, option, &[]).or_else(reading), advice)
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
        .filter(|known| nearest(&last(option), [last(known).as_str()]).is_some())
        .collect();
    if near.is_empty() {
        Row::CheckAttribute.advice()
    } else {
        Row::Similar.with("name", alternatives(&near))
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
    if values_have(definitions, "PRIVATE KEY-----") {
        return Some(Row::PrivateKey.advice());
    }
    if option == "networking.hostName" {
        let form = "a host name of at most 63 letters from a to z, digits and `-`. A domain belongs in networking.domain";
        return Some(Row::OfType.with("form", form));
    }
    let (form, known) = match kind {
        "boolean" => {
            let value = text.and_then(|text| match text {
                "yes" | "on" | "true" => Some("true".to_owned()),
                "no" | "off" | "false" => Some("false".to_owned()),
                _ => None,
            });
            ("true or false, in lower case and without quotes", value)
        }
        "package" if is_element && value.starts_with("<function") => {
            return Some(Row::CallInList.advice());
        }
        "package" => ("pkgs.NAME, without quotes", None),
        _ if kind.starts_with("list of ") => {
            let is_one = kind.contains("string") && text.is_some()
                || kind.contains("integer") && is_number(value);
            (LIST, is_one.then(|| format!("[ {value} ]")))
        }
        _ if kind.starts_with("attribute set") || kind.starts_with("submodule") => (SET, None),
        // The type itself says which numbers it takes.
        _ if kind.contains("integer") && is_number(value) => return None,
        _ if kind.contains("integer") => {
            let number = text.filter(|text| is_number(text));
            ("a number, without quotes", number.map(str::to_owned))
        }
        _ if kind.contains("string") && text.is_none() => {
            let is_word = is_number(value) || ["true", "false"].contains(&value);
            (
                "a text in double quotes",
                is_word.then(|| format!("\"{value}\"")),
            )
        }
        _ => {
            let option = option.split(".\"[").next().unwrap_or(option);
            return Some(Row::AcceptedValues.with("option", option));
        }
    };
    // The whole line, if the value is known.
    Some(match known.filter(|_| is_plain) {
        Some(value) => Row::WriteValue.with("option", option).and("value", value),
        None => Row::OfType.with("form", form),
    })
}

fn values_have(definitions: &[Definition], part: &str) -> bool {
    definitions.iter().any(|it| it.value.contains(part))
}

/// What helps with contradicting `definitions` of `option`. `lib.mkForce`, which Nix proposes, would make an image that does not boot of
/// what the image sets itself.
pub(super) fn conflict(
    context: &ExitContext<'_>,
    image: Option<&ImageChoice>,
    option: &str,
    definitions: &[Definition],
) -> Advice {
    let are_of = |parts: &[&str]| {
        let is_of = |it: &Definition| {
            it.file != CLI_MODULE && parts.iter().any(|part| it.file.contains(part))
        };
        definitions.iter().any(is_of)
    };
    if let Some(variant) = image.and_then(ImageChoice::variant)
        && are_of(&VARIANT_MODULES)
    {
        return Row::ByVariant
            .with("variant", variant)
            .and("option", option);
    }
    if are_of(&[IMAGE_MODULES]) {
        return Row::ByImage.with("option", option);
    }
    let is_own = |it: &&Definition| it.file.starts_with(CONFIG_DIR);
    let mut own = definitions.iter().filter(is_own);
    let by_flag = definitions.iter().any(|it| it.file == CLI_MODULE);
    match (own.next(), own.next()) {
        (Some(one), None) if definitions.len() > 1 && !by_flag => {
            let found = definition_in(context, &one.file, option, &one.value);
            let place = found.map(|(place, _)| {
                Place {
                    column: None,
                    ..place
                }
                .shown(context)
            });
            let place = place.unwrap_or_else(|| one.file.replace(CONFIG_DIR, context.shown_dir));
            Row::OtherDefinition
                .with("option", option)
                .and("own", place)
        }
        _ => Row::KeepOne.advice(),
    }
}

/// What helps with an `option` that something needs, and that has no value.
pub(super) fn no_value(option: &str) -> Advice {
    let name = option.rsplit("\".").next().unwrap_or(option);
    Row::NoValue.with("option", name)
}

/// What helps with a recursion, of which the `imports` of a module need an argument, and where it is.
pub(super) fn recursion(
    context: &ExitContext<'_>,
    imports: Option<&(String, String)>,
) -> (Option<Place>, Advice) {
    if let Some((place, span)) = only(context, own_values) {
        let option = span.defines.trim_start_matches("config.");
        let advice = Row::OwnValue
            .with("option", option)
            .and("source", &span.text);
        return (Some(place), advice);
    }
    let Some((argument, module)) = imports else {
        return (None, Row::OtherRecursion.advice());
    };
    let place = imports_of(context, module);
    let advice = match argument.as_str() {
        "pkgs" | "config" | "options" => {
            let shown = module.replace(CONFIG_DIR, context.shown_dir);
            Row::ImportsNeed
                .with("module", shown)
                .and("argument", argument)
        }
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
    let string = text.and_then(|text| string(context, text));
    let path = found.strip_prefix("a path: ");
    let place = string.as_ref().map(|(place, _)| place.clone());
    let place = place.or_else(|| naming(context, path?));
    let is_file = |defines: &str| ["imports", "modules"].contains(&defines);
    let advice = match (wanted, string, text) {
        ("a list", Some((_, span)), Some(text)) => {
            let element = if is_file(span.defines.rsplit('.').next().unwrap_or_default()) {
                as_path(text)
            } else {
                span.text
            };
            let list = format!("[ {element} ]");
            Row::WriteValue
                .with("option", span.defines)
                .and("value", list)
        }
        ("a list", ..) => Row::OfType.with("form", LIST),
        ("a set", ..) => Row::OfType.with("form", SET),
        _ if found.starts_with("a list") || found.starts_with("an integer") => {
            let is_text = wanted.contains("string");
            return (place, is_text.then(|| Row::JoinLists.advice()));
        }
        _ => return (place, None),
    };
    (place, Some(advice))
}

/// What helps with a string in place of a path, and where it is.
pub(super) fn string_as_path(context: &ExitContext<'_>, text: &str) -> (Option<Place>, Advice) {
    let place = string(context, text).map(|(place, _)| place);
    (place, Row::PathInQuotes.with("path", as_path(text)))
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
