//! The loop that waits for a login, with a shell instead of QEMU and no SSH server.

use std::path::Path;
use std::time::Instant;

use super::*;
use crate::boot::machine::QemuBackend;
use crate::boot::process::QemuProcess;
use crate::boot::request::BootRequest;
use crate::boot::tools::BootTools;
use crate::common::cancel::Cancel;
use crate::common::context::Context;
use crate::common::event::Events;

/// A machine whose console is the output of a shell script.
fn machine(script: &str) -> RunningMachine {
    let mut shell = tokio::process::Command::new("sh");
    let shell = shell.args(["-c", script]);
    RunningMachine::new(
        QemuBackend::Process(QemuProcess::piped(shell, std::process::Stdio::null()).unwrap()),
        None,
        &Events::none(),
    )
}

/// The failure of waiting `timeout` for a login that never succeeds.
async fn wait_failure(script: &str, timeout: Duration) -> Failure {
    let login = Login {
        key: None,
        user: "root".into(),
        timeout,
        command: None,
    };
    let session = LoginSession {
        session: BootSession {
            request: &BootRequest::example(),
            tools: &BootTools {
                qemu: None,
                ssh: None,
                keys: Vec::new(),
            },
            start: None,
            container: None,
            context: &Context {
                cancel: Cancel::new(),
                events: Events::none(),
            },
        },
        // No server listens on that port, so ssh is not started.
        probe: SshProbe::new(Path::new("/nowhere/ssh"), &login, &[], 1, true),
    };
    let mut machine = machine(script);
    let start = Instant::now();
    let failure = session.wait(&mut machine, timeout).await.unwrap_err();
    // Ten times as long as it takes, and less than until the probe gives up.
    assert!(start.elapsed() < Duration::from_secs(12));
    failure
}

/// The console was read first, whenever it had something to read.
#[tokio::test]
async fn endless_console_does_not_delay_the_timeout() {
    let failure = wait_failure("exec yes", Duration::from_secs(1)).await;
    assert!(failure.to_string().starts_with("no login within 1 s"));
}

#[tokio::test]
async fn lines_after_a_fatal_one_are_read_briefly() {
    let panic = "echo 'Kernel panic - not syncing: VFS'; exec yes";
    let failure = wait_failure(panic, Duration::from_secs(3600)).await;
    assert!(!failure.to_string().contains("no login within"));
    assert_eq!(failure.class, Class::Build);
    let prompt = "printf '=> '; exec cat /dev/zero";
    let failure = wait_failure(prompt, Duration::from_secs(3600)).await;
    assert!(!failure.to_string().contains("no login within"));
}

/// QEMU's models of Raspberry Pis run on after Linux has halted them.
#[tokio::test]
async fn halted_machine_is_off() {
    let mut machine = machine(
        "echo '[   30.778354] reboot: Power off not available: System halted instead'; exec sleep 60",
    );
    let start = Instant::now();
    machine.until_off().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(12));
}
