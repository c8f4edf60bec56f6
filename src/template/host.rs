//! What this machine is called, and where it is.

use std::fs;
use std::path::Path;

use crate::common::plain_file;

/// Both files hold a line.
const LONGEST: u64 = 64 << 10;
/// What a label of a host name may have, by RFC 1123.
const LONGEST_NAME: usize = 63;
/// Behind this machine's name, so that two machines do not answer to one.
const SUFFIX: &str = "-sd";

/// A name for the new machine: `chosen` when it is one, else this machine's first label with `-sd` behind
/// it. `None` when `chosen` is no host name.
pub fn host_name(chosen: Option<&str>, here: &str) -> Option<String> {
    if let Some(name) = chosen {
        return is_name(name).then(|| name.to_owned());
    }
    let label = here
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let known = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let label: String = label
        .chars()
        .filter(known)
        .take(LONGEST_NAME - SUFFIX.len())
        .collect();
    let label = label.trim_matches('-');
    if label.is_empty() || label == "localhost" {
        return Some("nixos-sd".to_owned());
    }
    Some(format!("{label}{SUFFIX}"))
}

/// NixOS takes these: letters, digits and `-`, which neither begins nor ends one.
fn is_name(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let edges = name.starts_with('-') || name.ends_with('-');
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(known) && !edges
}

/// The time zone of the machine whose `/etc` this is: what `localtime` links to, else Debian's `timezone`.
pub fn time_zone(etc: &Path) -> Option<String> {
    let link = fs::read_link(etc.join("localtime")).ok();
    let linked = link.and_then(|link| {
        let link = link.to_str()?.to_owned();
        Some(link.split_once("zoneinfo/")?.1.to_owned())
    });
    let written = || plain_file::read_text(&etc.join("timezone"), LONGEST).ok();
    let zone = linked.or_else(written)?.trim().to_owned();
    is_zone(&zone).then_some(zone)
}

/// A locale of glibc with UTF-8, out of what `LANG` says; `None` for those that every system has.
pub fn locale(said: &str) -> Option<String> {
    let (language, encoding) = said.split_once('.')?;
    let encoding = encoding.split('@').next().unwrap_or(encoding);
    let utf8 = encoding.eq_ignore_ascii_case("utf-8") || encoding.eq_ignore_ascii_case("utf8");
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_language = language.len() <= 16 && language.contains('_') && language.chars().all(known);
    (utf8 && is_language).then(|| format!("{language}.UTF-8"))
}

/// `Europe/Berlin`, `Etc/GMT+1`, `UTC`.
fn is_zone(zone: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "+-_/".contains(c);
    let begins = zone.starts_with(|c: char| c.is_ascii_alphabetic());
    begins && zone.len() <= 64 && zone.chars().all(known) && !zone.contains("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_or_made_from_this_machines() {
        let name = |chosen, here| host_name(chosen, here);
        assert_eq!(
            name(None, "Laptop.home.example").as_deref(),
            Some("laptop-sd")
        );
        assert_eq!(name(None, "my_pc\"").as_deref(), Some("mypc-sd"));
        assert_eq!(name(None, "localhost").as_deref(), Some("nixos-sd"));
        assert_eq!(name(None, "").as_deref(), Some("nixos-sd"));
        assert_eq!(
            host_name(None, &"x".repeat(200)).unwrap().len(),
            LONGEST_NAME
        );
        assert_eq!(name(Some("kitchen"), "x").as_deref(), Some("kitchen"));
        for bad in ["", "-a", "a-", "a.b", "a b", "ü", "a\"", "x\nb"] {
            assert_eq!(name(Some(bad), "x"), None, "{bad}");
        }
    }

    #[test]
    fn a_locale_is_taken_when_glibc_would_know_it() {
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
    fn the_link_tells_before_the_file_and_nonsense_is_none() {
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
