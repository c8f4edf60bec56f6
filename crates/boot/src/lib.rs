//! Boot: boots an image in QEMU until a login succeeds, or until it is clear why none will.
//!
//! The image is only read. No process outlives sdbuild, however sdbuild ends; temporary files (an
//! unpacked image, what the machine writes) have no names and are gone with the process. QEMU runs on the
//! host, or in a container from an image that the caller has loaded into the engine.

mod console_session;
mod container;
mod device_tree;
mod diagnosis;
mod disk;
mod keys;
mod login;
mod machine;
mod outcome;
mod process;
mod qemu;
mod request;
mod run;
mod start_files;
mod tools;
mod wait;

pub use container::ContainerOptions;
pub use outcome::{Reached, memory_advice};
pub use process::become_program;
pub use request::{BootMethod, BootRequest, DEFAULT_SSH_PORT, Login};
pub use run::{boot, boot_method_of, check_requirements, check_tools};
pub use tools::missing_on_host;
