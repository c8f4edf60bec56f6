//! The format `iso`: a system that runs from a CD or USB stick.

use crate::support::*;

/// Everything about one image: it is nixpkgs' own and made natively, the same again, read, and booted by UEFI.
#[test]
fn an_iso_is_made_natively_and_boots() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new();
    let runs = user.track_runs();
    let key = key(&user).0;
    // A disk's file systems, which a CD does not have; and what nixpkgs' module for ISO images defines, too.
    let mut init = user.sdbuild(&["init", "--board", "uefi", "--hostname", "live"]);
    run(init.arg("--ssh-key").arg(key.with_extension("pub"))).assert_exit_code(0);
    let written = user.read("sd-card.nix");
    let last = "  system.stateVersion";
    let more = format!("  boot.loader.timeout = 0;\n{last}");
    let built = user
        .build_of(&written.replacen(last, &more, 1), &["--json", "--format", "iso"])
        .assert_exit_code(0);
    let manifest = built.json();
    assert_eq!(manifest["format"], "iso");
    let name = "nixos-live-26.05.mini-aarch64-linux.iso";
    assert_eq!(manifest["image"]["name"], name);
    let image = user.out().join(name);

    let derivation = manifest["result"]["derivation"].as_str().unwrap();
    let again = format!(
        "nix derivation show --extra-experimental-features nix-command {derivation} | grep '\"system\": '; \
         nix-store --realise --check {derivation} 2>&1"
    );
    let mini = mini_nixpkgs();
    let mut shell = user.sdbuild(&["shell", "--nixpkgs", mini.to_str().unwrap()]);
    let checked = run(shell.args(["--run", &again])).assert_exit_code(0);
    let native = format!("\"system\": \"{}-linux\"", std::env::consts::ARCH);
    assert!(checked.stdout.contains(&native), "{}", checked.stdout);

    let inspected = run(user.sdbuild(&["inspect", "--json"]).arg(&image)).assert_exit_code(0);
    let report = inspected.json();
    let system = &report["partitions"][0]["file_system"];
    assert_eq!(system["kind"], "iso9660");
    assert_eq!(system["label"], "nixos-26.05-aarch64");
    let boot = &report["boot"];
    assert_eq!(boot["el_torito"][0]["platform"], "uefi", "{boot}");
    let program = serde_json::json!(["/EFI/BOOT/BOOTAA64.EFI"]);
    assert_eq!(boot["loaders"][0]["files"], program);
    assert_eq!(boot["kernel"]["format"], "arm64");
    assert_eq!(boot["system"]["nixos"], "26.05.mini");
    assert_eq!(report["problems"], serde_json::json!([]));

    let command =
        "hostname; grep -E ' (/|/iso|/nix/.ro-store|/boot) ' /proc/mounts; touch /written";
    let mut boot = user.sdbuild(&["boot", image.to_str().unwrap(), "--run", command]);
    let ran = run(boot.arg("--login-key").arg(&key)).assert_exit_code(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let starts = ["live", "tmpfs / tmpfs", "/dev/sr", "/dev/loop0 /nix/.ro-store"];
    assert_eq!(lines.len(), starts.len(), "{}", ran.stdout);
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{}", ran.stdout);
    }
    runs.assert_nothing_left();
}
