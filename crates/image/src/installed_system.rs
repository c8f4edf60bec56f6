//! The system that is installed on a disk, for those who boot it: its architecture, and the keys and the port of its SSH server.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use super::boot::{BootReport, Volume};
use super::cluster_disk::{DiskForm, disk_in};
use super::error::Error;
use super::files::{Entry, FileSystem};
use super::report::Layout;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::system::System;

/// What a disk tells of the system on it.
#[derive(Debug, Default)]
pub struct InstalledSystem {
    /// The systems that its kernel and UEFI programs are for; empty if that is unknown.
    pub systems: BTreeSet<System>,
    /// The lines of NixOS's lists of SSH keys, by user; empty if there is no NixOS, or they cannot be read.
    pub key_lists: BTreeMap<String, String>,
    /// Whether its SSH server certainly accepts no keys but those.
    pub takes_only_listed_keys: bool,
    /// The first port of NixOS's SSH server; `None` if it has none, or it cannot be read.
    pub ssh_port: Option<u16>,
}

impl InstalledSystem {
    /// Reads the disk that `file` holds in `form`.
    pub fn read(file: File, form: DiskForm, cancel: &Cancel) -> Result<Self, Error> {
        let layout = Layout::read(&disk_in(file, form, cancel)?)?;
        let boot = BootReport::find(&layout.volumes)?;
        let path = boot.system.path.as_deref();
        let key_lists = match path.map(|path| key_lists(&layout.volumes, path)) {
            Some(Err(error)) if error.is_fatal() => return Err(error),
            Some(Ok(lists)) => lists,
            Some(Err(_)) | None => BTreeMap::new(),
        };
        let ssh_port = match path.map(|path| ssh_port(&layout.volumes, path)) {
            Some(port) => port?,
            None => None,
        };
        let only_lists = path.map(|path| takes_only_lists(&layout.volumes, path));
        Ok(Self {
            takes_only_listed_keys: only_lists.transpose()?.unwrap_or_default(),
            systems: boot.systems(),
            key_lists,
            ssh_port,
        })
    }
}

/// Bytes that are read of a user's list of keys.
pub const MAX_KEY_LIST_BYTES: usize = 256 * 1024;

/// Users whose lists are read.
const MAX_USERS: usize = 64;

/// Where NixOS has the list of keys for `user` in its system at the path `system`; `None` for a name that is no user's.
pub fn key_list_path(system: &str, user: &str) -> Option<String> {
    is_user_name(user).then(|| format!("{}/{user}", directory(system)))
}

/// The directory with the lists of all users, each with the name of its user.
fn directory(system: &str) -> String {
    format!("{system}/etc/ssh/authorized_keys.d")
}

fn is_user_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    !name.is_empty() && name.chars().all(is_plain)
}

/// The lines of the lists of keys of the NixOS system at the path `system` on one of `volumes`, by user.
fn key_lists(volumes: &[Volume], system: &str) -> Result<BTreeMap<String, String>, Error> {
    let directory = directory(system);
    for volume in volumes {
        // It is on one of them.
        if let Ok(entries) = volume.fs.list(&directory) {
            return lists_in(&volume.fs, &directory, entries);
        }
    }
    Ok(BTreeMap::new())
}

/// The lists that `entries` of `directory` are.
fn lists_in(
    fs: &FileSystem,
    directory: &str,
    entries: Vec<Entry>,
) -> Result<BTreeMap<String, String>, Error> {
    let names = entries.into_iter().map(|entry| entry.name);
    let users = names.filter(|name| is_user_name(name)).take(MAX_USERS);
    let mut lists = BTreeMap::new();
    for user in users {
        if let Some(text) = fs.start_of(&format!("{directory}/{user}"), MAX_KEY_LIST_BYTES)? {
            lists.insert(user, String::from_utf8_lossy(&text).into_owned());
        }
    }
    Ok(lists)
}

/// The file with the keys of a user that NixOS writes, as the server's configuration names it.
const LIST: &str = "/etc/ssh/authorized_keys.d/%u";
/// Keywords of further sources of keys, or of a part of the configuration that may have some.
const OTHER_SOURCES: [&str; 4] = [
    "authorizedkeyscommand",
    "include",
    "match",
    "trustedusercakeys",
];

/// Whether the server of the system at the path `system` on one of `volumes` accepts only the keys in NixOS's lists: what the system
/// writes into home directories while it runs does not count. `false` where that is not known.
fn takes_only_lists(volumes: &[Volume], system: &str) -> Result<bool, Error> {
    let config = server_configuration(volumes, system)?;
    Ok(config.is_some_and(|config| has_only_lists(&config)))
}

/// Whether the SSH server of the NixOS system at the path `system` on one of `volumes` certainly takes only the keys in its lists, and where
/// it looks for its own keys; these are empty if that is not known.
pub(super) fn keys_of_server(
    volumes: &[Volume],
    system: &str,
) -> Result<(bool, Vec<String>), Error> {
    let config = server_configuration(volumes, system)?.unwrap_or_default();
    let own = values(&config, "hostkey").map(str::to_owned);
    Ok((has_only_lists(&config), own.collect()))
}

