//! The rows of the formats.

use super::row::ImageFormat;

/// All formats, in the order in which they are listed.
pub(super) static FORMATS: [&ImageFormat; 4] = [&SD_CARD, &KEXEC, &NETBOOT, &LXC];

/// Modules of nixpkgs that make an SD card image of every configuration that imports them, below its `nixos/modules`.
pub(super) const SD_IMAGE_MODULES: &[&str] = &[
    "installer/sd-card/sd-image.nix",
    "installer/sd-card/sd-image-aarch64.nix",
    "installer/sd-card/sd-image-aarch64-installer.nix",
    "installer/sd-card/sd-image-x86_64.nix",
];

/// Boots it, and writes it to a card.
const BOOT_AND_FLASH: &[(&str, &str)] = &[
    ("sdbuild boot", "see it start in a virtual machine"),
    ("sdbuild flash", "write it to a card"),
];

/// Boots it, and unpacks it.
const FROM_MEMORY: &[(&str, &str)] = &[
    ("sdbuild boot", "see it start in a virtual machine"),
    ("tar -xf", "unpack it where it is served or started"),
];

/// An SD card image as nixpkgs' `sd-image.nix` makes it: a partition table, a firmware partition and the
/// root file system. U-Boot or the firmware boots it; it is written to a card or disk as it is.
pub static SD_CARD: ImageFormat = ImageFormat {
    name: "sd-card",
    purpose: "the card, USB stick or disk of a board",
    file: "nixos-….img.zst",
    candidates: &[&["sdImage"], &["images", "sd-card"], &["image"]],
    variant: None,
    is_put_together: false,
    product_types: &["sd-image"],
    extensions: &["img"],
    is_disk: true,
    is_compressed: true,
    module: Some("<nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix>"),
    has_native_glue: true,
    boots: true,
    replaces: &[],
    next: BOOT_AND_FLASH,
};

/// A kernel, an initial RAM disk with the whole system, and a script that starts them from a running Linux.
static KEXEC: ImageFormat = ImageFormat {
    name: "kexec",
    purpose: "an installer that takes over a running Linux, from memory: tar -xf FILE, kexec/kexec-boot as root",
    file: "nixos-….tar",
    candidates: &[&["images", "kexec"]],
    variant: Some("kexec"),
    is_put_together: true,
    product_types: &["member"],
    extensions: &["tar"],
    is_disk: false,
    is_compressed: false,
    module: None,
    has_native_glue: false,
    boots: true,
    replaces: &[],
    next: FROM_MEMORY,
};

/// The same with an iPXE script, for a server of TFTP or HTTP.
static NETBOOT: ImageFormat = ImageFormat {
    name: "netboot",
    purpose: "an installer that machines boot by network: tar -xf FILE -C /srv/tftp, iPXE loads netboot/netboot.ipxe",
    file: "nixos-….netboot.tar",
    extensions: &["netboot.tar"],
    ..KEXEC
};

/// The root file system of a system container.
static LXC: ImageFormat = ImageFormat {
    name: "lxc",
    purpose: "a container of LXC, Incus or Proxmox that runs its own init",
    file: "nixos-….tar.xz",
    candidates: &[&["images", "lxc"]],
    variant: Some("lxc"),
    is_put_together: false,
    product_types: &["system-tarball"],
    extensions: &["tar.xz", "tar.zst", "tar.gz", "tar"],
    is_disk: false,
    is_compressed: false,
    module: None,
    has_native_glue: false,
    boots: false,
    replaces: &[],
    next: &[],
};

/// Any variant of `config.system.build.images` that makes a file of itself and lists it. What it is for, only the user knows.
pub static OF_NIXPKGS: ImageFormat = ImageFormat {
    name: "nixpkgs:VARIANT",
    purpose: "any variant of system.build.images that needs no virtual machine",
    file: "as nixpkgs calls it",
    candidates: &[],
    variant: None,
    is_put_together: false,
    product_types: &[],
    extensions: &[
        "img", "raw", "iso", "qcow2", "vmdk", "vhd", "vhdx", "tar.xz", "tar.gz", "tar.zst", "tar",
        "squashfs",
    ],
    is_disk: false,
    is_compressed: false,
    module: None,
    has_native_glue: false,
    boots: false,
    replaces: &[],
    next: &[],
};
