//! `check` on real configurations: every finding is reported, nothing is built, and nothing is left.

mod logins;
mod secrets;
mod upgrades;

use serde_json::Value;

use crate::support::*;

fn check(user: &TestUser, file: &str, text: &str) -> Outcome {
    user.write(file, text);
    let mini = mini_nixpkgs();
    // Nothing is fetched: without a network the container starts sooner.
    let words = ["check", "--offline", "--json", "--config", file, "--nixpkgs"];
    run(user.sdbuild(&words).arg(mini))
}

fn ids(checked: &Outcome) -> Vec<String> {
    let report = checked.json();
    let findings = report["findings"].as_array().unwrap().iter();
    let mut ids: Vec<String> =
        findings.map(|finding| finding["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

const IMAGE: &str = "imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];";

/// A configuration with a mistake of nearly every kind.
fn shut() -> String {
    format!(
        "{{ lib, ... }}: {{\n  {IMAGE}\n  \
         boot.loader.generic-extlinux-compatible.enable = lib.mkForce false;\n  \
         fileSystems = lib.mkForce {{ }};\n  sdImage.expandOnBoot = false;\n  sdImage.firmwareSize = 10;\n  \
         services.openssh = {{ enable = true; openFirewall = false; }};\n  \
         users.users.root.openssh.authorizedKeys.keys = [ \"ssh-ed25519 REPLACE-ME\" ];\n  \
         networking = {{ useDHCP = false; wireless.enable = true; firewall.enable = true; }};\n  \
         services.getty.autologinUser = \"root\";\n  warnings = [ \"mind the gap\" ];\n  \
         networking.wireless.networks = {{ Home.psk = \"correct horse\"; Work.psk = \"ext:work\"; Cafe.psk = \"short\"; Inn.pskRaw = \"abc\"; }};\n  \
         time.timeZone = \"Europe/Berln\"; i18n.defaultLocale = \"xx_YY.UTF-8\";\n}}\n"
    )
}

#[test]
fn check_reports_every_finding() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let shut = shut();
    let checked = check(&user, "shut.nix", &shut).assert_exit_code(6);
    assert_eq!(
        ids(&checked),
        [
            "assertion",
            "autologin",
            "firewall",
            "key-is-none",
            "locale",
            "no-boot-loader",
            "no-network",
            "no-root",
            "open-passphrase",
            "open-passphrase",
            "small-firmware",
            "state-version",
            "time-zone",
            "warning",
            "wireless-key",
            "wireless-key",
        ]
    );
    let stderr = &checked.stderr;
    assert!(stderr.contains("8 problems must be fixed"), "{stderr}");

    // As before 25.05, when there were no variants of images.
    let bare = "{ disabledModules = [ \"image/images.nix\" ]; boot.loader.grub.enable = true; }";
    let checked = check(&user, "bare.nix", bare).assert_exit_code(6);
    assert_eq!(
        ids(&checked),
        ["assertion", "no-image", "nobody-gets-in", "ssh-off", "state-version"]
    );

    let installer = IMAGE.replace("aarch64.nix", "aarch64-installer.nix");
    let text = format!("{{ {installer} system.stateVersion = \"26.05\"; }}");
    let checked = check(&user, "installer.nix", &text).assert_exit_code(6);
    assert_eq!(ids(&checked), ["autologin", "ssh-turns-away"]);
    assert_eq!(user.outputs(), [""; 0]);
    runs.assert_nothing_left();
}

/// Nothing else of a configuration for another machine matters.
#[test]
fn the_system_is_compared_first() {
    needs!(engine_ready());
    let user = TestUser::new();
    let pc = "{\n  nixpkgs.hostPlatform = \"x86_64-linux\";\n\n\n\n\n\n\n  fileSystems.\"/\".device = \"/dev/sda1\";\n}\n";
    let checked = check(&user, "pc.nix", pc).assert_exit_code(2);
    let parts = ["pc.nix:2:", "the configuration is for x86_64-linux", "--system x86_64-linux"];
    let checked = checked.assert_stderr_contains(&parts);
    assert!(!checked.stderr.contains("fileSystems"), "{}", checked.stderr);
    assert_eq!(ids(&checked), [""; 0]);
}

/// A warning that is a finding is not shown a second time; others of the evaluation are.
#[test]
fn a_warning_of_nixos_is_told_once() {
    needs!(engine_ready());
    let user = TestUser::new();
    let text = format!(
        "{{ {IMAGE} system.stateVersion = \"26.05\"; warnings = [ \"mind the gap\" ]; \
         networking.domain = builtins.warn \"of the user\" \"lan\"; }}"
    );
    let checked = check(&user, "warned.nix", &text).assert_exit_code(6);
    let (stdout, stderr) = (&checked.stdout, &checked.stderr);
    assert_eq!(stdout.matches("mind the gap").count(), 1, "{stdout}");
    assert!(!stderr.contains("mind the gap"), "{stderr}");
    assert!(stderr.contains("> of the user"), "{stderr}");
}

/// Siblings of the first name that no option has, which nixpkgs names from 25.11 on.
#[test]
fn a_misspelt_option_names_the_one_that_is_meant() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    for (wrong, meant) in [
        ("services.opensh.enable = true;", "services.openssh?"),
        ("networking.hostNmae = \"pi\";", "networking.hostName?"),
        ("services.openssh.enabled = true;", "services.openssh.enable?"),
    ] {
        let text = format!("{{ {IMAGE}\n  {wrong}\n}}\n");
        let hint = format!("hint: did you mean {meant}");
        check(&user, "wrong.nix", &text)
            .assert_exit_code(2)
            .assert_stderr_contains(&["wrong.nix:2: The option `", &hint]);
    }
    runs.assert_nothing_left();
}

#[test]
fn a_configuration_of_init_with_a_user_has_no_findings() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    let words = ["init", "pi", "--yes", "--user", "ann", "--ssh-key", "key.pub"];
    run(&mut user.sdbuild(&words)).assert_exit_code(0);
    let text = user.read("pi/sd-card.nix");
    assert!(text.contains(&public), "{text}");
    user.write("sdbuild.toml", "board = \"rpi4\"\n");
    let checked = check(&user, "sd-card.nix", &text).assert_exit_code(0);
    assert_eq!(ids(&checked), ["unknown-firmware"]);
    let (all_but_end, _) = text.rsplit_once('}').unwrap();
    let with_firmware = format!("{all_but_end}  mini.raspberryPi = true;\n}}");
    let checked = check(&user, "sd-card.nix", &with_firmware).assert_exit_code(0);
    let told = checked.json();
    assert_eq!(told["findings"], Value::Array(vec![]), "{told}");
    let in_order = told["lets_in"].to_string();
    assert!(in_order.contains("ann with a key"), "{told}");

    // The card of another board needs more: half of its U-Boot is written here, into the first partition.
    user.write("sdbuild.toml", "board = \"rockpro64\"\n");
    let half =
        "sdImage.postBuildCommands = \"dd if=${./u-boot.itb} of=$img conv=notrunc seek=16384\";\n}";
    user.write("u-boot.itb", "second part");
    let checked = check(&user, "sd-card.nix", &format!("{all_but_end}  {half}\n"));
    assert_eq!(ids(&checked.assert_exit_code(6)), ["no-u-boot", "u-boot-gap"]);
}

