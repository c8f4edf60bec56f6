//! One file for each command: resolves its settings, calls the module that does the work, and writes the result.

mod board_check;
pub mod boards;
pub mod boot;
pub mod build;
pub mod cache;
pub mod check;
pub mod clean;
#[cfg(feature = "cloud")]
mod cloud;
#[cfg(not(feature = "cloud"))]
#[path = "no_cloud.rs"]
mod cloud;
pub mod completions;
mod confirm;
pub mod deploy;
pub mod doctor;
mod dry_run;
mod flake_caches;
#[cfg(target_os = "linux")]
pub mod flash;
#[cfg(not(target_os = "linux"))]
#[path = "flash_elsewhere.rs"]
pub mod flash;
#[cfg(target_os = "linux")]
mod flash_each;
pub mod formats;
mod host_key;
pub mod init;
pub mod inspect;
mod json_output;
pub mod lock;
pub mod man;
mod newest_image;
pub mod next_step;
pub mod personalise;
mod put_files;
#[cfg(target_os = "linux")]
mod put_onto;
mod put_place;
pub mod seed;
pub mod settings;
mod several;
pub mod shell;
pub mod status;
pub mod try_cmd;

#[cfg(feature = "cloud")]
pub use cloud::{hold_machine, publish};

use crate::settings::Environment;
use crate::ui::Ui;
use sdbuild_core::context::Context;

/// What a command works with.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// The variables of the process.
    pub env: &'a Environment,
    /// Where results and questions go.
    pub ui: &'a Ui,
    /// Where events go, and what ends the command early.
    pub context: &'a Context,
}
