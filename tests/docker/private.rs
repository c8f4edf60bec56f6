//! `--emulation private`: the builder has its own table of handlers. It cannot see or change the host's, and its
//! seccomp profile allows few system calls.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::*;

pub fn private(user: &TestUser, more: &[&str]) -> Command {
    user.build(&[&["--emulation", "private"], more].concat())
}

/// One line of a process's status.
fn status<'a>(text: &'a str, field: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap().trim_start_matches(':').trim()
}

#[test]
fn private_builder_has_least_privilege() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let running = Running::in_mid_build(&user, &["--emulation", "private"]);
    assert_eq!(runs.containers_of("registrar"), [""; 0], "nobody registers");
    assert_eq!(runs.containers_of("probe"), [""; 0], "what was tried is gone");
    let builder = docker(&["inspect", &runs.container("builder")]);
    let builder = serde_json::from_str::<serde_json::Value>(&builder).unwrap()[0].clone();
    assert_eq!(builder["Config"]["User"], "1000:1000");
    let host = &builder["HostConfig"];
    assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
    assert_eq!(host["CapAdd"], serde_json::Value::Null);
    assert_eq!(host["Privileged"], false);
    assert_eq!(host["Binds"], serde_json::Value::Null);
    let mounts = builder["Mounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 1, "{mounts:?}");
    assert_eq!(mounts[0]["Type"], "volume");
    let options = host["SecurityOpt"].as_array().unwrap();
    assert_eq!(options.len(), 3, "{options:?}");
    assert_eq!(options[0], "no-new-privileges");
    assert_eq!(options[1], "apparmor=unconfined");
    assert!(options[2].as_str().unwrap().starts_with("seccomp={"));

    // As the host sees it: all processes in the builder's cgroup.
    let first = builder["State"]["Pid"].as_u64().unwrap();
    let group = fs::read_to_string(format!("/proc/{first}/cgroup")).unwrap();
    let mut many = 0;
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let read = |file: &str| fs::read_to_string(process.path().join(file)).unwrap_or_default();
        let text = read("status");
        if read("cgroup") != group || text.is_empty() {
            continue;
        }
        many += 1;
        assert_eq!(status(&text, "Uid"), "1000\t1000\t1000\t1000");
        for (field, value) in [
            ("CapEff", "0000000000000000"),
            ("CapPrm", "0000000000000000"),
            ("CapInh", "0000000000000000"),
            ("CapAmb", "0000000000000000"),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
        ] {
            assert_eq!(status(&text, field), value, "{field} of\n{text}");
        }
    }
    assert!(many >= 3, "entry, nix-build and a derivation: {many}");
    running.signal(Signal::SIGINT);
    running.finish();
}

/// What a malicious build might try, with the busybox in the builder.
const ATTACKS: &str = r#"
    b=/sdbuild/busybox t=/proc/sys/fs/binfmt_misc
    try() { if "$@" 2>&1; then echo "DID: $*"; else echo "did not: $*"; fi; }
    echo "user $($b id -u), table: $($b ls $t | $b wc -l) files"
    try $b umount $t
    try $b mount -t tmpfs none $t
    try $b chmod 777 $t
    try $b mkdir $t/x
    try $b touch $t/x
    try $b sh -c "echo -1 > $t/sdbuild"
    try $b unshare -n $b true
    try $b unshare -U -n $b true
    try $b unshare -U -r -m $b umount $t
    try $b unshare -U -r -m $b mount --bind / $t
    try $b unshare -U -r $b chroot / $b true
    try $b ls /proc/1/root/proc/sys/fs/binfmt_misc/sdbuild
    # A table of its own is its own: ours goes on to work.
    try $b unshare -U -r -m $b mount -t binfmt_misc none $t
    echo "still $(uname -m)""#;

#[test]
fn build_cannot_change_the_handler_or_the_kernel() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let script = fresh(&format!("{ATTACKS}\n{SMALL_IMAGE}")).replace("${", "''${");
    user.write("sd-card.nix", &product(&script));
    let outcome = run(&mut private(&user, &["-v"])).assert_exit_code(0);
    let did: Vec<_> = outcome.stderr.lines().filter(|l| l.contains("DID: ")).collect();
    let allowed = ["chmod 777", "mount -t binfmt_misc"];
    assert_eq!(did.len(), allowed.len(), "{}", outcome.stderr);
    assert!(did.iter().zip(allowed).all(|(line, part)| line.contains(part)));
    assert_eq!(outcome.stderr.matches("did not: ").count(), 11, "{}", outcome.stderr);
    outcome.assert_stderr_contains(&["user 1000, table: 0 files", "still aarch64"]);
    runs.assert_nothing_left();
}

