//! A first configuration: the repository's example `sd-card.nix` with values of this machine.
//!
//! Guarantees: the result differs from the example only in keys, host name, time zone, locale and wireless
//! network, account and board; every value is a quoted Nix string; a file is written completely or not at all, and never replaces
//! another one. Uses no module but `common`.

mod account;
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
pub use account::check_user_name;
pub use agent::agent_keys;
pub use host::{check_locale, check_time_zone, host_name, locale, time_zone};
pub use keys::{PublicKey, key_in, keys_listed, public_keys, sorted};
pub use miniature::unpack_miniature;
pub use new_key::KeyPair;
pub use wifi::Wifi;

use crate::common::created_dirs::CreatedDirs;
use crate::common::failure::{Failure, OrFail as _};

/// The example, and the texts in it that are replaced.
const EXAMPLE: &str = include_str!("../../sd-card.nix");
const KEY: &str = "    \"ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY\"\n";
const ARGUMENTS: &str = "{ lib, pkgs, modulesPath, ... }:";
const BOARD: &str = "  # A 64-bit ARM machine: Raspberry Pi 3, 4 or Zero 2, and most others.\n";
const PROGRAMS: &str = "  # Programs that you want to have there.\n";
const HOST_NAME: &str = "networking.hostName = \"nixos-sd\";";
const LOCALE: &str = "i18n.defaultLocale = \"en_US.UTF-8\";";
const TIME_ZONE: &str = "time.timeZone = \"Europe/Berlin\";";

/// In place of [`BOARD`].
const OTHER_BOARD: &str = "  # A 64-bit ARM machine. It starts this card when U-Boot is in its flash memory; otherwise U-Boot must be written to the\n  \
     # card, at the place that its maker names: see sdImage.postBuildCommands.\n";

/// The values that replace those of the example.
#[derive(Clone, Debug)]
pub struct TemplateValues {
    /// Keys that may log in as root; when empty, the placeholder stays.
    pub keys: Vec<PublicKey>,
    /// The new machine's host name.
    pub host_name: String,
    /// An account with the same keys that may become root without a password.
    pub user: Option<String>,
    /// Whether the image is for another board than the example's.
    pub other_board: bool,
    /// A name of the tz database; the example's when `None`.
    pub time_zone: Option<String>,
    /// A glibc locale; the example's when `None`.
    pub locale: Option<String>,
    /// The wireless network to join.
    pub wifi: Option<Wifi>,
}

/// A `flake.nix` that builds the `configuration.nix` beside it as the configuration `host_name`, with nixpkgs of the NixOS
/// `release`.
pub fn flake(host_name: &str, release: &str) -> String {
    let name = nix_string(host_name);
    format!(
        "{{\n  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-{release}\";\n\n  \
         outputs = {{ nixpkgs, ... }}: {{\n    # `sdbuild build` builds its SD card image, as long as it is the only one.\n    \
         nixosConfigurations.{name} = nixpkgs.lib.nixosSystem {{ modules = [ ./configuration.nix ]; }};\n  }};\n}}\n"
    )
}

/// The example with `values` filled in.
pub fn render(values: &TemplateValues) -> String {
    let mut text = EXAMPLE.to_owned();
    if values.other_board {
        text = text.replacen(BOARD, OTHER_BOARD, 1);
    }
    if let Some(user) = &values.user {
        let with_config = ARGUMENTS.replacen("{ ", "{ config, ", 1);
        text = text.replacen(ARGUMENTS, &with_config, 1);
        text = text.replacen(PROGRAMS, &format!("{}{PROGRAMS}", user_lines(user)), 1);
    }
    let name = nix_string(&values.host_name);
    let wifi = values.wifi.as_ref().map(Wifi::lines).unwrap_or_default();
    text = text.replacen(
        HOST_NAME,
        &format!("networking.hostName = {name};{wifi}"),
        1,
    );
    if let Some(locale) = &values.locale {
        let locale = nix_string(locale);
        text = text.replacen(LOCALE, &format!("i18n.defaultLocale = {locale};"), 1);
    }
    if let Some(zone) = &values.time_zone {
        let zone = nix_string(zone);
        text = text.replacen(TIME_ZONE, &format!("time.timeZone = {zone};"), 1);
    }
    if values.keys.is_empty() {
        return text;
    }
    let line = |key: &PublicKey| format!("    {}\n", nix_string(&key.line));
    let keys: String = values.keys.iter().map(line).collect();
    text.replacen(KEY, &keys, 1)
}

/// The account `user`, with root's keys.
fn user_lines(user: &str) -> String {
    let name = nix_string(user);
    format!(
        "  # Your account. It has no password, so sudo must not ask for one.\n  \
           users.users.{name} = {{\n    \
             isNormalUser = true;\n    \
             extraGroups = [ \"wheel\" ];\n    \
             openssh.authorizedKeys.keys = config.users.users.root.openssh.authorizedKeys.keys;\n  \
           }};\n  \
           security.sudo.wheelNeedsPassword = false;\n\n"
    )
}

impl TemplateValues {
    /// Who may read the file with these values.
    pub fn access(&self) -> Access {
        match self.wifi {
            Some(_) => Access::Owner,
            None => Access::Everybody,
        }
    }
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner: it contains a secret.
    Owner,
    /// Everybody.
    Everybody,
}

