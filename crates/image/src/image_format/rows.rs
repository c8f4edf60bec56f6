//! The properties of formats, and one row for each.

use sdbuild_core::compression::Compression;
use sdbuild_core::event::Phase;

/// What makes the file of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// A derivation of nixpkgs' modules.
    Nixpkgs,
    /// sdbuild puts several files of the store together, which are listed as `file member/NAME PATH`.
    Archive,
    /// sdbuild's own derivation of a disk, in place of the one of the variant.
    Disk,
    /// The derivation of the variant, with tools that run natively.
    Iso,
    /// sdbuild's own derivation of an image for container engines, of a variant that nixpkgs does not have.
    Container,
}

/// One format: how Nix makes it, how its file is found in the result, and what can be done with the file.
#[derive(Debug, PartialEq, Eq)]
pub struct ImageFormat {
    /// The name by which flags and settings choose it.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub purpose: &'static str,
    /// Extension and form of the file, for users.
    pub file: &'static str,
    /// Attributes of `config.system.build` that may make it, as lists of names; the first that the configuration has is
    /// built.
    pub candidates: &'static [&'static [&'static str]],
    /// The variant of `config.system.build.images` that it is, if its options exist only inside that.
    pub variant: Option<&'static str>,
    /// The maker of the file.
    pub maker: Maker,
    /// The types under which `nix-support/hydra-build-products` lists its file: `file TYPE PATH`. Empty for any.
    pub product_types: &'static [&'static str],
    /// What the file's name ends in, without the suffix of a compression. Where one is the end of another, the longer one
    /// comes first.
    pub extensions: &'static [&'static str],
    /// Whether the file is a disk from its first byte on: it has a block map, and can be written to a disk.
    pub is_disk: bool,
    /// Of what the length of the decompressed file is, behind that length.
    pub raw: &'static str,
    /// The default compression of the file by sdbuild.
    pub compression: Compression,
    /// The module of nixpkgs that defines the attribute, below `modulesPath`, for a configuration that has to import it.
    pub module: Option<&'static str>,
    /// Whether the expression for native glue covers the derivations that make this image.
    pub has_native_glue: bool,
    /// Whether `sdbuild boot` boots it.
    pub boots: bool,
    /// Variants of nixpkgs that are made in a virtual machine, and that this format can take the place of.
    pub replaces: &'static [&'static str],
    /// Commands to go on with, to which the name of the file is added, and what each is for.
    pub next: &'static [(&'static str, &'static str)],
}

impl ImageFormat {
    /// A format without any property, for the rows to differ from.
    pub(super) const NONE: Self = Self {
        name: "",
        purpose: "",
        file: "",
        candidates: &[],
        variant: None,
        maker: Maker::Nixpkgs,
        product_types: &[],
        extensions: &[],
        is_disk: false,
        raw: "unpacked",
        compression: Compression::None,
        module: None,
        has_native_glue: false,
        boots: false,
        replaces: &[],
        next: &[],
    };

    /// The phases of a boot test that are known in advance.
    pub fn boot_phases(&self, is_compressed: bool) -> &'static [Phase] {
        let phases = &[Phase::Unpack, Phase::Boot, Phase::PowerOff];
        let skipped = usize::from(!is_compressed);
        phases.get(skipped..).unwrap_or_default()
    }
}

/// All formats, in the order in which they are listed.
pub(super) static FORMATS: [&ImageFormat; 12] = [
    &SD_CARD,
    &RAW_EFI,
    &QCOW2,
    &VMDK,
    &VHD,
    &AMAZON,
    &ISO,
    &ISO_INSTALLER,
    &KEXEC,
    &NETBOOT,
    &LXC,
    &CONTAINER,
];

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
    candidates: &[&["sdImage"], &["images", "sd-card"]],
    product_types: &["sd-image"],
    // repart's images end in raw.
    extensions: &["img", "raw"],
    is_disk: true,
    raw: "on the card",
    compression: Compression::Zstd,
    module: Some("/installer/sd-card/sd-image-aarch64.nix"),
    has_native_glue: true,
    boots: true,
    next: BOOT_AND_FLASH,
    ..ImageFormat::NONE
};

/// A disk for UEFI: a GPT with an ESP, which has systemd-boot, and the root file system.
static RAW_EFI: ImageFormat = ImageFormat {
    name: "raw-efi",
    purpose: "the disk of a machine with UEFI, real or virtual",
    file: "nixos-….img.zst",
    candidates: &[&["images", "raw-efi"]],
    variant: Some("raw-efi"),
    maker: Maker::Disk,
    product_types: &["disk-image"],
    extensions: &["img"],
    is_disk: true,
    raw: "on the disk",
    compression: Compression::Zstd,
    boots: true,
    replaces: &["raw-efi"],
    next: &[
        ("sdbuild boot", "see it start in a virtual machine"),
        ("sdbuild flash", "write it to a disk"),
    ],
    ..ImageFormat::NONE
};

