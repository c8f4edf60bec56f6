//! The SSH keys that the NixOS system of an image accepts.

use std::fs::File;

use super::boot::BootReport;
use super::cluster_disk::disk_in;
use super::error::Error;
use super::report::Layout;
use super::virtual_disk::DiskForm;
use crate::common::cancel::Cancel;

/// Bytes that are read of a user's list of keys.
pub const MAX_KEY_LIST_BYTES: usize = 256 * 1024;

/// Where NixOS has the list of keys for `user` in its system at the path `system`; `None` for a name that is no user's.
pub fn key_list_path(system: &str, user: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let is_name = !user.is_empty() && user.chars().all(is_plain);
    is_name.then(|| format!("{system}/etc/ssh/authorized_keys.d/{user}"))
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
