//! The machine of the tour: a home directory in a mount namespace, and an engine of its own.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::support::*;

/// The columns of the terminal, unless a run is shown on another one.
const COLUMNS: u16 = 80;
/// The rows of every terminal: an error on 40 columns fits, with every phase that a slow machine tells.
pub(super) const ROWS: u16 = 30;
/// More lines than any command writes.
const ALL: u16 = 500;
/// The size of the card: a bit more than that of the image.
const CARD_BYTES: u64 = 200_000_000;

/// Mounts a home directory and, when there is one, the engine's socket at the usual paths, and runs a command. A
/// fixed text: what differs comes as arguments.
const ENTER: &str = "set -e\n\
    mount -t tmpfs tmpfs /home && mkdir /home/me && mount --bind \"$1\" /home/me\n\
    mount --bind \"$2\" /home/me/mini-nixpkgs\n\
    mount -t tmpfs tmpfs /run\n\
    [ -z \"$3\" ] || { touch /run/docker.sock && mount --bind \"$3\" /run/docker.sock; }\n\
    shift 3; cd /home/me/pi; exec \"$@\"";

pub(super) struct Laptop {
    user: TestUser,
    engine: Option<OwnEngine>,
}

/// A file as a disk, which is taken away when the value is dropped.
pub(super) struct Card {
    /// The path of the device.
    pub(super) node: String,
    _dir: tempfile::TempDir,
}

impl Card {
    pub(super) fn insert() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("card");
        fs::File::create(&file)
            .and_then(|card| card.set_len(CARD_BYTES))
            .unwrap();
        let mut losetup = Command::new("losetup");
        let node = losetup.args(["--find", "--show"]).arg(&file).output();
        let node = String::from_utf8(node.unwrap().stdout).unwrap();
        assert!(node.starts_with("/dev/loop"), "{node}");
        let node = node.trim().to_owned();
        Self { node, _dir: dir }
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        drop(
            Command::new("losetup")
                .args(["--detach", &self.node])
                .status(),
        );
    }
}

/// A command that was run.
pub(super) struct Run {
    words: String,
    raw: Vec<u8>,
    /// Columns of the terminal.
    pub(super) columns: u16,
}

