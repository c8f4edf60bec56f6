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
        let device = OpenOptions::new().read(true).write(true).open("/dev/kvm");
        Self::of(device.map(drop).map_err(|error| error.kind()))
    }

    fn of(opened: Result<(), ErrorKind>) -> Self {
        match opened {
            Ok(()) => Self::Usable,
            Err(ErrorKind::PermissionDenied) => Self::Denied,
            Err(_) => Self::Missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_the_device_decides() {
        assert_eq!(Kvm::of(Ok(())), Kvm::Usable);
        assert_eq!(Kvm::of(Err(ErrorKind::PermissionDenied)), Kvm::Denied);
        assert_eq!(Kvm::of(Err(ErrorKind::NotFound)), Kvm::Missing);
    }
}
