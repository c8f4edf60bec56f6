//! The properties of formats.

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
