use crate::request::Login;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::Class;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

pub(crate) const PATH: &str = "/usr/bin:/bin:/run/current-system/sw/bin";

impl BootRequest {
    /// An aarch64 machine and files that do not exist.
    pub(crate) fn example() -> Self {
        let system = sdbuild_core::system::System::Aarch64Linux;
        let board = sdbuild_image::board::generic_machine(system);
        Self {
            scratch: "/nowhere".into(),
            board,
            model: board.qemu.as_ref().unwrap(),
            firmware: None,
            method: crate::request::BootMethod::Firmware,
            kvm: true,
            memory_mib: 1024,
            port: None,
            ssh_port: crate::request::DEFAULT_SSH_PORT,
            home: None,
            path: "/nowhere".into(),
            seed: None,
            login: None,
            prompt: None,
        }
    }
}

/// A directory with a new key pair `name`, `name.pub`; `None` without OpenSSH.
pub(crate) fn pair(dir: &Path, name: &str, passphrase: &str) -> Option<(PathBuf, String)> {
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
    let accepted = |key: &Path, list: &str| is_accepted(key, list);
    assert_eq!(accepted(&key, &format!("{other}{own}")), Some(true));
    assert_eq!(accepted(&key, &other), Some(false));
    assert_eq!(accepted(&key.with_extension("pub"), &own), Some(true));
    assert_eq!(accepted(&locked, &of_locked), Some(true));
    // What certificates allow is not in the list.
    assert_eq!(accepted(&key, &format!("cert-authority {other}")), None);
    fs::remove_file(key.with_extension("pub")).unwrap();
    assert_eq!(accepted(&key, &own), Some(true), "it is in the file");
    fs::remove_file(locked.with_extension("pub")).unwrap();
    assert_eq!(
        accepted(&locked, &of_locked),
        Some(true),
        "also with a passphrase"
    );
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

#[test]
fn accounts_with_keys_are_named_for_one_without() {
    let lists = ["admin", "root"].map(|user| (user.to_owned(), String::new()));
    let lists = BTreeMap::from(lists);
    let told = without_keys("bob", &lists).unwrap();
    assert!(told.starts_with("the image has no SSH key for bob, only for admin, root: "));
    assert_eq!(without_keys("root", &lists), None);
    let only = BTreeMap::from([("admin".to_owned(), String::new())]);
    let told = without_keys("bob", &only).unwrap();
    assert!(
        told.ends_with("only for admin: log in with --user admin"),
        "{told}"
    );
    // Without any list nothing is known.
    assert_eq!(without_keys("bob", &BTreeMap::new()), None);
}

#[test]
fn a_user_is_chosen_only_without_another_one() {
    let lists = |users: &[&str]| {
        let lists = users.iter().map(|user| ((*user).to_owned(), String::new()));
        lists.collect()
    };
    assert_eq!(only_user(&lists(&["admin"])), Some("admin"));
    for users in [&[][..], &["admin", "root"]] {
        assert_eq!(only_user(&lists(users)), None, "{users:?}");
    }
}

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c me";
const OTHER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1d you";

/// What is told before a login as `user` with [`KEY`] to an image with `lists`.
async fn told(user: &str, lists: &[(&str, &str)]) -> Vec<Event> {
    let (events, completed) = completed(user, lists, false).await;
    completed.unwrap();
    events
}

/// The same, with the result; the server may take keys only from the lists.
async fn completed(
    user: &str,
    lists: &[(&str, &str)],
    takes_only_listed_keys: bool,
) -> (Vec<Event>, Result<(), Failure>) {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("me.pub");
    std::fs::write(&key, KEY).unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let context = Context {
        cancel: Cancel::new(),
        events: Events::new(move |event| sink.lock().unwrap().push(event)),
    };
    let mut request = BootRequest {
        login: Some(Login {
            key: Some(key),
            user: user.to_owned(),
            is_default_user: false,
            timeout: Duration::ZERO,
            command: None,
        }),
        ..BootRequest::example()
    };
    let lists = lists.iter();
    let lists = lists.map(|(user, list)| ((*user).to_owned(), (*list).to_owned()));
    let installed = InstalledSystem {
        key_lists: lists.collect(),
        takes_only_listed_keys,
        ..InstalledSystem::default()
    };
    let completed = complete(&mut request, &mut Vec::new(), &installed, &context).await;
    (std::mem::take(&mut *events.lock().unwrap()), completed)
}

#[tokio::test]
async fn a_login_that_is_certainly_refused_is_not_tried() {
    let (events, refused) = completed("root", &[("root", OTHER)], true).await;
    let refused = refused.unwrap_err();
    assert_eq!((events, refused.class), (vec![], Class::Build));
    let text = refused.to_string();
    assert!(text.ends_with("me.pub for root"), "{text}");
    assert!(
        refused.hints[0].contains("users.users.root.openssh"),
        "{refused:?}"
    );
    // Whether there is such a user is not known.
    let (told, other_user) = completed("bob", &[("root", KEY)], true).await;
    other_user.unwrap();
    assert_eq!(told.len(), 1);
    let (_, accepted) = completed("root", &[("root", KEY)], true).await;
    accepted.unwrap();
}

#[tokio::test]
async fn a_key_that_the_image_does_not_accept_is_warned_of() {
    let [Event::Warning(text)] = &told("root", &[("root", OTHER)]).await[..] else {
        panic!("no warning alone");
    };
    assert!(
        text.starts_with("the image does not accept the key /")
            && text.contains("me.pub for root: the login fails unless"),
        "{text}"
    );
    let both = format!("{OTHER}\n{KEY}");
    assert_eq!(told("root", &[("root", &both)]).await, []);
    // What an image without lists accepts is not known.
    assert_eq!(told("root", &[]).await, []);
    // That the user has no key at all is told instead.
    let [Event::Warning(text)] = &told("bob", &[("root", KEY)]).await[..] else {
        panic!("no warning alone");
    };
    assert!(text.contains("no SSH key for bob"), "{text}");
}