impl Laptop {
    pub(super) fn new() -> Self {
        let user = TestUser::new();
        let home = user.home.path();
        for dir in ["pi", "mini-nixpkgs", ".ssh"] {
            fs::create_dir(home.join(dir)).unwrap();
        }
        fs::remove_dir(user.out()).unwrap();
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "me@laptop", "-f"])
            .arg(home.join(".ssh/id_ed25519"))
            .status();
        assert!(made.unwrap().success());
        // An empty home but for the downloads, which the tour does not show.
        let mut copy = Command::new("cp");
        copy.args(["-a", "--link", &user.environment["XDG_CACHE_HOME"]]);
        copy.arg(home.join(".cache"));
        assert!(copy.status().unwrap().success());
        let mut user = user
            .with("HOME", "/home/me")
            .with("SDBUILD_NIXPKGS", "/home/me/mini-nixpkgs")
            .with("TZ", "UTC");
        for name in ["XDG_CACHE_HOME", "SDBUILD_COMPRESS", "SDBUILD_STORE"] {
            user.environment.remove(name);
        }
        Self { user, engine: None }
    }

    pub(super) fn start_engine(&mut self) {
        self.engine = Some(OwnEngine::start(false));
        self.supply();
    }

    /// Copies the packages of the image out of the store that all tests share, because an engine of the tests has no
    /// network.
    fn supply(&self) {
        let other = TestUser::new();
        let (_, public) = key(&other);
        other.write("sd-card.nix", &example(&public));
        run(&mut other.build(&[])).assert_exit_code(0);
        // The image does not need its packages: another test may have collected them.
        let fetch =
            "nix-store --realise --keep-going /nix/store/*.deb.drv >fetched || wc -l fetched";
        let mini = mini_nixpkgs();
        let words = ["shell", "--nixpkgs", mini.to_str().unwrap()];
        let mut shell = other.sdbuild(&words);
        run(shell.args(["--substituters", "", "--run", fetch])).assert_exit_code(0);
        let format = "{{.Mountpoint}}";
        let volume = docker(&["volume", "inspect", "--format", format, STORE]);
        let store = Path::new(volume.trim()).join("store");
        let packages = file_names(&store).into_iter().filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|ending| ending == "deb")
        });
        let mut tar = Command::new("tar");
        tar.args(["--create", "--transform", "s/^[^-]*-//", "--directory"]);
        tar.arg(&store).args(packages).stdout(Stdio::piped());
        let mut tar = tar.spawn().unwrap();
        fs::write(self.config(), configuration("")).unwrap();
        let add =
            "cd $TMPDIR && tar -x && nix-store --add-fixed sha256 *.deb >added && wc -l <added";
        let mut shell = self.enter(&["shell", "--run", add]);
        let added = run_with_input(
            shell
                .env_clear()
                .envs(&self.user.environment)
                .stdin(tar.stdout.take().unwrap()),
        );
        assert!(tar.wait().unwrap().success());
        assert_ne!(added.assert_exit_code(0).stdout, "0\n");
        fs::remove_file(self.config()).unwrap();
    }

    /// `sdbuild` with `words`, on this machine.
    fn enter(&self, words: &[&str]) -> Command {
        let socket = self.engine.as_ref().map(OwnEngine::host);
        let socket = socket.as_deref().unwrap_or_default();
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            ENTER,
            "sh",
        ]);
        command.arg(self.user.home.path()).arg(mini_nixpkgs());
        command.arg(socket.trim_start_matches("unix://"));
        command.arg(env!("CARGO_BIN_EXE_sdbuild")).args(words);
        command.envs(&self.user.environment);
        command
    }

    fn config(&self) -> PathBuf {
        self.user.home.path().join("pi/sd-card.nix")
    }

    pub(super) fn edit(&self, change: impl Fn(&str) -> String) {
        let text = fs::read_to_string(self.config()).unwrap();
        fs::write(self.config(), change(&text)).unwrap();
    }

    fn start(&self, words: &str, columns: u16) -> Screen {
        // Split as by a shell; only the last word may be quoted.
        let (plain, quoted) = words.split_once(" '").unwrap_or((words, ""));
        let mut all: Vec<&str> = plain.split(' ').skip(1).collect();
        all.extend((!quoted.is_empty()).then(|| quoted.trim_end_matches('\'')));
        Screen::start(&self.enter(&all), (columns, ROWS))
    }

    /// Runs `words` to their end.
    #[track_caller]
    pub(super) fn runs(&self, words: &str, code: i32) -> Run {
        self.runs_on(COLUMNS, words, code)
    }

    /// The same on a terminal of so many columns.
    #[track_caller]
    pub(super) fn runs_on(&self, columns: u16, words: &str, code: i32) -> Run {
        let mut screen = self.start(words, columns);
        screen.assert_exit_code(code);
        Run::new(words, &mut screen, columns)
    }

    /// Runs `words`, and types `answer` when `question` is on the screen.
    #[track_caller]
    pub(super) fn answers(&self, words: &str, question: &str, answer: &str) -> Run {
        let mut screen = self.start(words, COLUMNS);
        screen.wait_for(question);
        screen.type_keys(answer);
        screen.assert_exit_code(0);
        Run::new(words, &mut screen, COLUMNS)
    }

    /// The file name of the image that was built.
    pub(super) fn image(&self) -> String {
        let mut names = file_names(&self.user.home.path().join("pi"));
        names.retain(|name| name.ends_with(".img.zst"));
        names.remove(0)
    }

    /// Runs `words` until `part` is on the screen, and types Ctrl-C.
    #[track_caller]
    pub(super) fn interrupts(&self, words: &str, part: &str) -> Run {
        let mut screen = self.start(words, COLUMNS);
        screen.wait_for(part);
        screen.type_keys("\u{3}");
        assert_eq!(screen.wait().signal(), Some(Signal::SIGINT as i32));
        Run::new(words, &mut screen, COLUMNS)
    }
}

impl Run {
    fn new(words: &str, screen: &mut Screen, columns: u16) -> Self {
        Self {
            words: words.to_owned(),
            raw: screen.all(),
            columns,
        }
    }

    /// The command line.
    pub(super) fn words(&self) -> &str {
        &self.words
    }

    /// The command line and its raw output.
    pub(super) fn stream(&self) -> Vec<u8> {
        let typed = format!("\u{1b}[1m$ {}\u{1b}[m\r\n", self.words);
        [typed.as_bytes(), &self.raw].concat()
    }

    /// The final content of the terminal with everything that has scrolled away. What the terminal itself broke at its width,
    /// within words, is one line: the page can be read and copied.
    pub(super) fn shown(&self) -> String {
        let mut parser = parser((self.columns, ALL));
        parser.process(&self.stream());
        let mut shown = String::new();
        for (number, row) in (0..).zip(parser.screen().rows(0, self.columns)) {
            if parser.screen().row_wrapped(number) {
                shown += &row;
            } else {
                shown += row.trim_end();
                shown += "\n";
            }
        }
        shown.trim_end().to_owned() + "\n"
    }
}
