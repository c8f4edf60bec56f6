//! Changes the system of machines that run NixOS: over the user's own `ssh`, with what every NixOS has.
//!
//! Promises: the machine runs the old or the new system, whole. What it starts is the old system until a new connection has confirmed
//! the new one, and it returns to the old one by itself if nobody does. Nothing is installed there: what runs are the POSIX scripts of
//! `scripts`, with arguments that are quoted. What the machine says is data of an untrusted place: it is bounded and typed.
//!
//! This crate knows neither engine nor builder: it is given the description of a closure, and archives of paths.

mod board;
mod closure;
mod deployment;
mod difference;
mod firmware;
mod generation;
mod host;
mod script;
mod serve;
mod ssh;
mod store_path;

pub use board::{Board, Elevation, Way};
pub use closure::{Closure, PathInfo};
pub use deployment::{Deployment, Missing, Mode, Outcome, Returned};
pub use difference::{Change, Difference};
pub use firmware::{Firmware, FirmwareChange};
pub use generation::Generation;
pub use host::Host;
pub use serve::Store;
pub use ssh::{Connection, SshProgram, Terminal};
pub use store_path::StorePath;
