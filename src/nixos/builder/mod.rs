//! The builder: an unprivileged container that runs Nix and nothing else.
//!
//! It has no capability, no path of the host and no engine socket; the store volume is its `/nix`. Input is uploaded
//! before it starts, output stays on the volume after it has ended. Heartbeats on its standard input keep it alive:
//! when the future that follows it is dropped, or this process dies, its entry stops Nix. The caller's guard removes
//! the container.

mod collect;
mod container;
mod evaluation_key;
mod export;
mod image;
mod own_texts;
mod prepared;
mod trial;
mod upload;

pub use collect::{Collected, Collector, Task as CollectorTask, has_builder};
pub use container::{BuildJob, Builder};
pub use export::{Export, Report};
pub use image::BuilderImage;
pub use prepared::{BuildResult, PreparedBuilder};
pub use trial::TrialRun;

pub use super::remote_trial::Trial;
pub use sdbuild_nix::reports::NoConfiguration;
