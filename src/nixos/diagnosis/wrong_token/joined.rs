//! Names of options whose parts are joined by other signs than a dot.

use super::place::Place;
use crate::common::nixos_option::NAMESPACES;

/// The hint for `services/openssh/enable = …` and `services openssh enable = …`.
pub(super) fn hint(place: &Place<'_>, summary: &str) -> Option<String> {
    let has = |text: &str| summary.contains(text);
    let (sign, signs) = if has("unexpected PATH, expecting INHERIT") {
        ('/', "in place of the slashes")
    } else if has("unexpected ID, expecting '.' or '='") {
        (' ', "between the parts of the name")
    } else {
        return None;
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
    let is_part = |part: &&str| {
        part.chars()
            .all(|c| c.is_alphanumeric() || "_-'".contains(c))
    };
    let is_option = parts
        .first()
        .is_some_and(|first| NAMESPACES.contains(first));
    // Of two words, the second may be part of a name with a space.
    let is_certain = sign == '/' || written.split_whitespace().count() > 2;
    (is_option && is_certain && parts.iter().all(is_part))
        .then(|| format!("write dots {signs}: {}", parts.join(".")))
}
