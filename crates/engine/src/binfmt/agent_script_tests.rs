//! The agent's script with a directory in place of the table, and a shell function in place of the kernel.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::binfmt::registration::Registration;
use sdbuild_core::system::Architecture;

const SCRIPT: &str = include_str!("../../../../containers/registrar/binfmt-agent");
/// Its architecture's name has a character that the other's does not.
const ARCHITECTURE: Architecture = Architecture::X86_64;
const NAME: &str = "sdbuild-x86_64-0123456789ab";

/// Runs the script on a kernel for another architecture.
fn run(kernel: &str, commands: &str) -> (Vec<String>, Option<i32>) {
    run_on("aarch64\n", kernel, commands)
}

/// Runs the script with `commands` as its input, on a kernel that names its architecture in the text `arch`. Before each write of the script, `kernel` runs with the text in `$2` and
/// the table's directory in `$dir`. Returns what the script prints after `ready`, and its exit code.
fn run_on(arch: &str, kernel: &str, commands: &str) -> (Vec<String>, Option<i32>) {
    let table = tempfile::tempdir().unwrap();
    for (file, text) in [("register", ""), ("status", "enabled\n")] {
        std::fs::write(table.path().join(file), text).unwrap();
    }
    let own_arch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(own_arch.path(), arch).unwrap();
    let mut script = SCRIPT.to_owned();
    for (variable, value, path) in [
        ("dir", "/binfmt_misc", table.path()),
        ("kernel", "/proc/sys/kernel/arch", own_arch.path()),
    ] {
        let line = format!("\n{variable}={value}\n");
        assert!(script.contains(&line), "{line}");
        script = script.replacen(&line, &format!("\n{variable}={}\n", path.display()), 1);
    }
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

/// It would take every program of the machine, the engine's among them.
#[test]
fn programs_that_the_kernel_runs_itself_get_no_handler() {
    let kernel = "case $2 in :*) echo written >\"$dir/$2\" ;; esac";
    let (lines, code) = run_on("x86_64\n", kernel, &format!("hold {NAME}\n"));
    let refused =
        format!("failed {NAME} the engine itself is emulated: its kernel is one for x86_64");
    assert_eq!(lines, [refused, "released -".to_owned()]);
    assert_eq!(code, Some(0));
}

/// Kernels before 6.1 do not name it.
#[test]
fn a_kernel_without_a_named_architecture_gets_the_handler() {
    let kernel = r#"case $2 in :*) echo "Invalid argument" >&2; return 1 ;; esac"#;
    let (lines, _) = run_on("", kernel, &format!("hold {NAME}\n"));
    assert_eq!(lines[0], format!("failed {NAME} Invalid argument"));
}
