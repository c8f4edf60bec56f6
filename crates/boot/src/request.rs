//! How to boot an image.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sdbuild_image::board::{Board, QemuFirmware, QemuModel};
use sdbuild_image::seed::Seed;

/// The port of a machine's SSH server unless its image says another.
pub const DEFAULT_SSH_PORT: u16 = 22;

/// The method by which an image is booted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BootMethod {
    /// The firmware of the machine's model, or QEMU itself.
    #[default]
    Firmware,
    /// UEFI.
    Uefi,
}

/// The machine to boot an image on, and the login to wait for.
#[derive(Clone, Debug)]
pub struct BootRequest {
    /// A directory for temporary files.
    pub scratch: PathBuf,
    /// The board.
    pub board: &'static Board,
    /// The machine that it runs as.
    pub model: &'static QemuModel,
    /// The firmware of the machine; `None` for the one of its model.
    pub firmware: Option<PathBuf>,
    /// The method by which the image is booted.
    pub method: BootMethod,
    /// Whether the host's processor may run the machine through KVM, where it can.
    pub kvm: bool,
    /// The memory of the machine in MiB.
    pub memory_mib: u32,
    /// The port on 127.0.0.1 that leads to the machine's SSH; `None` for a free one.
    pub port: Option<u16>,
    /// The port that the machine's SSH server listens on.
    pub ssh_port: u16,
    /// The user's home directory, whose `.ssh` has keys to log in with.
    pub home: Option<PathBuf>,
    /// Directories that are searched for programs, as in `PATH`.
    pub path: OsString,
    /// The seed of cloud-init that is attached as a disk, which the machine can only read.
    pub seed: Option<Arc<Seed>>,
    /// The login to wait for.
    pub login: Option<Login>,
    /// The timeout of the prompt of a login on the serial console, which is waited for; with a login only where OpenSSH is
    /// not installed or cannot reach the machine. Without it and without a login, the console is shown.
    pub prompt: Option<Duration>,
}

impl BootRequest {
    /// The firmware of the machine unless the user named one.
    pub(super) fn own_firmware(&self) -> Option<&'static QemuFirmware> {
        let uefi = self
            .model
            .uefi
            .as_ref()
            .filter(|_| self.method == BootMethod::Uefi);
        uefi.or(self.model.firmware.as_ref())
    }
}

/// An SSH login on the machine.
#[derive(Clone, Debug)]
pub struct Login {
    /// The private key; `None` for those that ssh finds itself.
    pub key: Option<PathBuf>,
    /// The name of the user on the machine.
    pub user: String,
    /// Whether nobody named that user: where another one is the only user with a key in the image, that one logs in.
    pub is_default_user: bool,
    /// The timeout of the login, and then of the command.
    pub timeout: Duration,
    /// The command to run on the machine.
    pub command: Option<String>,
}
