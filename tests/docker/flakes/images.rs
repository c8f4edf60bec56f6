//! Which image of a flake's configuration is built, in the shapes that public flakes have.

use std::fs;

use serde_json::{Value, json};

use super::{check, lock, without_a_network};
use crate::support::*;

/// A configuration without an image of its own, with `body`.
fn machine(name: &str, body: &str) -> String {
    let module = format!(
        "({{ config, lib, pkgs, modulesPath, ... }}: {{ system.stateVersion = \"26.05\"; {body} }})"
    );
    flake_configuration(name, &module)
}

/// The module of nixpkgs that makes an SD card image.
const SD_IMAGE: &str = "nixos/modules/installer/sd-card/sd-image.nix";
/// A disk as disko has it: it defines the root, and an image that is made in a virtual machine.
const DISKO: &str = r#"{ config, lib, pkgs, ... }: {
  options.disko.devices = lib.mkOption { type = lib.types.attrs; default = { }; };
  config.fileSystems = lib.mkIf (config.disko.devices ? disk) {
    "/" = { device = "/dev/disk/by-partlabel/disk-main-root"; fsType = "ext4"; };
  };
  config.system.build.diskoImages = pkgs.runCommand "disks" { requiredSystemFeatures = [ "kvm" ]; } "exit 1";
}"#;
/// A boot loader as nixos-raspberrypi has it.
const RASPBERRY_PI: &str = r"{ lib, ... }: {
  options.boot.loader.raspberry-pi.enable = lib.mkOption { type = lib.types.bool; default = false; };
  config.boot.loader.raspberry-pi.enable = true;
}";
/// As raspberry-pi-nix has it.
const RASPBERRY_PI_NIX: &str = r"{ lib, ... }: {
  options.raspberry-pi-nix.board = lib.mkOption { type = lib.types.str; };
}";
/// A format as nixos-generators has it.
const GENERATOR: &str = r#"{ lib, pkgs, ... }: {
  options.formatAttr = lib.mkOption { type = lib.types.str; };
  config.formatAttr = "raw";
  config.system.build.raw = pkgs.runCommand "raw" { } "exit 1";
}"#;
/// An image as repart makes it.
const REPART: &str = r#"{ config, pkgs, modulesPath, ... }: {
  imports = [ (modulesPath + "/image/file-options.nix") ];
  image.baseName = "card";
  image.extension = "raw";
  system.build.image = pkgs.runCommand "image" { } "mkdir $out; head -c 2097152 /dev/zero >$out/${config.image.filePath}";
}"#;

fn outputs() -> String {
    let root = "fileSystems.\"/\" = { device = \"/dev/sda1\"; fsType = \"ext4\"; };";
    let mount = |path: &str, device: &str| {
        format!(
            "fileSystems.\"{path}\" = {{ device = \"/dev/disk/{device}\"; fsType = \"{}\"; }};",
            if path == "/" { "ext4" } else { "vfat" }
        )
    };
    let card = "imports = [ (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\") ];";
    let on = |module: &str, more: &str| format!("imports = [ ./{module} ]; {more}");
    let disk = "disko.devices.disk.main = { };";
    let efi = "boot.loader.systemd-boot.enable = true;";
    [
        machine("plain", ""),
        machine("card", card),
        machine("own", &format!("{card} system.build.sdImage = lib.mkForce (pkgs.runCommand \"own\" {{ }} \"exit 1\");")),
        machine("disko", &on("disko.nix", &format!("{disk} {efi}"))),
        machine("data", &on("disko.nix", &format!("{disk} fileSystems.\"/\".device = lib.mkForce \"/dev/disk/by-label/NIXOS_SD\";"))),
        machine("repart", &on("repart.nix", &format!("{root} {efi}"))),
        machine("pi", &on("raspberry-pi.nix", "")),
        machine("pinix", &on("raspberry-pi-nix.nix", "")),
        machine("generator", &on("generator.nix", root)),
        machine("efi", efi),
        machine("installed", root),
        machine("running", &format!("{} {}", mount("/", "by-uuid/44444444-4444-4444-8888-888888888888"), mount("/boot/firmware", "by-uuid/2178-694E"))),
        machine("beside", root),
        "images.beside = self.nixosConfigurations.generator.config.system.build.raw;".to_owned(),
        machine("weak", "fileSystems.\"/\".device = lib.mkDefault \"/dev/sda1\";"),
        machine("variant", "image.modules.small.system.build.image = pkgs.runCommand \"small\" { } \"exit 1\";"),
        "nixosConfigurations.image = self.nixosConfigurations.card.config.system.build.sdImage;".to_owned(),
    ]
    .join("\n")
}

