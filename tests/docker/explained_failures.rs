//! Conditions of the error table that a build meets for real: what is seen, and what is advised.

use crate::support::*;

fn build(text: &str) -> Outcome {
    let user = TestUser::new();
    let runs = user.track_runs();
    let outcome = user.build_of(text, &["--glue", "emulated"]);
    assert_eq!(user.outputs(), [""; 0]);
    runs.assert_nothing_left();
    outcome
}

/// A product that needs `tool` of the board's, made by `script`.
fn with_tool(tool: &str, script: &str) -> String {
    let script =
        fresh(&format!("    export PATH=${{{tool}}}/bin:${{{tool}}}/sbin:$PATH\n{script}"));
    product(&script)
}

#[test]
fn too_small_file_systems_are_explained() {
    needs!(engine_ready());
    let root = "    mkdir tree; dd if=/dev/urandom of=tree/large bs=1M count=8\n    \
        truncate -s 4M root.img; mke2fs -d tree root.img";
    build(&with_tool("pkgs.e2fsprogs", root)).assert_exit_code(4).assert_stderr_contains(&[
        "Could not allocate block in ext2 filesystem",
        "hint: nixpkgs computed the root file system too small",
    ]);
    let firmware = "    export PATH=${pkgs.mtools}/bin:$PATH\n    dd if=/dev/urandom of=large bs=1M count=8\n    \
        truncate -s 4M fat.img; mkfs.vfat fat.img; mcopy -i fat.img large ::";
    build(&with_tool("pkgs.dosfstools", firmware))
        .assert_exit_code(4)
        .assert_stderr_contains(&["Disk full", "hint: make the firmware partition larger"]);
}

/// What these sentences claim of the machine or of the image is not so, and nothing else is said of them.
#[test]
fn words_of_a_failed_test_are_no_cause() {
    needs!(engine_ready());
    let sentences = [
        "No space left on device",
        "Disk full",
        "Exec format error",
        "mke2fs: No space left on device while populating file system",
        "curl: (7) Failed to connect to localhost port 1",
    ];
    let told = sentences.map(|text| format!("    echo '{text}'\n")).concat();
    let phase = r#"    echo '@nix { "action": "setPhase", "phase": "checkPhase" }' >&2"#;
    let script = fresh(&format!("{phase}\n{told}    exit 3"));
    let package = format!(
        "  environment.etc.x.source = pkgs.runCommand \"picky-1.0\" {{ }} ''\n{script}\n  '';"
    );
    let outcome = build(&configuration(&package))
        .assert_exit_code(4)
        .assert_stderr_contains(&sentences)
        .assert_stderr_contains(&[
            "the build of picky-1.0 failed with exit code 3 in checkPhase, under emulation",
            "overrideAttrs { doCheck = false; }",
        ]);
    for claim in ["sdbuild clean", "binfmt_misc", "firmwareSize", "file system too small", "DNS"] {
        assert!(!outcome.stderr.contains(claim), "{claim}: {}", outcome.stderr);
    }
}

#[test]
fn crash_under_emulation_is_explained() {
    needs!(engine_ready());
    let crash = fresh("    ${pkgs.bash}/bin/bash -c 'kill -SEGV $$'");
    build(&product(&crash)).assert_exit_code(4).assert_stderr_contains(&[
        "uncaught target signal 11",
        "hint: an emulated program crashed",
    ]);
}

/// Nix tries five times, which takes seconds; the evaluation without native glue would wait as long again.
#[test]
fn failed_download_of_the_configuration_is_tried_once() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let fetch = "  environment.etc.x.source = fetchTarball \"http://127.0.0.1:9/x.tar.gz\";";
    let outcome =
        user.build_of(&configuration(fetch), &[]).assert_exit_code(3).assert_stderr_contains(&[
            "the configuration fetches http://127.0.0.1:9/x.tar.gz while it is evaluated",
            "hint: check the address, the network",
        ]);
    assert!(!outcome.stderr.contains("cache"), "{}", outcome.stderr);
    let logs = user.state.path().join(".local/state/sdbuild/logs");
    let log = std::fs::read_dir(logs).unwrap().next().unwrap().unwrap();
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert_eq!(log.matches("downloading 'http").count(), 1, "{log}");
    runs.assert_nothing_left();
}

#[test]
fn missing_file_and_unknown_platform_are_explained() {
    needs!(engine_ready());
    let missing =
        build(&configuration("  environment.etc.x.source = builtins.readFile ../outside;"))
            .assert_exit_code(2)
            .assert_stderr_contains(&[
                "/outside': No such file or directory",
                "/outside, which does not exist on this machine either",
            ]);
    // The path is that of this machine, not the builder's.
    assert!(!missing.stderr.contains("/build/"), "{}", missing.stderr);
    let other = "derivation { name = \"x\"; system = \"riscv64-linux\"; builder = \"/x\"; }";
    build(&configuration(&format!("  system.build.sdImage = lib.mkForce ({other});")))
        .assert_exit_code(2)
        .assert_stderr_contains(&[
            "is required to build",
            "hint: neither this builder nor one of --builders has the platform",
        ]);
}
