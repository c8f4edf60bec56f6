use std::process::Stdio;
use tokio::process::Command;

use super::*;

/// A machine with KVM whose QEMU is this shell script, and which does without KVM what the second does.
fn machine(with_kvm: &str, without_kvm: &str) -> RunningMachine {
    let shell = |script: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::null());
        shell.stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    };
    let process = QemuProcess::piped(&mut shell(with_kvm), Stdio::null()).unwrap();
    let process = process.with_fallback(shell(without_kvm));
    RunningMachine::new(Backend::Process(process), None, &Events::none())
}

/// QEMU stops the machine then, and does not end.
#[tokio::test]
async fn machine_whose_kvm_fails_starts_again_without_it() {
    let failing = "echo started; echo 'KVM internal error. Suberror: 1' >&2; exec sleep 600";
    let mut machine = machine(failing, "echo started again");
    let status = machine.until_end().await.unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(machine.console.lines(), ["started again"]);
    assert_eq!(machine.stderr_text(), "");
}

/// Nobody would end the machine that starts again.
#[tokio::test]
async fn machine_that_is_stopped_does_not_start_again() {
    let dir = tempfile::tempdir().unwrap();
    let begun = dir.path().join("begun");
    // It ends some time after the signal.
    let failing =
        "trap 'sleep 0.5; exit' TERM; echo 'KVM internal error' >&2; while :; do sleep 0.05; done";
    let mut machine = machine(failing, &format!("touch {}", begun.display()));
    // The message is read, and the end is not.
    while !machine.kvm_failed {
        tokio::select! {
            _ = machine.next_output() => {}
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    }
    assert!(machine.stop(&Cancel::new()).await.is_empty());
    assert!(!begun.exists());
}

#[tokio::test]
async fn kvm_that_fails_later_is_a_failure() {
    let failing = "echo 'KVM: entry failed, hardware error 0x80000021' >&2; exec sleep 600";
    let mut machine = machine(failing, "echo again");
    machine.is_in_use();
    let failure = machine.until_end().await.unwrap_err();
    assert!(failure.to_string().contains("KVM fails"), "{failure}");
    assert!(machine.stop(&Cancel::new()).await.is_empty());
}

#[tokio::test]
async fn other_end_of_a_machine_with_kvm_is_its_end() {
    let mut machine = machine("echo started; echo no disk >&2; exit 1", "echo again");
    assert_eq!(machine.until_end().await.unwrap().code(), Some(1));
    assert_eq!(machine.console.lines(), ["started"]);
    assert_eq!(machine.stderr_text(), "no disk");
}

#[test]
fn lines_are_assembled_from_pieces_of_any_size() {
    let bytes = b"one\r\ntwo\r\r\n\r\n=> ";
    for size in 1..bytes.len() {
        let mut console = Console::default();
        for piece in bytes.chunks(size) {
            console.feed(piece);
        }
        assert_eq!(console.lines(), ["one", "two", "", "=> "]);
        assert_eq!(console.tail(2), ["two", "=> "]);
        assert_eq!(console.unfinished(), "=> ");
    }
}

#[test]
fn control_sequences_are_removed() {
    let text = "\x1b7\x1b[r\x1b[999;999H\x1b[6n\x1b8No EFI system partition";
    assert_eq!(clean(text.as_bytes()), "No EFI system partition");
    assert_eq!(
        clean(b"\x1b]0;title\x07a\x1b]0;x\x1b\\b\t2 \x08\x08 1\xff"),
        "ab 2  1\u{fffd}"
    );
    assert_eq!(clean(b"\x1b["), "");
}

#[test]
fn flood_is_bounded() {
    let mut console = Console::default();
    console.feed(&vec![b'x'; 3 * MAX_LINE_BYTES]);
    assert_eq!(console.lines().len(), 3);
    console.feed(&vec![b'\n'; 3 * MAX_LINES]);
    assert_eq!(console.lines().len(), MAX_LINES);
}
