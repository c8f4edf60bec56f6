//! `doctor` and `init` with a real engine.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::*;

pub fn json(user: &TestUser, words: &[&str]) -> Value {
    let told = run(&mut user.sdbuild(words)).assert_exit_code(0).stdout;
    serde_json::from_str(&told).unwrap()
}

#[test]
fn doctor_checks_whether_a_build_needs_a_mirror() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0);
    let nobody = "http://127.0.0.1:9/debian";
    let cut_off = user.with("SDBUILD_DEBIAN_MIRROR", nobody).with("http_proxy", nobody);
    let mirrors = |user: &TestUser| {
        let report = run(&mut user.sdbuild(&["doctor", "--json"])).json();
        let checks = report["checks"].as_array().unwrap().iter();
        let mut mirrors = checks.filter(|check| check["topic"] == "Debian mirrors");
        mirrors.next().unwrap()["verdict"].clone()
    };
    assert_eq!(mirrors(&cut_off), "warning", "all packages are here");
    let empty = cut_off.state.path().join("cache");
    let cold = cut_off.with("XDG_CACHE_HOME", empty.to_str().unwrap());
    assert_eq!(mirrors(&cold), "bad", "a build would fetch");
}

#[test]
fn configuration_of_init_builds_an_image_with_the_key() {
    needs!(engine_ready());
    let user = TestUser::new();
    let ssh = user.state.path().join(".ssh");
    fs::create_dir(&ssh).unwrap();
    let (_, public) = key(&user);
    let bare = public.rsplit_once(' ').unwrap().0;
    let comment = r#"it's "me" ${builtins.throw "x"} $${y} ''${z} \n \"#;
    fs::write(ssh.join("id.pub"), format!("{bare} {comment}\nssh-rsa AAAA other\n")).unwrap();
    run(&mut user.sdbuild(&["init", "--hostname", "kitchen"])).assert_exit_code(0);

    // The key as Nix reads it from the file that `init` wrote.
    let show = "    mkdir -p $out/sd-image $out/nix-support\n    cp ${keys} $out/sd-image/keys.img\n    \
        echo \"file sd-image $out/sd-image/keys.img\" > $out/nix-support/hydra-build-products";
    user.write(
        "keys.nix",
        &format!(
            "{{ config, pkgs, lib, ... }}: let\n  \
             keys = builtins.toFile \"keys\" (lib.concatStringsSep \"|\" config.users.users.root.openssh.authorizedKeys.keys);\n\
             in {{\n  imports = [ ./sd-card.nix ];\n  \
             system.build.sdImage = lib.mkForce (pkgs.runCommand \"keys\" {{ }} ''\n{show}\n  '');\n}}\n"
        ),
    );
    let built = run(&mut user.build(&["--config", "keys.nix"])).assert_exit_code(0);
    let keys = fs::read_to_string(built.image()).unwrap();
    assert_eq!(keys.trim_end(), format!("{bare} {comment}"));

    let built = run(&mut user.build(&[])).assert_exit_code(0);
    let image = built.image();
    let seen = json(&user, &["inspect", image.to_str().unwrap(), "--json"]);
    assert_eq!(seen["boot"]["system"]["host_name"], "kitchen", "{seen}");
    assert_eq!(seen["problems"], Value::Array(vec![]));
}

/// A container for each of seven volumes took 20 s.
#[test]
fn one_container_counts_the_bytes_of_all_volumes() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0);
    let volumes = [StoreVolume::new(), StoreVolume::new()];
    for (volume, mib) in volumes.iter().zip(1_u64..) {
        let name = &volume.0;
        docker(&["volume", "create", "--label", "dev.sdbuild.role=store", name]);
        let dir = docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", name]);
        let bytes = vec![1; usize::try_from(mib << 20).unwrap()];
        fs::write(format!("{}/data", dir.trim()), bytes).unwrap();
    }
    // The engine keeps only the last 256 events for those who ask later.
    let mut events = Command::new("docker");
    events.args(["events", "--filter", "event=mount"]);
    let labels =
        volumes.iter().flat_map(|one| ["--filter".to_owned(), format!("volume={}", one.0)]);
    events.args(labels).args(["--format", "{{.Actor.ID}} {{.Actor.Attributes.container}}"]);
    let since = jiff::Timestamp::now().as_second().to_string();
    let mut events = events.args(["--since", &since]).stdout(Stdio::piped()).spawn().unwrap();
    let status = json(&user, &["status", "--json"]);
    // Both mounts precede the answer of `status`.
    std::thread::sleep(Duration::from_secs(1));
    events.kill().unwrap();
    let told = String::from_utf8(events.wait_with_output().unwrap().stdout).unwrap();
    let mounted = |volume: &StoreVolume| {
        let of_volume = told.lines().filter_map(|line| line.strip_prefix(volume.0.as_str()));
        of_volume.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let [one, two] = [mounted(&volumes[0]), mounted(&volumes[1])];
    assert!(one.intersection(&two).next().is_some(), "{one:?} {two:?}");
    for (volume, mib) in volumes.iter().zip(1_u64..) {
        let mut all = status["volumes"].as_array().unwrap().iter();
        let size = all.find(|found| found["name"] == volume.0.as_str()).unwrap()["size"].as_u64();
        let expected = (mib << 20)..(mib << 20) + (64 << 10);
        assert!(size.is_some_and(|size| expected.contains(&size)), "{status}");
    }
}

/// Such a container carries our labels, and was once stopped and removed by the next build.
#[test]
fn container_made_from_a_committed_builder_is_kept() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let build = Running::in_mid_build(&user, &[]);
    let image = docker(&["commit", &runs.container("builder")]);
    let image = image.trim();
    build.signal(nix::sys::signal::Signal::SIGKILL);
    build.finish();
    let options = ["run", "--detach", "--entrypoint", "/bin/sleep", image, "600"];
    let mine = docker(&options);
    let mine = mine.trim();
    user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0);
    let status = json(&user, &["status", "--json"]).to_string();
    let listed = run(&mut user.sdbuild(&["clean", "--dry-run"])).stdout;
    let name = docker(&["inspect", "--format", "{{.Name}} {{.State.Running}}", mine]);
    docker(&["rm", "--force", mine]);
    docker(&["rmi", image]);
    let (name, running) = name.trim().trim_start_matches('/').split_once(' ').unwrap();
    assert_eq!(running, "true");
    assert!(!status.contains(name), "{status}");
    assert!(!listed.contains(name), "{listed}");
    runs.assert_nothing_left();
}
