//! Virtual machines that keep what is written to their disks, and are changed while they run.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{
    Running, TestUser, configuration, free_port, key, mini_nixpkgs, root, run, run_with_input,
};

/// How long an emulated machine may take until it lets in: a minute where nothing else runs, and five times as much beside other tests.
const START: Duration = Duration::from_mins(5);

/// A virtual machine that keeps what it writes to its disk, other than one of `sdbuild boot`.
pub struct Machine {
    /// What starts it, from its next start on.
    pub u_boot: PathBuf,
    key: PathBuf,
    mib: u32,
    pub port: u16,
    console: PathBuf,
    qemu: Running,
}

impl Machine {
    /// Starts one with `mib` MiB of memory from the qcow2 file `disk`; what is on its console goes to the file `console`.
    pub fn start(disk: &Path, key: &Path, console: &Path, mib: u32) -> Self {
        let u_boot = Path::new("/usr/lib/u-boot/qemu_arm64/u-boot.bin");
        Self::start_at(free_port(), u_boot, disk, key, console, mib)
    }

    /// Cuts its power, and starts it again from `disk` at the same port.
    pub fn cut_power(self, disk: &Path) -> Self {
        self.qemu.signal(Signal::SIGKILL);
        // The file is free when all of its threads have ended.
        self.qemu.finish();
        Self::start_at(self.port, &self.u_boot, disk, &self.key, &self.console, self.mib)
    }

