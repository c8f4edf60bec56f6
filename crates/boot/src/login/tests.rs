use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;

use super::*;

#[test]
fn values_are_arguments_of_their_own() {
    let login = Login {
        is_default_user: false,
        key: None,
        user: "-oProxyCommand=evil".into(),
        timeout: Duration::from_secs(1),
        command: None,
    };
    let keys = ["/k ey".into()];
    let probe = SshProbe::new(Path::new("ssh"), &login, &keys, 2222, false);
    let argv = probe.argv("-v; rm x", Duration::from_mins(3));
    let words: Vec<_> = argv.iter().map(|word| word.to_str().unwrap()).collect();
    let position = |word| words.iter().position(|w| *w == word).unwrap();
    assert_eq!(words[position("-i") + 1], "/k ey");
    assert_eq!(words[position("-p") + 1], "2222");
    assert_eq!(words[position("-l") + 1], "-oProxyCommand=evil");
    assert_eq!(words[position("--") + 1..], ["127.0.0.1", "-v; rm x"]);
    assert!(words.contains(&"BatchMode=yes"));
    assert!(words.contains(&"ConnectTimeout=180"));
}

#[tokio::test]
async fn only_the_end_of_a_flood_is_kept() {
    let flood = tokio::io::repeat(b'x').take(3_000_000);
    let stderr = read_end(flood.chain(&b"\nthe end\n"[..])).await.unwrap();
    assert_eq!(stderr.len(), MAX_STDERR_BYTES);
    let status = ExitStatus::default();
    assert_eq!(last_line(status, &stderr), "the end");
    assert_eq!(last_line(status, b" \n"), "ssh ended with exit status: 0");
}

#[test]
fn refused_key_differs_from_a_server_that_is_not_up() {
    assert!(is_refusal("root@127.0.0.1: Permission denied (publickey)."));
    assert!(!is_refusal(
        "kex_exchange_identification: read: Connection reset by peer"
    ));
    assert!(!is_refusal("bash: /x: Permission denied"));
}

/// What comes of an ssh that says the first of `messages`, then the next; each ends with the number of its run.
async fn run(messages: &[&str]) -> (Option<i32>, String) {
    let file = NamedTempFile::new().unwrap();
    let mut writer = fs::File::options().append(true).open(file.path()).unwrap();
    let mut runs = 0;
    let ended = until_connected(&file, async || {
        writer.write_all(messages[runs].as_bytes()).unwrap();
        runs += 1;
        let code = i32::try_from(runs).unwrap();
        Ok(ExitStatus::from_raw(code << 8))
    });
    let (status, text) = ended.await.unwrap();
    (status.code(), text)
}

#[tokio::test]
async fn a_connection_that_the_server_drops_is_tried_again() {
    const DROPPED: &str = "kex_exchange_identification: Connection closed by remote host\n";
    assert_eq!(run(&[DROPPED, ""]).await, (Some(2), String::new()));
    let lost = "client_loop: send disconnect: Broken pipe\n";
    assert_eq!(run(&[DROPPED, lost]).await, (Some(2), lost.to_owned()));
    assert_eq!(run(&[lost]).await, (Some(1), lost.to_owned()));
}

/// In a shell without both programs, with one of them that is refused, and with the right to use it.
#[test]
fn only_a_user_without_the_right_has_no_permission() {
    let code = |sudo: &str| {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("poweroff", "exit 1"), ("sudo", sudo)] {
            let file = dir.path().join(name);
            fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&file, mode).unwrap();
        }
        let mut shell = std::process::Command::new("/bin/sh");
        let shell = shell.args(["-c", POWEROFF]).env("PATH", dir.path());
        shell.status().unwrap().code()
    };
    assert_eq!(code("exit 1"), Some(NO_PERMISSION));
    assert_eq!(code("exit 127"), Some(NO_PERMISSION));
    assert_eq!(code("[ $2 = true ]"), Some(1), "the system starts");
    assert_eq!(code("exit 0"), Some(0));
}

#[test]
fn what_ssh_says_is_a_hint() {
    let lost = ExitStatus::from_raw(255 << 8);
    let failure = command_outcome(lost, "x\nclient_loop: Broken pipe\n\n").unwrap_err();
    assert_eq!(failure.class, Class::Command(255));
    assert_eq!(failure.hints, ["ssh says: client_loop: Broken pipe"]);
}