/// What would keep a machine from starting or from the network, in a configuration that builds.
#[test]
fn disks_and_addresses_that_do_not_fit_are_found() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    let found = |more: &str| {
        let text = format!(
            "{{ lib, ... }}: {{\n  {IMAGE}\n  services.openssh.enable = true;\n  \
             users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n  {more}\n}}\n"
        );
        ids(&check(&user, "pi.nix", &text))
    };
    let version = "system.stateVersion = \"26.05\";";
    let two_disks = format!(
        "{version} fileSystems.\"/\".device = lib.mkForce \"/dev/disk/by-label/nixos\";\n  \
         fileSystems.\"/data\" = {{ device = \"/dev/sda1\"; fsType = \"ext4\"; }};"
    );
    assert_eq!(found(&two_disks), ["needed-disk", "other-root"]);
    let one_disk = "system.stateVersion = \"26.05\"; fileSystems.\"/\".device = lib.mkForce \"/dev/sda2\";\n  \
                    fileSystems.\"/data\" = { device = \"/dev/sda1\"; options = [ \"defaults,nofail\" ]; };";
    assert_eq!(found(one_disk), [""; 0]);
    let address = "networking.interfaces.eth0.ipv4.addresses = [ { address = \"192.168.1.5\"; prefixLength = 24; } ];";
    let fixed = format!(
        "{version} networking.hostName = \"my_pi\"; services.getty.autologinUser = \"root\"; {address}"
    );
    assert_eq!(found(&fixed), ["autologin", "host-name", "no-gateway", "no-name-server"]);
    let complete = format!(
        "{version} networking.defaultGateway = \"192.168.1.1\"; networking.nameservers = [ \"192.168.1.1\" ]; {address}"
    );
    assert_eq!(found(&complete), [""; 0]);
    let shut = format!(
        "{version} fileSystems.\"/\".fsType = lib.mkForce \"btrfs\"; users.groups.ssh.members = [ ];\n  \
         services.openssh = {{ listenAddresses = [ {{ addr = \"127.0.0.1\"; }} ]; settings.AllowGroups = [ \"ssh\" ]; }};"
    );
    assert_eq!(found(&shut), ["root-type", "ssh-turns-away"]);
    let admitted = shut.replace("members = [ ]", "members = [ \"root\" ]");
    assert_eq!(found(&admitted), ["root-type"]);
    let other_keys =
        shut.replace("settings.", "extraConfig = \"TrustedUserCAKeys /etc/ssh/ca.pub\"; settings.");
    assert_eq!(found(&other_keys), ["root-type"]);
}

