//! Whether this user may run virtual machines with the kernel's help (KVM).

use std::fs::OpenOptions;
use std::io::ErrorKind;

/// What the kernel offers this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kvm {
    /// The device can be opened. The kernel may still refuse a virtual machine.
    Usable,
    /// The device is there, and this user may not open it.
    Denied,
    /// There is no such device, or it does not work.
    Missing,
}

impl Kvm {
    /// Opens the device `/dev/kvm`, and closes it.
    #[must_use]
    pub fn of_this_machine() -> Self {
        match OpenOptions::new().read(true).write(true).open("/dev/kvm") {
            Ok(_) => Self::Usable,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Self::Denied,
            Err(_) => Self::Missing,
        }
    }
}
