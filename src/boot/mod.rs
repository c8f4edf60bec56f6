//! Boot: boots an image in QEMU until a login succeeds, or until it is clear why none will.
//!
//! The image is only read. No process outlives sdbuild, however sdbuild ends; temporary files (an
//! unpacked image, what the machine writes) have no names and are gone with the process. QEMU runs on the
//! host, or in a container from an image that the caller has loaded into the engine.

mod archive_start;
mod console;
mod console_session;
mod container;
mod copy_in;
mod device_tree;
mod diagnosis;
mod disk;
mod disk_login;
mod early_key_check;
mod keyboard;
mod kvm_failure;
mod login;
mod login_keys;
mod login_session;
mod machine;
mod network_adapter;
mod outcome;
pub mod pdeathsig;
mod port;
mod process;
mod progress;
mod prompt_session;
mod qcow2;
mod qemu;
mod qemu_output;
mod remote_command;
mod request;
mod run;
mod seed_disk;
mod session;
mod start_files;
mod tools;

pub use container::ContainerOptions;
pub use early_key_check::KeyCheck;
pub use outcome::{Reached, memory_advice};
pub use request::{BootMethod, BootRequest, DEFAULT_SSH_PORT, Login};
pub use run::{boot, boot_method_of, check_requirements, check_tools};
pub use tools::missing_on_host;
