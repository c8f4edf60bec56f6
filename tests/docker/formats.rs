//! Other formats than an SD card: variants of nixpkgs' images.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::*;

/// A configuration for a card with a variant of its own, an archive that is quickly made and is in no store yet.
fn with_variant() -> String {
    let script = fresh(
        "    mkdir -p $out/tarball $out/nix-support\n    echo small > $out/tarball/small.tar.xz\n    \
         echo \"file system-tarball $out/tarball/small.tar.xz\" > $out/nix-support/hydra-build-products",
    );
    configuration(&format!(
        "  sdImage.compressImage = false;\n  image.modules.small = {{ system.build.image = pkgs.runCommand \"small\" {{ }} \
         ''\n{script}\n  ''; }};"
    ))
}

#[test]
fn variants_that_cannot_be_built_are_refused_at_once() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    user.write("sd-card.nix", &configuration(""));
    let build = |variant: &str| run(&mut user.build(&["--format", variant])).assert_exit_code(2);
    build("nixpkgs:raw-efi").assert_stderr_contains(&[
        "the image variant `raw-efi' is made in a virtual machine with KVM",
        "hint: --format raw-efi",
    ]);
    let own = "  system.build.sdImage = lib.mkForce (pkgs.runCommand \"own\" { requiredSystemFeatures = [ \"kvm\" ]; } \"\");\n";
    user.write("own.nix", &configuration(own));
    run(&mut user.build(&["--config", "own.nix"])).assert_exit_code(2).assert_stderr_contains(&[
        "the image `config.system.build.sdImage' is made in a virtual machine with KVM",
        "sdbuild formats",
    ]);
    let unknown = build("nixpkgs:raw-eif");
    unknown.assert_stderr_contains(&[
        "has no image variant `raw-eif'; it has: ",
        "raw-efi, sd-card",
        "hint: did you mean --format nixpkgs:raw-efi?",
    ]);
    // nixpkgs' own is made in a virtual machine, too.
    run(&mut user.build(&["--format", "amazon", "--dry-run"])).assert_exit_code(0);
    // No boot loader that is known here.
    user.write(
        "sd-card.nix",
        &configuration("  image.modules.raw-efi = { lib, ... }: { boot.loader.systemd-boot.enable = lib.mkForce false; };"),
    );
    let loader = run(&mut user.build(&["--format", "qcow2"])).assert_exit_code(2);
    loader
        .assert_stderr_contains(&["the disk has no boot loader: boot.loader.systemd-boot.enable"]);
    user.write("sd-card.nix", &configuration("  disabledModules = [ \"image/images.nix\" ];"));
    build("nixpkgs:raw-efi").assert_stderr_contains(&[
        "the nixpkgs of the configuration has no image variants",
        "hint: use nixpkgs 25.05 or newer",
    ]);
    runs.assert_nothing_left();
}

#[test]
fn a_variant_is_built_of_a_configuration_for_a_card() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    user.write("sd-card.nix", &with_variant());
    let build = || {
        let built = run(&mut user.build(&["--json", "--format", "nixpkgs:small"]));
        built.assert_exit_code(0)
    };
    let first = build();
    let manifest = first.json();
    assert_eq!(manifest["format"], "nixpkgs:small");
    assert_eq!(manifest["image"]["name"], "small.tar.xz");
    assert_eq!(manifest["image"]["compression"], "none");
    let archive = user.out().join("small.tar.xz");
    assert_eq!(fs::read_to_string(&archive).unwrap(), "small\n");
    let files = ["small.tar.xz", "small.tar.xz.json", "small.tar.xz.sha256"];
    assert_eq!(file_names(&user.out()), files);
    // The archive is in the configuration's directory, and is not uploaded.
    let again = build();
    assert_eq!(again.stdout, first.stdout);
    assert!(!again.stderr.contains("\nBuild: done"), "{}", again.stderr);
    runs.assert_nothing_left();
}

