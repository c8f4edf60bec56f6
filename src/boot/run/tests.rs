//! The loop that waits for a login, with a shell in the place of QEMU and one in the place of ssh.

use std::path::Path;

use super::*;
use crate::common::system::Architecture;

/// In the place of QEMU.
fn machine(script: &str) -> Running {
    let mut shell = tokio::process::Command::new("sh");
    let shell = shell.args(["-c", script]);
    Running::new(
        QemuBackend::Process(Process::piped(shell).unwrap()),
        &Events::none(),
    )
}

fn request() -> BootRequest {
    BootRequest {
        image: "/nowhere.img".into(),
        scratch: "/nowhere".into(),
        architecture: Architecture::Aarch64,
        firmware: None,
        memory_mib: 1024,
        port: None,
        path: "/nowhere".into(),
        login: None,
    }
}

/// How it goes with `machine` when nobody ever opens.
async fn waited(machine: &str, timeout: Duration) -> Failure {
    let tools = Tools {
        qemu: None,
        ssh: None,
    };
    let (cancel, events, request) = (Cancel::new(), Events::none(), request());
    let boot = Boot {
        request: &request,
        tools: &tools,
        emulator: None,
        cancel: &cancel,
        events: &events,
    };
    let login = Login {
        key: None,
        user: "root".into(),
        timeout,
        command: None,
    };
    // Nobody listens there, so ssh is not started.
    let door = SshProbe::new(Path::new("/nowhere/ssh"), &login, (1, true));
    let mut machine = self::machine(machine);
    let start = Instant::now();
    let failure = boot.wait(&mut machine, &door, timeout).await.unwrap_err();
    // Ten times as long as it takes, and less than until the door is given up.
    assert!(start.elapsed() < Duration::from_secs(12));
    failure
}

/// The console was read first, whenever there was something to be read.
#[tokio::test]
async fn a_machine_that_never_stops_speaking_is_not_waited_for_longer() {
    let failure = waited("exec yes", Duration::from_secs(1)).await;
    assert!(failure.to_string().starts_with("no login within 1 s"));
}

#[tokio::test]
async fn what_comes_after_the_end_is_heard_for_a_moment() {
    let panic = "echo 'Kernel panic - not syncing: VFS'; exec yes";
    let failure = waited(panic, Duration::from_secs(3600)).await;
    assert!(!failure.to_string().contains("no login within"));
    assert_eq!(failure.class, Class::Build);
    let failure = waited(
        "printf '=> '; exec cat /dev/zero",
        Duration::from_secs(3600),
    )
    .await;
    assert!(!failure.to_string().contains("no login within"));
}
