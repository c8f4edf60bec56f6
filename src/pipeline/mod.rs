//! The pipeline: conditions are checked, a plan is made and described or carried out.
//!
//! Promises: nothing on the host changes before the last check passed; what a run acquires is guarded before it
//! exists and released whatever happens; the first error is reported, and what could not be removed is listed
//! with it. Reads no environment.

mod build;
mod builder;
mod cache_export;
mod checks;
mod clients;
mod container_images;
mod copy_out;
pub mod doctor;
mod emulation;
mod emulator;
mod evaluate;
mod flake_cache_answers;
mod inventory;
mod last_times;
mod logs;
mod plan;
mod remote_builders;
mod removal;
mod request;
mod run_context;
mod run_lock;
mod run_summary;
pub mod shell;
mod source;
mod status;
mod sweep;

pub use build::{build, describe};
pub use cache_export::{CacheExport, Destination, Exported};
pub use clients::fetch_text;
pub use emulation::Emulation;
pub use emulator::BootEngine;
pub use evaluate::{Checked, check, forecast, lock_flake};
pub use flake_cache_answers::{answers_file, remember as remember_caches};
pub use last_times::{last_times, note_times};
pub use plan::{BuilderPlan, EnginePlan, Plan, check_source, plan, plan_shell};
pub use removal::{FileRemoval, FoundOldResults, Item, OldResults, Removal, RemovalScope, Removed};
pub use request::{
    BuildRequest, Builders, Caches, Common, Output, Proxies, Questions, ResourceLimits,
    SourceChoice, SourceRequest, Target,
};
pub use run_context::Outcome;
pub use run_lock::{RunState, forget_runs};
pub use source::{SourcePlan, flake_directory, lock_nixpkgs};
pub use status::{Container, EngineState, Handler, Reclaimable, Run, SizedObject, Status};
