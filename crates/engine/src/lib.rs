//! The container engine: the part of the Docker-compatible API that sdbuild needs, in types of its own.
//!
//! The only user of bollard; knows nothing of QEMU or Nix.
//!
//! Guarantees: every object that it creates carries sdbuild's labels; every container drops all capabilities and
//! gains no new privileges unless [`ContainerSpec::privileged`] is set; file content is streamed; removing a
//! missing object succeeds; every future may be dropped at any await. An object without sdbuild's labels is never
//! removed.

mod archive;
pub mod artifact;
pub mod binfmt;
mod client;
pub mod connect;
mod container;
mod drain;
mod endpoint;
mod error;
mod facts;
mod heartbeat;
mod image;
mod inventory;
pub mod labels;
mod moment;
pub mod oci;
mod spec;
pub mod ssh_machine;
#[cfg(any(test, feature = "testing"))]
mod testing;
mod tunnel;
pub mod unix_socket;

pub use archive::{Download, PathKind, PathStat};
pub use client::{Engine, EngineAddress};
pub use connect::EndpointInputs;
pub use container::{
    Attached, AttachedInput, AttachedOutput, Container, ContainerGuard, Exit, OutputChunk,
};
pub use drain::{Drain, Drained, Lines};
pub use endpoint::Endpoint;
pub use error::{EngineError, STILL_RUNS};
pub use facts::EngineFacts;
pub use heartbeat::{Heartbeat, HeartbeatGuard, PauseHandle};
pub use image::{ImageInfo, Loading};
pub use inventory::{ContainerInfo, VolumeInfo};
pub use labels::{Role, RunId};
pub use spec::{
    Bind, ContainerSpec, EntryWrapper, HostPort, Input, Lifetime, Network, PublishedPort,
};
pub use tunnel::run_by_ssh;
