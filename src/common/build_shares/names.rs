//! Names of derivations in Nix's messages. Pure.

use std::borrow::Cow;

use crate::common::transcript::short_name;

/// Hexadecimal digits of a git revision in a version, at least.
const MIN_REVISION_CHARS: usize = 7;

/// The store path in a line of Nix's forecast, if it is one of a derivation.
pub(super) fn listed_derivation(text: &str) -> Option<&str> {
    let path = text.strip_prefix("  ")?;
    let name = path.strip_prefix("/nix/store/")?.strip_suffix(".drv")?;
    (!name.contains(char::is_whitespace)).then_some(path)
}

/// The name of a derivation without the numbers of its version, and the git revision behind them, which change from one build to
/// the next, and without the machine's name: `linux-6.12.107` is `linux-0`.
pub(super) fn general_name(derivation: &str) -> String {
    let mut name = String::new();
    for word in without_machine(short_name(derivation)).split_inclusive('-') {
        let (text, end) = match word.strip_suffix('-') {
            Some(text) => (text, "-"),
            None => (word, ""),
        };
        let version = match text.rsplit_once('.') {
            Some((version, revision)) if is_revision(revision) => version,
            Some(_) | None => text,
        };
        for c in version.chars() {
            let is_number = c.is_ascii_digit() || c == '.';
            if !is_number {
                name.push(c);
            } else if !name.ends_with('0') {
                name.push('0');
            }
        }
        name.push_str(end);
    }
    name
}

/// The name of an image, or of a system, without those of the machine and the release in it, which have any number of words:
/// `nixos-pi-26.05.20260102.abc12de-aarch64-linux.img.zst` is `nixos-aarch64-linux.img.zst`.
fn without_machine(name: &str) -> Cow<'_, str> {
    let Some(rest) = name.strip_prefix("nixos-") else {
        return name.into();
    };
    if let Some((before, format)) = rest.rsplit_once("-linux.") {
        let processor = before.rsplit('-').next().unwrap_or(before);
        format!("nixos-{processor}-linux.{format}").into()
    } else if rest.starts_with("system-") {
        "nixos-system".into()
    } else {
        name.into()
    }
}

fn is_revision(text: &str) -> bool {
    text.len() >= MIN_REVISION_CHARS && text.chars().all(|c| c.is_ascii_hexdigit())
}
