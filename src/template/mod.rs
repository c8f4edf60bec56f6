//! A first configuration: the repository's example with what this machine knows filled in.
//!
//! Promises: the result is the example but for its key, host name, time zone, locale and wireless network; no text from a key file
//! or this machine leaves the Nix string that it is put into; a file appears whole or not at all, and
//! replaces nothing. Calls no other room.

mod agent;
mod host;
mod keys;
mod miniature;
mod new_key;
mod wifi;

use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::common::nix_string::nix_string;
pub use agent::agent_keys;
pub use host::{host_name, locale, time_zone};
pub use keys::{PublicKey, key_in, keys_listed, public_keys, sorted};
pub use miniature::unpack_miniature;
pub use new_key::KeyPair;
pub use wifi::Wifi;

use crate::common::failure::{Failure, OrFail as _};

/// What people start from, and the places in it that are filled in.
const EXAMPLE: &str = include_str!("../../sd-card.nix");
const KEY: &str = "    \"ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY\"\n";
const HOST_NAME: &str = "networking.hostName = \"nixos-sd\";";
const LOCALE: &str = "i18n.defaultLocale = \"en_US.UTF-8\";";
const TIME_ZONE: &str = "time.timeZone = \"Europe/Berlin\";";

/// What is filled in.
#[derive(Clone, Debug)]
pub struct TemplateValues {
    /// Who may log in; with none the placeholder stays.
    pub keys: Vec<PublicKey>,
    /// The new machine's name.
    pub host_name: String,
    /// As in the tz database; without one the example's stays.
    pub time_zone: Option<String>,
    /// As glibc names it; without one the example's stays.
    pub locale: Option<String>,
    /// The wireless network to join.
    pub wifi: Option<Wifi>,
}

/// The configuration's text.
pub fn render(blanks: &TemplateValues) -> String {
    let mut text = EXAMPLE.to_owned();
    let name = nix_string(&blanks.host_name);
    let wifi = blanks.wifi.as_ref().map(Wifi::lines).unwrap_or_default();
    text = text.replacen(
        HOST_NAME,
        &format!("networking.hostName = {name};{wifi}"),
        1,
    );
    if let Some(locale) = &blanks.locale {
        let locale = nix_string(locale);
        text = text.replacen(LOCALE, &format!("i18n.defaultLocale = {locale};"), 1);
    }
    if let Some(zone) = &blanks.time_zone {
        let zone = nix_string(zone);
        text = text.replacen(TIME_ZONE, &format!("time.timeZone = {zone};"), 1);
    }
    if blanks.keys.is_empty() {
        return text;
    }
    let line = |key: &PublicKey| format!("    {}\n", nix_string(&key.line));
    let keys: String = blanks.keys.iter().map(line).collect();
    text.replacen(KEY, &keys, 1)
}

/// Writes `text` as `path`, owned by `owner` when that is somebody else. What is there stays there.
pub fn write(path: &Path, text: &str, owner: Option<(u32, u32)>) -> Result<(), Failure> {
    let shown = path.display();
    let dir = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    // The renaming below has the last word.
    is_free(path)?;
    let whole = || -> io::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::Builder::new()
            .prefix(".sd-card-")
            .permissions(std::fs::Permissions::from_mode(0o644))
            .tempfile_in(&dir)?;
        file.write_all(text.as_bytes())?;
        if let Some((user, group)) = owner {
            fchown(file.as_file(), Some(user), Some(group))?;
        }
        file.as_file().sync_all()?;
        Ok(file)
    };
    let file = whole().or_usage(format!("write {shown}"));
    let file = file.map_err(|failure| {
        let dir = dir.display();
        failure.hint(format!(
            "the directory must be there and yours: mkdir -p '{dir}'"
        ))
    })?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(e) => Err(e.error).or_environment(format!("write {shown}")),
    }
}

/// Whether nothing is at `path`; also a link that leads nowhere is something.
pub fn is_free(path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Ok(_) => Err(exists(path)),
        Err(_) => Ok(()),
    }
}

/// Makes the directory of `path`, owned by `owner` when that is somebody else; one that is there is left alone.
pub fn make_dir(path: &Path, owner: Option<(u32, u32)>) -> Result<(), Failure> {
    let Some(dir) = path.parent().filter(|dir| !dir.is_dir()) else {
        return Ok(());
    };
    let make = || {
        std::fs::create_dir_all(dir)?;
        owner.map_or(Ok(()), |(user, group)| {
            std::os::unix::fs::chown(dir, Some(user), Some(group))
        })
    };
    make().or_usage(format!("make the directory {}", dir.display()))
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!(
        "{} is there already, and stays as it is",
        path.display()
    ))
    .hint("name another file with --config, or move this one away")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blanks() -> TemplateValues {
        TemplateValues {
            keys: Vec::new(),
            host_name: "nixos-sd".into(),
            time_zone: Some("Europe/Berlin".into()),
            locale: Some("en_US.UTF-8".into()),
            wifi: None,
        }
    }

    #[test]
    fn filled_with_its_own_values_it_is_the_example() {
        for blank in [KEY, HOST_NAME, TIME_ZONE, LOCALE] {
            assert_eq!(EXAMPLE.matches(blank).count(), 1, "{blank}");
        }
        assert_eq!(render(&blanks()), EXAMPLE);
    }

    #[test]
    fn every_key_is_a_line_of_its_own() {
        let key = |line: &str| PublicKey { line: line.into() };
        let keys = vec![key("ssh-ed25519 AAAA a\"b"), key("ssh-rsa BBBB")];
        let text = render(&TemplateValues { keys, ..blanks() });
        assert!(
            text.contains("keys = [\n    \"ssh-ed25519 AAAA a\\\"b\"\n    \"ssh-rsa BBBB\"\n  ];"),
            "{text}"
        );
        assert!(!text.contains("REPLACE-ME"));
    }

    #[test]
    fn what_is_there_is_not_replaced_and_nothing_is_left_of_the_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sd-card.nix");
        write(&path, "one", None).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        let refused = write(&path, "two", None).unwrap_err();
        assert_eq!(refused.class, crate::common::failure::Class::Usage);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        let link = dir.path().join("link.nix");
        std::os::unix::fs::symlink("/nonexistent/x", &link).unwrap();
        assert!(write(&link, "two", None).is_err());
        assert!(write(&dir.path().join("no/sd-card.nix"), "x", None).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