    fn start_at(
        port: u16,
        u_boot: &Path,
        disk: &Path,
        key: &Path,
        console: &Path,
        mib: u32,
    ) -> Self {
        // A test that is killed leaves no machine behind.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-aarch64"]);
        qemu.args(["-nodefaults", "-display", "none", "-M", "virt", "-cpu"]);
        qemu.args(["max,pauth-impdef=on", "-smp", "1", "-m"]);
        qemu.arg(mib.to_string());
        qemu.arg("-bios").arg(u_boot).arg("-drive");
        qemu.arg(format!("file={},format=qcow2,if=virtio", disk.display()));
        qemu.arg("-netdev");
        qemu.arg(format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"));
        qemu.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        qemu.arg("-qmp").arg(format!("unix:{},server=on,wait=off", monitor(console).display()));
        qemu.arg("-serial");
        qemu.arg(format!("file:{}", console.display()));
        Self {
            u_boot: u_boot.to_owned(),
            key: key.to_owned(),
            mib,
            port,
            console: console.to_owned(),
            qemu: Running::start(&mut qemu),
        }
    }

    /// Runs `command` of QEMU's monitor, such as `loadvm`.
    #[track_caller]
    pub fn monitor(&self, command: &str) {
        let mut monitor = UnixStream::connect(monitor(&self.console)).unwrap();
        let mut lines = BufReader::new(monitor.try_clone().unwrap()).lines();
        let run = serde_json::json!({ "execute": "human-monitor-command", "arguments": { "command-line": command } });
        writeln!(monitor, "{{\"execute\": \"qmp_capabilities\"}}\n{run}").unwrap();
        let answers = lines.by_ref().map(Result::unwrap).filter(|line| line.contains("\"return\""));
        let answer = answers.take(2).last().unwrap();
        assert!(answer.contains("\"return\": \"\""), "{command}: {answer}");
    }

    /// `command` in the machine.
    pub fn ssh(&self, command: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-i").arg(&self.key).args(["-F", "none", "-p"]);
        ssh.arg(self.port.to_string());
        for option in [
            "BatchMode=yes",
            "ConnectTimeout=15",
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
    pub fn run(&self, command: &str) -> String {
        let attempts = (0..5).map(|_| run(&mut self.ssh(command)));
        // A busy machine may not answer in time.
        let mut answers = attempts.skip_while(|outcome| outcome.code == Some(255));
        answers.next().expect("an answer").assert_exit_code(0).stdout
    }

    /// What is on its console.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
    }

    /// Waits until the machine lets in and calls itself `name`.
    #[track_caller]
    pub fn wait_for(&mut self, name: &str) {
        let begin = Instant::now();
        while run(&mut self.ssh("hostname")).stdout != format!("{name}\n") {
            let console = self.console();
            assert!(
                begin.elapsed() < START && !self.qemu.is_ended(),
                "the machine does not call itself {name} after {:?}; its console:\n{}",
                begin.elapsed(),
                console
            );
            // Nothing listens at first: not more than some attempts a second.
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Writes standard input, which is the file `from`, to `to` in the machine.
    pub fn write(&self, from: &Path, to: &str) {
        let mut ssh = self.ssh(&format!("cat >{to}"));
        run_with_input(ssh.stdin(File::open(from).unwrap())).assert_exit_code(0);
    }

    /// Copies the file `from` to `to` in the machine, by the protocol that scp uses.
    pub fn put_by_sftp(&self, from: &Path, to: &str) {
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
    pub fn copy_nixpkgs(&self) {
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

/// A virtual machine that calls itself `first`, and the user who deploys to it.
pub struct Board {
    pub user: TestUser,
    pub machine: Machine,
    pub disk: PathBuf,
    /// Where deployments connect to.
    pub port: u16,
}

impl Board {
    pub fn start() -> Self {
        Self::start_from(disk_with_nix)
    }

    /// Starts from the qcow2 file that `make` returns with the key that may log in.
    pub fn start_from(make: impl FnOnce(&TestUser) -> (PathBuf, PathBuf)) -> Self {
        let user = TestUser::new();
        let (disk, key) = make(&user);
        let console = user.home.path().join("console");
        let mut machine = Machine::start(&disk, &key, &console, 512);
        machine.wait_for("first");
        let bin = user.state.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let config = user.state.path().join("ssh_config");
        let options = [
            format!("IdentityFile \"{}\"", key.display()),
            format!("UserKnownHostsFile {}", user.state.path().join("known_hosts").display()),
            "IdentitiesOnly yes\nStrictHostKeyChecking accept-new\nLogLevel ERROR\n".to_owned(),
        ];
        fs::write(&config, options.join("\n")).unwrap();
        // The user's own configuration, which ssh would read in the home directory of the account.
        let ssh = bin.join("ssh");
        let script = format!("#!/bin/sh\nexec /usr/bin/ssh -F '{}' \"$@\"\n", config.display());
        fs::write(&ssh, script).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", bin.display(), user.environment["PATH"]);
        let port = machine.port;
        Self { user: user.with("PATH", path), machine, disk, port }
    }

    pub fn address(&self) -> String {
        format!("ssh://root@127.0.0.1:{}", self.port)
    }

    /// Writes `name`.nix: the configuration of the machine with the host name `name` and the lines `more`.
    pub fn write(&self, name: &str, more: &str) -> String {
        let text = fs::read_to_string(self.user.home.path().join("sd-card.nix")).unwrap();
        let text = text.replacen("\"first\"", &format!("\"{name}\""), 1);
        let last = "  system.stateVersion";
        let text = text.replacen(last, &format!("{more}{last}"), 1);
        let file = format!("{name}.nix");
        self.user.write(&file, &text);
        file
    }

    /// Deploys the configuration in `file`.
    pub fn deploy(&self, file: &str, more: &[&str]) -> Command {
        let mini = mini_nixpkgs();
        let mut command = self.user.sdbuild(&["deploy", "--no-substitute", "--nixpkgs"]);
        command.arg(mini).args(more).args([file, &self.address()]);
        command
    }

    /// The commands that need no configuration.
    pub fn manage(&self, flags: &[&str]) -> Command {
        let mut command = self.user.sdbuild(&["deploy"]);
        command.args(flags).arg(self.address());
        command
    }

    pub fn running(&self) -> String {
        self.machine.run("readlink -f /run/current-system")
    }

    /// Asserts that nothing of a deployment is left on the machine.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        let left = "ls -d /run/sdbuild-deploy /nix/var/nix/gcroots/auto/sdbuild* 2>/dev/null; ps | grep -c '[j]ob [st]'";
        let seen = || run(&mut self.machine.ssh(left)).stdout;
        // The job looks once a second whether somebody has read how it ended.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(10) && seen() != "0\n" {}
        assert_eq!(seen(), "0\n");
    }
}

/// The socket of the monitor of the machine whose console goes to this file.
fn monitor(console: &Path) -> PathBuf {
    console.with_extension("monitor")
}

/// The numbers of the system's generations in the order of their age; the current one has a `*`.
pub fn generations(machine: &Machine) -> Vec<String> {
    let listed = machine.run("nix-env -p /nix/var/nix/profiles/system --list-generations");
    let number = |line: &str| {
        let number = line.split_whitespace().next().unwrap();
        let current = if line.contains("(current)") { "*" } else { "" };
        format!("{number}{current}")
    };
    listed.lines().map(number).collect()
}

/// Builds the disk of a machine that has Nix and calls itself `first`, with room for more systems: the disk, and the key that may log in.
pub fn disk_with_nix(user: &TestUser) -> (PathBuf, PathBuf) {
    let key = key(user).0;
    (disk_with(user, &key, ""), key)
}

/// The same with the lines `more`, for the private key `key`: the disk.
pub fn disk_with(user: &TestUser, key: &Path, more: &str) -> PathBuf {
    let mut init = user.sdbuild(&["init", "--template", "vm", "--hostname", "first"]);
    run(init.arg("--ssh-key").arg(key.with_extension("pub"))).assert_exit_code(0);
    let configuration = user.home.path().join("sd-card.nix");
    let written = fs::read_to_string(&configuration).unwrap();
    let last = "  system.stateVersion";
    // The miniature has Nix on a machine only then.
    let more = format!("  nix.enable = true;\n  boot.loader.timeout = 0;\n{more}{last}");
    let disk = user.build_of(&written.replacen(last, &more, 1), &[]).assert_exit_code(0).image();
    assert!(disk.extension().unwrap() == "qcow2", "{}", disk.display());
    grow(&disk);
    disk
}

/// The same with an SD card, which has a firmware partition.
pub fn card_with_nix(user: &TestUser) -> (PathBuf, PathBuf) {
    let (key, public) = key(user);
    let text = configuration(&format!(
        "  nixpkgs.hostPlatform = \"aarch64-linux\";\n  networking.hostName = \"first\";\n  nix.enable = true;\n  \
         services.openssh.enable = true;\n  users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n  \
         sdImage.compressImage = false;\n  boot.initrd.availableKernelModules = [ \"vfat\" \"nls_ascii\" \"nls_cp437\" \"nls_iso8859-1\" ];"
    ));
    let image = user.build_of(&text, &["--compress", "none"]).assert_exit_code(0).image();
    // Not uploaded with the configurations.
    let disk = user.state.path().join("card.qcow2");
    let mut convert = Command::new("qemu-img");
    run(convert.args(["convert", "-O", "qcow2"]).args([&image, &disk])).assert_exit_code(0);
    grow(&disk);
    (disk, key)
}

/// Makes room for more systems.
fn grow(disk: &Path) {
    let mut resize = Command::new("qemu-img");
    run(resize.args(["resize", "-q"]).arg(disk).arg("1200M")).assert_exit_code(0);
}
