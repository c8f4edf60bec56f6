//! The SSH keys that the NixOS system of an image accepts.

use std::fs::File;

use super::boot::{BootReport, Volume};
use super::cluster_disk::disk_in;
use super::error::Error;
use super::report::Layout;
use super::virtual_disk::DiskForm;
use crate::common::cancel::Cancel;

/// Bytes that are read of a user's list of keys.
pub const MAX_KEY_LIST_BYTES: usize = 256 * 1024;

/// Where NixOS has the list of keys for `user` in its system at the path `system`; `None` for a name that is no user's.
pub fn key_list_path(system: &str, user: &str) -> Option<String> {
    is_user_name(user).then(|| format!("{}/{user}", key_lists(system)))
}

/// The directory with the lists of all users, each with the name of its user.
fn key_lists(system: &str) -> String {
    format!("{system}/etc/ssh/authorized_keys.d")
}

fn is_user_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    !name.is_empty() && name.chars().all(is_plain)
}

/// The users with a list of keys in the NixOS system on the disk that `file` holds in `form`, sorted.
pub fn users_with_keys(file: File, form: DiskForm, cancel: &Cancel) -> Result<Vec<String>, Error> {
    let layout = Layout::read(&disk_in(file, form, cancel)?)?;
    let Some(system) = BootReport::find(&layout.volumes)?.system.path else {
        return Ok(Vec::new());
    };
    let lists = key_lists(&system);
    let with_lists = |volume: &Volume| volume.fs.list(&lists).ok();
    let listed = layout.volumes.iter().find_map(with_lists);
    let names = listed.into_iter().flatten().map(|entry| entry.name);
    Ok(names.filter(|name| is_user_name(name)).collect())
}

/// The lines of NixOS's list of keys for `user` on the disk that `file` holds in `form`; `None` if there is no such list.
pub fn authorized_keys(
    file: File,
    form: DiskForm,
    user: &str,
    cancel: &Cancel,
) -> Result<Option<String>, Error> {
    let layout = Layout::read(&disk_in(file, form, cancel)?)?;
    let Some(system) = BootReport::find(&layout.volumes)?.system.path else {
        return Ok(None);
    };
    let Some(path) = key_list_path(&system, user) else {
        return Ok(None);
    };
    for volume in &layout.volumes {
        if let Some(text) = volume.fs.start_of(&path, MAX_KEY_LIST_BYTES)? {
            return Ok(Some(String::from_utf8_lossy(&text).into_owned()));
        }
    }
    Ok(None)
}
