//! A machine that was started from a disk, and changes itself with `nixos-rebuild`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::*;

/// How long an emulated machine may take until it lets in: a minute where nothing else runs, and five times as much beside other tests.
const START: Duration = Duration::from_mins(5);

/// A virtual machine that keeps what it writes to its disk, other than one of `sdbuild boot`.
pub(super) struct Machine {
    key: PathBuf,
    pub(super) port: u16,
    console: PathBuf,
    qemu: Running,
}

impl Machine {
    /// Starts one from the qcow2 file `disk`; what is on its console goes to the file `console`.
    pub(super) fn start(disk: &Path, key: &Path, console: &Path) -> Self {
        Self::start_at(free_port(), disk, key, console)
    }

    /// Cuts its power, and starts it again from `disk` at the same port.
    pub(super) fn cut_power(self, disk: &Path) -> Self {
        self.qemu.signal(Signal::SIGKILL);
        // The file is free when all of its threads have ended.
        self.qemu.finish();
        Self::start_at(self.port, disk, &self.key, &self.console)
    }

    fn start_at(port: u16, disk: &Path, key: &Path, console: &Path) -> Self {
        // A test that is killed leaves no machine behind.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-aarch64"]);
        qemu.args(["-nodefaults", "-display", "none", "-M", "virt", "-cpu"]);
        qemu.args(["max,pauth-impdef=on", "-smp", "1", "-m", "1024"]);
        qemu.args(["-bios", "/usr/lib/u-boot/qemu_arm64/u-boot.bin", "-drive"]);
        qemu.arg(format!("file={},format=qcow2,if=virtio", disk.display()));
        qemu.arg("-netdev");
        qemu.arg(format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"));
        qemu.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        qemu.arg("-serial");
        qemu.arg(format!("file:{}", console.display()));
        Self {
            key: key.to_owned(),
            port,
            console: console.to_owned(),
            qemu: Running::start(&mut qemu),
        }
    }

    /// `command` in the machine.
    pub(super) fn ssh(&self, command: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-i").arg(&self.key).args(["-F", "none", "-p"]);
        ssh.arg(self.port.to_string());
        for option in [
            "BatchMode=yes",
            "ConnectTimeout=5",
            "LogLevel=ERROR",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.args(["root@127.0.0.1", command]);
        ssh
    }

    /// What `command` prints.
    #[track_caller]
    pub(super) fn run(&self, command: &str) -> String {
        run(&mut self.ssh(command)).assert_exit_code(0).stdout
    }

    /// Waits until the machine lets in and calls itself `name`.
    #[track_caller]
    pub(super) fn wait_for(&mut self, name: &str) {
        let begin = Instant::now();
        while run(&mut self.ssh("hostname")).stdout != format!("{name}\n") {
            let console = fs::read(&self.console).unwrap_or_default();
            assert!(
                begin.elapsed() < START && !self.qemu.is_ended(),
                "the machine does not call itself {name} after {:?}; its console:\n{}",
                begin.elapsed(),
                String::from_utf8_lossy(&console)
            );
            // Nothing listens at first: not more than some attempts a second.
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Writes standard input, which is the file `from`, to `to` in the machine.
    fn write(&self, from: &Path, to: &str) {
        let mut ssh = self.ssh(&format!("cat >{to}"));
        run_with_input(ssh.stdin(File::open(from).unwrap())).assert_exit_code(0);
    }

    /// Copies the file `from` to `to` in the machine, by the protocol that scp uses.
    fn put_by_sftp(&self, from: &Path, to: &str) {
        let ssh = self.ssh("");
        let mut scp = Command::new("scp");
        let options = ssh.get_args().skip_while(|argument| *argument != "-o");
        scp.arg("-i").arg(&self.key).args(["-F", "none", "-P"]);
        scp.arg(self.port.to_string());
        scp.args(options.take_while(|argument| *argument != "root@127.0.0.1"));
        scp.arg("-s").arg(from).arg(format!("root@127.0.0.1:{to}"));
        run(&mut scp).assert_exit_code(0);
    }

    /// Copies the nixpkgs of the tests to `/root`.
    fn copy_nixpkgs(&self) {
        let mut tar = Command::new("tar");
        let mut tar = tar
            .arg("-C")
            .arg(root().join("tests"))
            .args(["-c", "mini-nixpkgs"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ssh = self.ssh("tar -C /root -x");
        run_with_input(ssh.stdin(tar.stdout.take().unwrap())).assert_exit_code(0);
        assert!(tar.wait().unwrap().success());
    }
}

/// The numbers of the system's generations in the order of their age; the current one has a `*`.
pub(super) fn generations(machine: &Machine) -> Vec<String> {
    let listed = machine.run("nix-env -p /nix/var/nix/profiles/system --list-generations");
    let number = |line: &str| {
        let number = line.split_whitespace().next().unwrap();
        let current = if line.contains("(current)") { "*" } else { "" };
        format!("{number}{current}")
    };
    listed.lines().map(number).collect()
}

/// Asserts that each generation has its boot loader entry, and that the first one's files are there; `next` is the second one.
fn assert_both_can_start(machine: &Machine, next: &str) {
    let entries = machine.run("cd /boot/loader/entries && ls");
    assert_eq!(entries, "nixos-generation-1.conf\nnixos-generation-2.conf\n");
    let first = machine.run("cat /boot/loader/entries/nixos-generation-1.conf");
    let value = |key| {
        let mut values = first.lines().filter_map(|line| line.strip_prefix(key));
        values.next().unwrap()
    };
    let init = value("options init=").split(' ').next().unwrap();
    assert!(!init.starts_with(next), "{first}");
    let (linux, initrd) = (value("linux "), value("initrd "));
    machine.run(&format!("cd /boot && test -s .{linux} && test -s .{initrd} && test -x {init}"));
}

/// Builds the disk of a machine that has Nix and calls itself `first`, with room for more systems: the disk, and the key that may log in.
pub(super) fn disk_with_nix(user: &TestUser) -> (PathBuf, PathBuf) {
    let key = key(user).0;
    let mut init = user.sdbuild(&["init", "--template", "vm", "--hostname", "first"]);
    run(init.arg("--ssh-key").arg(key.with_extension("pub"))).assert_exit_code(0);
    let configuration = user.home.path().join("sd-card.nix");
    let written = fs::read_to_string(&configuration).unwrap();
    let last = "  system.stateVersion";
    // The miniature has Nix on a machine only then.
    let more = format!("  nix.enable = true;\n  boot.loader.timeout = 0;\n{last}");
    let disk = user.build_of(&written.replacen(last, &more, 1), &[]).assert_exit_code(0).image();
    assert!(disk.extension().unwrap() == "qcow2", "{}", disk.display());
    let mut resize = Command::new("qemu-img");
    run(resize.args(["resize", "-q"]).arg(&disk).arg("1200M")).assert_exit_code(0);
    (disk, key)
}

/// The same file builds the disk and, with another name, the next system on the machine: nothing is fetched or built that is there.
#[test]
fn a_machine_that_was_started_from_a_disk_rebuilds_itself() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new();
    let runs = user.track_runs();
    let (disk, key) = disk_with_nix(&user);
    let configuration = user.home.path().join("sd-card.nix");

    let mut machine = Machine::start(&disk, &key, &user.home.path().join("console"));
    machine.wait_for("first");
    let size = machine.run("df -m / | tail -n 1");
    let mib: u32 = size.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(mib > 800, "grown: {size}");
    assert_eq!(generations(&machine), ["1*"]);
    // The store is as it was registered.
    machine.run(
        "nix-store --verify --check-contents && nix-store --check-validity /run/current-system",
    );

    machine.copy_nixpkgs();
    let text = fs::read_to_string(&configuration).unwrap();
    user.write("next.nix", &text.replacen("\"first\"", "\"second\"", 1));
    machine.run("mkdir -p /etc/nixos");
    machine.write(&user.home.path().join("next.nix"), "/etc/nixos/configuration.nix");
    let command = "nixos-rebuild boot -I nixpkgs=/root/mini-nixpkgs --option substituters '' 2>&1";
    let rebuilt = machine.run(command);
    assert!(rebuilt.contains("-nixos-system-second-"), "{rebuilt}");
    assert!(!rebuilt.contains(".deb"), "fetched: {rebuilt}");
    assert_eq!(generations(&machine), ["1", "2*"]);
    let next = machine.run("readlink -f /nix/var/nix/profiles/system");
    // The connection may end before the answer.
    run(&mut machine.ssh("reboot"));

    machine.wait_for("second");
    assert_eq!(machine.run("readlink -f /run/current-system"), next);
    let command_line = machine.run("cat /proc/cmdline");
    let started = format!("init={}/init ", next.trim_end());
    assert!(command_line.contains(&started), "{command_line}");
    assert_both_can_start(&machine, next.trim_end());

    // Another name while it runs: the connection and the second generation stay.
    user.write("next.nix", &text.replacen("\"first\"", "\"third\"", 1));
    let file = user.home.path().join("next.nix");
    machine.put_by_sftp(&file, "/etc/nixos/configuration.nix");
    machine.run(&command.replacen("boot", "test", 1));
    assert_eq!(machine.run("hostname"), "third\n");
    assert_eq!(generations(&machine), ["1", "2*"]);
    machine.run(&command.replacen("boot", "switch", 1));
    assert_eq!(generations(&machine), ["1", "2", "3*"]);
    let profile = machine.run("readlink -f /nix/var/nix/profiles/system");
    assert_eq!(machine.run("readlink -f /run/current-system"), profile);
    drop(machine);
    runs.assert_nothing_left();
}
