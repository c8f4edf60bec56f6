//! `sdbuild boot`: a good image lets its owner log in, the fault of a broken one is reported, and no QEMU outlives
//! sdbuild.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::*;
use crate::terminal::on_a_terminal;

/// The offset of the root file system in the miniature image, in the syntax of debugfs.
const ROOT: &str = "?offset=39845888";

/// Builds the example's image; returns its path and the private key that it accepts.
fn image(user: &TestUser) -> (PathBuf, PathBuf) {
    let (private, public) = key(user);
    user.write("sd-card.nix", &example(&public));
    (run(&mut user.build(&[])).assert_exit_code(0).image(), private)
}

fn boot(user: &TestUser, image: &Path, more: &[&str]) -> Outcome {
    let mut command = user.sdbuild(&["boot", image.to_str().unwrap()]);
    run(command.args(more))
}

/// Runs `request` of debugfs, which may write; returns its output.
fn debugfs(image: &Path, request: &str) -> String {
    let mut debugfs = Command::new("/usr/sbin/debugfs");
    debugfs.args(["-w", "-R", request]);
    let outcome = run(debugfs.arg(format!("{}{ROOT}", image.display())));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome.stdout
}

/// A copy of `image` that `request` of debugfs has damaged.
fn broken(image: &Path, name: &str, request: &str) -> PathBuf {
    let copy = image.with_file_name(name);
    fs::copy(image, &copy).unwrap();
    debugfs(&copy, request);
    copy
}

/// Asserts that neither our unpacked image nor QEMU's temporary file is left.
fn nothing_is_left(user: &TestUser) {
    let scratch = Path::new(&user.environment["XDG_CACHE_HOME"]).join("sdbuild");
    let mut left = file_names(&scratch);
    left.retain(|name| name.starts_with(".tmp") || name.starts_with("vl."));
    assert_eq!(left, [""; 0]);
}

#[test]
fn good_image_runs_a_command_and_is_left_unchanged() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new().with_own_cache();
    let (image, key) = image(&user);
    let before = fs::metadata(&image).unwrap();
    let login = ["--ssh-key", key.to_str().unwrap()];
    let run = ["--run", "uname -m; cat /etc/hostname; touch /new && exit 7"];
    let there = boot(&user, &image, &[login, run].concat()).assert_exit_code(7);
    assert_eq!(there.stdout, "aarch64\nnixos-sd\n");
    there.assert_stderr_contains(&[
        "logged in over SSH as root",
        "exited with status 7 on the machine",
    ]);

    // Compressed, and opened read-only: what the first boot wrote is not there.
    let mut zstd = Command::new("zstd");
    assert!(zstd.args(["-q", "-1"]).arg(&image).status().unwrap().success());
    let packed = image.with_extension("img.zst");
    let (packed, key) = (packed.display(), key.display());
    let words = format!("boot '{packed}' --ssh-key '{key}' --run 'test ! -e /new && printf fresh'");
    let shown = on_a_terminal(&user, &words, "");
    assert!(shown.contains("Unpack the image"), "{shown}");
    // Only the live view says that; it comes back behind the command.
    let (_, behind) = shown.split_once("fresh").unwrap();
    assert!(behind.contains("until the machine is off"), "{shown}");
    nothing_is_left(&user);
    let after = fs::metadata(&image).unwrap();
    let told = |m: &fs::Metadata| (m.mtime(), m.mtime_nsec(), m.ctime_nsec(), m.len());
    assert_eq!(told(&before), told(&after));
}

#[test]
fn broken_images_are_diagnosed() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new();
    let (image, key) = image(&user);
    let login = ["--until-ssh", "--ssh-key", key.to_str().unwrap()];
    let listing = debugfs(&image, "ls -p /boot/nixos");
    let kernel = listing.split('/').find(|name| name.ends_with("Image"));
    let request = format!("rm /boot/nixos/{}", kernel.unwrap());
    boot(&user, &broken(&image, "kernel.img", &request), &login)
        .assert_exit_code(4)
        .assert_stderr_contains(&["a kernel that is not in the image", "  > => ", "hint: "]);
    let image = broken(&image, "label.img", "ssv volume_name OTHER");
    boot(&user, &image, &login).assert_exit_code(4).assert_stderr_contains(&[
        "Timed out waiting for device LABEL=NIXOS_SD",
        "hint: ",
        "fileSystems.\"/\"",
    ]);
}

/// It looks like a wrong label, which it is not.
#[test]
fn an_initrd_without_a_driver_for_the_disk_is_found() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new();
    let none = "  boot.initrd.availableKernelModules = lib.mkForce [ \"ext4\" ];";
    user.write("sd-card.nix", &configuration(none));
    let missing = "neither the kernel nor the initrd has a driver for cards";
    let built = run(&mut user.build(&["--compress", "none"])).assert_exit_code(0);
    let told = ["warning: the image does not start: ", missing];
    let image = built.assert_stderr_contains(&told).image();
    let inspect = ["inspect", image.to_str().unwrap(), "--json"];
    let inspected = run(&mut user.sdbuild(&inspect)).assert_exit_code(2);
    inspected.assert_stderr_contains(&[missing]);
    boot(&user, &image, &["--until-login"])
        .assert_exit_code(4)
        .assert_stderr_contains(&["Linux found no disk", "boot.initrd.availableKernelModules"]);
}

