//! The kinds of disk image that a build can make, one row each.
//!
//! What differs between formats is a field here, so that no other module has to ask which format it deals
//! with. A further format is another constant; what it needs and none before it did (a native step after
//! Nix, another way to boot) is another field.

/// One kind of disk image: how Nix makes it and how its file is found in the result.
#[derive(Debug, PartialEq, Eq)]
pub struct ImageFormat {
    /// The attribute of the NixOS system whose derivation makes the image.
    pub attribute: &'static str,
    /// Attributes of `config.system.build` that may make it, as lists of names; the first that the configuration has is
    /// built.
    pub candidates: &'static [&'static [&'static str]],
    /// The type under which `nix-support/hydra-build-products` lists the image: `file TYPE PATH`.
    pub product_type: &'static str,
    /// The module of nixpkgs that defines the attribute, for hints.
    pub module: &'static str,
    /// Whether the expression for native glue covers the derivations that make this image.
    pub has_native_glue: bool,
}

impl ImageFormat {
    /// A hint with the line that imports the module.
    pub fn import_line(&self) -> String {
        format!("add to the configuration: imports = [ {} ];", self.module)
    }
}

/// An SD card image as nixpkgs' `sd-image.nix` makes it: a partition table, a firmware partition and the
/// root file system. U-Boot or the firmware boots it; it is written to a card or disk as it is.
pub const SD_IMAGE: ImageFormat = ImageFormat {
    attribute: "config.system.build.sdImage",
    candidates: &[&["sdImage"], &["images", "sd-card"], &["image"]],
    product_type: "sd-image",
    module: "<nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix>",
    has_native_glue: true,
};
