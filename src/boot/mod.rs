//! Boots an image in QEMU's machine, until somebody is let in or it is clear why nobody is.
//!
//! Promises: the image is only ever read; no process outlives sdbuild, however sdbuild ends; what is
//! written (an unpacked image, what the machine writes) has no name and goes with the process. The
//! machine runs in the host's own QEMU, or in a container of the engine's, the only other room that is
//! called, with an image that the caller has seen to.

mod console;
mod console_session;
mod container;
mod copy_in;
mod diagnosis;
mod disk;
mod keyboard;
mod login;
mod machine;
mod outcome;
pub mod pdeathsig;
mod port;
mod process;
mod qemu;
mod run;
mod tools;

use std::ffi::OsString;
use std::path::PathBuf;

pub use container::Emulator;
pub use login::Login;
pub use run::{boot, look, preflight};
pub use tools::host_lacks;

use crate::common::system::Architecture;

/// What shall be booted, and how.
#[derive(Clone, Debug)]
pub struct BootRequest {
    /// The image, absolute; compressed or not.
    pub image: PathBuf,
    /// A directory for what needs disk for the time of the run.
    pub scratch: PathBuf,
    /// The machine's architecture.
    pub architecture: Architecture,
    /// The machine's firmware; `None` for what packages bring.
    pub firmware: Option<PathBuf>,
    /// The machine's memory in MiB.
    pub memory_mib: u32,
    /// The port on 127.0.0.1; `None` for a free one.
    pub port: Option<u16>,
    /// Directories to look for programs in, as in `PATH`.
    pub path: OsString,
    /// The login to wait for; `None` shows the console.
    pub login: Option<Login>,
}
