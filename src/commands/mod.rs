//! One thin file per sub-command: settings in, one call into the pipeline, the result out.

pub mod boot;
pub mod build;
pub mod check;
pub mod clean;
pub mod completions;
pub mod doctor;
mod dry_run;
pub mod flash;
pub mod init;
pub mod inspect;
pub mod man;
pub mod settings;
pub mod shell;
pub mod status;
pub mod try_cmd;
