//! `sdbuild seed`, and what `boot --seed` refuses before anything is done.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::run;
use crate::user;

const CONFIG: &str =
    "#cloud-config\nusers:\n  - name: me\n    ssh_authorized_keys: [ssh-ed25519 AAAA]\n";

#[test]
fn seed_is_written_once_and_only_for_this_user() {
    let user = user();
    user.write("u.yaml", CONFIG);
    let words = ["seed", "--user-data", "u.yaml"];
    let path = user.home.path().join("seed.img");
    let written = run(&mut user.sdbuild(&words)).assert_exit_code(0);
    assert_eq!(written.stdout, format!("{}\n", path.display()));
    let (bytes, metadata) = (fs::read(&path).unwrap(), path.metadata().unwrap());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    // The same files: nothing is written, and nobody else may read it now.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    run(&mut user.sdbuild(&words)).assert_exit_code(0);
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let modified = path.metadata().unwrap().modified().unwrap();
    assert_eq!(modified, metadata.modified().unwrap());
    user.write("u.yaml", &format!("{CONFIG}hostname: kitchen\n"));
    run(&mut user.sdbuild(&words))
        .assert_exit_code(2)
        .assert_stderr_contains(&[
            "seed.img already exists",
            "hint: name another file with --output",
        ]);
    assert!(fs::read(&path).unwrap() == bytes);
}

#[test]
fn json_has_what_is_on_the_volume() {
    let user = user();
    user.write("u.yaml", CONFIG);
    let words = "seed --user-data u.yaml --hostname kitchen -o k.img --json";
    let words: Vec<&str> = words.split(' ').collect();
    let json = run(&mut user.sdbuild(&words)).assert_exit_code(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(
        json["size"],
        fs::metadata(user.home.path().join("k.img")).unwrap().len()
    );
    assert_eq!(json["users_with_keys"][0], "me");
    assert_eq!(json["files"][1]["name"], "meta-data");
    let id = json["instance_id"].as_str().unwrap();
    assert!(id.starts_with("sdbuild-"), "{id}");
    run(&mut user.sdbuild(&["seed", "--user-data", "u.yaml", "--hostname", "a.b"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["`a.b` is not a valid host name"]);
}

#[test]
fn what_cloud_init_would_ignore_is_refused_with_its_line() {
    let user = user();
    user.write("u.yaml", "#cloud-config\nusers:\n\t- me\n");
    let seed = ["seed", "--user-data", "u.yaml"];
    run(&mut user.sdbuild(&seed))
        .assert_exit_code(2)
        .assert_stderr_contains(&["user-data u.yaml: line 3 is indented by a tab"]);
    assert!(!user.home.path().join("seed.img").exists());
    run(&mut user.sdbuild(&["seed", "--user-data", "none.yaml"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["read user-data none.yaml: No such file"]);
    user.write("u.yaml", CONFIG);
    run(user.sdbuild(&seed).args(["--output", "-"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["hint: name a file"]);
    assert!(!user.home.path().join("-").exists());
    user.write("u.yaml", "#cloud-config\nusers:\n\t- me\n");
    user.write_unbootable("some.img", 1 << 20);
    let boot = ["boot", "some.img", "--seed", "u.yaml"];
    run(&mut user.sdbuild(&boot))
        .assert_exit_code(2)
        .assert_stderr_contains(&["u.yaml: line 3 is indented by a tab"]);
}

#[test]
fn boards_have_no_second_disk_for_a_seed() {
    let user = user();
    user.write("u.yaml", CONFIG);
    user.write_unbootable("some.img", 1 << 20);
    let boot = ["boot", "some.img", "--seed", "u.yaml", "--board", "rpi3"];
    run(&mut user.sdbuild(&boot))
        .assert_exit_code(2)
        .assert_stderr_contains(&[
            "has no second disk for the seed",
            "u.yaml",
            "hint: leave out --board",
        ]);
}
