//! Host name, time zone and locale of this machine.

use std::fs;
use std::path::Path;

use crate::common::plain_file;

/// Largest `/etc/timezone` that is read, in bytes; it holds one short line.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// Characters of a host name's label (RFC 1123).
const MAX_NAME_CHARS: usize = 63;
/// Appended to this machine's name, so that the two differ in one network.
const SUFFIX: &str = "-sd";

/// The new machine's host name: `chosen`, or the first label of this machine's name (`local`) and `-sd`. `None`
/// when `chosen` is not a valid host name.
pub fn host_name(chosen: Option<&str>, local: &str) -> Option<String> {
    if let Some(name) = chosen {
        return is_name(name).then(|| name.to_owned());
    }
    let label = local
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let is_allowed = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let label: String = label
        .chars()
        .filter(is_allowed)
        .take(MAX_NAME_CHARS - SUFFIX.len())
        .collect();
    let label = label.trim_matches('-');
    if label.is_empty() || label == "localhost" {
        return Some("nixos-sd".to_owned());
    }
    Some(format!("{label}{SUFFIX}"))
}

/// Whether NixOS accepts `name`: letters, digits and `-`, which is neither first nor last.
fn is_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let dash_at_edge = name.starts_with('-') || name.ends_with('-');
    (1..=MAX_NAME_CHARS).contains(&name.len()) && name.chars().all(is_allowed) && !dash_at_edge
}

/// The time zone that is configured in `etc` (`/etc`): the target of `localtime`, otherwise the content of Debian's
/// `timezone`. `None` when there is neither or it is not a name of the tz database.
pub fn time_zone(etc: &Path) -> Option<String> {
    let link = fs::read_link(etc.join("localtime")).ok();
    let from_link = link.and_then(|link| {
        let link = link.to_str()?.to_owned();
        Some(link.split_once("zoneinfo/")?.1.to_owned())
    });
    let from_file = || plain_file::read_text(&etc.join("timezone"), MAX_FILE_BYTES).ok();
    let zone = from_link.or_else(from_file)?.trim().to_owned();
    is_zone(&zone).then_some(zone)
}

/// The glibc locale for `lang` (the value of `LANG`), always with UTF-8. `None` for `C`, `POSIX` and other
/// encodings.
pub fn locale(lang: &str) -> Option<String> {
    let (language, encoding) = lang.split_once('.')?;
    let encoding = encoding.split('@').next().unwrap_or(encoding);
    let utf8 = encoding.eq_ignore_ascii_case("utf-8") || encoding.eq_ignore_ascii_case("utf8");
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_language =
        language.len() <= 16 && language.contains('_') && language.chars().all(is_allowed);
    (utf8 && is_language).then(|| format!("{language}.UTF-8"))
}

/// Whether `zone` has the form of a tz database name: `Europe/Berlin`, `Etc/GMT+1`, `UTC`.
fn is_zone(zone: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "+-_/".contains(c);
    let starts_with_letter = zone.starts_with(|c: char| c.is_ascii_alphabetic());
    starts_with_letter && zone.len() <= 64 && zone.chars().all(is_allowed) && !zone.contains("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_name_is_chosen_or_derived() {
        let name = |chosen, local| host_name(chosen, local);
        assert_eq!(
            name(None, "Laptop.home.example").as_deref(),
            Some("laptop-sd")
        );
        assert_eq!(name(None, "my_pc\"").as_deref(), Some("mypc-sd"));
        assert_eq!(name(None, "localhost").as_deref(), Some("nixos-sd"));
        assert_eq!(name(None, "").as_deref(), Some("nixos-sd"));
        assert_eq!(
            host_name(None, &"x".repeat(200)).unwrap().len(),
            MAX_NAME_CHARS
        );
        assert_eq!(name(Some("kitchen"), "x").as_deref(), Some("kitchen"));
        for bad in ["", "-a", "a-", "a.b", "a b", "ü", "a\"", "x\nb"] {
            assert_eq!(name(Some(bad), "x"), None, "{bad}");
        }
    }

    #[test]
    fn only_utf8_locales_of_glibc_are_used() {
        assert_eq!(locale("de_DE.UTF-8").as_deref(), Some("de_DE.UTF-8"));
        assert_eq!(locale("en_GB.utf8@euro").as_deref(), Some("en_GB.UTF-8"));
        for none in [
            "C",
            "C.UTF-8",
            "POSIX",
            "",
            "de_DE",
            "de_DE.ISO-8859-1",
            "a\"_b.UTF-8",
        ] {
            assert_eq!(locale(none), None, "{none}");
        }
    }

    #[test]
    fn the_localtime_link_takes_precedence_over_the_file() {
        let etc = tempfile::tempdir().unwrap();
        assert_eq!(time_zone(etc.path()), None);
        fs::write(etc.path().join("timezone"), "America/New_York\n").unwrap();
        assert_eq!(time_zone(etc.path()).as_deref(), Some("America/New_York"));
        let link = etc.path().join("localtime");
        std::os::unix::fs::symlink("/usr/share/zoneinfo/Etc/UTC", &link).unwrap();
        assert_eq!(time_zone(etc.path()).as_deref(), Some("Etc/UTC"));
        fs::remove_file(&link).unwrap();
        for bad in ["\"; evil", "../../etc", "a//b", ""] {
            fs::write(etc.path().join("timezone"), bad).unwrap();
            assert_eq!(time_zone(etc.path()), None, "{bad}");
        }
    }
}
