//! Whether this user may run virtual machines with the kernel's help (KVM).

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

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
    /// As the device `/dev/kvm` tells.
    #[must_use]
    pub fn look() -> Self {
        Self::of(Path::new("/dev/kvm"))
    }

    fn of(device: &Path) -> Self {
        match OpenOptions::new().read(true).write(true).open(device) {
            Ok(_) => Self::Usable,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Self::Denied,
            Err(_) => Self::Missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_decides() {
        let dir = tempfile::tempdir().unwrap();
        let device = dir.path().join("kvm");
        assert_eq!(Kvm::of(&device), Kvm::Missing);
        std::fs::write(&device, "").unwrap();
        assert_eq!(Kvm::of(&device), Kvm::Usable);
    }
}
