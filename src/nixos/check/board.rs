//! What a board needs on its card that the configuration does not put there. Pure.

use super::Finding;
use super::Severity;
use super::facts::ConfigFacts;
use sdbuild_core::text::listed;
use sdbuild_image::board::{Board, PiModel, Start, UBoot};

/// Boot loaders of NixOS that UEFI starts.
const UEFI_LOADERS: [&str; 4] = ["systemd-boot", "grub", "limine", "refind"];
/// The files of U-Boot in nixpkgs' own firmware partition begin like this.
const NIXPKGS_U_BOOT: &str = "u-boot-rpi";
/// The program of nixos-hardware that fills the firmware partition.
const NIXOS_HARDWARE_INSTALLER: &str = "install-rpi-firmware";

/// What `facts` lack for `board`.
pub(super) fn findings(facts: &ConfigFacts, board: &Board) -> Vec<Finding> {
    // Without an image there is nothing for a board; another rule says so.
    if !facts.image {
        return Vec::new();
    }
    let found = match &board.start {
        Start::UBoot(u_boot) => vec![
            missing_u_boot(facts, board, u_boot),
            overwritten_u_boot(facts, board, u_boot),
        ],
        Start::RaspberryPi(model) => vec![missing_firmware(facts, board, model)],
        Start::Uefi => vec![missing_uefi_loader(facts, board)],
        Start::OwnUBoot | Start::Bios => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

fn error(id: &'static str, is: String, why: String, add: String) -> Finding {
    Finding {
        id,
        severity: Severity::Error,
        is,
        why,
        add: vec![add],
        place: None,
    }
}

fn missing_u_boot(facts: &ConfigFacts, board: &Board, u_boot: &UBoot) -> Option<Finding> {
    let written = facts.sd.written_files.as_ref()?;
    let missing = u_boot.files.iter();
    let missing = missing.filter(|file| !written.iter().any(|name| name == file.name));
    let missing: Vec<&str> = missing.map(|file| file.name).collect();
    if missing.is_empty() {
        return None;
    }
    Some(Finding {
        id: "no-u-boot",
        // A file of another name may be U-Boot too.
        severity: Severity::Warning,
        is: format!("nothing writes {} to the card", listed(&missing)),
        why: format!(
            "the boot ROM of {} starts U-Boot from sector {}. Without these lines it starts only if U-Boot is in its flash \
             memory, or in a file of another name",
            board.title, u_boot.header.sector
        ),
        // One definition, of several lines.
        add: vec![u_boot.configuration().join("\n")],
        place: None,
    })
}

fn overwritten_u_boot(facts: &ConfigFacts, board: &Board, u_boot: &UBoot) -> Option<Finding> {
    let offset = facts.sd.offset_mib?;
    let needed = u64::from(u_boot.gap_mib);
    let is_written = !facts.sd.written_files.as_ref()?.is_empty();
    (is_written && offset < needed).then(|| {
        error(
            "u-boot-gap",
            format!("sdImage.firmwarePartitionOffset = {offset}"),
            format!(
                "U-Boot of {} needs the first {needed} MiB of the card, and the first partition begins before their end",
                board.title
            ),
            u_boot.gap_line(),
        )
    })
}

fn missing_firmware(facts: &ConfigFacts, board: &Board, model: &PiModel) -> Option<Finding> {
    let files = facts.sd.firmware_files.as_deref().unwrap_or_default();
    if files.iter().any(|name| name == NIXOS_HARDWARE_INSTALLER) {
        return None;
    }
    let is_of_nixpkgs = files.iter().any(|name| name.starts_with(NIXPKGS_U_BOOT));
    match (is_of_nixpkgs, model.in_nixpkgs) {
        (true, true) => None,
        (true, false) => Some(error(
            "no-firmware",
            format!(
                "the firmware partition is that of nixpkgs, without the files of {}",
                board.title
            ),
            "the board finds nothing to start; nixos-hardware has a module for it, which `sdbuild init --board` imports"
                .to_owned(),
            "hardware.raspberry-pi.firmware.uboot.enable = true; # with the module raspberry-pi/5 of nixos-hardware".to_owned(),
        )),
        (false, _) => Some(Finding {
            id: "unknown-firmware",
            severity: Severity::Warning,
            is: "neither nixpkgs nor nixos-hardware fills the firmware partition".to_owned(),
            why: format!(
                "`check` cannot see whether it will have all that {} needs; after the build, `sdbuild inspect` can",
                board.title
            ),
            add: Vec::new(),
            place: None,
        }),
    }
}

fn missing_uefi_loader(facts: &ConfigFacts, board: &Board) -> Option<Finding> {
    let loaders = &facts.loaders;
    let has_one = loaders
        .iter()
        .any(|name| UEFI_LOADERS.contains(&name.as_str()));
    (!has_one && !loaders.is_empty()).then(|| {
        error(
            "no-uefi-loader",
            format!("the boot loader is {}", loaders.join(", ")),
            format!(
                "{} starts /EFI/BOOT/BOOTAA64.EFI, which that boot loader does not write",
                board.title
            ),
            "boot.loader.systemd-boot.enable = true;".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::with;
    use super::*;
    use sdbuild_image::board::BoardName;

    fn found(board: &str, changes: &[(&str, Value)]) -> Vec<&'static str> {
        let BoardName(board) = board.parse().unwrap();
        let found = findings(&with(changes), board);
        let listed = include_str!("../../../docs/errors.md");
        let ids = found.into_iter().map(|finding| finding.id);
        ids.inspect(|id| assert!(listed.contains(&format!("| `{id}` |")), "{id}"))
            .collect()
    }

    #[test]
    fn u_boot_is_missed_where_nothing_writes_it() {
        let written = |names: &[&str]| ("/sd/written_files", json!(names));
        let far = ("/sd/offset_mib", json!(16));
        assert_eq!(found("rock5b", &[]), ["no-u-boot"]);
        assert_eq!(
            found("rock5b", &[written(&["u-boot-rockchip.bin"])]),
            ["u-boot-gap"]
        );
        assert_eq!(
            found("rock5b", &[written(&["u-boot-rockchip.bin"]), far.clone()]),
            [""; 0]
        );
        assert_eq!(
            found("rockpro64", &[written(&["idbloader.img"]), far.clone()]),
            ["no-u-boot"]
        );
        assert_eq!(
            found(
                "rockpro64",
                &[written(&["idbloader.img", "u-boot.itb"]), far]
            ),
            [""; 0]
        );
        // What could not be evaluated is not missed, and a board with its own U-Boot needs none.
        assert_eq!(
            found("rock5b", &[("/sd/written_files", Value::Null)]),
            [""; 0]
        );
        assert_eq!(found("other", &[]), [""; 0]);
        assert_eq!(found("rock5b", &[("/image", json!(false))]), [""; 0]);
    }

    #[test]
    fn lines_to_add_are_those_that_init_writes() {
        let BoardName(board) = "nanopi-r5s".parse().unwrap();
        let add = findings(&with(&[]), board).remove(0).add.join("\n");
        assert!(
            add.contains(
                "${pkgs.ubootNanoPiR5S}/u-boot.itb of=$img conv=notrunc bs=512 seek=16384"
            ),
            "{add}"
        );
        assert!(
            add.contains("sdImage.firmwarePartitionOffset = 16;"),
            "{add}"
        );
    }

    #[test]
    fn plain_firmware_is_not_enough_for_a_raspberry_pi_5() {
        let files = |names: &[&str]| ("/sd/firmware_files", json!(names));
        assert_eq!(found("rpi5", &[]), ["no-firmware"]);
        let both = ["u-boot-rpi4.bin", "install-rpi-firmware"];
        assert_eq!(found("rpi5", &[files(&both)]), [""; 0]);
        assert_eq!(found("rpi4", &[]), [""; 0]);
        // Filled in another way, or no such partition.
        for none in [files(&[]), ("/sd/firmware_files", Value::Null)] {
            for board in ["rpi4", "rpi5"] {
                assert_eq!(
                    found(board, std::slice::from_ref(&none)),
                    ["unknown-firmware"]
                );
            }
        }
    }

    #[test]
    fn uefi_needs_a_boot_loader_of_its_own() {
        assert_eq!(found("uefi", &[]), ["no-uefi-loader"]);
        assert_eq!(
            found("uefi", &[("/loaders", json!(["systemd-boot"]))]),
            [""; 0]
        );
        assert_eq!(
            found("uefi", &[("/loaders", json!([]))]),
            [""; 0],
            "another rule says it"
        );
    }
}
