//! What U-Boot has built in: its version, and where in memory it loads what the boot menu names.

use super::bytes::{has_magic, slice, u64_at};

/// The start of U-Boot's first message.
const BANNER: &[u8] = b"U-Boot 20";
/// What `booti` aligns a kernel to (`arch/arm/lib/image.c`).
const ALIGNMENT: u64 = 2 << 20;
/// What `booti` takes for the size of a kernel before Linux 3.17, whose header has none.
const OLD_KERNEL_BYTES: u64 = 16 << 20;

/// What a binary of U-Boot says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UBootBinary {
    pub(super) version: String,
    /// Where the kernel, the device tree and the initial RAM disk are loaded, by the built-in environment.
    pub(super) kernel: Option<u64>,
    pub(super) device_tree: Option<u64>,
    pub(super) initrd: Option<u64>,
}

impl UBootBinary {
    /// Reads a binary; `None` when it is not U-Boot.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let at = find(bytes, BANNER)?;
        let version = slice(bytes, at, at + 32).iter().copied();
        let version: Vec<u8> = version
            .take_while(|b| b.is_ascii_graphic() || *b == b' ')
            .collect();
        let version = String::from_utf8_lossy(&version);
        Some(Self {
            version: version.split(" (").next().unwrap_or_default().to_owned(),
            kernel: address(bytes, b"\0kernel_addr_r="),
            device_tree: address(bytes, b"\0fdt_addr_r="),
            initrd: address(bytes, b"\0ramdisk_addr_r="),
        })
    }

    /// What a kernel overwrites, of which `header` are the first bytes and `size` the length. With
    /// `loads_tree`, the boot menu makes U-Boot load a device tree.
    pub(super) fn overlap(&self, header: &[u8], size: u64, loads_tree: bool) -> Option<String> {
        let end = self.kernel_end(header, size)?;
        let tree = self.device_tree.filter(|_| loads_tree);
        let hit = [("the device tree", tree), ("the initrd", self.initrd)];
        let over =
            |(what, at): (&'static str, Option<u64>)| Some((what, at.filter(|at| *at < end)?));
        let (what, at) = hit.into_iter().find_map(over)?;
        Some(format!(
            "room for the kernel: it ends at {end:#x}, and {} has {what} at {at:#x}",
            self.version
        ))
    }

    /// The end of a kernel in memory, where `booti` has moved it.
    fn kernel_end(&self, header: &[u8], size: u64) -> Option<u64> {
        if !has_magic(header, 0x38, b"ARM\x64") {
            return None;
        }
        let (offset, image, flags) = (u64_at(header, 8), u64_at(header, 16), u64_at(header, 24));
        let (offset, image) = if image == 0 {
            (0x80000, OLD_KERNEL_BYTES)
        } else {
            (offset, image)
        };
        let loaded = self.kernel?;
        // With bit 3, the kernel may lie anywhere; else it goes to the start of the memory.
        let base = if flags & 8 == 8 {
            loaded.saturating_sub(offset)
        } else {
            0
        };
        let moved = base
            .checked_next_multiple_of(ALIGNMENT)?
            .checked_add(offset)?;
        Some(moved.saturating_add(image).max(loaded.saturating_add(size)))
    }
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

/// The number behind `name`.
fn address(bytes: &[u8], name: &[u8]) -> Option<u64> {
    let at = find(bytes, name)? + name.len();
    let value = slice(bytes, at, at + 18);
    let value = value.split(|byte| *byte == 0).next()?;
    let digits = std::str::from_utf8(value).ok()?.trim_start_matches("0x");
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The map of U-Boot 2025.01 for a Raspberry Pi 3.
    fn u_boot() -> UBootBinary {
        let text = b"..U-Boot 2025.01-3+deb13u1 (Jun 24 2026 - 09:07:12 +0000)\0\0x=1\0fdt_addr_r=0x02600000\0\
            ramdisk_addr_r=0x02700000\0kernel_addr_r=0x00080000\0";
        UBootBinary::read(text).unwrap()
    }

    fn header(image: u64) -> Vec<u8> {
        let mut header = vec![0; 64];
        header[16..24].copy_from_slice(&image.to_le_bytes());
        header[24] = 0xa;
        header[0x38..0x3c].copy_from_slice(b"ARM\x64");
        header
    }

    #[test]
    fn built_in_environment_is_read() {
        let u_boot = u_boot();
        assert_eq!(u_boot.version, "U-Boot 2025.01-3+deb13u1");
        assert_eq!(u_boot.kernel, Some(0x8_0000));
        assert_eq!(u_boot.device_tree, Some(0x260_0000));
        assert_eq!(u_boot.initrd, Some(0x270_0000));
        assert_eq!(UBootBinary::read(b"Linux version 6.12"), None);
    }

    /// Debian's 6.12.107 ended 960 KiB behind the place of the device tree.
    #[test]
    fn kernel_over_the_device_tree_is_reported() {
        let debian = header(0x24f_0000);
        let overlap = u_boot().overlap(&debian, 38_000_000, true).unwrap();
        assert_eq!(
            overlap,
            "room for the kernel: it ends at 0x26f0000, and U-Boot 2025.01-3+deb13u1 has the device tree at 0x2600000"
        );
        // With the device tree of the firmware, there is room up to the initrd.
        assert_eq!(u_boot().overlap(&debian, 38_000_000, false), None);
        assert!(
            u_boot()
                .overlap(&header(0x251_0000), 0, false)
                .unwrap()
                .contains("the initrd at")
        );
        assert_eq!(u_boot().overlap(&header(0x1e0_0000), 0, true), None);
        assert_eq!(u_boot().overlap(b"\x1f\x8b", 90 << 20, true), None);
    }
}