/// The same of the text of an `sshd_config`.
fn has_only_lists(config: &str) -> bool {
    let mut is_list = false;
    for line in config.lines() {
        // As in `sshd_config(5)`: a keyword has no case, and `=` may stand behind it.
        let words = line.split(|c: char| c.is_whitespace() || c == '=');
        let mut words = words.filter(|word| !word.is_empty());
        let keyword = words.next().unwrap_or_default().to_lowercase();
        let values: Vec<&str> = words.collect();
        if OTHER_SOURCES.contains(&keyword.as_str()) && values != ["none"] {
            return false;
        }
        if keyword == "authorizedkeysfile" {
            if values != [LIST] {
                return false;
            }
            is_list = true;
        }
    }
    is_list
}

/// Bytes that are read of the server's configuration, in which NixOS writes the ports before lines of the user.
const MAX_CONFIG_BYTES: usize = 64 * 1024;

/// The first port that the SSH server of the NixOS system at the path `system` on one of `volumes` listens on; `None` where no
/// server is configured, or its configuration cannot be read.
fn ssh_port(volumes: &[Volume], system: &str) -> Result<Option<u16>, Error> {
    let config = server_configuration(volumes, system)?;
    Ok(config.as_deref().and_then(first_port))
}

/// The beginning of the configuration of the SSH server of the NixOS system at the path `system` on one of `volumes`; `None` where
/// there is none, or it cannot be read.
fn server_configuration(volumes: &[Volume], system: &str) -> Result<Option<String>, Error> {
    let path = format!("{system}/etc/ssh/sshd_config");
    for volume in volumes {
        match volume.fs.start_of(&path, MAX_CONFIG_BYTES) {
            Ok(Some(config)) => return Ok(Some(String::from_utf8_lossy(&config).into_owned())),
            Err(error) if error.is_fatal() => return Err(error),
            // It is on one of them.
            Ok(None) | Err(_) => {}
        }
    }
    Ok(None)
}

/// The port that an SSH server with this `sshd_config` listens on for other machines: that of the first address which is not only
/// its own, if that has one, else the first `Port`.
fn first_port(config: &str) -> Option<u16> {
    let port = values(config, "port").find_map(valid_port);
    let mut addresses = values(config, "listenaddress");
    let address = addresses.find(|address| !is_loopback(address));
    address.and_then(port_of_address).or(port)
}

/// The values of the `keyword`, which has no case, in an `sshd_config`.
fn values<'a>(config: &'a str, keyword: &str) -> impl Iterator<Item = &'a str> {
    config.lines().filter_map(move |line| {
        let mut words = line.split_whitespace();
        let is_meant = words.next()?.eq_ignore_ascii_case(keyword);
        words.next().filter(|_| is_meant)
    })
}

fn valid_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

fn is_loopback(address: &str) -> bool {
    let address = address.trim_start_matches('[');
    let own = ["127.", "localhost", "::1"];
    own.iter().any(|own| address.starts_with(own))
}

/// The port in `address`, such as `0.0.0.0:22` and `[::]:22`; an address of IPv6 without brackets has none.
fn port_of_address(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    let is_whole = !host.contains(':') || host.ends_with(']');
    valid_port(port).filter(|_| is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_from_elsewhere_are_noticed() {
        let only = format!("UsePAM yes\nAuthorizedKeysFile {LIST}\nAuthorizedKeysCommand none\n");
        assert!(has_only_lists(&only));
        assert!(has_only_lists(&format!("authorizedkeysfile={LIST}\n")));
        for other in [
            "",
            "UsePAM yes\n",
            "AuthorizedKeysFile %h/.ssh/authorized_keys /etc/ssh/authorized_keys.d/%u\n",
            "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u\nAuthorizedKeysCommand /bin/keys\n",
            "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u\nMatch User bob\n",
            "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u\nTrustedUserCAKeys=/ca.pub\n",
            "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u\nInclude /etc/more\n",
        ] {
            assert!(!has_only_lists(other), "{other}");
        }
    }

    #[test]
    fn the_first_port_of_the_server_is_found() {
        let config = "UsePAM yes\n\nBanner none\n# Port 1\nAddressFamily any\nPort 2222\nPort 22\n";
        assert_eq!(first_port(config), Some(2222));
        assert_eq!(first_port("port 22\n"), Some(22));
        for (address, port) in [
            ("0.0.0.0:2222", 2222),
            ("[::]:2222", 2222),
            ("0.0.0.0", 22),
            ("fe80::5", 22),
            ("127.0.0.1:2222", 22),
            ("[::1]:2222", 22),
        ] {
            let config = format!("Port 22\nListenAddress {address}\n");
            assert_eq!(first_port(&config), Some(port), "{address}");
        }
        for other in [
            "",
            "Port\n",
            "Port 0\n",
            "Port 70000\n",
            "GatewayPorts no\n",
        ] {
            assert_eq!(first_port(other), None, "{other}");
        }
    }
}
