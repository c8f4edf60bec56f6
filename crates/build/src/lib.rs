//! The pipeline: conditions are checked, a plan is made and described or carried out.
//!
//! Promises: nothing on the host changes before the last check passed; what a run acquires is guarded before it
//! exists and released whatever happens; the first error is reported, and what could not be removed is listed
//! with it. The configuration and nixpkgs are uploaded, never mounted; arguments are arrays, and no shell sees a value
//! that the user wrote. Reads no environment.

mod build;
pub mod build_mode;
mod build_source;
mod builder;
mod builder_step;
mod cache_export;
pub mod cache_key;
mod check_memory;
mod checks;
mod clients;
mod closure_export;
mod command;
mod config_dir;
mod configuration;
mod container_images;
mod copy_out;
pub mod doctor;
mod emulation;
mod emulator;
mod evaluate;
pub mod flake;
mod flake_cache_answers;
mod follow;
mod git;
mod interactive;
mod inventory;
mod known_hosts;
mod last_times;
mod ledger;
pub mod lock;
mod logs;
mod network_access;
pub mod nixpkgs;
pub mod output;
mod plan;
pub mod remote_builder;
mod remote_builders;
mod removal;
mod request;
mod run_context;
mod run_lock;
mod series;
pub mod shell;
mod source;
mod status;
mod store_run;
mod stored_tree;
mod sweep;
mod tar_writer;

pub use build::{build, build_system, describe};
pub use cache_export::{CacheExport, Destination, Exported};
pub use clients::fetch_text;
pub use closure_export::ClosureExport;
pub use emulation::Emulation;
pub use emulator::BootEngine;
pub use evaluate::{Checked, check, forecast, lock_flake, machines};
pub use flake_cache_answers::{answers_file, remember as remember_caches};
pub use last_times::{last_times, note_times};
pub use ledger::FileRemoval;
pub use plan::{BuilderPlan, EnginePlan, Plan, check_source, plan, plan_shell, plan_system};
pub use removal::{FoundOldResults, Item, OldResults, Removal, RemovalScope, Removed};
pub use request::{
    BuildRequest, Builders, Caches, Common, Output, Proxies, Questions, ResourceLimits,
    SourceChoice, SourceRequest, Target,
};
pub use run_context::Outcome;
pub use run_lock::{RunState, forget_runs};
pub use series::Series;
pub use source::{SourcePlan, flake_directory, lock_nixpkgs};
pub use status::{Container, EngineState, Handler, Reclaimable, Run, SizedObject, Status};

/// The miniature nixpkgs of the tests as a compressed archive, which `build.rs` writes.
pub const MINIATURE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mini-nixpkgs.tar.gz"));
