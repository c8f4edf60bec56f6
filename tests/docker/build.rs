//! `sdbuild build`: a configuration becomes an image that boots and lets its owner log in.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::*;

/// The engine's description of a container.
fn inspect(name: &str) -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(&docker(&["inspect", name])).unwrap()[0].clone()
}

#[test]
fn example_image_boots_and_lets_its_owner_log_in() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new().with("SDBUILD_COMPRESS", "");
    let runs = user.track_runs();
    let (private, public) = key(&user);
    user.write("sd-card.nix", &example(&public));
    let mut build = user.build(&["--boot-test", "--ssh-key"]);
    let good = run(build.arg(&private)).assert_exit_code(0);
    let good = good.assert_stderr_contains(&["Boot: done", "logged in over SSH"]);
    // What comes next is told at the end, and is not the boot that has been.
    let at = |text: &str| good.stderr.find(text);
    assert!(at("logged in over SSH") < at("next: sdbuild flash"), "{}", good.stderr);
    // The time of the build stands before the boot, that of the whole run behind it.
    assert!(at(" · built in ") < at("Boot: done"), "{}", good.stderr);
    assert!(at("logged in over SSH") < at("built and booted in "), "{}", good.stderr);
    assert_eq!(at("next: sdbuild boot"), None, "{}", good.stderr);
    let image = good.image();
    assert_eq!(image.parent(), Some(user.out().as_path()));
    assert!(image.to_str().unwrap().ends_with(".img.zst"));
    assert_eq!(user.outputs(), TestUser::with_sidecars(&image));
    has_partitions(&image);

    let stranger = TestUser::new();
    let (other, _) = key(&stranger);
    let mut build = user.build(&["--force", "--boot-test", "--ssh-key"]);
    let refused = run(build.arg(&other)).assert_exit_code(4);
    assert!(refused.image().exists(), "the image stays");
    refused.assert_stderr_contains(&[
        "boot the image, which stays at",
        "Permission denied",
        "authorizedKeys",
    ]);
    runs.assert_nothing_left();
}

/// Asserts that the image has an MBR with a FAT and a Linux partition, and is sparse.
fn has_partitions(image: &Path) {
    let mut file = if image.extension().is_some_and(|e| e == "zst") {
        let plain = image.with_extension("");
        let mut unpack = Command::new("zstd");
        unpack.args(["-q", "-d", "-f"]).arg(image).arg("-o").arg(&plain);
        assert!(unpack.status().unwrap().success());
        fs::File::open(plain).unwrap()
    } else {
        let metadata = fs::metadata(image).unwrap();
        assert!(metadata.blocks() * 512 < metadata.len(), "holes are kept");
        fs::File::open(image).unwrap()
    };
    let mut sector = [0u8; 512];
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_exact(&mut sector).unwrap();
    assert_eq!(sector[510..], [0x55, 0xaa]);
    assert_eq!([sector[450], sector[466]], [0x0b, 0x83]);
}

#[test]
fn builder_and_registrar_have_least_privilege() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let running = Running::in_mid_build(&user, &[]);
    let (builder, registrar) = (runs.container("builder"), runs.container("registrar"));

    // Nix takes a home that is not its user's for none.
    let homes = "for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ | sed -n 's/^HOME=//p' | xargs stat -c '%u %n'; done";
    let mut exec = Command::new("docker");
    let homes = run(exec.args(["exec", &builder, "sh", "-c", homes])).assert_exit_code(0).stdout;
    assert!(homes.lines().any(|home| home == "1000 /build/home/own"), "{homes}");

    let builder = inspect(&builder);
    assert_eq!(builder["Config"]["User"], "1000:1000");
    assert_eq!(builder["HostConfig"]["SecurityOpt"], serde_json::json!(["no-new-privileges"]));
    for container in [&builder, &inspect(&registrar)] {
        let host = &container["HostConfig"];
        assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
        assert_eq!(host["CapAdd"], serde_json::Value::Null);
        assert_eq!(host["SecurityOpt"][0], "no-new-privileges");
        assert_eq!(host["Privileged"], false);
        let labels = &container["Config"]["Labels"];
        assert_eq!(labels["dev.sdbuild.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(labels["dev.sdbuild.run"].as_str().unwrap().len(), 12);
    }
    let mounts = builder["Mounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 1, "{mounts:?}");
    assert_eq!((&mounts[0]["Type"], &mounts[0]["Name"]), (&"volume".into(), &STORE.into()));
    assert!(builder["HostConfig"]["PidsLimit"].as_i64().unwrap() >= 4096);
    // What a build leaves in its home does not reach later ones.
    assert_eq!(builder["HostConfig"]["Tmpfs"]["/build/home"], "mode=1777");

    let registrar = inspect(&registrar);
    assert_eq!(registrar["HostConfig"]["NetworkMode"], "none");
    assert_eq!(registrar["HostConfig"]["ReadonlyRootfs"], true);
    let mounts = registrar["Mounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 1, "{mounts:?}");
    assert_eq!(mounts[0]["Source"], BINFMT);

    running.signal(nix::sys::signal::Signal::SIGINT);
    running.finish();
}

/// And its configuration is in a directory with spaces and letters that are not ASCII.
#[test]
fn compressed_image_has_the_requested_name() {
    needs!(engine_ready());
    let user = TestUser::new();
    let body = "  sdImage.compressImage = true;\n  image.baseName = \"mine\";";
    let text =
        configuration(body).replacen("imports = [", "imports = [ (./. + \"/teil eins.nix\")", 1);
    let config = user.write("mein Gerät/meine \"Karte\" ${x}.nix", &text);
    let config = ["--config", config.to_str().unwrap()];
    user.write("mein Gerät/teil eins.nix", "{ networking.hostName = \"umlaut\"; }");
    let build = |words: &[&str]| run(user.build(words).args(config)).assert_exit_code(0);
    // With native glue only: the image that is compressed in the builder has other files beside it there.
    let image = build(&["--compress", "zstd", "--glue", "native"]);
    assert_eq!(image.image(), user.out().join("mine.img.zst"));
    has_partitions(&image.image());
    let image = build(&["--force", "--compress", "none"]);
    assert_eq!(image.image(), user.out().join("mine.img"));
    has_partitions(&image.image());
}

#[test]
fn pc_image_is_built_natively() {
    needs!(engine_ready());
    let user = TestUser::new();
    let text = configuration("  networking.hostName = \"pc\";\n  sdImage.compressImage = false;")
        .replace("aarch64", "x86_64");
    user.write("sd-card.nix", &text);
    let mut running = Running::start(&mut user.build(&["--system", "x86_64-linux"]));
    running.wait_for("Build: done");
    let outcome = running.finish().assert_exit_code(0);
    has_partitions(&outcome.image());
    assert!(!outcome.stderr.contains("emulation"), "{}", outcome.stderr);
}

#[test]
fn build_survives_a_paused_builder() {
    needs!(engine_ready());
    // A paused builder must not be taken for one that has ended.
    let user = TestUser::new();
    let runs = user.track_runs();
    let script = fresh(&format!("    echo paused soon\n    sleep 2\n{SMALL_IMAGE}"));
    user.write("sd-card.nix", &product(&script));
    let mut running = Running::start(&mut user.build(&["-v"]));
    running.wait_for("paused soon");
    let builder = &runs.container("builder");
    pause(builder);
    std::thread::sleep(Duration::from_secs(3));
    docker(&["unpause", builder]);
    running.finish().assert_exit_code(0);
}