/// What is found in a configuration without mistakes and `more`, with options that the miniature lacks.
fn found_with(user: &TestUser, public: &str, more: &str) -> Vec<String> {
    let free = "lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; }";
    let text = format!(
        "{{ lib, pkgs, ... }}: {{\n  {IMAGE}\n  options = {{ age = {free}; sops = {free}; services.gpsd = {free}; }};\n  \
         config = {{ services.openssh.enable = true; system.stateVersion = \"26.05\";\n  \
         users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n  {more}\n}}; }}\n"
    );
    ids(&check(user, "pi.nix", &text))
}

/// A root file system that no card has.
#[test]
fn a_root_that_the_card_does_not_have_is_found() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    let found = |more: &str| found_with(&user, &public, more);
    let root = |device: &str, fs_type: &str| {
        format!(
            "fileSystems.\"/\" = lib.mkForce {{ device = \"{device}\"; fsType = \"{fs_type}\"; }};"
        )
    };
    for (device, fs_type) in [
        ("/dev/mapper/root", "ext4"),
        ("/dev/disk/by-partlabel/disk-main-root", "ext4"),
        ("rpool/root", "zfs"),
        ("none", "tmpfs"),
    ] {
        assert_eq!(found(&root(device, fs_type)), ["other-root"], "{device}");
    }
    let mapped = root("/dev/mapper/root", "ext4");
    let memory = root("none", "tmpfs");
    for fine in [
        // The card gets other partitions, or what is on it is mounted elsewhere.
        format!("{mapped} sdImage.postBuildCommands = \"sgdisk -n 3 $img\";"),
        format!(
            "{memory} fileSystems.\"/card\" = {{ device = \"LABEL=NIXOS_SD\"; fsType = \"ext4\"; neededForBoot = true; }};"
        ),
    ] {
        assert_eq!(found(&fine), [""; 0], "{fine}");
    }
}

