//! The configurations that `sdbuild init` writes.

use clap::ValueEnum;

/// A configuration to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TemplateName {
    /// The system of a board, or of the disk of a machine with UEFI
    #[default]
    SdCard,
    /// An installer on a CD or USB stick that cloud-init configures
    InstallerCloudInit,
    /// A virtual machine of QEMU, libvirt or Proxmox
    Vm,
    /// A server whose accounts are fixed, with an administrator who logs in with a key
    Server,
    /// A machine of Amazon EC2
    Amazon,
    /// A container of Docker or Podman
    Container,
}

impl TemplateName {
    /// The format of the image that it is for, unless the board decides.
    pub fn format(self) -> Option<&'static str> {
        match self {
            Self::SdCard => None,
            Self::InstallerCloudInit => Some("iso-installer"),
            Self::Vm => Some("qcow2"),
            Self::Server => Some("raw-efi"),
            Self::Amazon => Some("amazon"),
            Self::Container => Some("container"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_image::image_format::Format;

    #[test]
    fn templates_name_formats_that_there_are() {
        for template in TemplateName::value_variants() {
            let format = template.format().map(str::parse::<Format>);
            assert!(format.is_none_or(|format| format.is_ok()), "{template:?}");
        }
    }
}
