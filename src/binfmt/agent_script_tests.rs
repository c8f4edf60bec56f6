//! The agent's script with a directory in place of the table, and a shell function in place of the kernel.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::binfmt::registration::Registration;
use crate::common::system::Architecture;

const SCRIPT: &str = include_str!("../../containers/registrar/binfmt-agent");
/// Its architecture's name has a character that the other's does not.
const ARCHITECTURE: Architecture = Architecture::X86_64;
const NAME: &str = "sdbuild-x86_64-0123456789ab";

/// Runs the script with `commands` as its input. Before each write of the script, `kernel` runs with the text in `$2` and
/// the table's directory in `$dir`. Returns what the script prints after `ready`, and its exit code.
fn run(kernel: &str, commands: &str) -> (Vec<String>, Option<i32>) {
    let table = tempfile::tempdir().unwrap();
    for (file, text) in [("register", ""), ("status", "enabled\n")] {
        std::fs::write(table.path().join(file), text).unwrap();
    }
    let dir = format!("dir={}\n", table.path().display());
    let script = SCRIPT.replacen("dir=/binfmt_misc\n", &dir, 1);
    assert_ne!(script, SCRIPT);
    let write = format!("printf() {{\n{kernel}\ncommand printf \"$@\"\n}}\n");
    let mut agent = Command::new("busybox")
        .args(["sh", "-c", &format!("{write}{script}")])
        .envs(Registration::of(ARCHITECTURE).environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = agent.stdin.take().unwrap();
    input.write_all(commands.as_bytes()).unwrap();
    drop(input);
    let output = agent.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines().map(str::to_owned);
    assert_eq!(lines.next().as_deref(), Some("ready"));
    (lines.collect(), output.status.code())
}

/// Its removal failed as well, and the agent forgot it: the release reported success.
#[test]
fn entry_of_a_failed_registration_is_not_forgotten() {
    let kernel = r#"case $2 in :*) echo enabled >"$dir/sdbuild-x86_64-0123456789ab" ;; esac"#;
    let (lines, code) = run(kernel, &format!("hold {NAME}\nrelease\n"));
    let refused = format!("failed {NAME} the kernel registered something else");
    let kept = format!("failed {NAME} it is not an entry of sdbuild");
    assert_eq!(lines, [refused, kept]);
    assert_eq!(code, Some(4));
}

#[test]
fn registered_entry_is_held_and_removed() {
    let kernel = r#"case $2 in
        :*) echo "enabled
interpreter $SDBUILD_INTERPRETER
flags: PF
offset 0
magic $SDBUILD_MAGIC
mask $SDBUILD_MASK" >"$dir/sdbuild-x86_64-0123456789ab" ;;
        -1) busybox rm "$dir/sdbuild-x86_64-0123456789ab" ;;
    esac"#;
    let (lines, code) = run(kernel, &format!("hold {NAME}\nrelease\n"));
    assert_eq!(lines, [format!("held {NAME}"), format!("released {NAME}")]);
    assert_eq!(code, Some(0));
}

#[test]
fn failed_registration_without_an_entry_holds_nothing() {
    let kernel = r#"case $2 in :*) echo "Invalid argument" >&2; return 1 ;; esac"#;
    let (lines, code) = run(kernel, &format!("hold {NAME}\nrelease\n"));
    let refused = format!("failed {NAME} Invalid argument");
    assert_eq!(lines, [refused, "released -".to_owned()]);
    assert_eq!(code, Some(0));
}

#[test]
fn another_entry_is_neither_held_nor_removed() {
    let kernel = r#"[ -e "$dir/sdbuild-x86_64-0123456789ab" ] || echo mine >"$dir/sdbuild-x86_64-0123456789ab""#;
    let (lines, code) = run(kernel, &format!("remove {NAME}\nhold {NAME}\n"));
    let kept = format!("failed {NAME} it is not an entry of sdbuild");
    let exists = format!("failed {NAME} File exists");
    assert_eq!(lines, [kept, exists, "released -".to_owned()]);
    assert_eq!(code, Some(0));
}