/// What goes wrong on a board although its card starts.
#[test]
fn what_the_board_lacks_at_its_start_is_found() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    let found = |more: &str| found_with(&user, &public, more);
    let age = "age = { secrets.wifi.file = ./pi.nix; identityPaths = [ \"/etc/ssh/ssh_host_ed25519_key\" ]; };";
    let sops = "sops = { secrets.wifi = { }; age = { keyFile = \"/var/lib/sops/key.txt\"; sshKeyPaths = [ ]; }; gnupg.sshKeyPaths = [ ]; };";
    for late in [age, sops] {
        assert_eq!(found(late), ["late-key"], "{late}");
    }
    for there in [
        &age.replace("\"/etc/ssh/ssh_host_ed25519_key\"", "./pi.nix"),
        &format!(
            "{age} sdImage.populateRootCommands = \"install -D key ./files/etc/ssh/ssh_host_ed25519_key\";"
        ),
        &format!(
            "{age} system.activationScripts.key = \"cat /boot/firmware/key >/etc/ssh/ssh_host_ed25519_key\";"
        ),
        &format!(
            "{sops} fileSystems.\"/var/lib\" = {{ device = \"/dev/mmcblk0p3\"; fsType = \"ext4\"; }};"
        ),
        "age.secrets = { };",
    ] {
        assert_eq!(found(there), [""; 0], "{there}");
    }
    // Secrets of a late key let nobody in. Without that file sops-nix decrypts nothing.
    let password = "age.secrets.wifi.path = \"/run/agenix/wifi\"; age.secrets.wifi.file = ./pi.nix; \
                    age.identityPaths = [ \"/etc/key\" ]; users.users.root = { hashedPasswordFile = \"/run/agenix/wifi\";\n  \
                    openssh.authorizedKeys.keyFiles = lib.mkForce [ ]; };";
    assert_eq!(found(password), ["late-key"]);
    let password = format!(
        "{password} services.openssh.authorizedKeysFiles = lib.mkForce [ \"%h/.ssh/authorized_keys\" ];"
    );
    assert_eq!(found(&password), ["late-key", "nobody-gets-in"]);
    let early = "fileSystems.\"/data\" = { device = \"LABEL=DATA\"; fsType = \"ext4\"; options = [ \"nofail\" ]; neededForBoot = ";
    assert_eq!(found(&format!("{early}true; }};")), ["needed-disk"]);
    assert_eq!(found(&format!("{early}false; }};")), [""; 0]);
    let gps = "mini.raspberryPi = true; services.gpsd = { enable = true; devices = [ \"/dev/ttyAMA0\" ]; };";
    assert_eq!(found(gps), ["busy-port"]);
    assert_eq!(found(&gps.replace("ttyAMA0", "ttyACM0")), [""; 0]);
    let token = "services.k3s = { enable = true; token = \"0123\"; };";
    assert_eq!(found(token), ["stored-secret"]);
    assert_eq!(found(&token.replace("token =", "tokenFile =")), [""; 0]);
}

#[test]
fn check_accepts_good_and_explains_wrong_configurations() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    let checked = check(&user, "sd-card.nix", &example(&public)).assert_exit_code(0);
    let told = checked.json();
    assert_eq!(told["findings"], Value::Array(vec![]), "{told}");
    assert_eq!(told["lets_in"][0], "root with a key", "{told}");
    assert!(!checked.stderr.contains("emulation"), "{}", checked.stderr);
    let header = format!("sdbuild {} · ", env!("CARGO_PKG_VERSION"));
    let first = checked.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with(&header), "{first}");
    assert!(first.contains("sd-card.nix → aarch64-linux · "), "{first}");

    let typo = check(&user, "typo.nix", &example(&public).replace("htop", "htpo"));
    let told = typo.json();
    assert_eq!(told["evaluates"], false, "{told}");
    assert_eq!(told["errors"][0]["class"], "usage", "{told}");
    typo.assert_exit_code(2)
        .assert_stderr_contains(&["undefined variable 'htpo'", "typo.nix:", "log: "])
        .assert_stderr_contains(&[
            "nixpkgs has no package htpo. Did you mean htop? Search for others: ",
        ]);
    // What was found before the error is reported as well.
    let late = "sdImage.compressImage = false; boot.kernelParams = [ 1 ]; services.openssh.ports = [ 2222 ];\n  \
        networking.firewall = { enable = true; }; services.openssh.openFirewall = false;";
    let text = example(&public).replace("sdImage.compressImage = false;", late);
    let checked = check(&user, "late.nix", &text).assert_exit_code(2);
    assert_eq!(checked.json()["evaluates"], false);
    assert_eq!(ids(&checked), ["firewall"]);
    assert!(checked.stdout.contains("services.openssh.openFirewall = true;"), "{}", checked.stdout);
}

