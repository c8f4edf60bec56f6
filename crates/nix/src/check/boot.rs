//! The rules about the image, its boot loader and what a board needs on its card. Pure.

use super::facts::{ConfigFacts, SerialServiceFacts};
use super::finding::Severity::{Error, Warning};
use super::finding::{Change, Finding, Value, path};
use sdbuild_core::nix_string::nix_string;
use sdbuild_core::system::System;
use sdbuild_core::text::listed;
use sdbuild_image::board::{Board, PiModel, Start, UBoot, boards_of};
use sdbuild_image::{ineffective_overlays, missing_kernel};

/// Size of a firmware partition in MiB that has room for the firmware of nixpkgs' image (nearly 30 MiB).
const MIN_FIRMWARE_MIB: u64 = 30;
/// Boot loaders of NixOS that UEFI starts.
const UEFI_LOADERS: [&str; 4] = ["systemd-boot", "grub", "limine", "refind"];
/// The files of U-Boot in nixpkgs' own firmware partition begin like this.
const NIXPKGS_U_BOOT: &str = "u-boot-rpi";
/// The program of nixos-hardware that fills the firmware partition.
const NIXOS_HARDWARE_INSTALLER: &str = "install-rpi-firmware";

/// The file of U-Boot that it puts there.
const NIXOS_HARDWARE_U_BOOT: &str = "u-boot.bin";
/// The serial ports of a Raspberry Pi by names that hardly another board has.
const PI_PORTS: [&str; 2] = ["ttyAMA0", "serial0"];
/// The source text of U-Boot for Raspberry Pis without a look at the serial port.
const QUIET_U_BOOT: &str = "[ (final: prev: builtins.mapAttrs (name: u-boot: u-boot.override { extraConfig = \"CONFIG_BOOTDELAY=-2\"; }) { \
     inherit (prev) ubootRaspberryPi3_64bit ubootRaspberryPi4_64bit; }) ]";

/// What is wrong with an image, and with what `board` needs on its card, if the image is for one in particular.
pub(super) fn findings(facts: &ConfigFacts, board: Option<&Board>) -> Vec<Finding> {
    let is_uefi = board.is_some_and(|board| matches!(board.start, Start::Uefi));
    let general = [
        no_image(facts),
        no_boot_loader(facts),
        systemd_boot(facts).filter(|_| !is_uefi),
        small_firmware(facts),
        no_kernel(facts, board),
        lost_overlays(facts, board),
    ];
    // Without an image there is nothing for a board.
    let of_board = board
        .filter(|_| facts.image.is_some())
        .map(|board| match &board.start {
            Start::UBoot(u_boot) => [
                no_u_boot(facts, board, u_boot),
                overwritten_u_boot(facts, board, u_boot),
            ],
            Start::RaspberryPi(model) => [missing_firmware(facts, board, model), None],
            Start::Uefi => [no_uefi_loader(facts, board), None],
            Start::OwnUBoot | Start::Bios => [None, None],
        });
    let of_board = of_board.into_iter().flatten();
    let serial = facts.serial_services.iter();
    let serial = serial.filter_map(|service| busy_port(facts, service, board));
    let single = general.into_iter().chain(of_board).flatten();
    single.chain(serial).collect()
}

/// The Raspberry Pi that is `board`, or all of them if the image is for none in particular.
fn raspberry_pis(board: Option<&Board>) -> Vec<&PiModel> {
    match board {
        Some(board) => board.raspberry_pi().into_iter().collect(),
        None => boards_of(System::Aarch64Linux)
            .filter_map(Board::raspberry_pi)
            .collect(),
    }
}

/// Nothing that the firmware could start is on the partition that nixos-hardware's module fills.
fn no_kernel(facts: &ConfigFacts, board: Option<&Board>) -> Option<Finding> {
    let pi = facts.sd.pi.as_ref().filter(|_| facts.image.is_some())?;
    let has_u_boot = pi.u_boot?;
    let exists = |name: &str| has_u_boot && name == NIXOS_HARDWARE_U_BOOT;
    let models = raspberry_pis(board);
    // With U-Boot the module names it, unless the configuration says otherwise.
    let text = match (&pi.config_txt, has_u_boot) {
        (None, true) => return None,
        (text, _) => text.as_deref().unwrap_or_default(),
    };
    let lacking = models
        .iter()
        .map(|model| missing_kernel(text, model, &exists));
    let lacking: Option<Vec<String>> = lacking.collect();
    let first = lacking?.into_iter().next()?;
    let finding = Finding::general(
        "no-kernel",
        Error,
        format!("nixos-hardware's module makes a firmware partition without {first}"),
        "the firmware of the Raspberry Pi finds nothing to start",
    );
    let option = path("hardware.raspberry-pi.firmware.uboot.enable");
    let change = Change::set(option, "true");
    let change =
        change.note("U-Boot, which starts NixOS, and the line of config.txt that names it");
    Some(finding.fix((!has_u_boot).then_some(change)))
}

