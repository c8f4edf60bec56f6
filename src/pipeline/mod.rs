//! The pipeline: conditions are checked, a plan is made and described or carried out.
//!
//! Promises: nothing on the host changes before the last check passed; what a run acquires is guarded before it
//! exists and released whatever happens; the first error is reported, and what could not be removed is listed
//! with it. Reads no environment.

mod beginning;
mod binfmt_table;
mod build;
mod build_places;
mod builder_checks;
mod builder_image;
mod builder_logins;
mod cache_export;
mod checks;
mod clients;
pub mod doctor;
mod emulation;
mod emulator;
mod evaluate;
mod file_removal;
mod flake_cache_answers;
mod inventory;
mod job_control;
mod kernel_version;
mod last_times;
mod logs;
mod nixpkgs_archive;
mod nixpkgs_lock;
mod old_results;
mod plan;
mod problems;
mod provenance;
mod proxies;
mod removal;
mod request;
mod resources;
mod run_context;
mod run_lock;
mod run_summary;
mod scope;
pub mod shell;
mod source;
mod status;
mod steps;
mod sweep;
mod volume_sizes;

pub use build::build;
pub use cache_export::{CacheExport, Destination, Exported};
pub use clients::fetch_text;
pub use emulation::Emulation;
pub use emulator::BootEngine;
pub use evaluate::{Checked, check, forecast, lock_flake};
pub use file_removal::{FileRemoval, Item};
pub use flake_cache_answers::{answers_file, remember as remember_caches};
pub use last_times::{last_times, note_times};
pub use nixpkgs_lock::lock_nixpkgs;
pub use old_results::{FoundOldResults, OldResults};
pub use plan::{BuilderPlan, EnginePlan, Plan, check_source, plan, plan_shell};
pub use proxies::Proxies;
pub use removal::{Removal, RemovalScope, Removed};
pub use request::{
    BuildRequest, Builders, Caches, Common, Output, Questions, ResourceLimits, SourceChoice,
    SourceRequest, Target,
};
pub use run_context::Outcome;
pub use run_lock::{RunState, forget_runs};
pub use source::{SourcePlan, flake_directory};
pub use status::{Container, EngineState, Handler, Reclaimable, Run, SizedObject, Status};
pub use steps::describe;
