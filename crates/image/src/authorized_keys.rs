//! The SSH keys that the NixOS system of an image accepts.

use std::collections::BTreeMap;

use super::boot::Volume;
use super::entry::Entry;
use super::error::Error;
use super::files::FileSystem;

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
pub(super) fn key_lists(
    volumes: &[Volume],
    system: &str,
) -> Result<BTreeMap<String, String>, Error> {
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
