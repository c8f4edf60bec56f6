//! What sdbuild left on this machine: everything that `clean` lists and removes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::engine::{ContainerInfo, Engine, ImageInfo, RunId, VolumeInfo};
use crate::failure::Failure;
use crate::pipeline::live::live_runs;
use crate::settings::Common;
use crate::{artifact, nixos};

/// One thing to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A handler in the kernel's table whose run is gone.
    Handler(String),
    /// A container whose run is gone.
    Container(String),
    /// A volume, with its size when the engine says it.
    Volume(String, Option<u64>),
    /// A container image: id, name, size.
    Image {
        /// The engine's id.
        id: String,
        /// What it is called.
        name: String,
        /// Bytes.
        size: u64,
    },
    /// Downloads: folder and bytes.
    Cache(PathBuf, u64),
    /// Logs: folder and bytes.
    Logs(PathBuf, u64),
}

/// What there is.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// To be removed, in this order.
    pub items: Vec<Item>,
    /// Runs that are alive: their objects, and what they use, are left alone.
    pub live: BTreeSet<RunId>,
}
