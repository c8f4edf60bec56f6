//! `sdbuild boot` on a machine without QEMU: it runs in a container, which is removed however sdbuild ends.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::commands::json;
use crate::support::*;

/// A user with an SSH client and no other program.
fn without_qemu() -> TestUser {
    let user = TestUser::new();
    let programs = user.state.path().join("bin");
    fs::create_dir(&programs).unwrap();
    symlink("/usr/bin/ssh", programs.join("ssh")).unwrap();
    let path = programs.to_str().unwrap().to_owned();
    user.with("PATH", path)
}

fn blank(user: &TestUser) -> PathBuf {
    hole(user, 16 << 20)
}

fn hole(user: &TestUser, size: u64) -> PathBuf {
    user.write_unbootable("blank.img", size)
}

fn is_gone(container: &str) -> bool {
    !docker_lines(&["ps", "--all", "--format", "{{.Names}}"]).contains(&container.to_owned())
}

#[test]
fn example_image_boots_in_a_container() {
    needs!(engine_ready(), boot_available());
    let user = without_qemu();
    let runs = user.track_runs();
    let (private, public) = key(&user);
    let image = user.build_of(&example(&public), &[]).assert_exit_code(0).image();
    let command = "uname -m; cat /etc/hostname; exit 7";
    let words = ["boot", image.to_str().unwrap(), "--run", command, "--ssh-key"];
    let mut boot = user.sdbuild(&words);
    let there = run(boot.arg(&private)).assert_exit_code(7);
    assert_eq!(there.stdout, "aarch64\nnixos-sd\n");
    there.assert_stderr_contains(&[
        "qemu-system-aarch64 is not on this machine",
        "Copy to QEMU: done",
        "logged in over SSH as root",
    ]);
    runs.assert_nothing_left();
    assert_eq!(file_names(&user.state.path().join(".local/state/sdbuild/runs")), [""; 0]);
}

#[test]
fn emulator_has_least_privilege_and_no_host_access() {
    needs!(engine_ready(), boot_available());
    let user = without_qemu();
    let runs = user.track_runs();
    let image = blank(&user);
    // With the console, because a boot without one ends when U-Boot finds no boot device.
    let mut boot = user.sdbuild(&["boot", image.to_str().unwrap()]);
    let mut running = Running::start(&mut boot);
    running.wait_for("the machine's console");
    let name = runs.container("emulator");
    let told = |template: &str| docker(&["inspect", "--format", template, &name]).trim().to_owned();
    assert_eq!(told("{{.Config.User}}"), "1000:1000");
    assert_eq!(told("{{.HostConfig.CapDrop}} {{.HostConfig.Privileged}}"), "[ALL] false");
    assert_eq!(told("{{.HostConfig.SecurityOpt}}"), "[no-new-privileges]");
    assert_eq!(told("{{.Mounts}} {{.HostConfig.Devices}}"), "[] []");
    let memory = told("{{.HostConfig.Memory}}");
    assert_eq!(memory, ((1024_u64 + 1536) << 20).to_string());
    let ports = told(
        "{{range $port, $at := .HostConfig.PortBindings}}{{$port}} {{(index $at 0).HostIp}};{{end}}",
    );
    assert_eq!(ports, "2222/tcp 127.0.0.1;");
    assert_eq!(told("{{index .Config.Labels \"dev.sdbuild.role\"}}"), "emulator");
    let status = json(&user, &["status", "--json"]);
    let has = |list: &str, key: &str, value: &str| {
        let entries = status[list].as_array().unwrap().iter();
        entries.filter(|entry| entry[key] == value).count() == 1
    };
    assert!(has("containers", "name", &name), "{status}");
    let run_id = name.strip_prefix("sdbuild-emulator-").unwrap();
    assert!(has("runs", "run", run_id), "{status}");
    let runs = status["runs"].as_array().unwrap().iter();
    let mut lives = runs.filter(|run| run["run"] == run_id);
    assert_eq!(lives.next().unwrap()["life"], "live");
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().signal, Some(Signal::SIGINT as i32));
    assert!(is_gone(&name));
}

#[test]
fn no_container_outlives_sdbuild() {
    needs!(engine_ready(), boot_available());
    let user = without_qemu();
    let runs = user.track_runs();
    let image = blank(&user);
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
        let mut boot = user.sdbuild(&["boot"]);
        let mut running = Running::start(boot.arg(&image));
        running.wait_for("the machine's console");
        let name = runs.container("emulator");
        running.signal(signal);
        assert_eq!(running.finish().signal, Some(signal as i32));
        wait_until(Duration::from_secs(10), "the container is gone", || is_gone(&name));
    }
}

