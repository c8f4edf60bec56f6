//! `init` writes a configuration with the keys of the user.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use nix::pty::openpty;

use crate::support::*;
use crate::user;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

fn with_key(comment: &str) -> TestUser {
    let user = user();
    let ssh = user.state.path().join(".ssh");
    fs::create_dir(&ssh).unwrap();
    fs::write(ssh.join("id_ed25519.pub"), format!("{KEY} {comment}\n")).unwrap();
    user
}

#[test]
fn key_and_name_are_filled_in() {
    let user = with_key("me@here");
    let outcome = run(&mut user.sdbuild(&["init", "--hostname", "kitchen"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&[
            "host name kitchen, time zone ",
            "can log in as root: ssh-ed25519 ",
        ]);
    let path = user.home.path().join("sd-card.nix");
    assert_eq!(outcome.stdout, format!("{}\n", path.display()));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&format!("    \"{KEY} me@here\"\n")), "{text}");
    assert!(
        text.contains("networking.hostName = \"kitchen\";"),
        "{text}"
    );
    assert_eq!(file_names(user.home.path()), ["out", "sd-card.nix"]);
    // What was written passes the checks that come before an engine is needed.
    run(&mut user.build(&[]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["no engine answers"]);
}

#[test]
fn nothing_is_replaced() {
    let user = with_key("me");
    user.write("sd-card.nix", "{ }");
    run(&mut user.sdbuild(&["init"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&[
            "sd-card.nix exists already",
            "hint: name another file with --config",
        ]);
    let text = fs::read_to_string(user.home.path().join("sd-card.nix")).unwrap();
    assert_eq!(text, "{ }");
    run(&mut user.sdbuild(&["init", "--config", "no/where/x.nix"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["mkdir -p"]);
    run(&mut user.sdbuild(&["init", "--config", "x.nix", "--hostname", "a.b"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["`a.b` is not a valid host name"]);
    assert_eq!(file_names(user.home.path()), ["out", "sd-card.nix"]);
}

#[test]
fn without_a_key_the_placeholder_stays() {
    let user = user();
    run(&mut user.sdbuild(&["init"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["no public SSH key was found", "ssh-keygen -t ed25519"]);
    run(&mut user.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["placeholder"]);
}

#[test]
fn hostile_comment_of_a_key_is_escaped() {
    let user = with_key("\x1b[2J\u{202e}\"; evil = ${x}");
    let outcome = run(&mut user.sdbuild(&["init"])).assert_exit_code(0);
    assert!(
        !outcome.stderr.contains(['\x1b', '\u{202e}']),
        "{}",
        outcome.stderr
    );
    let text = fs::read_to_string(user.home.path().join("sd-card.nix")).unwrap();
    assert!(text.contains("[2J\\\"; evil = \\${x}\"\n"), "{text}");
}

#[test]
fn directory_is_created_and_named_key_is_the_only_one() {
    let user = with_key("me@here");
    let other = format!(
        "{} other",
        KEY.replace(
            "F4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c",
            "F4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd2c"
        )
    );
    user.write("other.pub", &other);
    let user = user.with("LANG", "de_DE.UTF-8");
    let words = ["init", "pi/board", "--ssh-key", "other.pub"];
    let outcome = run(&mut user.sdbuild(&words))
        .assert_exit_code(0)
        .assert_stderr_contains(&["language de_DE.UTF-8"]);
    let path = user.home.path().join("pi/board/sd-card.nix");
    assert_eq!(outcome.stdout, format!("{}\n", path.display()));
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(&other) && !text.contains("me@here"), "{text}");
    assert!(
        text.contains("i18n.defaultLocale = \"de_DE.UTF-8\";"),
        "{text}"
    );
    user.write("none.pub", "hello");
    run(&mut user.sdbuild(&["init", "x", "--ssh-key", "none.pub"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["none.pub is not a public SSH key"]);
    assert!(!user.home.path().join("x").exists(), "nothing was made");
}

#[test]
fn keys_of_a_running_agent_are_used() {
    let user = user();
    let (private, public) = key(&user);
    let socket = user.state.path().join("agent");
    let mut agent = Command::new("ssh-agent");
    let mut agent = agent
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It prints its socket once it listens.
    let mut line = String::new();
    BufReader::new(agent.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let mut add = Command::new("ssh-add");
    add.args(["-q"]).arg(&private).env("SSH_AUTH_SOCK", &socket);
    let added = run(&mut add);
    let user = user.with("SSH_AUTH_SOCK", socket.to_str().unwrap());
    let outcome = run(&mut user.sdbuild(&["init"]));
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let outcome = outcome.assert_exit_code(0);
    assert!(outcome.stderr.contains(&public), "{}", outcome.stderr);
    // An agent that is gone is no trouble.
    run(&mut user.sdbuild(&["init", "--config", "two.nix"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["no public SSH key was found"]);
}

/// A server that answers `/octocat.keys` with `body`, and everything else with 404, so many times.
fn github(body: &str, times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let body = body.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(times) {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let there = request.starts_with("GET /octocat.keys ");
            let (status, body) = if there {
                ("200 OK", &*body)
            } else {
                ("404 Not Found", "")
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    address
}

#[test]
fn keys_of_an_account_need_confirmation() {
    let listed = format!("{KEY}\nnonsense\n{KEY} again\n");
    let user = with_key("mine").with("SDBUILD_GITHUB", github(&listed, 2));
    let cache = user.state.path().join("cache");
    let user = user.with("XDG_CACHE_HOME", cache.to_str().unwrap());
    run(&mut user.sdbuild(&["init", "--github", "octocat"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["octocat.keys has: ssh-ed25519 ", "not a terminal", "--yes"]);
    assert_eq!(file_names(user.home.path()), ["out"]);
    run(&mut user.sdbuild(&["init", "--github", "octocat", "--yes"])).assert_exit_code(0);
    let text = fs::read_to_string(user.home.path().join("sd-card.nix")).unwrap();
    assert_eq!(text.matches("ssh-ed25519 AAAA").count(), 1, "{text}");
    assert!(!text.contains("mine"), "only that account's: {text}");
}

#[test]
fn account_without_keys_is_an_error() {
    let user = user().with("SDBUILD_GITHUB", github("", 1));
    let cache = user.state.path().join("cache");
    let user = user.with("XDG_CACHE_HOME", cache.to_str().unwrap());
    run(&mut user.sdbuild(&["init", "--github", "octocat"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["has no SSH key"]);
    run(&mut user.sdbuild(&["init", "--github", "../x"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["`../x` is not a valid account name"]);
    assert_eq!(file_names(user.home.path()), ["out"]);
}

/// The line of the file for the network `Home` with the passphrase `correct horse`.
const JOINED: &str = "networking.wireless.networks.\"Home\".pskRaw = \"";

#[test]
fn the_wireless_passphrase_is_not_in_the_file() {
    let user = with_key("me");
    user.write("phrase", "correct horse\n");
    let words = ["init", "--wifi", "Home", "--wifi-password-file", "phrase"];
    run(&mut user.sdbuild(&words))
        .assert_exit_code(0)
        .assert_stderr_contains(&[
            "the key of the wireless network is in the file, which only you",
        ]);
    let path = user.home.path().join("sd-card.nix");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let text = fs::read_to_string(path).unwrap();
    assert!(
        text.contains(JOINED) && !text.contains("correct horse"),
        "{text}"
    );
    run(&mut user.sdbuild(&["init", "--config", "x.nix", "--wifi", "Home"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["not a terminal", "--wifi-password-file"]);
    user.write("phrase", "short");
    run(user.sdbuild(&words).args(["--config", "x.nix"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["passphrase of the wireless network is not valid", "8 to 63"]);
}

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
fn typed_passphrase_is_not_shown() {
    let user = with_key("me");
    let words = ["init", "--yes", "--wifi", "Home"];
    let seen = on_a_terminal(&user, &words, &[("Passphrase of Home: ", "correct horse")]);
    assert!(!seen.contains("horse"), "{seen}");
    let text = fs::read_to_string(user.home.path().join("sd-card.nix")).unwrap();
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
        ("another 64-bit ARM board [1]: ", "5"),
        ("another 64-bit ARM board [1]: ", ""),
        ("numbers, or all [1]: ", "3"),
        ("numbers, or all [1]: ", "all"),
        ("with sudo (empty for none): ", "ann"),
        ("network to join (empty for none): ", "Home"),
        ("Passphrase of Home: ", "short"),
        ("Passphrase of Home: ", "correct horse"),
        ("]: ", "Europe/Berln"),
        ("]: ", "Europe/Berlin"),
        ("Language [en_US.UTF-8]: ", "de_DE"),
    ];
    let seen = on_a_terminal(&user, &["init", "pi"], &answers);
    for part in [
        "give only the first part, kitchen",
        "Raspberry Pi 5",
        "key 1: ssh-ed25519",
        "answer with numbers from 1 to 2",
        "8 to 63",
        "did you mean Europe/Berlin?",
        "next: look through the file, then `sdbuild build pi`",
    ] {
        assert!(seen.contains(part), "{part}\n{seen}");
    }
    let text = fs::read_to_string(user.home.path().join("pi/sd-card.nix")).unwrap();
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
    let outcome = run(&mut user.sdbuild(&words))
        .assert_exit_code(0)
        .assert_stderr_contains(&[
            "can log in as root and as ann: ssh-ed25519",
            "ann has no password, so sudo asks for none",
            "next: look through the file, then `sdbuild build`",
        ]);
    let text = fs::read_to_string(outcome.stdout.trim_end()).unwrap();
    for part in [
        "\"a\";",
        "U-Boot",
        "\"ann\"",
        "\"Asia/Tokyo\";",
        "\"fr_FR.UTF-8\";",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    for (flag, value, message) in [
        ("--user", "root", "exists on every machine"),
        ("--user", "Ann", "not a valid user name"),
        ("--timezone", "Berlin", "did you mean Europe/Berlin?"),
        ("--locale", "german", "not a locale"),
        ("--hostname", "a.b", "first part, a"),
        ("--board", "pi5", "raspberry-pi"),
    ] {
        run(&mut user.sdbuild(&["init", "x", flag, value]))
            .assert_exit_code(2)
            .assert_stderr_contains(&[message]);
    }
}

#[test]
fn without_a_terminal_only_the_best_key_goes_in() {
    let user = with_key("me@here");
    let second = KEY.replace("Vd1c", "Vd2c");
    let ssh = user.state.path().join(".ssh");
    fs::write(ssh.join("aws.pub"), format!("{second} aws\n")).unwrap();
    run(&mut user.sdbuild(&["init", "--hostname", "a"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["left out, --ssh-key FILE adds it: ssh-ed25519", "aws"]);
    let text = fs::read_to_string(user.home.path().join("sd-card.nix")).unwrap();
    assert!(text.contains("me@here") && !text.contains("aws"), "{text}");
}

#[test]
fn a_flake_is_written_with_its_module() {
    let user = with_key("me");
    run(&mut user.sdbuild(&["init", "pi", "--flake", "--hostname", "kitchen"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["sdbuild lock --flake pi", "sdbuild build pi"]);
    let dir = user.home.path().join("pi");
    assert_eq!(file_names(&dir), ["configuration.nix", "flake.nix"]);
    let flake = fs::read_to_string(dir.join("flake.nix")).unwrap();
    for part in [
        "github:NixOS/nixpkgs/nixos-26.05",
        "nixosConfigurations.\"kitchen\" = nixpkgs.lib.nixosSystem",
        "./configuration.nix",
    ] {
        assert!(flake.contains(part), "{flake}");
    }
    // The build takes the flake by itself.
    run(&mut user.sdbuild(&["build", "pi"]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["no engine answers"]);
    run(&mut user.sdbuild(&["init", "pi", "--flake"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["configuration.nix exists already"]);
}
