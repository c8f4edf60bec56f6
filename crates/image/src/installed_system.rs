//! The system that is installed on a disk, for those who boot it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use super::authorized_keys::key_lists;
use super::boot::BootReport;
use super::cluster_disk::disk_in;
use super::disk_form::DiskForm;
use super::error::Error;
use super::key_sources::takes_only_lists;
use super::report::Layout;
use super::ssh_port::ssh_port;
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
