//! The loop that waits for a login, with a shell instead of QEMU and no SSH server.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::disk::Disk;
use crate::machine::Backend;
use crate::process::QemuProcess;
use crate::request::BootRequest;
use crate::tools::BootTools;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::failure::Class;

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
    timeout: Duration::from_hours(1),
    command: None,
};

/// A probe of a port on which no server listens, so that ssh is not started.
fn probe() -> SshProbe<'static> {
    SshProbe::new(Path::new("/nowhere/ssh"), &LOGIN, &[], 1, true)
}

/// Calls `wait` with a session for `request`.
async fn in_session<T>(request: &BootRequest, wait: impl AsyncFnOnce(&BootSession<'_>) -> T) -> T {
    let disk = Disk {
        file: tempfile::tempfile().unwrap(),
        form: sdbuild_image::DiskForm::Raw,
    };
    let tools = BootTools {
        qemu: None,
        ssh: None,
        keys: Vec::new(),
    };
    let context = Context {
        cancel: Cancel::new(),
        events: Events::none(),
    };
    wait(&BootSession {
        request,
        disk: &disk,
        tools: &tools,
        seed: None,
        start: None,
        container: None,
        context: &context,
    })
    .await
}

/// The failure of waiting `timeout` for a login that never succeeds. The probe gives up after 15 s, with another failure,
/// and the machine of the script ends after 20 s: which failure it is says what came first.
async fn wait_failure(script: &str, timeout: Duration) -> Failure {
    let mut machine = machine(script);
    in_session(&BootRequest::example(), async |session| {
        let probe = probe();
        let waited = wait(session, Some(&probe), &mut machine, timeout);
        waited.await.unwrap_err()
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
            without_port(session, &mut machine).await
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
        let failure = wait_failure(script, Duration::from_hours(1)).await;
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

const LIMIT: Duration = Duration::from_mins(3);
const UNTIL_LOGIN: &str = "until a login over SSH succeeds, 180 s at most";

/// What is emitted, and the events for it.
fn recorded() -> (Arc<Mutex<Vec<Event>>>, Events) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let events = Events::new(move |event| sink.lock().unwrap().push(event));
    (told, events)
}

fn texts(told: &[Event]) -> Vec<&str> {
    let texts = told.iter().filter_map(|event| {
        let Event::Detail(Phase::Boot, text) = event else {
            return None;
        };
        Some(text.as_str())
    });
    texts.collect()
}

#[test]
fn the_firmware_of_a_pc_is_a_part_of_its_boot() {
    let (told, events) = recorded();
    let mut progress = BootProgress::new(&events, false, LIMIT);
    progress.look(&[include_str!("../diagnosis/pc.txt").to_owned()]);
    let until = "until the console asks for a login, 180 s at most";
    let firmware = format!("the firmware is looking for a system · {until}");
    assert_eq!(texts(&told.lock().unwrap()), [until, &firmware]);
}

#[test]
fn each_part_of_a_boot_is_reported_once_and_in_order() {
    let (told, events) = recorded();
    let mut progress = BootProgress::new(&events, true, LIMIT);
    let console = include_str!("../diagnosis/login.txt");
    for line in console.lines().map(str::to_owned) {
        progress.look([&line]);
        progress.look([&line]);
    }
    progress.begin_again();
    let told = told.lock().unwrap();
    let parts = texts(&told).into_iter();
    let parts = parts.map(|text| text.strip_suffix(UNTIL_LOGIN).unwrap());
    assert_eq!(
        parts.collect::<Vec<_>>(),
        [
            "",
            "U-Boot is looking for a system · ",
            "U-Boot has started the kernel · ",
            "the kernel starts · ",
            "stage 1 looks for the root file system · ",
            "the system starts · ",
            "the console asks for a login · ",
            "",
        ]
    );
}

const START: &str = "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]";
const FAILURE: &str = "[   13.906337] usb usb1-port1: unable to enumerate USB device";

/// How many commands of the monitor a line asks for.
fn step(adapter: &mut NetworkAdapter, line: &str) -> usize {
    adapter.step(&[line.to_owned()]).map_or(0, <[_]>::len)
}

#[test]
fn adapter_is_plugged_in_when_the_kernel_starts() {
    let mut adapter = NetworkAdapter::new(true);
    assert_eq!(step(&mut adapter, "U-Boot 2025.01"), 0);
    assert_eq!(step(&mut adapter, START), 1);
    assert_eq!(step(&mut adapter, START), 0);
}

#[test]
fn adapter_is_plugged_in_again_when_linux_fails() {
    let mut adapter = NetworkAdapter::new(true);
    assert_eq!(step(&mut adapter, FAILURE), 0, "not plugged in yet");
    step(&mut adapter, START);
    for _ in 1..MAX_PLUGS {
        assert_eq!(step(&mut adapter, FAILURE), 2);
    }
    assert_eq!(step(&mut adapter, FAILURE), 0);
}

#[test]
fn machine_that_has_its_network_gets_no_adapter() {
    let mut adapter = NetworkAdapter::new(false);
    assert_eq!(step(&mut adapter, START), 0);
}