/// The device tree of the boot menu takes the place of the one that the firmware has changed by `config.txt`.
fn lost_overlays(facts: &ConfigFacts, board: Option<&Board>) -> Option<Finding> {
    let pi = facts.sd.pi.as_ref();
    let pi = pi.filter(|pi| pi.u_boot == Some(true) && facts.sd.menu_has_tree)?;
    let text = pi.config_txt.as_deref()?;
    let models = raspberry_pis(board);
    let mut lines = models
        .into_iter()
        .map(|model| ineffective_overlays(text, model));
    let lines = lines.find(|lines| !lines.is_empty())?;
    let option = path("boot.loader.generic-extlinux-compatible.useGenerationDeviceTree");
    let why = format!(
        "U-Boot loads the device tree of the kernel, so these lines of config.txt have no effect: {}",
        listed(&lines)
    );
    let finding = Finding::of_value("lost-overlay", Warning, option.clone(), "true", why);
    Some(finding.fix([Change::set(option, "false")]))
}

/// A service reads the port at which U-Boot listens: what its device sends stops the start.
fn busy_port(
    facts: &ConfigFacts,
    service: &SerialServiceFacts,
    board: Option<&Board>,
) -> Option<Finding> {
    let name = service.port.strip_prefix("/dev/")?;
    let ports = board.map_or(&PI_PORTS[..], |board| board.serial_ports);
    let starts_u_boot = match board.map(|board| &board.start) {
        Some(Start::UBoot(_)) => facts.card,
        Some(Start::RaspberryPi(_)) | None => has_pi_u_boot(facts),
        Some(Start::Uefi | Start::OwnUBoot | Start::Bios) => false,
    };
    (starts_u_boot && ports.contains(&name)).then(|| {
        let why = "U-Boot listens at that port before Linux starts: a device that sends something by itself, as GPS \
                   receivers do, stops it at its prompt or in its menu. Use another port, such as USB, or a U-Boot that does not \
                   listen (CONFIG_BOOTDELAY=-2) and no menu";
        let value = nix_string(&service.port);
        let finding = Finding::of_value("busy-port", Warning, service.option.clone(), value, why);
        let menu = Change::set(path("boot.loader.timeout"), "lib.mkForce 0");
        let overlay = Change::set(path("nixpkgs.overlays"), QUIET_U_BOOT);
        finding.fix([menu, overlay])
    })
}

/// Whether the card has U-Boot for a Raspberry Pi.
fn has_pi_u_boot(facts: &ConfigFacts) -> bool {
    let files = facts.sd.firmware_files.as_deref().unwrap_or_default();
    let is_of_nixpkgs = files.iter().any(|name| name.starts_with(NIXPKGS_U_BOOT));
    is_of_nixpkgs
        || facts
            .sd
            .pi
            .as_ref()
            .is_some_and(|pi| pi.u_boot == Some(true))
}

fn no_image(facts: &ConfigFacts) -> Option<Finding> {
    if facts.image.is_some() {
        return None;
    }
    let imports = |module: &str| Change::add(path("imports"), [module.to_owned()]);
    let Some(missing) = &facts.missing else {
        let finding = Finding::of_option(
            "no-image",
            Error,
            path("system.build.sdImage"),
            " is not defined",
            "without it there is no SD card image to build",
        );
        let module = "(modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\")";
        return Some(finding.fix([imports(module)]));
    };
    let detail = if missing.value.is_none() {
        " is set"
    } else {
        ""
    };
    let why = format!(
        "the configuration makes no image: {}. {}",
        missing.reason, missing.cure
    );
    let finding = Finding::of_option("no-image", Error, missing.option.clone(), detail, why);
    let finding = Finding {
        value: missing.value.clone(),
        ..finding
    };
    let off = missing
        .off
        .then(|| Change::set(missing.option.clone(), "false"));
    Some(finding.fix(missing.add.as_deref().map(imports).into_iter().chain(off)))
}

fn no_boot_loader(facts: &ConfigFacts) -> Option<Finding> {
    let finding = Finding::general(
        "no-boot-loader",
        Error,
        "no boot loader is enabled",
        "the board's firmware finds nothing to start",
    );
    // Others' images start in other ways: raspberry-pi-nix has the firmware load the kernel.
    let needs_one = facts.card && facts.sd.makes_menu;
    (needs_one && facts.loaders.is_empty()).then(|| finding.fix([extlinux("true")]))
}

fn extlinux(value: &str) -> Change {
    let option = path("boot.loader.generic-extlinux-compatible.enable");
    Change::set(option, value)
}