fn flake(user: &TestUser, outputs: &str) {
    let text = flake_text("./nixpkgs", outputs);
    let files = [
        ("flake.nix", text.as_str()),
        ("disko.nix", DISKO),
        ("raspberry-pi.nix", RASPBERRY_PI),
        ("raspberry-pi-nix.nix", RASPBERRY_PI_NIX),
        ("generator.nix", GENERATOR),
        ("repart.nix", REPART),
    ];
    let repository = FlakeRepository::new(user, "pi", &files);
    lock(user, &["--flake", "pi"]).assert_exit_code(0);
    repository.commit();
}

#[test]
fn the_configuration_itself_decides_which_image_is_built() {
    needs!(engine_ready());
    let user = without_a_network();
    let runs = user.track_runs();
    flake(&user, &outputs());
    let of_build = |name: &str| format!("config.system.build.{name}");
    for (name, more, attribute, by, file) in [
        ("plain", &[][..], "images.sd-card", "sdbuild", None),
        ("weak", &[], "images.sd-card", "sdbuild", None),
        ("running", &[], "images.sd-card", "sdbuild", None),
        ("data", &[], "images.sd-card", "sdbuild", None),
        ("card", &[], "sdImage", "image-module", Some(SD_IMAGE)),
        ("own", &[], "sdImage", "user-module", None),
        ("repart", &[], "image", "user-module", Some("repart.nix")),
        ("generator", &[], "raw", "user-module", Some("generator.nix")),
        ("efi", &["--format", "raw-efi"], "images.raw-efi", "flag", None),
        ("variant", &["--format", "nixpkgs:small"], "images.small", "flag", None),
    ] {
        let reference = format!("pi#{name}");
        let checked = check(&user, &[&["--flake", &reference], more].concat());
        assert_eq!(checked.json()["evaluates"], true, "{name}: {}", checked.stderr);
        let mut expected =
            json!({ "attribute": of_build(attribute), "chosen_by": by, "file": file });
        if name == "repart" {
            expected["path"] = "card.raw".into();
        }
        assert_eq!(checked.json()["image"], expected, "{name}: {}", checked.stderr);
    }
    // A derivation may be another system than the configuration of its name: it is not checked as if it were that one, and with an
    // option no other image takes its place.
    for words in
        [&["check"][..], &["check", "--hostname", "o"], &["build", "--dry-run", "--hostname", "o"]]
    {
        run(&mut user.sdbuild(&[words, &["--flake", "pi#beside"]].concat()))
            .assert_exit_code(2)
            .assert_stderr_contains(&["images.beside"]);
    }
    run(&mut user.sdbuild(&["build", "--dry-run", "--flake", "pi#beside"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["images.beside"]);
    let named = check(&user, &["--flake", "pi#nixosConfigurations.beside"]);
    assert_eq!(named.json()["evaluates"], true, "{}", named.stderr);
    runs.assert_nothing_left();
}

/// As nixpkgs' repart has none.
#[test]
fn an_image_without_a_list_of_products_is_copied_out() {
    needs!(engine_ready());
    let user = without_a_network();
    let runs = user.track_runs();
    flake(&user, &outputs());
    let arguments = ["build", "--flake", "pi#repart", "--compress", "none"];
    let built = run(&mut user.sdbuild(&arguments)).assert_exit_code(0);
    let image = built.image();
    assert!(image.ends_with("card.raw"), "{image:?}");
    assert_eq!(fs::metadata(image).unwrap().len(), 2 << 20);
    runs.assert_nothing_left();
}

/// No hint asks for less of what the user wrote.
#[test]
fn what_keeps_a_configuration_from_making_an_image_is_one_finding() {
    needs!(engine_ready());
    let user = without_a_network();
    flake(&user, &outputs());
    for (name, option, value, add) in [
        ("disko", "disko.devices", "", None),
        ("installed", "fileSystems.\"/\".device", "/dev/sda1", None),
        (
            "efi",
            "boot.loader.systemd-boot.enable",
            "--format raw-efi",
            Some("sd-image-aarch64.nix"),
        ),
        (
            "pi",
            "boot.loader.raspberry-pi.enable",
            "",
            Some("nixos-raspberrypi.nixosModules.sd-image"),
        ),
        ("pinix", "raspberry-pi-nix.board", "", Some("raspberry-pi-nix.nixosModules.sd-image")),
    ] {
        let checked = check(&user, &["--flake", &format!("pi#{name}")]).assert_exit_code(6);
        let report = checked.json();
        assert_eq!(report["image"], Value::Null, "{name}");
        let findings = report["findings"].as_array().unwrap().iter();
        let of_image = ["no-boot-loader", "no-image", "no-root", "other-root", "systemd-boot"];
        let found = findings.filter(|one| of_image.contains(&one["id"].as_str().unwrap()));
        let [finding] = found.collect::<Vec<_>>()[..] else {
            panic!("{name}: {report}");
        };
        assert_eq!(finding["id"], "no-image");
        assert_eq!(finding["option"], option);
        assert!(finding.to_string().contains(value), "{finding}");
        let lines = finding["add"].to_string();
        assert!(add.map_or(lines == "[]", |add| lines.contains(add)), "{finding}");
        let text = finding.to_string() + &checked.stderr;
        assert!(!text.contains("remove"), "{text}");
    }
}

#[test]
fn a_forecast_says_which_image_it_is_about_or_why_there_is_none() {
    needs!(engine_ready());
    let user = without_a_network();
    let runs = user.track_runs();
    flake(&user, &outputs());
    let dry = |words: &[&str]| {
        let mut build = user.sdbuild(&["build", "--dry-run", "--output"]);
        run(build.arg(user.out()).args(words))
    };
    let refused = dry(&["--flake", "pi#installed"]).assert_exit_code(2);
    let refused = refused.assert_stderr_contains(&["makes no image: its root is /dev/sda1"]);
    assert_eq!(refused.stderr.matches("makes no image").count(), 1, "{}", refused.stderr);
    let foretold = dry(&["--flake", "pi#card", "--json"]).assert_exit_code(0);
    let foretold = foretold.json();
    assert_eq!(foretold["forecast"]["image"]["file"], SD_IMAGE);
    // It is remembered with the evaluation.
    let again = dry(&["--flake", "pi#card", "--json"]).assert_exit_code(0);
    let again = again.json();
    assert_eq!(again["forecast"]["evaluator_memory"], Value::Null);
    assert_eq!(again["forecast"]["image"], foretold["forecast"]["image"]);
    // No builder has this feature.
    dry(&["--flake", "pi#disko.config.system.build.diskoImages"])
        .assert_exit_code(4)
        .assert_stderr_contains(&["feature kvm", "the derivation disks"]);
    runs.assert_nothing_left();
}

#[test]
fn an_image_is_found_by_its_name_in_unusual_outputs() {
    needs!(engine_ready());
    let user = without_a_network();
    let runs = user.track_runs();
    let system = |modules: &str| {
        format!(
            "nixpkgs.lib.nixosSystem {{ system = \"aarch64-linux\"; modules = [ {modules} ]; }}"
        )
    };
    let shed = system(&flake_module(""));
    let outputs = format!(
        "nixosConfigurations.aarch64-linux.shed = {shed};\n images.barn = (self.nixosConfigurations.aarch64-linux.shed).config.system.build.sdImage;\n \
         packages.aarch64-linux.nixosConfigurations.attic = {shed};\n sdImages.aarch64-linux.cellar = self.images.barn;\n \
         images.twice = self.images.barn;\n sdImages.aarch64-linux.twice = self.images.barn;"
    );
    flake(&user, &outputs);
    let dry = |name: &str| {
        let mut build =
            user.sdbuild(&["build", "--dry-run", "--json", "--flake", name, "--output"]);
        run(build.arg(user.out()))
    };
    let image = |name: &str| {
        let foretold = dry(name).assert_exit_code(0);
        let foretold = foretold.json();
        foretold["forecast"]["image"]["attribute"].as_str().unwrap().to_owned()
    };
    for name in ["pi", "pi#shed", "pi#attic", "pi#nixosConfigurations.aarch64-linux.shed"] {
        assert_eq!(image(name), "config.system.build.sdImage", "{name}");
    }
    for name in ["barn", "cellar"] {
        assert_eq!(image(&format!("pi#{name}")), name);
    }
    let refused = dry("pi#twice").assert_exit_code(2);
    // What is proposed works.
    for name in ["pi#images.twice", "pi#sdImages.aarch64-linux.twice"] {
        assert!(refused.stderr.contains(name), "{}", refused.stderr);
        dry(name).assert_exit_code(0);
    }
    // The only image of a flake needs no name.
    let outputs = format!("packages.aarch64-linux.image = ({shed}).config.system.build.sdImage;");
    let text = flake_text("./nixpkgs", &outputs);
    FlakeRepository::new(&user, "only", &[("flake.nix", &text)]);
    lock(&user, &["--flake", "only"]).assert_exit_code(0);
    assert_eq!(image("only"), "packages.aarch64-linux.image");
    // One of several packages is named.
    let text = text.replace("linux.image", "linux.shed");
    user.write("only/flake.nix", &text);
    let refused = dry("only").assert_exit_code(2);
    assert!(refused.stderr.contains("only#packages.aarch64-linux.shed"), "{}", refused.stderr);
    runs.assert_nothing_left();
}
