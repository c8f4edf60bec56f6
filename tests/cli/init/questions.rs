//! What `init` asks on a terminal, and the flags that answer.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;

use nix::pty::openpty;

use super::{KEY, with_key};
use crate::support::*;

/// The line of the file for the network `Home` with the passphrase `correct horse`.
const JOINED: &str = "networking.wireless.networks.\"Home\".pskRaw = \"";

#[test]
fn the_wireless_passphrase_is_not_in_the_file() {
    let user = with_key("me");
    user.write("phrase", "correct horse\n");
    let words = ["init", "--wifi", "Home", "--wifi-password-file", "phrase"];
    run(&mut user.sdbuild(&words)).assert_exit_code(0).assert_stderr_contains(&[
        "the key of the wireless network is in the file, which only you",
    ]);
    let path = user.home.path().join("sd-card.nix");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(JOINED) && !text.contains("correct horse"), "{text}");
    run(&mut user.sdbuild(&["init", "--config", "x.nix", "--wifi", "Home"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["not a terminal", "--wifi-password-file"]);
    run(&mut user.sdbuild(&["init", "--config", "x.nix", "--yes", "--wifi", "Home"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["Home needs a passphrase", "give --wifi-password-file"]);
    user.write("phrase", "short");
    run(user.sdbuild(&words).args(["--config", "x.nix"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["passphrase of the wireless network is not valid", "8 to 63"]);
}

/// `init` with an answer to everything but the wireless network.
const ALL_BUT_WIFI: [&str; 11] = [
    "init",
    "--hostname",
    "a",
    "--board",
    "rpi4",
    "--user",
    "ann",
    "--timezone",
    "UTC",
    "--locale",
    "de_DE",
];

/// Runs `init` with `words` on a terminal, and types each answer when its question is seen last; returns everything seen.
#[track_caller]
fn on_a_terminal(user: &TestUser, words: &[&str], answers: &[(&str, &str)]) -> String {
    let pty = openpty(None, None).unwrap();
    let side = || Stdio::from(pty.slave.try_clone().unwrap());
    // The command itself would keep the terminal open.
    let mut init = {
        let mut command = user.sdbuild(words);
        let command = command.stdin(side()).stderr(side()).stdout(Stdio::null());
        command.spawn().unwrap()
    };
    drop(pty.slave);
    let mut terminal = fs::File::from(pty.master);
    let mut seen = Vec::new();
    let mut answers = answers.iter();
    let mut next = answers.next();
    let mut byte = [0; 1];
    // At its end a pseudo-terminal gives an error.
    while terminal.read_exact(&mut byte).is_ok() {
        seen.extend(byte);
        if let Some((question, answer)) = next
            && seen.ends_with(question.as_bytes())
        {
            terminal.write_all(answer.as_bytes()).unwrap();
            terminal.write_all(b"\n").unwrap();
            next = answers.next();
        }
    }
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(init.wait().unwrap().success(), "{seen}");
    assert_eq!(next, None, "not asked\n{seen}");
    seen
}

#[test]
fn a_passphrase_is_read_from_standard_input() {
    let user = with_key("me@here");
    let words = ["init", "--yes", "--wifi", "Home", "--wifi-password-file", "/dev/stdin"];
    let mut init = user.sdbuild(&words);
    init.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut init = init.spawn().unwrap();
    let mut input = init.stdin.take().unwrap();
    input.write_all(b"correct horse\n").unwrap();
    drop(input);
    assert!(init.wait().unwrap().success());
    let text = user.read("sd-card.nix");
    assert!(text.contains(JOINED), "{text}");
}

#[test]
fn typed_passphrase_is_not_shown() {
    let user = with_key("me");
    let words = [&ALL_BUT_WIFI[..], &["--wifi", "Home"]].concat();
    let answers = [
        ("(empty for no wireless network): ", "short"),
        ("(empty for no wireless network): ", "correct horse"),
        ("Passphrase again: ", "correct horse"),
    ];
    let seen = on_a_terminal(&user, &words, &answers);
    assert!(seen.contains("8 to 63"), "asked again: {seen}");
    assert!(!seen.contains("horse"), "{seen}");
    let text = user.read("sd-card.nix");
    assert!(text.contains(JOINED), "{text}");
}

#[test]
fn questions_are_asked_again_until_answers_are_valid() {
    let user = with_key("me@here");
    let second = KEY.replace("Vd1c", "Vd2c");
    let ssh = user.state.path().join(".ssh");
    fs::write(ssh.join("aws.pub"), format!("{second} aws\n")).unwrap();
    let answers = [
        ("Host name [pi]: ", "kitchen.home"),
        ("Host name [pi]: ", "kitchen"),
        ("Board [rpi4]: ", "rpi6"),
        ("Board [rpi4]: ", "rpi7"),
        ("Board [rpi4]: ", "rpi8"),
        ("Board [rpi4]: ", "rpi9"),
        // No number of wrong answers loses the earlier ones.
        ("Board [rpi4]: ", "pi"),
        ("Board [rpi4]: ", "rock64"),
        ("numbers, or all [1]: ", "3"),
        ("numbers, or all [1]: ", "all"),
        ("with sudo (empty for none): ", "ann"),
        ("network to join (empty for none): ", "Home"),
        ("(empty for no wireless network): ", "short"),
        ("(empty for no wireless network): ", "correct house"),
        ("Passphrase again: ", "correct horse"),
        ("(empty for no wireless network): ", "correct horse"),
        ("Passphrase again: ", "correct horse"),
        ("]: ", "Europe/Berln"),
        ("]: ", "Europe/Berlin"),
        ("Language [en_US.UTF-8]: ", "de_YY"),
        ("Language [en_US.UTF-8]: ", "de_DE"),
    ];
    let seen = on_a_terminal(&user, &["init", "pi"], &answers);
    for part in [
        "give only the first part, kitchen",
        "  rpi4   Raspberry Pi 4",
        "rock64, rockpro64, ",
        "(did you mean rpi",
        "key 1: ssh-ed25519",
        "answer with numbers from 1 to 2",
        "8 to 63",
        "the two passphrases differ",
        "did you mean Europe/Berlin?",
        "`de_YY` is not a locale: did you mean de_DE.UTF-8?",
        "next: look through the file, then `sdbuild check pi` and `sdbuild build pi`",
    ] {
        assert!(seen.contains(part), "{part}\n{seen}");
    }
    let text = user.read("pi/sd-card.nix");
    for part in [
        "networking.hostName = \"kitchen\";",
        &format!("{KEY} me@here\"\n    \"{second} aws\""),
        "users.users.\"ann\" = {",
        JOINED,
        "time.timeZone = \"Europe/Berlin\";",
        "i18n.defaultLocale = \"de_DE.UTF-8\";",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn flags_answer_every_question() {
    let user = with_key("me@here");
    let words = [
        "init",
        "--hostname",
        "a",
        "--board",
        "other",
        "--user",
        "ann",
        "--timezone",
        "Asia/Tokyo",
        "--locale",
        "fr_FR",
    ];
    let outcome = run(&mut user.sdbuild(&words)).assert_exit_code(0).assert_stderr_contains(&[
        "can log in as root and as ann: ssh-ed25519",
        "ann has no password, so sudo asks for none",
        "next: look through the file, then `sdbuild check` and `sdbuild build`",
    ]);
    let text = fs::read_to_string(outcome.stdout.trim_end()).unwrap();
    for part in ["\"a\";", "U-Boot", "\"ann\"", "\"Asia/Tokyo\";", "\"fr_FR.UTF-8\";"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    for (flag, value, message) in [
        ("--user", "root", "exists on every machine"),
        ("--user", "Ann", "not a valid user name"),
        ("--timezone", "Berlin", "did you mean Europe/Berlin?"),
        ("--locale", "de", "did you mean de_DE.UTF-8?"),
        ("--hostname", "a.b", "first part, a"),
        ("--board", "raspberry", "possible values: rpi3, rpi4,"),
        ("--board", "pc", "does not boot QEMU's PC"),
        (
            "--board",
            "pc",
            "hint: for a virtual machine: sdbuild init --template vm --system x86_64-linux",
        ),
    ] {
        run(&mut user.sdbuild(&["init", "x", flag, value]))
            .assert_exit_code(2)
            .assert_stderr_contains(&[message]);
    }
}
