//! Host name, time zone and locale of this machine.

use std::fs;
use std::path::Path;

use crate::common::locale as locales;
use crate::common::time_zone as zones;
use sdbuild_core::failure::Failure;
use sdbuild_core::host_name as names;
use sdbuild_core::plain_file;

/// Largest `/etc/timezone` that is read, in bytes; it holds one short line.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// The host name when the directory of the configuration suggests none.
const DEFAULT_NAME: &str = "nixos-sd";

/// A host name for the machine of the configuration in `dir`: the directory's name, as far as it is valid. A home
/// directory (`home`), whose name is the user's, suggests none.
pub fn host_name(dir: &Path, home: Option<&Path>) -> String {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let replaced = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() => Some(c),
        '-' | '_' | ' ' | '.' => Some('-'),
        _ => None,
    };
    let name: String = name
        .chars()
        .filter_map(replaced)
        .take(names::MAX_CHARS)
        .collect();
    let name = name.trim_matches('-');
    if home == Some(dir) || !names::is_valid(name) || name == "localhost" {
        return DEFAULT_NAME.to_owned();
    }
    name.to_owned()
}

/// A usage error unless `zone` is a name of the tz database.
pub fn check_time_zone(zone: &str) -> Result<(), Failure> {
    if zones::is_known(zone) {
        return Ok(());
    }
    let failure = Failure::usage(format!("`{zone}` is not a time zone"));
    Err(match zones::suggestion(zone) {
        Some(name) => failure.hint(format!("did you mean {name}?")),
        None => failure.hint("time zones have names like Europe/Berlin: https://en.wikipedia.org/wiki/List_of_tz_database_time_zones"),
    })
}

/// The locale that the user chose, as glibc names it (`de_DE.UTF-8`); a usage error unless glibc has it with UTF-8.
pub fn check_locale(name: &str) -> Result<&'static str, Failure> {
    locales::with_utf8(name).ok_or_else(|| {
        let failure = Failure::usage(format!("`{name}` is not a locale"));
        match locales::suggestion(name) {
            Some(meant) => failure.hint(format!("did you mean {meant}?")),
            None => failure.hint("locales have a language and a country: en_US, de_DE.UTF-8"),
        }
    })
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
    zones::is_known(&zone).then_some(zone)
}

/// glibc's locale for `lang` (the value of `LANG`), always with UTF-8. `None` for `C`, `POSIX`, other encodings, and names that
/// glibc does not have.
pub fn locale(lang: &str) -> Option<&'static str> {
    // Without an encoding it is an older one.
    let (language, _) = lang.split_once('@').unwrap_or((lang, ""));
    let has_encoding = language.contains('.');
    let known = locales::with_utf8(lang).or_else(|| locales::with_utf8(language));
    known.filter(|_| has_encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_name_is_the_directorys() {
        let name = |dir: &str| host_name(Path::new(dir), Some(Path::new("/home/ann")));
        assert_eq!(name("/home/ann/pi"), "pi");
        assert_eq!(name("/x/My Kitchen_Pi"), "my-kitchen-pi");
        assert_eq!(name("/x/küche."), "kche");
        for none in ["/home/ann", "/", "/x/localhost", "/x/ü", "/x/--"] {
            assert_eq!(name(none), DEFAULT_NAME, "{none}");
        }
        assert_eq!(
            name(&format!("/{}", "x".repeat(200))).len(),
            names::MAX_CHARS
        );
    }

    #[test]
    fn chosen_zones_and_locales_are_checked() {
        check_time_zone("Asia/Tokyo").unwrap();
        let refused = check_time_zone("Europe/Berln").unwrap_err();
        assert_eq!(refused.hints, ["did you mean Europe/Berlin?"]);
        assert_eq!(check_locale("de_DE").unwrap(), "de_DE.UTF-8");
        assert_eq!(check_locale("en_GB.UTF-8").unwrap(), "en_GB.UTF-8");
        for bad in ["", "C", "deutsch", "de_DE.ISO-8859-1", "a\"_b", "xx_YY"] {
            assert!(check_locale(bad).is_err(), "{bad}");
        }
        let refused = check_locale("en_UX.UTF-8").unwrap_err();
        assert_eq!(refused.hints, ["did you mean en_US.UTF-8?"]);
    }

    #[test]
    fn only_utf8_locales_of_glibc_are_used() {
        assert_eq!(locale("de_DE.UTF-8"), Some("de_DE.UTF-8"));
        assert_eq!(locale("en_GB.utf8@euro"), Some("en_GB.UTF-8"));
        for none in [
            "C",
            "C.UTF-8",
            "POSIX",
            "",
            "de_DE",
            "de_DE.ISO-8859-1",
            "a\"_b.UTF-8",
            "xx_YY.UTF-8",
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
