use std::fs;

use super::*;
use crate::boot::login_keys::tests::{PATH, pair};

#[test]
fn keys_that_cannot_be_used_are_known_before_an_image_is_built() {
    let home = tempfile::tempdir().unwrap();
    let keys = home.path().join(".ssh");
    fs::create_dir(&keys).unwrap();
    // No agent of the user's, but ssh-keygen.
    let programs = tempfile::tempdir().unwrap();
    let Some(keygen) = find_program("ssh-keygen", OsStr::new(PATH)) else {
        return;
    };
    std::os::unix::fs::symlink(keygen, programs.path().join("ssh-keygen")).unwrap();
    let check = KeyCheck {
        dir: keys.clone(),
        path: programs.path().into(),
    };
    let why = || {
        let failure = check.no_usable_key();
        failure.map_or_else(String::new, |failure| failure.to_string())
    };
    assert!(why().starts_with("there is no SSH key in "), "{}", why());
    fs::write(keys.join("config"), "Host x\n  identityFile ~/k\n").unwrap();
    assert_eq!(why(), "", "ssh's own configuration names a key");
    fs::remove_file(keys.join("config")).unwrap();
    let (locked, locked_public) = pair(&keys, "locked", "secret").unwrap();
    assert!(why().contains("has a passphrase"), "{}", why());
    fs::remove_file(locked.with_extension("pub")).unwrap();
    assert!(why().starts_with("there is no SSH key"), "not tried by ssh");
    fs::rename(&locked, keys.join("id_ed25519")).unwrap();
    assert!(why().contains("has a passphrase"), "{}", why());
    let (_, other) = pair(&keys, "other", "").unwrap();
    assert_eq!(why(), "", "one is enough");
    // It is not when the image accepts only the other one, or neither.
    let with = |accepted: &str| {
        let failure = check.with_accepted(&[accepted.to_owned()]);
        failure.map_or_else(String::new, |failure| failure.to_string())
    };
    fs::write(keys.join("id_ed25519.pub"), &locked_public).unwrap();
    assert!(with(&locked_public).contains("has a passphrase"));
    assert_eq!(with(&format!("{locked_public}{other}")), "");
    assert!(
        with("").starts_with("the image accepts none of the keys in "),
        "{}",
        with("")
    );
    fs::write(keys.join("config"), "IdentityFile ~/k\n").unwrap();
    assert_eq!(with(""), "", "that file may be one of them");
}