/// What starts from memory is put together while it is copied, and boots without a disk.
#[test]
fn systems_from_memory_are_built_and_boot() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new();
    let runs = user.track_runs();
    let (key, public) = key(&user);
    user.write(
        "sd-card.nix",
        &configuration(&format!(
            "  networking.hostName = \"memory\";\n  services.openssh.enable = true;\n  \
             users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];"
        )),
    );
    let build = |format: &str| {
        let built = run(&mut user.build(&["--force", "--format", format]));
        built.assert_exit_code(0).image()
    };
    let contents = |archive: &Path| {
        let listed = run(Command::new("tar").arg("-tf").arg(archive)).assert_exit_code(0);
        listed.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let kexec = build("kexec");
    assert!(kexec.ends_with("nixos-memory-kexec-26.05.mini-aarch64-linux.tar"), "{kexec:?}");
    assert_eq!(
        contents(&kexec),
        ["kexec/", "kexec/bzImage", "kexec/initrd.gz", "kexec/kexec-boot"]
    );
    let bytes = fs::read(&kexec).unwrap();
    assert!(fs::read(build("kexec")).unwrap() == bytes, "the same again");
    let netboot = build("netboot");
    assert_eq!(
        contents(&netboot),
        ["netboot/", "netboot/Image", "netboot/initrd", "netboot/netboot.ipxe"]
    );
    let boot = |archive: &Path, more: &[&str]| {
        run(user.sdbuild(&["boot", archive.to_str().unwrap()]).args(more))
    };
    let login = ["--login-key", key.to_str().unwrap(), "--run"];
    let command = ["hostname; cat /proc/mounts; ls /dev/vd* 2>/dev/null; true"];
    let ran = boot(&kexec, &[&login[..], &command].concat()).assert_exit_code(0);
    assert!(ran.stdout.starts_with("memory\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("overlay /nix/store overlay"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("/dev/vd"), "{}", ran.stdout);
    // Somebody is logged in on the console of an installer: it asks for no login.
    boot(&netboot, &["--login-key", key.to_str().unwrap(), "--until-ssh"]).assert_exit_code(0);
    run(user.sdbuild(&["inspect"]).arg(&kexec))
        .assert_exit_code(2)
        .assert_stderr_contains(&["it is a tar archive", "sdbuild boot starts those"]);
    runs.assert_nothing_left();
}

/// A PC loads a kernel without a disk by a program of QEMU, which the emulator's container lacked.
#[test]
fn a_pcs_system_from_memory_is_built_and_boots() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let (key, public) = key(&user);
    let text = format!(
        "{{ services.openssh.enable = true; system.stateVersion = \"26.05\"; \
         users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ]; }}"
    );
    user.write("sd-card.nix", &text);
    let words = ["--system", "x86_64-linux", "--format", "kexec"];
    let built = run(user.build(&[]).args(words)).assert_exit_code(0);
    assert!(!built.stderr.contains("emulation"), "{}", built.stderr);
    let mut boot = user.sdbuild(&["boot", "--emulator", "container", "--run", "uname -m"]);
    let ran = run(boot.arg("--login-key").args([&key, &built.image()])).assert_exit_code(0);
    assert_eq!(ran.stdout, "x86_64\n");
    runs.assert_nothing_left();
}

/// For PCs, because nothing of them is emulated here but the machine.
#[test]
fn the_disks_of_the_templates_boot() {
    needs!(engine_ready());
    let mini = mini_nixpkgs();
    let user = TestUser::new().with("SDBUILD_NIXPKGS", mini.to_str().unwrap());
    let runs = user.track_runs();
    let key = key(&user).0;
    for (template, login) in [("vm", "root"), ("server", "admin")] {
        of_a_pc(&user, template, &key);
        let checked = run(&mut user.sdbuild(&["check", template])).assert_exit_code(0);
        let has_findings = checked.stdout.contains(['!', '✗']);
        assert!(!has_findings, "{}", checked.stdout);
        let mut build = user.build(&["--force", template]);
        if template == "server" {
            build.args(["--compress", "none"]);
        }
        let image = run(&mut build).assert_exit_code(0);
        assert!(!image.stderr.contains("emulation"), "{}", image.stderr);
        let image = image.image();
        // The root file system of a server is emptied at its start, but for what stays.
        let mut left = "";
        if template == "server" {
            for directory in ["/left", "/persist", "/persist/left"] {
                make_directory(&image, directory);
            }
            left = "/persist/left\n/persist/nixos\n/persist/ssh/ssh_host_ed25519_key\n";
        }
        let command = "id -un; hostname; uname -m; ls -d /left /persist/left /persist/nixos /persist/ssh/*_key 2>/dev/null; true";
        let mut boot = user.sdbuild(&["boot", "--user", login, "--run", command]);
        let ran = run(boot.arg("--login-key").args([&key, &image])).assert_exit_code(0);
        assert_eq!(ran.stdout, format!("{login}\n{template}\nx86_64\n{left}"));
    }
    of_a_pc(&user, "amazon", &key);
    run(&mut user.sdbuild(&["check", "amazon"])).assert_exit_code(0);
    run(&mut user.build(&["--dry-run", "amazon"])).assert_exit_code(0);
    // Nothing of the configuration loads the driver of the disk.
    let text = user.read("vm/sd-card.nix");
    let profile = "    (modulesPath + \"/profiles/qemu-guest.nix\")\n";
    let defaults = "  boot.initrd.includeDefaultModules = false;\n}\n";
    assert!(text.contains(profile), "{text}");
    let text = text.replace(profile, "").replace("\n}\n", &format!("\n{defaults}"));
    user.write("vm/sd-card.nix", &text);
    for (format, line) in [("qcow2", "/profiles/qemu-guest.nix"), ("vhd", "hypervGuest.enable")] {
        let mut check = user.sdbuild(&["check", "vm"]);
        let checked = run(check.env("SDBUILD_FORMAT", format)).assert_exit_code(0);
        assert!(checked.stdout.contains(line), "{}", checked.stdout);
    }
    runs.assert_nothing_left();
}

/// Makes a directory in the root file system of a disk, which is behind the ESP.
fn make_directory(disk: &Path, path: &str) {
    let mut debugfs = Command::new("/usr/sbin/debugfs");
    debugfs.args(["-w", "-R", &format!("mkdir {path}")]);
    run(debugfs.arg(format!("{}?offset={}", disk.display(), 257 << 20))).assert_exit_code(0);
}

/// The directory `template` with what `init` writes for it, for PCs.
fn of_a_pc(user: &TestUser, template: &str, key: &Path) {
    let mut init = user.sdbuild(&["init", "--template", template, template]);
    run(init.arg("--ssh-key").arg(key.with_extension("pub"))).assert_exit_code(0);
    let dir = user.home.path().join(template);
    for (name, was, is) in [
        ("sd-card.nix", "\"aarch64-linux\"", "\"x86_64-linux\""),
        ("sdbuild.toml", "format =", "system = \"x86_64-linux\"\nformat ="),
    ] {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        assert!(text.contains(was), "{text}");
        fs::write(dir.join(name), text.replacen(was, is, 1)).unwrap();
    }
}

#[test]
fn a_flakes_image_has_no_other_format() {
    needs!(engine_ready());
    let user = TestUser::new();
    let outputs = flake_configuration("pi", &flake_module(""));
    let text = flake_text("./nixpkgs", &outputs);
    FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);
    run(&mut user.sdbuild(&["lock", "--flake", "pi"])).assert_exit_code(0);
    let image = "./pi#nixosConfigurations.pi.config.system.build.sdImage";
    run(&mut user.sdbuild(&["build", image, "--format", "nixpkgs:raw-efi"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["is already an image: leave out --format"]);
}

/// The configuration that `init` writes for a board with UEFI, as a disk of `mib` MiB.
fn small_disk(written: &str, mib: u32) -> String {
    let last = "  system.stateVersion";
    let more = format!("  boot.loader.timeout = 0;\n  virtualisation.diskSize = {mib};\n{last}");
    written.replacen(last, &more, 1)
}

/// Asserts that the footer of the disk `vhd` has the time stamp zero.
fn assert_has_no_time(vhd: &Path) {
    let vhd = fs::File::open(vhd).unwrap();
    let mut footer = [0; 512];
    let end = vhd.metadata().unwrap().len();
    vhd.read_exact_at(&mut footer, end - 512).unwrap();
    assert_eq!(&footer[..8], b"conectix");
    assert_eq!(footer[24..28], [0; 4], "the time of the build is in it");
}

/// Compares the disk in `other`, which has QEMU's `form`, with `raw`.
fn assert_same_disk(user: &TestUser, raw: &Path, other: &Path, form: &str) {
    let mut compare = Command::new("qemu-img");
    compare.args(["compare", "-f", "raw", "-F", form]);
    let compared = run(compare.args([raw, other])).assert_exit_code(0);
    assert_eq!(compared.stdout, "Images are identical.\n", "{form}");
    // Such as that the checksum of a footer is wrong.
    assert_eq!(compared.stderr, "", "{form}");
    assert_eq!(partitions(user, other), partitions(user, raw), "{form}");
}

/// The partitions of `image` and what is on them.
fn partitions(user: &TestUser, image: &Path) -> Value {
    let inspect = run(user.sdbuild(&["inspect", "--json"]).arg(image)).assert_exit_code(0);
    let report = inspect.json();
    report["partitions"].clone()
}

/// nixpkgs makes disks in a virtual machine; here nothing of the disk is emulated.
#[test]
fn disks_for_uefi_are_built_and_boot() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new();
    let runs = user.track_runs();
    let key = key(&user).0;
    let mut init = user.sdbuild(&["init", "--board", "uefi", "--hostname", "disk"]);
    run(init.arg("--ssh-key").arg(key.with_extension("pub"))).assert_exit_code(0);
    let written = user.read("sd-card.nix");
    user.write("sd-card.nix", &small_disk(&written, 400));
    let build = |words: &[&str]| run(user.build(&["--force"]).args(words)).assert_exit_code(0);
    // The format is that of the settings file.
    let first = build(&["--compress", "none"]);
    assert!(!first.stderr.contains("cannot start"), "{}", first.stderr);
    let raw = first.image();
    assert!(raw.ends_with("nixos-disk-efi-raw-26.05.mini-aarch64-linux.img"), "{raw:?}");
    assert_eq!(fs::metadata(&raw).unwrap().len(), 400 << 20);
    for (format, form) in [("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vhd", "vpc")] {
        let other = build(&["--format", format]).image();
        assert_same_disk(&user, &raw, &other, form);
    }
    assert_has_no_time(&raw.with_extension("vhd"));
    let boot = |disk: &Path, command: &str| {
        let mut boot = user.sdbuild(&["boot", disk.to_str().unwrap(), "--run", command]);
        run(boot.arg("--login-key").arg(&key)).assert_exit_code(0)
    };
    // The form that QEMU reads itself, on a larger disk.
    let larger = raw.with_file_name("larger.qcow2");
    fs::copy(raw.with_extension("qcow2"), &larger).unwrap();
    run(Command::new("qemu-img").args(["resize", "-q"]).arg(&larger).arg("600M"))
        .assert_exit_code(0);
    let ran = boot(&larger, "df -m / | tail -n 1; cat /proc/cmdline; ls /nix");
    let mib: u32 = ran.stdout.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(mib > 300, "grown: {}", ran.stdout);
    assert!(ran.stdout.contains("initrd=\\EFI\\nixos\\"), "{}", ran.stdout);
    // Too small for what is in it.
    user.build_of(&small_disk(&written, 280), &[]).assert_exit_code(4).assert_stderr_contains(&[
        "the disk has 280 MiB (virtualisation.diskSize), and the system needs ",
    ]);
    runs.assert_nothing_left();
}
