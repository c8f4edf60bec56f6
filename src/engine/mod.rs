//! The engine: the few verbs of the Docker-compatible API that we need, in our own types.
//!
//! The only user of bollard. It knows neither QEMU nor Nix, and calls no other room.
//!
//! Promises: every object it makes carries our labels; every container drops all capabilities and
//! gains no new privileges unless [`ContainerSpec::privileged`] says otherwise; everything is
//! streamed; removing what is not there is a success; every call may be dropped (cancelled) at any
//! await. Refuses: to remove what does not carry our labels.

pub mod labels;
