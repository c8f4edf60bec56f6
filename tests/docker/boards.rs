//! The image of a Raspberry Pi: what `inspect` says of it, and its boot on QEMU's model of the board.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::*;

/// The firmware partition in the miniature image, in the syntax of mtools.
const FIRMWARE: &str = "@@8M";

/// Builds the miniature image in the shape of a Raspberry Pi's, with further parameters of the kernel and `--glue`; returns its
/// path and the private key that it accepts.
fn image(user: &TestUser, parameters: &str, glue: &str) -> (PathBuf, PathBuf) {
    let (private, public) = key(user);
    let keys = format!("  users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];");
    let pi = format!(
        "  services.openssh.enable = true;\n  sdImage.compressImage = false;\n  mini.raspberryPi = true;\n  \
         boot.kernelParams = [ {parameters} ];"
    );
    let image = user
        .build_of(&configuration(&format!("{keys}\n{pi}")), &["--compress", "none", "--glue", glue])
        .assert_exit_code(0)
        .image();
    (image, private)
}

fn mtools(image: &Path, tool: &str, words: &[&str]) {
    let mut command = Command::new(tool);
    command.args(["-i", &format!("{}{FIRMWARE}", image.display())]).args(words);
    let output = command.env("MTOOLS_SKIP_CHECK", "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// What `inspect` says of each board: its name, and what is missing.
fn judged(user: &TestUser, image: &Path) -> Value {
    let words = ["inspect", image.to_str().unwrap(), "--json", "--quiet"];
    let json = run(&mut user.sdbuild(&words)).json();
    let boards = json["boards"].as_array().unwrap().iter();
    boards.map(|b| (b["board"].as_str().unwrap().to_owned(), b["missing"].clone())).collect()
}

/// Without a boot test nobody would have noticed before the card was in the board.
#[test]
fn a_build_for_a_board_says_what_the_image_lacks() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.write("sd-card.nix", &configuration(""));
    let build = |board: &str| run(&mut user.build(&["--board", board])).assert_exit_code(0);
    build("rock64").assert_stderr_contains(&[
        "warning: a PINE64 ROCK64 cannot start this image, which lacks: ",
        "hint: `sdbuild init DIR --board rock64`",
    ]);
    // Also of an image that is there already, which may have been built for another board.
    let again = build("rock64").assert_stderr_contains(&["up to date"]);
    again.assert_stderr_contains(&["cannot start this image, which lacks: "]);
}

/// The example of docs/flakes.md: as it is, and without the line that puts U-Boot onto the card.
#[test]
fn a_card_with_the_module_of_nixos_hardware_starts() {
    needs!(engine_ready());
    let user = TestUser::new();
    // Its packages, also those that its emulated steps use, are in the store then: a flake has no variable with the mirror.
    let (_, key) = image(&user, "", "emulated");
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let public = public.trim();
    let card = configuration(&format!(
        "  nixpkgs.hostPlatform = \"aarch64-linux\"; services.openssh.enable = true;\n  \
         users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];"
    ));
    let card = card.replace("<nixpkgs/nixos/modules", "(modulesPath + \"");
    let card = card
        .replace("aarch64.nix>", "aarch64.nix\")")
        .replace("{ config,", "{ config, modulesPath,");
    let page = fs::read_to_string(root().join("docs/flakes.md")).unwrap();
    let blocks = page.split("```nix\n").skip(1);
    let mut blocks = blocks.map(|block| block.split("\n```").next().unwrap());
    let flake = blocks.find(|block| block.contains("nixosModules.raspberry-pi-4")).unwrap();
    let flake = flake
        .replace("github:NixOS/nixpkgs/nixos-26.05", "path:./nixpkgs")
        .replace("github:NixOS/nixos-hardware", "path:./nixos-hardware");
    let repository =
        FlakeRepository::new(&user, "card", &[("flake.nix", &flake), ("sd-card.nix", &card)]);
    let module = Command::new("cp")
        .arg("-r")
        .arg(root().join("tests/mini-nixos-hardware"))
        .arg(repository.path("nixos-hardware"))
        .status();
    assert!(module.unwrap().success());
    repository.commit();
    run(&mut user.sdbuild(&["lock", "--flake", "card"])).assert_exit_code(0);
    let check = || run(&mut user.sdbuild(&["check", "--json", "card#kitchen"]));
    let checked = check().assert_exit_code(0);
    let told = checked.json();
    assert_eq!(told["findings"], serde_json::json!([]), "{told}");
    let words = ["build", "card#kitchen", "--compress", "none"];
    let image = run(&mut user.sdbuild(&words)).assert_exit_code(0).image();
    let firmware = ["start4.elf", "fixup4.dat"];
    assert_eq!(judged(&user, &image)["rpi4"], serde_json::json!(firmware));

    let line = "hardware.raspberry-pi.firmware.uboot.enable = true;";
    repository.write("flake.nix", &flake.replace(line, ""));
    let checked = check().assert_exit_code(6);
    let told = checked.json();
    assert_eq!(told["findings"][0]["id"], "no-kernel", "{told}");
    let add = told["findings"][0]["add"][0].as_str().unwrap();
    assert!(add.starts_with(line), "{add}");
}

/// The boot, which takes most of the time. Images that lack something are told apart in the tests of `image`.
#[test]
fn raspberry_pi_boots_on_its_model() {
    needs!(engine_ready(), boot_available(), tools_available(&["mdel"]));
    let user = TestUser::new();
    let (image, key) = image(&user, "", "auto");
    let before = fs::read(&image).unwrap();
    let firmware = ["bootcode.bin", "start.elf", "fixup.dat"];
    assert_eq!(judged(&user, &image)["rpi3"], serde_json::json!(firmware));

    let path = image.to_str().unwrap();
    let run_there = ["--run", "cat /proc/device-tree/model; touch /new"];
    let login = ["--ssh-key", key.to_str().unwrap(), "--timeout", "400"];
    let mut boot = user.sdbuild(&["boot", path, "--board", "rpi3"]);
    let there = run(boot.args(run_there).args(login)).assert_exit_code(0);
    assert!(there.stdout.contains("Raspberry Pi 3 Model B"), "{}", there.stdout);
    there.assert_stderr_contains(&[
        "logged in over SSH as root",
        "the image for a Raspberry Pi 3: missing: bootcode.bin",
    ]);
    assert!(fs::read(&image).unwrap() == before, "the image was changed");

    let no_u_boot = image.with_file_name("broken.img");
    fs::write(&no_u_boot, &before).unwrap();
    mtools(&no_u_boot, "mdel", &["::u-boot-rpi3.bin"]);
    let words = ["--board", "rpi3", "--until-login"];
    let mut boot = user.sdbuild(&["boot", no_u_boot.to_str().unwrap()]);
    run(boot.args(words)).assert_exit_code(4).assert_stderr_contains(&[
        "a Raspberry Pi 3 cannot start this image, which lacks: u-boot-rpi3.bin, which config.txt names as the kernel",
    ]);
}

/// In a container: QEMU before release 9 has no such machine.
#[test]
fn raspberry_pi_4_boots_on_its_model() {
    needs!(engine_ready());
    let user = TestUser::new();
    // The first serial port is for Bluetooth. QEMU takes the upper byte of the second one's divisor, which is 2 at 115200 baud, for the
    // interrupts that are enabled: one that never ends, and stops the processor that it comes to.
    let parameters = "\"console=ttyS1,57600n8\" \"earlycon=pl011,mmio32,0xfe201000\"";
    let (image, _) = image(&user, parameters, "auto");
    let before = fs::read(&image).unwrap();
    let path = image.to_str().unwrap();
    let words = ["--until-login", "--emulator", "container"];
    let mut boot = user.sdbuild(&["boot", path, "--board", "rpi4", "--timeout", "600"]);
    run(boot.args(words))
        .assert_exit_code(0)
        .assert_stderr_contains(&["QEMU's model of a Raspberry Pi 4, 400, CM4 lacks Ethernet"]);
    assert!(fs::read(&image).unwrap() == before, "the image was changed");
}

#[test]
fn board_without_a_network_or_a_model_is_refused() {
    needs!(boot_available());
    let user = TestUser::new();
    let image = user.write_unbootable("blank.img", 16 << 20);
    let boot = |words: &[&str]| {
        let words = [&["boot", image.to_str().unwrap()], words].concat();
        run(&mut user.sdbuild(&words)).assert_exit_code(2)
    };
    boot(&["--board", "rpi4", "--until-ssh"])
        .assert_stderr_contains(&["has no network", "--until-login"]);
    boot(&["--board", "rock64"]).assert_stderr_contains(&["QEMU has no model of the board rock64"]);
}
