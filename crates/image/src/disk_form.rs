//! Files that hold the disk of a virtual machine in a form of their own: which form it is, and whether QEMU would open no other
//! file for it. Such a file may name another one, whose content the machine would then read: it is refused.

use std::ops::Range;

use serde::{Serialize, Serializer};

use super::bytes::{has_magic, slice, u64_at};
use super::error::Error;
use super::iso;
use super::open::ImageFile;
use super::partition::SECTOR_BYTES;
use sdbuild_core::cancel::Cancel;

/// Bit 2 of a qcow2 file's incompatible features: its data are in another file.
const QCOW2_DATA_ELSEWHERE: u64 = 1 << 2;
/// The bytes of a VMDK that QEMU reads as its descriptor: 20 sectors from sector 1 on (`DESC_SIZE` of its `block/vmdk.c`).
const VMDK_DESCRIPTOR: Range<usize> = 512..21 * 512;

/// Format of a disk file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskForm {
    /// Byte by byte; a fixed VHD too, which has a sector more at its end.
    #[default]
    Raw,
    /// QEMU's form.
    Qcow2,
    /// The form of `VMware`, in one file.
    Vmdk,
    /// An ISO 9660 file system, with or without a partition table: a CD or DVD.
    Cd,
}

/// By its name in [`qemu_name`](DiskForm::qemu_name).
impl Serialize for DiskForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.qemu_name())
    }
}

impl DiskForm {
    /// QEMU's name of it.
    pub const fn qemu_name(self) -> &'static str {
        match self {
            Self::Raw | Self::Cd => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
        }
    }

    /// Whether the file has the bytes of the disk as they are.
    pub const fn is_raw(self) -> bool {
        matches!(self, Self::Raw | Self::Cd)
    }
}

impl ImageFile {
    /// How the file holds a disk, by its start, which is decompressed for it; [`DiskForm::Raw`] for damaged data, which are reported
    /// when all of the image is unpacked.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for a file that names another one; the file cannot be read.
    pub fn disk_form(&self, cancel: &Cancel) -> Result<DiskForm, Error> {
        form_of(&self.start_unless_damaged(cancel)?)
    }
}

/// The form of the disk with this start.
///
/// # Errors
///
/// [`Error::Refused`] for a file that names another one.
pub(super) fn form_of(start: &[u8]) -> Result<DiskForm, Error> {
    let (form, is_alone) = if has_magic(start, 0, b"QFI\xfb") {
        (DiskForm::Qcow2, is_one_qcow2(start))
    } else if has_magic(start, 0, b"KDMV") {
        (DiskForm::Vmdk, is_one_vmdk(start))
    } else if has_magic(start, iso::MAGIC.0, iso::MAGIC.1) {
        return Ok(DiskForm::Cd);
    } else {
        return Ok(DiskForm::Raw);
    };
    is_alone.then_some(form).ok_or_else(|| {
        Error::refused("the disk is not in this file alone; qemu-img convert makes one file of it")
    })
}

/// By the header, in big-endian numbers: the version at byte 4, the offset of a backing file's name at byte 8, and from version 3
/// on the incompatible features at byte 72.
fn is_one_qcow2(start: &[u8]) -> bool {
    let number = |at| u64_at(start, at).swap_bytes();
    let (version, backing) = (number(0) & 0xffff_ffff, number(8));
    let features = if version == 2 { 0 } else { number(72) };
    let is_whole = start.len() >= 104;
    is_whole && matches!(version, 2 | 3) && backing == 0 && features & QCOW2_DATA_ELSEWHERE == 0
}

/// By the header: the capacity at byte 12, which is 0 where the descriptor names other files, and the sector of the descriptor at
/// byte 28. QEMU reads the name of a parent at sector 1 whatever the header says.
fn is_one_vmdk(start: &[u8]) -> bool {
    let descriptor = slice(start, VMDK_DESCRIPTOR.start, VMDK_DESCRIPTOR.end);
    let descriptor = String::from_utf8_lossy(descriptor);
    // QEMU takes the first one, in this spelling, also in a comment.
    let parent = descriptor.split_once("parentCID=");
    u64_at(start, 12) > 0
        && u64_at(start, 28) == VMDK_DESCRIPTOR.start as u64 / SECTOR_BYTES
        && parent.is_some_and(|(_, id)| id.starts_with("ffffffff"))
        && !descriptor.to_lowercase().contains("parentfilenamehint")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qcow2(version: u8, backing: u8, features: u8) -> Vec<u8> {
        let mut header = vec![0; 104];
        header[..4].copy_from_slice(b"QFI\xfb");
        header[7] = version;
        header[15] = backing;
        header[79] = features;
        header
    }

    fn vmdk(capacity: u8, descriptor: &str) -> Vec<u8> {
        let mut file = vec![0; VMDK_DESCRIPTOR.end];
        file[..4].copy_from_slice(b"KDMV");
        file[12] = capacity;
        file[28] = 1;
        file[36] = 1;
        file[512..512 + descriptor.len()].copy_from_slice(descriptor.as_bytes());
        file
    }

    #[test]
    fn disks_in_one_file_have_a_form() {
        let form = |start: &[u8]| form_of(start).ok().map(DiskForm::qemu_name);
        assert_eq!(form(b"anything"), Some("raw"));
        assert_eq!(form(&qcow2(2, 0, 4)), Some("qcow2"));
        assert_eq!(form(&qcow2(3, 0, 1)), Some("qcow2"));
        assert_eq!(form(&vmdk(9, "CID=1\nparentCID=ffffffff\n")), Some("vmdk"));
    }

    /// The machine would read the other file.
    #[test]
    fn disks_that_name_another_file_are_refused() {
        for file in [
            qcow2(3, 9, 0),
            qcow2(2, 9, 0),
            qcow2(3, 0, 4),
            qcow2(4, 0, 0),
            b"QFI\xfb".to_vec(),
            vmdk(0, "parentCID=ffffffff\n"),
            vmdk(9, "parentCID=00000001\n"),
            vmdk(9, "# parentcid=ffffffff\nparentCID=00000001\n"),
            vmdk(
                9,
                "parentCID=ffffffff\nparentFileNameHint=\"/etc/shadow\"\n",
            ),
            b"KDMV".to_vec(),
            // QEMU looks for the parent elsewhere than the header says: in the sectors behind a shorter descriptor, and at
            // sector 1.
            vmdk(
                9,
                &format!(
                    "parentCID=ffffffff\n{}parentFileNameHint=\"/etc/shadow\"\n",
                    " ".repeat(600)
                ),
            ),
            {
                let mut file = vmdk(9, "parentFileNameHint=\"/etc/shadow\"\n");
                file[28] = 2;
                file[1024..1042].copy_from_slice(b"parentCID=ffffffff");
                file
            },
        ] {
            assert!(matches!(form_of(&file), Err(Error::Refused(_))), "{file:?}");
        }
    }
}
