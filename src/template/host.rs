//! Values of a new machine, checked, and what this machine has for them: host name, time zone and locale, an account, and a wireless
//! network. Of that the configuration has the key, which is derived from name and passphrase, and not the passphrase itself.

use std::num::NonZeroU32;
use std::path::Path;
use std::{fmt, fs};

use ring::pbkdf2;

use sdbuild_core::failure::Failure;
use sdbuild_core::host_name as names;
use sdbuild_core::nix_string::nix_string;
use sdbuild_core::plain_file;
use sdbuild_nix::locale as locales;
use sdbuild_nix::time_zone as zones;

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

/// PBKDF2 iterations of a WPA key (IEEE 802.11, annex J.4).
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
/// Bytes of a network's name (SSID).
const MAX_NAME_BYTES: usize = 32;

/// A WPA network: its name (SSID) and the key derived from it and the passphrase.
#[derive(Clone, PartialEq, Eq)]
pub struct Wifi {
    name: String,
    key: [u8; 32],
}

impl fmt::Debug for Wifi {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wifi").field(&self.name).finish()
    }
}

impl Wifi {
    /// The network `name` with `passphrase`; a usage error when either is not valid for WPA.
    pub fn new(name: &str, passphrase: &str) -> Result<Self, Failure> {
        Self::check(name)?;
        let printable = passphrase.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if !(8..=63).contains(&passphrase.len()) || !printable {
            return Err(
                Failure::usage("the passphrase of the wireless network is not valid")
                    .hint("a passphrase has 8 to 63 ASCII characters"),
            );
        }
        let mut key = [0; 32];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA1;
        pbkdf2::derive(
            algorithm,
            ITERATIONS,
            name.as_bytes(),
            passphrase.as_bytes(),
            &mut key,
        );
        let name = name.to_owned();
        Ok(Self { name, key })
    }

    /// A usage error unless `name` is a valid network name.
    pub fn check(name: &str) -> Result<(), Failure> {
        if (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.contains(char::is_control) {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "`{name}` is not a valid name of a wireless network"
        ))
        .hint("a name has 1 to 32 bytes and no control characters"))
    }

    /// The lines of the configuration, with a blank line before them.
    pub(super) fn lines(&self) -> String {
        let (name, key) = (nix_string(&self.name), hex::encode(self.key));
        format!(
            "\n\n  # The wireless network to join. Its key can be read from the card, and in the Nix store of every machine\n  \
             # that builds the image. To keep it out, put a file on the card, name it in\n  \
             # networking.wireless.secretsFile and write pskRaw = \"ext:NAME\". A network that accepts only WPA3\n  \
             # needs `psk` with the passphrase.\n  \
             networking.wireless.enable = true;\n  \
             networking.wireless.networks.{name}.pskRaw = \"{key}\";\n  \
             hardware.enableRedistributableFirmware = true;"
        )
    }
}

/// Characters of the longest name (`LOGIN_NAME_MAX` of utmp, which systemd and shadow apply).
const MAX_ACCOUNT_CHARS: usize = 31;
/// Accounts that every NixOS has.
const TAKEN: [&str; 4] = ["root", "nobody", "messagebus", "sshd"];

/// A usage error unless `name` can be a new account: lower-case letters, digits, `-` and `_`, a letter or `_` first.
pub fn check_user_name(name: &str) -> Result<(), Failure> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if TAKEN.contains(&name) {
        return Err(
            Failure::usage(format!("the account {name} exists on every machine"))
                .hint("choose another name; root has your keys without --user"),
        );
    }
    if starts_well && name.len() <= MAX_ACCOUNT_CHARS && name.chars().all(is_allowed) {
        return Ok(());
    }
    Err(
        Failure::usage(format!("`{name}` is not a valid user name")).hint(format!(
            "user names have lower-case letters, digits, `-` and `_`, begin with a letter, and have at most \
             {MAX_ACCOUNT_CHARS} characters"
        )),
    )
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

    /// The test vector of IEEE 802.11, annex J.4.
    #[test]
    fn the_key_is_derived_from_name_and_passphrase() {
        let wifi = Wifi::new("IEEE", "password").unwrap();
        let key = "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e";
        assert!(
            wifi.lines()
                .contains(&format!("networks.\"IEEE\".pskRaw = \"{key}\";"))
        );
        assert!(!wifi.lines().contains("password") && !format!("{wifi:?}").contains("f4"));
        let odd = Wifi::new("a\"${b}", "password").unwrap().lines();
        assert!(odd.contains("networks.\"a\\\"\\${b}\".pskRaw"), "{odd}");
    }

    #[test]
    fn refuses_invalid_names_and_passphrases() {
        for (name, phrase) in [
            ("", "password"),
            ("x", "short"),
            ("x", "ümlautümlaut"),
            ("x\ny", "password"),
        ] {
            assert!(Wifi::new(name, phrase).is_err(), "{name} {phrase}");
        }
        assert!(Wifi::new(&"n".repeat(33), "password").is_err());
        assert!(Wifi::new("x", &"p".repeat(64)).is_err());
    }

    #[test]
    fn names_that_linux_refuses_are_refused() {
        for good in ["ann", "_x", "pi-4", &"a".repeat(MAX_ACCOUNT_CHARS)] {
            check_user_name(good).unwrap();
        }
        for bad in [
            "",
            "root",
            "Ann",
            "4pi",
            "-a",
            "a b",
            "a\"",
            "ü",
            &"a".repeat(MAX_ACCOUNT_CHARS + 1),
        ] {
            assert!(check_user_name(bad).is_err(), "{bad}");
        }
    }
}
