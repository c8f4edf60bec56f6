//! What a running QEMU produces, on the host or in a container.

use std::process::ExitStatus;

/// The next output of QEMU.
#[derive(Debug)]
pub(super) enum QemuOutput {
    /// Bytes from the machine's serial console.
    Console(Vec<u8>),
    /// Bytes from QEMU's own standard error.
    Stderr(Vec<u8>),
    /// QEMU ended, after all of its output.
    Ended(ExitStatus),
}
