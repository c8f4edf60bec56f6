//! The loop that waits for a login, with a shell instead of QEMU and no SSH server.

use std::path::Path;

use super::*;
use crate::boot::disk::Disk;
use crate::boot::machine::Backend;
use crate::boot::process::QemuProcess;
use crate::boot::request::BootRequest;
use crate::boot::tools::BootTools;
use crate::common::cancel::Cancel;
use crate::common::context::Context;
use crate::common::event::Events;
use crate::common::failure::Class;

/// A machine whose console is the output of a shell script.
fn machine(script: &str) -> RunningMachine {
    let mut shell = tokio::process::Command::new("sh");
    let shell = shell.args(["-c", script]);
    RunningMachine::new(
        Backend::Process(QemuProcess::piped(shell, std::process::Stdio::null()).unwrap()),
        None,
        &Events::none(),
    )
}

static LOGIN: Login = Login {
    key: None,
    user: String::new(),
    is_default_user: false,
    timeout: Duration::from_secs(3600),
    command: None,
};

/// Calls `wait` with a session for `request`. No server listens on its port, so ssh is not started.
async fn in_session<T>(request: &BootRequest, wait: impl AsyncFnOnce(&LoginSession<'_>) -> T) -> T {
    let disk = Disk::empty();
    let tools = BootTools {
        qemu: None,
        ssh: None,
        keys: Vec::new(),
    };
    let context = Context {
        cancel: Cancel::new(),
        events: Events::none(),
    };
    let session = LoginSession {
        session: BootSession {
            request,
            disk: &disk,
            tools: &tools,
            seed: None,
            start: None,
            container: None,
            context: &context,
        },
        probe: SshProbe::new(Path::new("/nowhere/ssh"), &LOGIN, &[], 1, true),
    };
    wait(&session).await
}

/// The failure of waiting `timeout` for a login that never succeeds. The probe gives up after 15 s, with another failure,
/// and the machine of the script ends after 20 s: which failure it is says what came first.
async fn wait_failure(script: &str, timeout: Duration) -> Failure {
    let mut machine = machine(script);
    in_session(&BootRequest::example(), async |session| {
        session.wait(&mut machine, timeout).await.unwrap_err()
    })
    .await
}

/// As in a container with a network of its own, where the engine's ports are not on 127.0.0.1.
#[tokio::test]
async fn unreachable_machine_is_waited_for_at_its_prompt() {
    let example = BootRequest::example();
    let or_prompt = BootRequest {
        prompt: Some(Duration::from_secs(20)),
        ..BootRequest::example()
    };
    let script = "echo booting; printf 'pi login: '; exec sleep 20";
    let reached = async |request| {
        let mut machine = machine(script);
        in_session(request, async |session| {
            session.without_port(&mut machine).await
        })
        .await
    };
    assert_eq!(reached(&or_prompt).await.unwrap(), Reached::Prompt);
    let failure = reached(&example).await.unwrap_err().to_string();
    assert!(
        failure.contains("nothing answers on 127.0.0.1"),
        "{failure}"
    );
}

/// The console was read first, whenever it had something to read.
#[tokio::test]
async fn endless_console_does_not_delay_the_timeout() {
    let failure = wait_failure("exec timeout 20 yes", Duration::from_secs(1)).await;
    assert!(
        failure.to_string().starts_with("no login within 1 s"),
        "{failure}"
    );
    let last = failure.hints.last().map_or("", String::as_str);
    assert!(last.contains("--timeout"), "{last}");
}

#[tokio::test]
async fn lines_after_a_fatal_one_are_read_briefly() {
    for script in [
        "echo 'Kernel panic - not syncing: VFS'; exec timeout 20 yes",
        "printf '=> '; exec timeout 20 cat /dev/zero",
    ] {
        let failure = wait_failure(script, Duration::from_secs(3600)).await;
        let text = failure.to_string();
        assert!(
            !text.contains("no login within") && !text.contains("ended"),
            "{text}"
        );
        assert_eq!(failure.class, Class::Build, "{text}");
    }
}

/// QEMU's models of Raspberry Pis run on after Linux has halted them.
#[tokio::test]
async fn halted_machine_is_off() {
    let mut machine = machine(
        "echo '[   30.778354] reboot: Power off not available: System halted instead'; exec sleep 60",
    );
    machine.until_off().await.unwrap();
    let ended = timeout(Duration::from_millis(1), machine.until_end()).await;
    assert!(ended.is_none(), "it ran on, and was not waited for");
}
