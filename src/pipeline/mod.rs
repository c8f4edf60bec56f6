//! The pipeline: facts → plan → run, and the scope of everything that must be given back.
//!
//! Promises: nothing on the host changes before the last check passed; what a run borrows is guarded
//! before it exists and released in reverse order, whatever happened; the first error wins and what
//! could not be removed rides along. Has no words for people and reads no environment.

mod binfmt_table;
mod check;
mod checks;
mod configuration;
mod connection;
mod describe;
pub mod doctor;
mod emulate;
mod emulation;
mod emulator;
mod evaluation;
mod forecast;
mod images;
mod inputs;
mod inventory;
mod job_control;
mod kernel_version;
mod listing;
mod logs;
mod plan;
mod problems;
mod provenance;
mod removal;
mod resources;
mod run;
mod run_lock;
mod scope;
pub mod shell;
mod status;
mod sweep;

pub use crate::common::context::Context;
pub use check::{Checked, check};
pub use emulation::Emulation;
pub use emulator::QemuEngine;
pub use forecast::forecast;
pub use listing::listing;
pub use plan::{EnginePlan, Plan, plan};
pub use removal::{Item, Removal};
pub use run::{BuildOutcome, run};
pub use run_lock::RunState;
pub use status::{Container, EngineState, Handler, Run, SizedObject, Status};
