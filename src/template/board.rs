//! What the configuration of a board says besides the example's.

use sdbuild_core::failure::Failure;
use sdbuild_core::system::System;
use sdbuild_image::board::{Board, Start, UBoot};

/// The line of the example that boards replace.
pub(super) const PLAIN: &str =
    "  # The processor: 64-bit ARM, as in a Raspberry Pi 3, 4 or Zero 2 W.\n";

const OWN_U_BOOT: &str = "  # A 64-bit ARM machine. It starts this card when U-Boot is in its flash memory; otherwise U-Boot must be written to the\n  \
     # card, at the place that its maker names: see sdImage.postBuildCommands.\n";

/// nixpkgs' image has no firmware for these, nixos-hardware's module adds it.
const NIXOS_HARDWARE: &str = "  # The firmware partition is filled by nixos-hardware.\n  \
     hardware.raspberry-pi.firmware.uboot.enable = true;\n";
/// The commit of nixos-hardware's main branch of 2026-08-19, and the hash of its files as `nix-prefetch-url --unpack` prints it.
const NIXOS_HARDWARE_IMPORT: &str = "    # Fixed by its commit and hash, so that it stays the same.
    (builtins.fetchTarball {
      url = \"https://github.com/NixOS/nixos-hardware/archive/0471accf8d0a8210b31d947497d179ecc99e0021.tar.gz\";
      sha256 = \"sha256-HHfv2/HkNSKbbSyU9iD/g8lbP6r4tl33sSw1W4rXCk0=\";
    } + \"/raspberry-pi/5\")
";
/// The line of the example behind which a module is imported.
pub(super) const IMPORT: &str = "    (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\")\n";

/// What an SD card has and a disk for UEFI has not.
const CARD_ARGUMENT: &str = "modulesPath, ";
const CARD_MODULE: &str = "  imports = [
    # Your own finished system. For an installer instead, take sd-image-aarch64-installer.nix.
    (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\")
  ];

";
const CARD_COMPRESSION: &str =
    "  # Nix leaves the image as it is: compressing it there, under emulation, takes minutes.
  sdImage.compressImage = false;

";
/// The labels and the boot loader are those that the format raw-efi has, as in nixpkgs' virtualisation/disk-image.nix.
const UEFI: &str = "  # A 64-bit ARM machine with UEFI, which starts systemd-boot from a disk: the format raw-efi, as sdbuild.toml says. These lines
  # say the same to nixos-rebuild on the machine.
  boot.loader.systemd-boot.enable = true;
  boot.growPartition = true;
  fileSystems.\"/\" = { device = \"/dev/disk/by-label/nixos\"; fsType = \"ext4\"; autoResize = true; };
  fileSystems.\"/boot\" = { device = \"/dev/disk/by-label/ESP\"; fsType = \"vfat\"; };
";

/// Refuses a board that no image can be made for from the example.
pub fn check_board(board: &Board) -> Result<(), Failure> {
    if board.system == System::Aarch64Linux {
        return Ok(());
    }
    let text = format!("nixpkgs' SD card image does not boot {}", board.title);
    let hint = format!(
        "for a virtual machine: sdbuild init --template vm --system {}",
        board.system
    );
    Err(Failure::usage(text).hint(hint))
}

/// The example `text` for `board`.
pub(super) fn for_board(text: &str, board: &Board) -> String {
    match &board.start {
        Start::RaspberryPi(model) if model.in_nixpkgs => text.to_owned(),
        Start::RaspberryPi(_) => {
            let lines = format!("  # {}.\n{NIXOS_HARDWARE}", board.title);
            let import = format!("{IMPORT}{NIXOS_HARDWARE_IMPORT}");
            text.replacen(PLAIN, &lines, 1).replacen(IMPORT, &import, 1)
        }
        Start::UBoot(u_boot) => text.replacen(PLAIN, &u_boot_lines(board.title, u_boot), 1),
        Start::Uefi => disk_for_uefi(text),
        Start::OwnUBoot | Start::Bios => text.replacen(PLAIN, OWN_U_BOOT, 1),
    }
}

/// The example `text` for a disk in place of a card.
fn disk_for_uefi(text: &str) -> String {
    let of_card = [CARD_ARGUMENT, CARD_MODULE, CARD_COMPRESSION];
    let without_card = of_card
        .iter()
        .fold(text.to_owned(), |text, part| text.replacen(part, "", 1));
    without_card.replacen(PLAIN, UEFI, 1)
}

/// The lines that write U-Boot in front of the first partition.
fn u_boot_lines(title: &str, u_boot: &UBoot) -> String {
    let head = format!(
        "# {title}: its boot ROM starts U-Boot from fixed sectors in front of the first partition."
    );
    let lines = std::iter::once(head).chain(u_boot.configuration());
    lines.map(|line| ["  ", &line, "\n"].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_image::board::BoardName;

    fn written(name: &str) -> String {
        let BoardName(board) = name.parse().unwrap();
        check_board(board).unwrap();
        for_board(&format!("{IMPORT}{PLAIN}"), board)
    }

    #[test]
    fn u_boot_goes_to_its_sectors() {
        assert_eq!(written("rpi3"), format!("{IMPORT}{PLAIN}"));
        assert_eq!(
            written("rock5b"),
            format!(
                "{IMPORT}  # Radxa ROCK 5B: its boot ROM starts U-Boot from fixed sectors in front of the first partition.\n  \
                 sdImage.firmwarePartitionOffset = 16;\n  sdImage.postBuildCommands = ''\n    \
                 dd if=${{pkgs.ubootRock5ModelB}}/u-boot-rockchip.bin of=$img conv=notrunc bs=512 seek=64\n  '';\n  \
                 # Parts of it are not free.\n  \
                 nixpkgs.config.allowUnfreePredicate = package: builtins.elem (lib.getName package) [ \"rkbin\" ];\n"
            )
        );
        let two = written("rockpro64");
        assert!(
            two.contains("seek=64\n") && two.contains("seek=16384\n"),
            "{two}"
        );
        assert!(two.contains("[ \"arm-trusted-firmware-rk3399\" ]"), "{two}");
        assert!(!written("rock64").contains("allowUnfree"));
    }

    #[test]
    fn raspberry_pi_5_imports_its_firmware() {
        let text = written("rpi5");
        assert!(text.contains("} + \"/raspberry-pi/5\")\n"), "{text}");
        assert!(text.contains("sha256 = \"sha256-"), "{text}");
        assert!(text.contains("hardware.raspberry-pi.firmware.uboot.enable = true;\n"));
    }

    #[test]
    fn a_disk_for_uefi_has_nothing_of_a_card() {
        let text = {
            let BoardName(board) = "uefi".parse().unwrap();
            check_board(board).unwrap();
            for_board(include_str!("../../sd-card.nix"), board)
        };
        assert!(text.starts_with("# The system"), "{text}");
        for of_card in ["imports", "modulesPath", "sdImage", "U-Boot"] {
            assert!(!text.contains(of_card), "{of_card}: {text}");
        }
        assert!(text.contains("{ lib, pkgs, ... }:\n{\n  # A 64-bit ARM machine with UEFI"));
        assert!(text.contains("  boot.loader.systemd-boot.enable = true;\n"));
    }

    #[test]
    fn a_pc_is_refused() {
        let BoardName(board) = "pc".parse().unwrap();
        check_board(board).unwrap_err();
    }
}