#[test]
fn command_line_options_reach_the_image_and_the_plan() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    let shown = "    mkdir -p $out/sd-image $out/nix-support\n    cp ${told} $out/sd-image/told.img\n    \
        echo \"file sd-image $out/sd-image/told.img\" > $out/nix-support/hydra-build-products";
    user.write(
        "sd-card.nix",
        &format!(
            "{{ config, lib, pkgs, ... }}: let\n  root = config.users.users.root.openssh.authorizedKeys;\n  \
             told = builtins.toFile \"told\" (builtins.toJSON {{ inherit (root) keys; \
             zone = config.time.timeZone; name = config.networking.hostName; ports = config.services.openssh.ports; }});\n\
             in {{\n  {IMAGE}\n  networking.hostName = \"mine\"; time.timeZone = \"Asia/Tokyo\";\n  \
             users.users.root.openssh.authorizedKeys.keys = [ \"ssh-ed25519 REPLACE-ME\" ];\n  \
             services.openssh.ports = [ 22 ];\n  \
             system.build.sdImage = lib.mkForce (pkgs.runCommand \"told\" {{ }} ''\n{shown}\n  '');\n}}\n"
        ),
    );
    let words = [
        "--ssh-key",
        "key.pub",
        "--hostname",
        "kitchen",
        "--set",
        "time.timeZone=Europe/Berlin",
        "--set",
        "services.openssh.ports=[ 2222 ]",
    ];
    let plan = run(user.build(&words).arg("--dry-run=plan")).assert_exit_code(0).stdout;
    for line in [
        "overrides it   networking.hostName = lib.mkForce \"kitchen\";",
        "overrides it   time.timeZone = lib.mkForce \"Europe/Berlin\";",
    ] {
        assert!(plan.contains(line), "{line}\n{plan}");
    }
    let errors = |more: &[&str]| {
        let mini = mini_nixpkgs();
        let mut check = user.sdbuild(&["check", "--json", "--nixpkgs"]);
        ids(&run(check.arg(mini).args(more)))
    };
    let off = "ssh-off".to_owned();
    assert!(errors(&words).contains(&off));
    let on = ["--set", "services.openssh.enable=true"];
    assert!(!errors(&on).contains(&off), "it is checked too");
    let image = run(&mut user.build(&words)).assert_exit_code(0).image();
    let told: Value = serde_json::from_slice(&std::fs::read(image).unwrap()).unwrap();
    assert_eq!(told["name"], "kitchen");
    assert_eq!(told["zone"], "Europe/Berlin");
    let keys = told["keys"].as_array().unwrap();
    assert!(keys.contains(&Value::String(public)), "{told}");
    let ports = told["ports"].as_array().unwrap();
    assert_eq!(ports.len(), 2, "a list is added to: {told}");
}

/// A root file system by the label of a card is none of a disk.
#[test]
fn a_format_is_checked_with_its_own_modules() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let root = "  fileSystems.\"/\".device = \"/dev/disk/by-label/NIXOS_SD\";\n  services.openssh.enable = true;";
    user.write("sd-card.nix", &configuration(root));
    let check = |format: &[&str]| {
        run(user.sdbuild(&["check", "--nixpkgs"]).arg(mini_nixpkgs()).args(format))
    };
    let card = check(&[]);
    assert!(!card.stderr.contains("conflicting"), "{}", card.stderr);
    let disk = check(&["--format", "raw-efi"]);
    disk.assert_stderr_contains(&["fileSystems", "conflicting definition values"]);
    runs.assert_nothing_left();
}
