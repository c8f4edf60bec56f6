//! The names that Nix proposes in place of one that it does not know. Pure.

use crate::nixos::log::NixError;
use sdbuild_core::nearest::{may_mean, with_other_capitals};
use sdbuild_core::text::alternatives;

/// Start of Nix's proposal of another name.
pub(super) const PROPOSAL: &str = "Did you mean ";

/// The names in `htop?` and `one of htop or btop?`.
fn proposed(text: &str) -> &str {
    let names = text.split('?').next().unwrap_or(text);
    names.trim_start_matches("one of ")
}

/// Those of the names that Nix proposes at the end of a message which may be meant: `htop or btop`.
pub(super) fn proposal(error: &NixError) -> Option<String> {
    let (_, rest) = error.text.rsplit_once(PROPOSAL)?;
    let names = proposed(rest);
    let written = error.summary.split('\'').nth(1);
    let each = names.split([' ', ',']);
    let near: Vec<&str> = written.map_or_else(Vec::new, |written| {
        let each = each.filter(|name| !name.is_empty() && *name != "or");
        each.filter(|name| may_mean(written, name)).collect()
    });
    let only = written.and_then(|written| with_other_capitals(written, near.iter().copied()));
    let names = only.map_or_else(|| alternatives(&near), str::to_owned);
    let is_plain = |c: char| c.is_alphanumeric() || "._-+, ".contains(c);
    (!names.is_empty() && names.len() < 200 && names.chars().all(is_plain)).then_some(names)
}
