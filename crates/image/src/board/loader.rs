//! U-Boot on a card, where a boot ROM looks for it.

use sdbuild_core::nix_string::nix_string;

/// U-Boot on the card of a board.
#[derive(Debug)]
pub struct UBoot {
    /// The package in nixpkgs.
    pub package: &'static str,
    /// Its files and where each goes.
    pub files: &'static [LoaderFile],
    /// What the boot ROM looks for.
    pub header: RomHeader,
    /// The name of the board in device trees, which U-Boot has in its own.
    pub compatible: &'static str,
    /// Its device tree below the directory that the boot menu names.
    pub device_tree: &'static str,
    /// Packages with an unfree licence that U-Boot's package contains.
    pub unfree: &'static [&'static str],
    /// Where the first partition begins at the earliest, in MiB.
    pub gap_mib: u32,
}

impl UBoot {
    /// The line of a configuration that keeps the first partition away from U-Boot.
    pub fn gap_line(&self) -> String {
        format!("sdImage.firmwarePartitionOffset = {};", self.gap_mib)
    }

    /// The lines of a configuration that write U-Boot in front of the first partition.
    pub fn configuration(&self) -> Vec<String> {
        let package = self.package;
        let writes = self.files.iter().map(|file| {
            let (name, sector) = (file.name, file.sector);
            format!("  dd if=${{pkgs.{package}}}/{name} of=$img conv=notrunc bs=512 seek={sector}")
        });
        let mut lines = vec![self.gap_line(), "sdImage.postBuildCommands = ''".to_owned()];
        lines.extend(writes);
        lines.push("'';".to_owned());
        let unfree: Vec<String> = self.unfree.iter().map(|name| nix_string(name)).collect();
        if !unfree.is_empty() {
            let unfree = unfree.join(" ");
            lines.push("# Parts of it are not free.".to_owned());
            lines.push(format!(
                "nixpkgs.config.allowUnfreePredicate = package: builtins.elem (lib.getName package) [ {unfree} ];"
            ));
        }
        lines
    }
}

/// A file of U-Boot's package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderFile {
    /// The name in the package.
    pub name: &'static str,
    /// The sector of 512 bytes that it is written to.
    pub sector: u64,
}

/// How a boot ROM recognizes a boot loader.
#[derive(Debug, PartialEq, Eq)]
pub struct RomHeader {
    /// What the header is called, for messages.
    pub name: &'static str,
    /// The sector of 512 bytes.
    pub sector: u64,
    /// The position of the magic number in that sector.
    pub offset: usize,
    /// The magic number.
    pub magic: &'static [u8],
}