#[test]
fn console_works_in_a_container() {
    needs!(engine_ready(), boot_available());
    let user = without_qemu();
    let runs = user.track_runs();
    let image = blank(&user);
    let boot = user.sdbuild(&["boot", image.to_str().unwrap()]);
    let mut screen = Screen::start(&boot, (80, 24));
    // Keys typed now stop U-Boot's countdown; Ctrl-C goes to the machine as well.
    screen.wait_for("autoboot");
    assert!(screen.is_raw());
    screen.type_keys(" \x03");
    screen.wait_for("=> ");
    let name = runs.container("emulator");
    screen.type_keys("echo it-$board\r");
    screen.wait_for("it-qemu-arm");
    screen.type_keys("\x01x");
    screen.assert_exit_code(0);
    assert!(!screen.is_raw(), "the terminal is as it was");
    assert!(is_gone(&name));
}

/// Waits for QEMU in `container`; returns its process id on this machine.
fn qemu_in(container: &str) -> Pid {
    let find = || {
        let top = docker_lines(&["top", container, "-eo", "pid,comm"]);
        let line = top.into_iter().find(|line| line.contains("qemu-system"))?;
        line.split_whitespace().next()?.parse().ok()
    };
    wait_until(Duration::from_secs(20), "QEMU runs", || find().is_some());
    Pid::from_raw(find().unwrap())
}

/// Unread input once kept the emulator from seeing the end of its input.
#[test]
fn emulator_that_does_not_read_ends_with_sdbuild() {
    needs!(engine_ready(), boot_available(), root_available());
    let user = without_qemu();
    let runs = user.track_runs();
    let image = blank(&user);
    let mut boot = user.sdbuild(&["boot"]);
    let mut running = Running::start(boot.arg(&image).stdin(Stdio::piped()));
    running.wait_for("the machine's console");
    let name = runs.container("emulator");
    kill(qemu_in(&name), Signal::SIGSTOP).unwrap();
    // More than the two pipes in the container hold, less than all pipes on the way to them.
    let keys = vec![b'a'; 256 << 10];
    running.input().write_all(&keys).unwrap();
    running.signal(Signal::SIGKILL);
    running.finish();
    wait_until(Duration::from_secs(10), "the container is gone", || is_gone(&name));
}

#[test]
fn next_boot_sweeps_a_killed_copy_into_the_emulator() {
    needs!(engine_ready(), boot_available());
    let user = without_qemu();
    let runs = user.track_runs();
    let mut boot = user.sdbuild(&["boot"]);
    let mut running = Running::start(boot.arg(hole(&user, 8 << 30)));
    running.wait_for("Copy to QEMU: ");
    let name = runs.container("emulator");
    running.signal(Signal::SIGKILL);
    running.finish();
    assert!(!is_gone(&name), "it would show nothing");
    let mut boot = user.sdbuild(&["boot"]);
    let mut running = Running::start(boot.arg(blank(&user)));
    running.wait_for(&format!("removed container {name}, which a stale run left"));
    assert!(is_gone(&name));
    running.wait_for("the machine's console");
    running.signal(Signal::SIGTERM);
    running.finish();
}

/// In another network namespace than the engine, as in a CI job with the engine's socket mounted.
#[test]
fn unreachable_emulator_ports_are_not_taken_for_a_bad_image() {
    needs!(engine_ready(), boot_available(), root_available());
    let user = without_qemu();
    // A machine in an endless loop: `b .`
    let firmware = user.home.path().join("loop.bin");
    fs::write(&firmware, 0x1400_0000_u32.to_le_bytes()).unwrap();
    let boot = || {
        let mut boot = user.sdbuild(&["boot", "--until-ssh", "--emulator", "container"]);
        boot.arg("--firmware").args([firmware.clone(), blank(&user)]);
        boot
    };
    // Gives the engine the container image, which cannot be downloaded without a network.
    run(boot().args(["--timeout", "1"])).assert_exit_code(4);
    let boot = boot();
    let script = "ip link set lo up && exec \"$@\"";
    let mut inside = Command::new("unshare");
    inside
        .args(["--net", "sh", "-c", script, "sh"])
        .arg(boot.get_program())
        .args(boot.get_args())
        .current_dir(user.home.path())
        .env_clear()
        .envs(&user.environment)
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/bin", user.environment["PATH"]));
    run(&mut inside).assert_exit_code(3).assert_stderr_contains(&[
        "the engine at unix://",
        "nothing answers on 127.0.0.1",
        "hint: ",
    ]);
}

#[test]
fn container_boots_a_pc_and_a_custom_firmware() {
    needs!(engine_ready(), boot_available());
    let user = without_qemu();
    let image = blank(&user);
    let words = ["boot", image.to_str().unwrap(), "--until-ssh", "--timeout"];
    for more in [
        &["90", "--system", "x86_64-linux"][..],
        &["90", "--firmware", "/usr/lib/u-boot/qemu_arm64/u-boot.bin"],
    ] {
        let there = run(user.sdbuild(&words).args(more)).assert_exit_code(4);
        there.assert_stderr_contains(&["Copy to QEMU", "no bootable device"]);
    }
}