/// The same disk in the form of QEMU, in which it takes the room of what is in it.
static QCOW2: ImageFormat = ImageFormat {
    name: "qcow2",
    purpose: "the same disk for QEMU, libvirt, Proxmox and OpenStack, with UEFI",
    file: "nixos-….qcow2",
    extensions: &["qcow2"],
    is_disk: false,
    raw: "unpacked",
    compression: Compression::None,
    replaces: &["qemu-efi"],
    next: &[("sdbuild boot", "see it start in a virtual machine")],
    ..RAW_EFI
};

/// The same in the form of `VMware`, compressed for import (`streamOptimized`).
static VMDK: ImageFormat = ImageFormat {
    name: "vmdk",
    purpose: "the same disk for VMware and VirtualBox, with UEFI",
    file: "nixos-….vmdk",
    extensions: &["vmdk"],
    replaces: &["vmware"],
    ..QCOW2
};

/// The same in the form that Azure imports: not compressed, with a sector behind it (fixed).
static VHD: ImageFormat = ImageFormat {
    name: "vhd",
    purpose: "the same disk for import into Azure (generation 2): a fixed VHD",
    file: "nixos-….vhd",
    extensions: &["vhd"],
    replaces: &[],
    ..QCOW2
};

/// A disk for UEFI with nixpkgs' configuration for EC2.
static AMAZON: ImageFormat = ImageFormat {
    name: "amazon",
    purpose: "a disk for Amazon EC2 with UEFI. `sdbuild publish aws` makes an AMI from it",
    file: "nixos-….img",
    raw: "unpacked",
    candidates: &[&["images", "amazon"]],
    variant: Some("amazon"),
    compression: Compression::None,
    replaces: &["amazon"],
    next: &[
        ("sdbuild boot", "see it start in a virtual machine"),
        ("sdbuild publish aws", "make an AMI of it"),
    ],
    ..RAW_EFI
};

/// A system that runs from a CD, DVD or USB stick and writes to memory only: the store is a squashfs in an ISO 9660 file system.
static ISO: ImageFormat = ImageFormat {
    name: "iso",
    purpose: "a CD, DVD or USB stick that a machine with UEFI runs from, and writes nothing to",
    file: "nixos-….iso",
    candidates: &[&["images", "iso"]],
    variant: Some("iso"),
    maker: Maker::Iso,
    product_types: &["iso"],
    extensions: &["iso"],
    boots: true,
    next: &[
        ("sdbuild boot", "see it start in a virtual machine"),
        ("sdbuild flash", "write it to a USB stick"),
    ],
    ..ImageFormat::NONE
};

/// The same with what nixpkgs adds for its installers: drivers, tools and accounts.
static ISO_INSTALLER: ImageFormat = ImageFormat {
    name: "iso-installer",
    purpose: "the same with an installer's drivers, tools and accounts; configured by cloud-init if you like",
    candidates: &[&["images", "iso-installer"]],
    variant: Some("iso-installer"),
    ..ISO
};

/// A kernel, an initial RAM disk with the whole system, and a script that starts them from a running Linux.
static KEXEC: ImageFormat = ImageFormat {
    name: "kexec",
    purpose: "an installer that takes over a running Linux, from memory: tar -xf FILE, kexec/kexec-boot as root",
    file: "nixos-….tar",
    candidates: &[&["images", "kexec"]],
    variant: Some("kexec"),
    maker: Maker::Archive,
    product_types: &["member"],
    extensions: &["tar"],
    boots: true,
    next: FROM_MEMORY,
    ..ImageFormat::NONE
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
    product_types: &["system-tarball"],
    extensions: &["tar.xz", "tar.zst", "tar.gz", "tar"],
    ..ImageFormat::NONE
};

/// An image for Docker, Podman and Kubernetes: an OCI image layout, which is a Docker archive as well. All engines load gzip; Docker
/// before 23.0 does not load zstd.
static CONTAINER: ImageFormat = ImageFormat {
    name: "container",
    purpose: "a container of Docker or Podman that runs the system's init: docker load --input FILE",
    file: "nixos-….oci.tar.gz",
    candidates: &[&["images", "container"]],
    variant: Some("container"),
    maker: Maker::Container,
    product_types: &["oci-archive"],
    extensions: &["oci.tar"],
    compression: Compression::Gzip,
    next: &[("docker load --input", "load it into the engine")],
    ..ImageFormat::NONE
};

/// Any variant of `config.system.build.images` that makes a file of itself and lists it. What it is for, only the user knows.
pub static OF_NIXPKGS: ImageFormat = ImageFormat {
    name: "nixpkgs:VARIANT",
    purpose: "any variant of system.build.images that builds without a virtual machine",
    file: "as nixpkgs calls it",
    extensions: &[
        "img", "raw", "iso", "qcow2", "vmdk", "vhd", "vhdx", "tar.xz", "tar.gz", "tar.zst", "tar",
        "squashfs",
    ],
    ..ImageFormat::NONE
};