/// Runs the registrar's image as the builder is run, with the given seccomp profile.
fn confined(seccomp: &str, more: &[&str], words: &[&str]) -> Outcome {
    let registrar = own_image("registrar").unwrap();
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--user", "1000:1000", "--cap-drop", "ALL"]);
    command.args(["--network", "none", "--security-opt", "no-new-privileges"]);
    let seccomp = format!("seccomp={seccomp}");
    command.args(["--security-opt", &seccomp]).args(more);
    run(command.arg(registrar).args(words))
}

fn our_profile() -> String {
    let profile = root().join("containers/builder/seccomp.json");
    profile.to_str().unwrap().to_owned()
}

/// The same calls by the same program fail with our profile and succeed without one.
#[test]
fn seccomp_profile_denies_other_system_calls() {
    needs!(engine_ready());
    let runs = |seccomp: &str, script: &str| {
        let enter = ["unshare", "-U", "-r", "-m", "/bin/busybox", "sh", "-e", "-c"];
        let words = [&["/bin/busybox"], &enter[..], &[script]].concat();
        confined(seccomp, &[], &words).code == Some(0)
    };
    for script in [
        "$b mount --bind /sdbuild /usr",
        "$b mount -t tmpfs none /dev/shm; $b umount /dev/shm",
        "$b mount -t tmpfs none /dev/shm; $b mount -o remount,ro none /dev/shm",
        "$b chroot / $b true",
        "$b unshare -n $b true",
        "$b unshare -u $b true",
        "$b unshare -i $b true",
        "$b unshare -p $b true",
        "$b unshare -U -n $b true",
    ] {
        let script = format!("b=/bin/busybox; {script}");
        assert!(!runs(&our_profile(), &script), "{script}");
        assert!(runs("unconfined", &script), "{script}");
    }
    let script = "b=/bin/busybox; $b mount -t tmpfs none /dev/shm; $b unshare -m $b true";
    assert!(runs(&our_profile(), script));
}

/// Writes an x86-64 program that consists of `code` alone; returns its path.
fn program(dir: &Path, code: &[u8]) -> String {
    let header = [
        &b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0"[..],
        &0x40_0078_u64.to_le_bytes(),
        &64_u64.to_le_bytes(),
        &[0; 12],
        &b"\x40\0\x38\0\x01\0\0\0\0\0\0\0"[..],
        // One readable and executable segment with the whole file.
        &b"\x01\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0"[..],
        &0x40_0000_u64.to_le_bytes(),
        &0x40_0000_u64.to_le_bytes(),
        &0x1000_u64.to_le_bytes(),
        &0x1000_u64.to_le_bytes(),
        &0x1000_u64.to_le_bytes(),
    ]
    .concat();
    let path = dir.join("program");
    write_program(&path, [&header, code].concat());
    path.to_str().unwrap().to_owned()
}

/// System calls of 32-bit programs have other numbers, and `socketcall` hides which call it is. The builder needs
/// none of them.
#[test]
fn foreign_system_call_numbers_kill_the_program() {
    needs!(engine_ready());
    let dir = tempfile::tempdir().unwrap();
    // Then exit(0) by an ordinary call.
    let leave = b"\x31\xff\xb8\x3c\0\0\0\x0f\x05";
    for (call, ends) in [
        // getpid by int 0x80, by the number of x32, and by the ordinary number
        (&b"\xb8\x14\0\0\0\xcd\x80"[..], 159),
        (&b"\xb8\x27\0\0\x40\x0f\x05"[..], 159),
        (&b"\xb8\x27\0\0\0\x0f\x05"[..], 0),
    ] {
        let path = program(dir.path(), &[call, leave].concat());
        let volume = format!("{path}:/program:ro");
        let runs = |seccomp: &str| confined(seccomp, &["--volume", &volume], &["/program"]);
        runs(&our_profile()).assert_exit_code(ends);
        runs("unconfined").assert_exit_code(0);
    }
}
