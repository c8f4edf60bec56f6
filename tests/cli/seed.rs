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
    run(&mut user.sdbuild(&words)).assert_exit_code(2).assert_stderr_contains(&[
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
    let json = run(&mut user.sdbuild(&words)).assert_exit_code(0).json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["size"], fs::metadata(user.home.path().join("k.img")).unwrap().len());
    assert_eq!(json["users_with_keys"][0], "me");
    assert_eq!(json["files"][1]["name"], "meta-data");
    let id = json["instance_id"].as_str().unwrap();
    assert!(id.starts_with("sdbuild-"), "{id}");
    run(&mut user.sdbuild(&["seed", "--user-data", "u.yaml", "--hostname", "a.b"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["`a.b` is not a valid host name"]);
}
