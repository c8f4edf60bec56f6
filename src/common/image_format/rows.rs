//! The rows of the formats.

use super::row::ImageFormat;

/// All formats, in the order in which they are listed.
pub(super) static FORMATS: [&ImageFormat; 1] = [&SD_CARD];

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

/// An SD card image as nixpkgs' `sd-image.nix` makes it: a partition table, a firmware partition and the
/// root file system. U-Boot or the firmware boots it; it is written to a card or disk as it is.
pub static SD_CARD: ImageFormat = ImageFormat {
    name: "sd-card",
    purpose: "the card, USB stick or disk of a board",
    file: "nixos-….img.zst",
    candidates: &[&["sdImage"], &["images", "sd-card"], &["image"]],
    variant: None,
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

/// Any variant of `config.system.build.images` that makes a file of itself and lists it. What it is for, only the user knows.
pub static OF_NIXPKGS: ImageFormat = ImageFormat {
    name: "nixpkgs:VARIANT",
    purpose: "any variant of system.build.images that needs no virtual machine",
    file: "as nixpkgs calls it",
    candidates: &[],
    variant: None,
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
