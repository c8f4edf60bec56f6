use serde_json::{Value, json};

use crate::nixos::check::findings;
use crate::nixos::check::tests::{KEY, found, user, with};
use crate::nixos::check::ways_in::who_logs_in;

#[test]
fn a_shell_that_does_not_exist_names_its_package() {
    let with_shell = |path: &str| {
        let mut root = user("root", &[KEY], "none");
        root["shell"] = json!(path);
        let found = findings(&with(&[("/users", json!([root]))]), "aarch64-linux", None);
        found
            .into_iter()
            .flat_map(|finding| finding.add)
            .collect::<Vec<_>>()
    };
    let mut root = user("root", &[KEY], "none");
    root["shell"] = json!("/bin/bash");
    assert_eq!(who_logs_in(&with(&[("/users", json!([root]))])), []);
    let zsh = "users.users.root.shell = pkgs.zsh;";
    let program = "programs.zsh.enable = true;";
    assert_eq!(with_shell("/usr/bin/zsh"), [zsh, program]);
    let bash = "users.users.root.shell = pkgs.bash;";
    assert_eq!(with_shell("/bin/bash"), [bash]);
    assert_eq!(with_shell("/sbin/nologin"), [bash]);
    for path in ["/bin/sh", "/run/current-system/sw/bin/bash"] {
        assert_eq!(with_shell(path), [""; 0], "{path}");
    }
}

#[test]
fn a_shell_that_ends_every_login_locks_out_its_user() {
    let mut git = user("git", &[KEY], "none");
    git["shell"] = json!("nologin");
    let root = |keys: &[&str]| user("root", keys, "none");
    let users = |root: Value| ("/users", json!([root, git]));
    let found_in = findings(&with(&[users(root(&[]))]), "aarch64-linux", None);
    let [finding] = found_in.as_slice() else {
        panic!("{found_in:?}");
    };
    assert_eq!(finding.id, "refusing-shell");
    assert!(
        finding
            .add
            .concat()
            .starts_with("users.users.git.shell = pkgs.")
    );
    assert_eq!(who_logs_in(&with(&[users(root(&[]))])), []);
    // Somebody else logs in, keys come from elsewhere, or a block of the server's settings runs another program.
    let nobody = || users(root(&[]));
    for changes in [
        vec![users(root(&[KEY]))],
        vec![nobody(), ("/ssh/other_keys", json!(true))],
        vec![nobody(), ("/ssh/unread", json!(["match"]))],
    ] {
        assert!(!found(&changes).contains(&"refusing-shell"), "{changes:?}");
    }
    let refused = [users(root(&[KEY])), ("/ssh/root", json!("no"))];
    assert_eq!(
        found(&refused),
        ["ssh-turns-away"],
        "of root, who has a shell"
    );
}
