//! Names of options whose parts are joined by other signs than a dot.

use super::place::{Place, as_definitions};
use crate::common::nix_name::is_of_name;
use crate::common::nixos_option::NAMESPACES;
use crate::nixos::diagnosis::misread::end_of_definition;

/// The hint for `services/openssh/enable = …` and `services openssh enable = …`.
pub(super) fn hint(place: &Place<'_>, summary: &str) -> Option<String> {
    let has = |text: &str| summary.contains(text);
    let (sign, signs) = if has("unexpected PATH, expecting INHERIT") {
        ('/', "instead of the slashes")
    } else if has("unexpected ID, expecting '.' or '='") {
        (' ', "between the parts of the name")
    } else {
        return by_other_signs(place);
    };
    let first = match sign {
        ' ' => place.name_before(),
        _ => "",
    };
    let (rest, _) = place.here.split_once('=')?;
    let written = format!("{first}{sign}{}", rest.trim());
    let parts: Vec<&str> = written
        .split([sign, '.'])
        .filter(|part| !part.is_empty())
        .collect();
    let is_part = |part: &&str| part.chars().all(is_of_name);
    let is_option = parts
        .first()
        .is_some_and(|first| NAMESPACES.contains(first));
    // Of two words, the second may be part of a name with a space.
    let is_certain = sign == '/' || written.split_whitespace().count() > 2;
    (is_option && is_certain && parts.iter().all(is_part)).then(|| {
        let definition = place.definition_of(parts.join("."));
        format!("write dots {signs}: {definition}")
    })
}

/// The hint for a name such as `services->openssh`, `services::openssh`, `services["openssh"]` and `services.[openssh]`.
fn by_other_signs(place: &Place<'_>) -> Option<String> {
    let (rest, _) = place.here.split_once('=')?;
    let written = format!("{}{}", place.begun(), rest.trim_end());
    let signs = [
        ("->", "."),
        ("::", "."),
        (".[", "["),
        ("[\"", "."),
        ("\"]", ""),
        ("[", "."),
        ("]", ""),
    ];
    let name = signs
        .iter()
        .fold(written.clone(), |name, (sign, dot)| name.replace(sign, dot));
    let is_name = |part: &str| !part.is_empty() && part.chars().all(is_of_name);
    let is_option = NAMESPACES.contains(&name.split('.').next()?);
    (name != written && is_option && name.split('.').all(is_name)).then(|| {
        format!(
            "join the parts of a name with dots: {}",
            place.definition_of(name)
        )
    })
}

/// The hint for a `name`, and the one `next` to it, without a dot between them.
pub(super) fn without_dot(place: &Place<'_>, name: &str, next: &str) -> String {
    if NAMESPACES.contains(&name) {
        let definition = end_of_definition(place.here);
        let definition = definition.and_then(|rest| as_definitions(format!("{name}.{rest};")));
        let write = definition.map_or_else(String::new, |it| format!(". Write {it}"));
        return format!("a dot is missing between {name} and {next}{write}");
    }
    let first = name.rsplit('.').next().unwrap_or_default();
    format!(
        "a dot is missing between {first} and {next}. A name with a space needs double quotes: \"{first} {next}\""
    )
}
