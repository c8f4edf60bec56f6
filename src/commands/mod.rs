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

use std::time::Duration;

use crate::settings::Environment;
use crate::ui::Ui;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};

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

/// How long a disk may take, after an interrupt, to complete its last command: cards take seconds for some commands, and
/// one that never answers must not block the end of the run.
const BLOCKED_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs `work`, which blocks and checks for cancellation itself, on a thread of its own. After an interrupt
/// its result, which states what a card or an image holds, is still awaited for [`BLOCKED_TIMEOUT`].
async fn blocking<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&Context) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let inner = context.clone();
    let mut work = tokio::task::spawn_blocking(move || work(&inner));
    let ended = tokio::select! {
        ended = &mut work => Some(ended),
        () = context.cancel.cancelled() => context.cancel.bounded(BLOCKED_TIMEOUT, work).await,
    };
    match ended {
        Some(ended) => ended.or_internal("wait for the work on a disk")?,
        None => Err(Failure::interrupted()),
    }
}
