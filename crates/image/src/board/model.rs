//! What is known of a board: how it starts, and the machine of QEMU that runs it.

use std::fmt;

use serde::Serialize;

use super::loader::UBoot;
use super::pi_model::PiModel;
use super::qemu::QemuModel;
use sdbuild_core::system::System;

/// A board or a virtual machine that boots images of one system.
#[derive(Debug)]
pub struct Board {
    /// The name by which flags and settings choose it.
    pub name: &'static str,
    /// The name that its maker gave it.
    pub title: &'static str,
    /// The system of the images that it boots.
    pub system: System,
    /// What its boot ROM looks for on the card.
    pub start: Start,
    /// The model that `sdbuild boot` runs it as; `None` when QEMU has none that boots these images.
    pub qemu: Option<QemuModel>,
    /// What Raspberry Pi Imager calls it in the list of its devices (`tags` in
    /// <https://downloads.raspberrypi.com/os_list_imagingutility_v4.json>); boards that take the same
    /// images share one.
    pub imager_tag: Option<&'static str>,
    /// How far images for it were tried where sdbuild is developed. No image was tried on hardware.
    pub stage: TrialStage,
    /// The same in a sentence.
    pub tried: &'static str,
}

/// How far images for a board were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialStage {
    /// On QEMU's model of the board, or on the machine that starts the same.
    Booted,
    /// It has nothing that only this board needs, and its image was booted as another board.
    Shared,
    /// An image was built.
    Built,
    /// The configuration that `init` writes was evaluated.
    Evaluated,
}

impl fmt::Display for TrialStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Booted => "booted in QEMU",
            Self::Shared => "booted as another board",
            Self::Built => "built",
            Self::Evaluated => "evaluated with nixpkgs",
        })
    }
}

/// What starts the boot menu of an image.
#[derive(Debug)]
pub enum Start {
    /// The firmware of a Raspberry Pi, on the image's first FAT partition.
    RaspberryPi(PiModel),
    /// U-Boot in front of the first partition.
    UBoot(UBoot),
    /// UEFI in the board's own flash memory, which starts a program on the image.
    Uefi,
    /// U-Boot in the board's own flash memory: nothing of it is on the image.
    OwnUBoot,
    /// A BIOS, which starts the boot sector of the disk.
    Bios,
}

impl Board {
    /// The Raspberry Pi that it is.
    pub fn raspberry_pi(&self) -> Option<&PiModel> {
        match &self.start {
            Start::RaspberryPi(model) => Some(model),
            Start::UBoot(_) | Start::Uefi | Start::OwnUBoot | Start::Bios => None,
        }
    }

    /// Whether nixpkgs' images do not start it, but those of nixos-hardware's module do.
    pub fn needs_nixos_hardware(&self) -> bool {
        self.raspberry_pi().is_some_and(|model| !model.in_nixpkgs)
    }

    /// What its boot ROM starts, in a few words.
    pub fn start_text(&self) -> String {
        match &self.start {
            Start::RaspberryPi(PiModel { firmware: [], .. }) => {
                "U-Boot by its EEPROM and config.txt".to_owned()
            }
            Start::RaspberryPi(_) => "U-Boot by its firmware and config.txt".to_owned(),
            Start::UBoot(u_boot) => format!("U-Boot at sector {}", u_boot.header.sector),
            Start::Uefi => "/EFI/BOOT/BOOTAA64.EFI".to_owned(),
            Start::OwnUBoot => "a U-Boot that is not on the card".to_owned(),
            Start::Bios => "the boot sector of the disk".to_owned(),
        }
    }

    /// Whether its images have something that no other board needs.
    pub fn has_images_of_its_own(&self) -> bool {
        match &self.start {
            Start::RaspberryPi(_) => self.needs_nixos_hardware(),
            Start::UBoot(_) | Start::Uefi => true,
            Start::OwnUBoot | Start::Bios => false,
        }
    }

    /// Whether the image of nixpkgs' `sd-image-aarch64.nix` boots on it as it is.
    pub fn boots_plain_image(&self) -> bool {
        self.raspberry_pi().is_some_and(|model| model.in_nixpkgs)
    }
}
