//! The container engine: the part of the Docker-compatible API that sdbuild needs, in types of its own.
//!
//! The only user of bollard; knows nothing of QEMU or Nix.
//!
//! Guarantees: every object that it creates carries sdbuild's labels; every container drops all capabilities and
//! gains no new privileges unless [`ContainerSpec::privileged`] or [`ContainerSpec::init`] is set; file content is streamed; removing a
//! missing object succeeds; every future may be dropped at any await. An object without sdbuild's labels is never
//! removed.

mod archive;
pub mod artifact;
pub mod binfmt;
mod cli_hint;
mod client;
pub mod connect;
mod connect_error;
mod container;
mod create_body;
mod docker_context;
mod drain;
mod endpoint;
mod entry_wrapper;
mod error;
mod exec;
mod facts;
mod guard;
mod handshake;
mod heartbeat;
mod image;
mod inventory;
mod keepalive;
pub mod labels;
mod lines;
pub mod moment;
pub mod oci;
mod packer;
mod pinned_ssh;
mod request;
mod spec;
pub mod ssh_machine;
mod stdio;
mod timestamp;
mod tunnel;
pub mod unix_socket;
mod volume;

pub use archive::{Download, PathKind, PathStat};
pub use cli_hint::EngineAddress;
pub use client::Engine;
pub use connect::EndpointInputs;
pub use container::{Container, Exit};
pub use drain::{Drain, Drained};
pub use endpoint::Endpoint;
pub use entry_wrapper::EntryWrapper;
pub use error::{EngineError, STILL_RUNS};
pub use facts::EngineFacts;
pub use guard::ContainerGuard;
pub use heartbeat::{Heartbeat, HeartbeatGuard, PauseHandle};
pub use image::{ImageInfo, Loading};
pub use inventory::ContainerInfo;
pub use labels::{Role, RunId};
pub use lines::Lines;
pub use pinned_ssh::run_by_ssh;
pub use spec::{Bind, ContainerSpec, HostPort, Input, Lifetime, Network, PublishedPort};
pub use stdio::{Attached, AttachedInput, AttachedOutput, OutputChunk};
pub use volume::VolumeInfo;