impl Access {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everybody => 0o644,
        }
    }
}

/// Writes `text` to the new file `path`, owned by `owner` (user and group id; `None`: this user). A usage error when
/// `path` exists.
pub fn write(
    path: &Path,
    text: &str,
    access: Access,
    owner: Option<(u32, u32)>,
) -> Result<(), Failure> {
    let shown = path.display();
    let dir = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    // An early error; `persist_noclobber` below is what guarantees it.
    is_free(path)?;
    let write_temporary = || -> io::Result<tempfile::NamedTempFile> {
        std::fs::metadata(&dir)?;
        let file = tempfile::Builder::new()
            .prefix(".sd-card-")
            .permissions(std::fs::Permissions::from_mode(access.mode()))
            .tempfile_in(&dir);
        // The message of the error would name the temporary file.
        let mut file = file.map_err(|error| io::Error::from(error.kind()))?;
        file.write_all(text.as_bytes())?;
        if let Some((user, group)) = owner {
            fchown(file.as_file(), Some(user), Some(group))?;
        }
        file.as_file().sync_all()?;
        Ok(file)
    };
    let file = write_temporary().or_usage(format!("write {shown}"));
    let file = file.map_err(|failure| {
        let dir = dir.display();
        failure.hint(format!(
            "the directory must exist and be writable: mkdir -p '{dir}'"
        ))
    })?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(e) => Err(e.error).or_environment(format!("write {shown}")),
    }
}

/// A usage error when `path` exists; a dangling symbolic link exists as well.
pub fn is_free(path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Ok(_) => Err(exists(path)),
        Err(_) => Ok(()),
    }
}

/// Creates the directory of the file `path` if it is missing, owned by `owner` (user and group id; `None`: this user).
pub fn make_dir(path: &Path, owner: Option<(u32, u32)>) -> Result<(), Failure> {
    let Some(dir) = path.parent().filter(|dir| !dir.is_dir()) else {
        return Ok(());
    };
    let created = CreatedDirs::create(dir, owner);
    created
        .or_usage(format!("create the directory {}", dir.display()))?
        .keep();
    Ok(())
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!(
        "{} exists already, and is not replaced",
        path.display()
    ))
    .hint("name another file with --config, or move this file away")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example_values() -> TemplateValues {
        TemplateValues {
            keys: Vec::new(),
            host_name: "nixos-sd".into(),
            user: None,
            other_board: false,
            time_zone: Some("Europe/Berlin".into()),
            locale: Some("en_US.UTF-8".into()),
            wifi: None,
        }
    }

    #[test]
    fn its_own_values_yield_the_example() {
        for blank in [
            KEY, ARGUMENTS, BOARD, PROGRAMS, HOST_NAME, TIME_ZONE, LOCALE,
        ] {
            assert_eq!(EXAMPLE.matches(blank).count(), 1, "{blank}");
        }
        assert_eq!(render(&example_values()), EXAMPLE);
    }

    #[test]
    fn a_user_gets_the_keys_and_a_sudo_that_works() {
        let text = render(&TemplateValues {
            user: Some("ann".into()),
            ..example_values()
        });
        for part in [
            "{ config, lib, pkgs, modulesPath, ... }:\n",
            "  users.users.\"ann\" = {\n    isNormalUser = true;\n    extraGroups = [ \"wheel\" ];\n",
            "  security.sudo.wheelNeedsPassword = false;\n\n  # Programs that",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn another_board_has_other_words_only() {
        let text = render(&TemplateValues {
            other_board: true,
            ..example_values()
        });
        assert!(text.contains("U-Boot"), "{text}");
        assert!(!text.contains("Raspberry Pi 3"), "{text}");
        assert!(text.contains("nixpkgs.hostPlatform = \"aarch64-linux\";"));
    }

    #[test]
    fn writes_one_line_per_key() {
        let key = |line: &str| PublicKey { line: line.into() };
        let keys = vec![key("ssh-ed25519 AAAA a\"b"), key("ssh-rsa BBBB")];
        let text = render(&TemplateValues {
            keys,
            ..example_values()
        });
        assert!(
            text.contains("keys = [\n    \"ssh-ed25519 AAAA a\\\"b\"\n    \"ssh-rsa BBBB\"\n  ];"),
            "{text}"
        );
        assert!(!text.contains("REPLACE-ME"));
    }

    #[test]
    fn existing_files_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sd-card.nix");
        write(&path, "one", Access::Everybody, None).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        let refused = write(&path, "two", Access::Everybody, None).unwrap_err();
        assert_eq!(refused.class, crate::common::failure::Class::Usage);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        let link = dir.path().join("link.nix");
        std::os::unix::fs::symlink("/nonexistent/x", &link).unwrap();
        assert!(write(&link, "two", Access::Everybody, None).is_err());
        let nowhere =
            write(&dir.path().join("no/sd-card.nix"), "x", Access::Owner, None).unwrap_err();
        assert!(!nowhere.to_string().contains(".sd-card-"), "{nowhere}");
        assert!(nowhere.hints.concat().contains("mkdir -p"), "{nowhere:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
