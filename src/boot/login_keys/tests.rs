use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::common::failure::Class;

pub(in crate::boot) const PATH: &str = "/usr/bin:/bin:/run/current-system/sw/bin";

/// A directory with a new key pair `name`, `name.pub`; `None` without OpenSSH.
pub(in crate::boot) fn pair(dir: &Path, name: &str, passphrase: &str) -> Option<(PathBuf, String)> {
    let program = find_program("ssh-keygen", OsStr::new(PATH))?;
    let file = dir.join(name);
    let mut command = Command::new(program);
    command.args(["-q", "-t", "ed25519", "-C", "me", "-N", passphrase, "-f"]);
    assert!(command.arg(&file).status().unwrap().success());
    let public = fs::read_to_string(file.with_extension("pub")).unwrap();
    Some((file, public))
}

fn usable(key: &Path) -> Result<PathBuf, Failure> {
    usable_key(key, OsStr::new(PATH))
}

#[test]
fn a_key_is_looked_for_in_the_list_of_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let Some((key, own)) = pair(dir.path(), "key", "") else {
        return;
    };
    let (_, other) = pair(dir.path(), "other", "").unwrap();
    let (locked, of_locked) = pair(dir.path(), "locked", "secret").unwrap();
    let accepted = |key: &Path, list: &str| is_accepted(key, list, OsStr::new(PATH));
    assert_eq!(accepted(&key, &format!("{other}{own}")), Some(true));
    assert_eq!(accepted(&key, &other), Some(false));
    assert_eq!(accepted(&key.with_extension("pub"), &own), Some(true));
    assert_eq!(accepted(&locked, &of_locked), Some(true));
    // What certificates allow is not in the list.
    assert_eq!(accepted(&key, &format!("cert-authority {other}")), None);
    fs::remove_file(key.with_extension("pub")).unwrap();
    assert_eq!(accepted(&key, &own), Some(true), "ssh-keygen tells it");
    fs::remove_file(locked.with_extension("pub")).unwrap();
    assert_eq!(accepted(&locked, &of_locked), None, "it has a passphrase");
}

#[test]
fn key_that_ssh_can_use_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let Some((key, _)) = pair(dir.path(), "pi_rsa", "") else {
        return;
    };
    assert_eq!(usable(&key).unwrap(), key);
    let public = key.with_extension("pub");
    assert_eq!(usable(&public).unwrap(), key, "the half beside it");
}

#[test]
fn what_keeps_ssh_from_using_a_key_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let Some((locked, _)) = pair(dir.path(), "locked", "secret") else {
        return;
    };
    let failure = usable(&locked).unwrap_err();
    assert_eq!(failure.class, Class::Usage);
    assert!(
        failure.to_string().contains("has a passphrase"),
        "{failure}"
    );
    assert!(failure.hints[0].contains("ssh-add /"), "{failure:?}");

    let (open, _) = pair(dir.path(), "open", "").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let failure = usable(&open).unwrap_err();
    assert!(
        failure.to_string().starts_with("other users can read"),
        "{failure}"
    );
    assert!(failure.hints[0].contains("chmod 600 /"), "{failure:?}");

    let alone = dir.path().join("alone.pub");
    fs::rename(locked.with_extension("pub"), &alone).unwrap();
    let failure = usable(&alone).unwrap_err();
    assert!(failure.to_string().contains("is a public key"), "{failure}");

    let text = dir.path().join("text");
    fs::write(&text, "no key").unwrap();
    fs::set_permissions(&text, fs::Permissions::from_mode(0o600)).unwrap();
    let failure = usable(&text).unwrap_err();
    assert!(
        failure.to_string().contains("not a private SSH key"),
        "{failure}"
    );
    assert!(failure.hints[0].contains("without .pub"), "{failure:?}");
    fs::set_permissions(&text, fs::Permissions::from_mode(0o644)).unwrap();
    let failure = usable(&text).unwrap_err();
    assert!(
        failure.to_string().contains("not a private SSH key"),
        "whoever can read it: {failure}"
    );
}

#[test]
fn private_halves_of_accepted_keys_are_tried() {
    let dir = tempfile::tempdir().unwrap();
    let Some((key, public)) = pair(dir.path(), "pi_rsa", "") else {
        return;
    };
    pair(dir.path(), "other", "").unwrap();
    let keys = |list: &str| keys_for(list, dir.path(), OsStr::new(PATH));
    let list = format!("# mine\nno-pty {}\n", public.trim());
    assert_eq!(keys(&list).unwrap(), [key]);
    assert!(keys("").unwrap().is_empty());
    let (_, locked) = pair(dir.path(), "locked", "secret").unwrap();
    assert_eq!(keys(&format!("{public}{locked}")).unwrap().len(), 1);
    let failure = keys(&locked).unwrap_err();
    assert!(
        failure.to_string().contains("has a passphrase"),
        "{failure}"
    );
}

#[test]
fn silent_agent_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let Some((locked, _)) = pair(dir.path(), "locked", "secret") else {
        return;
    };
    let silent = dir.path().join("ssh-add");
    fs::write(&silent, "#!/bin/sh\nexec sleep 60\n").unwrap();
    fs::set_permissions(&silent, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{PATH}", dir.path().display());
    let before = std::time::Instant::now();
    let failure = usable_key(&locked, OsStr::new(&path)).unwrap_err();
    assert!(
        failure.to_string().contains("has a passphrase"),
        "{failure}"
    );
    assert!(before.elapsed() < Duration::from_secs(30));
}
