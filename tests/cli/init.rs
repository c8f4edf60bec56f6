//! `init` writes a configuration that is the person's own.

use std::fs;

use crate::person;
use crate::support::*;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

fn with_key(comment: &str) -> Person {
    let person = person();
    let ssh = person.state.path().join(".ssh");
    fs::create_dir(&ssh).unwrap();
    fs::write(ssh.join("id_ed25519.pub"), format!("{KEY} {comment}\n")).unwrap();
    person
}

#[test]
fn the_key_and_the_name_are_filled_in_and_the_path_is_printed() {
    let person = with_key("me@here");
    let told = ran(&mut person.sdbuild(&["init", "--hostname", "kitchen"]))
        .exits(0)
        .says(&[
            "host name kitchen, time zone ",
            "may log in as root: ssh-ed25519 ",
        ]);
    let path = person.home.path().join("sd-card.nix");
    assert_eq!(told.stdout, format!("{}\n", path.display()));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&format!("    \"{KEY} me@here\"\n")), "{text}");
    assert!(
        text.contains("networking.hostName = \"kitchen\";"),
        "{text}"
    );
    assert_eq!(names(person.home.path()), ["out", "sd-card.nix"]);
    // What was written passes the checks that come before an engine is needed.
    ran(&mut person.build(&[]))
        .exits(3)
        .says(&["no engine answers"]);
}

#[test]
fn nothing_is_replaced() {
    let person = with_key("me");
    person.write("sd-card.nix", "{ }");
    ran(&mut person.sdbuild(&["init"])).exits(2).says(&[
        "sd-card.nix is there already",
        "hint: name another file with --config",
    ]);
    let text = fs::read_to_string(person.home.path().join("sd-card.nix")).unwrap();
    assert_eq!(text, "{ }");
    ran(&mut person.sdbuild(&["init", "--config", "no/where/x.nix"]))
        .exits(2)
        .says(&["mkdir -p"]);
    ran(&mut person.sdbuild(&["init", "--config", "x.nix", "--hostname", "a.b"]))
        .exits(2)
        .says(&["`a.b` is no host name"]);
    assert_eq!(names(person.home.path()), ["out", "sd-card.nix"]);
}

#[test]
fn without_a_key_the_placeholder_stays_and_how_to_make_one_is_said() {
    let person = person();
    ran(&mut person.sdbuild(&["init"]))
        .exits(0)
        .says(&["no public SSH key was found", "ssh-keygen -t ed25519"]);
    ran(&mut person.build(&[])).exits(2).says(&["placeholder"]);
}

#[test]
fn a_hostile_comment_drives_no_terminal() {
    let person = with_key("\x1b[2J\u{202e}\"; evil = ${x}");
    let told = ran(&mut person.sdbuild(&["init"])).exits(0);
    assert!(
        !told.stderr.contains(['\x1b', '\u{202e}']),
        "{}",
        told.stderr
    );
    let text = fs::read_to_string(person.home.path().join("sd-card.nix")).unwrap();
    assert!(text.contains("[2J\\\"; evil = \\${x}\"\n"), "{text}");
}