#[test]
fn machine_without_ssh_is_reported() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new();
    let off = "  networking.hostName = \"closed\";";
    let image = user.build_of(&configuration(off), &[]).assert_exit_code(0).image();
    let start = Instant::now();
    boot(&user, &image, &["--until-login", "--timeout", "400"])
        .assert_exit_code(0)
        .assert_stderr_contains(&["the console asks for a login: closed login:"]);
    // As long as this machine takes to start it, three times.
    let limit = (start.elapsed() * 3).as_secs().to_string();
    let (key, _) = key(&user);
    let key = key.to_str().unwrap();
    let login = ["--until-ssh", "--timeout", &limit, "--ssh-key", key];
    boot(&user, &image, &login).assert_exit_code(4).assert_stderr_contains(&[
        &format!("no login within {limit} s"),
        "nothing answers on its SSH port",
        "hint: set services.openssh.enable",
    ]);
}

/// An image of zeros, with which U-Boot ends up at its prompt.
fn blank(user: &TestUser) -> PathBuf {
    user.write_unbootable("blank.img", 64 << 20)
}

#[test]
fn image_without_boot_device_is_reported_at_once() {
    needs!(boot_available());
    let user = TestUser::new();
    let image = blank(&user);
    boot(&user, &image, &["--until-ssh", "--timeout", "60"])
        .assert_exit_code(4)
        .assert_stderr_contains(&["Boot: failed after ", "no bootable device"]);
    let pc = ["--until-ssh", "--timeout", "60", "--system", "x86_64-linux"];
    if Path::new("/usr/bin/qemu-system-x86_64").exists() {
        boot(&user, &image, &pc)
            .assert_exit_code(4)
            .assert_stderr_contains(&["no bootable device"]);
    }
}

/// The state and the parent of a process, or `None` when there is no such process.
fn process(pid: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    let state = words.next()?.chars().next()?;
    Some((state, words.next()?.parse().ok()?))
}

/// Waits for the QEMU that `parent` starts; returns its process id.
fn qemu_of(parent: Pid) -> i32 {
    let find = || {
        file_names(Path::new("/proc")).into_iter().find_map(|name| {
            let pid = name.parse().ok()?;
            let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            let ours = process(pid)?.1 == parent.as_raw();
            (ours && exe.to_string_lossy().contains("qemu-system")).then_some(pid)
        })
    };
    wait_until(Duration::from_secs(20), "QEMU runs", || find().is_some());
    find().unwrap()
}

/// Whether the process has ended; a zombie counts as ended.
fn is_gone(pid: i32) -> bool {
    process(pid).is_none_or(|(state, _)| state == 'Z')
}

#[test]
fn no_qemu_outlives_sdbuild() {
    needs!(boot_available());
    let user = TestUser::new().with_own_cache();
    let image = blank(&user);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
        let mut command = user.sdbuild(&["boot", "-v", "--until-ssh"]);
        let mut running = Running::start(command.arg(&image));
        // Not before: QEMU exits by itself when its image is removed while it starts.
        running.wait_for("U-Boot 20");
        let qemu = qemu_of(running.pid());
        running.signal(signal);
        assert_eq!(running.finish().signal, Some(signal as i32));
        wait_until(Duration::from_secs(3), "QEMU is gone", || is_gone(qemu));
    }
    nothing_is_left(&user);
}

#[test]
fn terminal_is_restored_however_a_boot_ends() {
    needs!(boot_available());
    let user = TestUser::new();
    let image = blank(&user);
    for (signal, of_qemu) in
        [(Signal::SIGINT, false), (Signal::SIGKILL, false), (Signal::SIGKILL, true)]
    {
        let boot = user.sdbuild(&["boot", image.to_str().unwrap()]);
        let mut screen = Screen::start(&boot, (80, 24));
        let qemu = qemu_of(screen.pid());
        // QEMU handles signals by the time the firmware prints its first line.
        screen.wait_for("U-Boot 20");
        assert!(screen.is_raw());
        let target = if of_qemu { Pid::from_raw(qemu) } else { screen.pid() };
        kill(target, signal).unwrap();
        let status = screen.wait();
        assert!(!of_qemu || status.code() == Some(3), "{status}");
        wait_until(Duration::from_secs(3), "QEMU is gone", || is_gone(qemu));
        let what = format!("the terminal is as it was after {signal}, of QEMU: {of_qemu}");
        wait_until(Duration::from_secs(3), &what, || !screen.is_raw());
    }
}