fn systemd_boot(facts: &ConfigFacts) -> Option<Finding> {
    let is_only = facts.card && facts.loaders == ["systemd-boot"];
    let option = path("boot.loader.systemd-boot.enable");
    let finding = Finding::of_value(
        "systemd-boot",
        Error,
        option.clone(),
        "true",
        "this image starts from an extlinux menu, and nothing puts systemd-boot on the card",
    );
    (is_only && facts.sd.makes_menu).then(|| {
        let off = Change::set(option, "lib.mkForce false");
        finding.fix([off, extlinux("lib.mkForce true")])
    })
}

fn small_firmware(facts: &ConfigFacts) -> Option<Finding> {
    let size = facts
        .sd
        .firmware_mib
        .filter(|mib| *mib < MIN_FIRMWARE_MIB)?;
    let option = path("sdImage.firmwareSize");
    let finding = Finding::of_value(
        "small-firmware",
        Warning,
        option.clone(),
        size.to_string(),
        "the firmware of nixpkgs' image for Raspberry Pis does not fit",
    );
    Some(finding.fix([Change::set(option, MIN_FIRMWARE_MIB.to_string())]))
}

fn no_u_boot(facts: &ConfigFacts, board: &Board, u_boot: &UBoot) -> Option<Finding> {
    let written = facts.sd.written_files.as_ref()?;
    let files = u_boot.files.iter().map(|file| file.name);
    let missing: Vec<&str> = files
        .filter(|name| !written.iter().any(|w| w == name))
        .collect();
    let why = format!(
        "the boot ROM of {} starts U-Boot from sector {}. Without these lines it starts only if U-Boot is in its flash \
         memory, or in a file of another name",
        board.title, u_boot.header.sector
    );
    let lines = Value::Definitions(u_boot.configuration().join("\n"));
    let change = Change::new(path("sdImage.postBuildCommands"), lines);
    (!missing.is_empty()).then(|| {
        let detail = format!("nothing writes {} to the card", listed(&missing));
        // A file of another name may be U-Boot too.
        Finding::general("no-u-boot", Warning, detail, why).fix([change])
    })
}

fn overwritten_u_boot(facts: &ConfigFacts, board: &Board, u_boot: &UBoot) -> Option<Finding> {
    let offset = facts.sd.offset_mib?;
    let needed = u64::from(u_boot.gap_mib);
    let is_written = !facts.sd.written_files.as_ref()?.is_empty();
    let option = path("sdImage.firmwarePartitionOffset");
    let why = format!(
        "U-Boot of {} needs the first {needed} MiB of the card, and the first partition begins before their end",
        board.title
    );
    (is_written && offset < needed).then(|| {
        let change = Change::set(option.clone(), u_boot.gap_mib.to_string());
        Finding::of_value("u-boot-gap", Error, option, offset.to_string(), why).fix([change])
    })
}

fn missing_firmware(facts: &ConfigFacts, board: &Board, model: &PiModel) -> Option<Finding> {
    let files = facts.sd.firmware_files.as_deref().unwrap_or_default();
    if files.iter().any(|name| name == NIXOS_HARDWARE_INSTALLER) {
        return None;
    }
    let is_of_nixpkgs = files.iter().any(|name| name.starts_with(NIXPKGS_U_BOOT));
    let title = board.title;
    match (is_of_nixpkgs, model.in_nixpkgs) {
        (true, true) => None,
        (true, false) => {
            let option = path("hardware.raspberry-pi.firmware.uboot.enable");
            let change = Change::set(option, "true");
            let change = change.note("with the module raspberry-pi/5 of nixos-hardware");
            let finding = Finding::general(
                "no-firmware",
                Error,
                format!("the firmware partition is that of nixpkgs, without the files of {title}"),
                "the board finds nothing to start; nixos-hardware has a module for it, which `sdbuild init --board` \
                 imports",
            );
            Some(finding.fix([change]))
        }
        (false, _) => Some(Finding::general(
            "unknown-firmware",
            Warning,
            "neither nixpkgs nor nixos-hardware fills the firmware partition",
            format!(
                "`check` cannot see whether it will have all that {title} needs; after the build, `sdbuild inspect` can"
            ),
        )),
    }
}

fn no_uefi_loader(facts: &ConfigFacts, board: &Board) -> Option<Finding> {
    let loaders = &facts.loaders;
    let is_for_uefi = |name: &String| UEFI_LOADERS.contains(&name.as_str());
    let has_one = loaders.iter().any(is_for_uefi);
    (!has_one && !loaders.is_empty()).then(|| {
        let why = format!(
            "{} starts /EFI/BOOT/BOOTAA64.EFI, which that boot loader does not write",
            board.title
        );
        let detail = format!("the boot loader is {}", loaders.join(", "));
        let change = Change::set(path("boot.loader.systemd-boot.enable"), "true");
        Finding::general("no-uefi-loader", Error, detail, why).fix([change])
    })
}
