//! `sdbuild personalise` and `flash --put`: files get onto a card without mounting, the board is known by the host key that was put there,
//! and a secret is nowhere else.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sdbuild_core::hash::Sha256Hash;

use crate::support::*;

/// The offset of the root file system in the miniature image, in the syntax of the programs of e2fsprogs.
const ROOT: &str = "?offset=39845888";
const SECRET: &str = "only-the-card-may-have-this";
/// How long a virtual machine takes until its SSH server answers.
const BOOT_LIMIT: Duration = Duration::from_mins(3);

/// What the module of `networking.wireless` writes from NixOS 25.11 on, which the miniature has not.
const WIFI: &str = r#"environment.etc."wpa_supplicant/nixos.conf".text = "ext_password_backend=file:/etc/wifi-secrets\nnetwork={\n  ssid=\"Home\"\n  psk=ext:psk_home\n}\n""#;

/// Builds the example's image without a host name and with a wireless network; returns its path and the private key that it accepts.
fn image(user: &TestUser) -> (PathBuf, PathBuf) {
    let (private, public) = key(user);
    let named = example(&public);
    let without = format!("networking.hostName = \"\";\n  {WIFI}");
    let nameless = named.replace("networking.hostName = \"nixos-sd\"", &without);
    assert!(nameless != named);
    user.write("sd-card.nix", &nameless);
    user.write("secret", SECRET);
    user.write("config.txt", "gpu_mem=16\n");
    (run(&mut user.build(&[])).assert_exit_code(0).image(), private)
}

fn hash(path: &Path) -> Sha256Hash {
    Sha256Hash::of(&fs::read(path).unwrap())
}

/// Asserts that the root file system of the image or disk at `path` is sound.
fn assert_sound(path: &Path) {
    let mut check = Command::new("/usr/sbin/e2fsck");
    let outcome = run(check.arg("-fn").arg(format!("{}{ROOT}", path.display())));
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
}

/// Asserts that no file of the user but those in `with` has the secret.
fn assert_secret_is_only_in(user: &TestUser, with: &[&Path]) {
    let mut search = Command::new("grep");
    search.args(["-rlaF", SECRET]).arg(user.home.path()).arg(user.state.path());
    let found = run(&mut search).stdout;
    for line in found.lines() {
        assert!(with.contains(&Path::new(line)), "{line}");
    }
}

/// `sdbuild personalise` of `image` to `copy` with the host name `name`, the host key `key`, a secret, which is a passphrase too, and a file
/// for the firmware.
fn personalise(user: &TestUser, image: &Path, copy: &Path, name: &str, key: &str) -> Command {
    let [image, copy] = [image, copy].map(|path| path.to_str().unwrap());
    let words = ["personalise", image, "-o", copy, "--hostname", name, "--host-key", key];
    let put =
        ["--put", "secret:/var/lib/secret:0600", "--put", "config.txt:/boot/firmware/own.txt"];
    let wifi = ["--wifi", "Home", "--wifi-passphrase", "secret"];
    user.sdbuild(&[&words[..], &put, &wifi].concat())
}

#[test]
fn each_card_of_an_image_is_known_by_its_own_host_key_and_name() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new().with_own_cache();
    let runs = user.track_runs();
    let (image, login) = image(&user);
    let before = hash(&image);
    let host_key = user.home.path().join("host-key");
    fs::create_dir(&host_key).unwrap();
    let (host_key, public) = key_in(&host_key);
    let [kitchen, barn] = ["kitchen", "barn"].map(|name| user.out().join(format!("{name}.img")));

    let given = host_key.to_str().unwrap();
    let mut command = personalise(&user, &image, &kitchen, "kitchen", given);
    let verbose = run(command.arg("-vv")).assert_exit_code(0);
    let mut command = personalise(&user, &image, &barn, "barn", "generate");
    let events = run(command.arg("--json-events")).assert_exit_code(0);
    for (told, copy) in [(&verbose, &kitchen), (&events, &barn)] {
        assert_eq!(&told.image(), copy);
        let told = [&*told.stderr, &told.stdout].concat();
        assert!(!told.contains(SECRET) && !told.contains("PRIVATE"), "{told}");
        assert_sound(copy);
        assert_eq!(manifest(copy)["put"].as_array().unwrap().len(), 6);
        run(&mut user.sdbuild(&["inspect", copy.to_str().unwrap()])).assert_exit_code(0);
    }
    runs.assert_nothing_left();
    assert_eq!(hash(&image), before);
    assert_secret_is_only_in(&user, &[&user.home.path().join("secret"), &kitchen, &barn]);
    let cat = |copy: &Path, path: &str| {
        run(&mut user.sdbuild(&["inspect", copy.to_str().unwrap(), "cat", path])).stdout
    };
    assert_eq!(cat(&kitchen, "1:/own.txt"), "gpu_mem=16\n");
    assert_eq!(cat(&barn, "/etc/hostname"), "barn\n");
    assert_eq!(cat(&barn, "/etc/wifi-secrets"), format!("psk_home={SECRET}\n"));
    let made = cat(&barn, "/etc/ssh/ssh_host_ed25519_key.pub");
    assert!(made != cat(&kitchen, "/etc/ssh/ssh_host_ed25519_key.pub"));
    let known_hosts = fs::read_to_string(format!("{}.known_hosts", barn.display())).unwrap();
    assert_eq!(known_hosts, format!("barn,barn.local {made}"));

    let known = user.write("known", &format!("* {public}\n"));
    let other = user.write("other", &format!("* {made}"));
    let board = Board::boot(&user, &kitchen, &login);
    let look = "echo $(hostname) $(cat /var/lib/secret; stat -c ' %a %u' /var/lib/secret)";
    let seen = format!("kitchen {SECRET} 600 0");
    assert_eq!(board.answer(&known, look).trim(), seen);
    let options = ssh_options(&verbose.stderr);
    let printed = board.ssh_with(&user, &options, look).assert_exit_code(0);
    assert_eq!(printed.stdout.trim(), seen);
    board.ssh(&other, look).assert_exit_code(255).assert_stderr_contains(&["verification failed"]);
    board.off();
}

/// The options of ssh in what sdbuild `told`.
fn ssh_options(told: &str) -> String {
    let (_, rest) = told.split_once(": ssh ").unwrap();
    rest.split_once(" root@BOARD").unwrap().0.to_owned()
}

/// Raspberry Pi Imager writes the file to the firmware partition.
#[test]
fn a_card_takes_what_raspberry_pi_imager_asks_for() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new().with_own_cache();
    let (login, public) = key(&user);
    let ann = user.home.path().join("ann");
    fs::create_dir(&ann).unwrap();
    let (ann, key_of_ann) = key_in(&ann);
    user.write("root.pub", &public);
    run(&mut user.sdbuild(&["init", "--rpi-preseed", "--ssh-key", "root.pub", "--yes"]))
        .assert_exit_code(0);
    let path = user.home.path().join("sd-card.nix");
    let text = fs::read_to_string(&path).unwrap();
    let more = "nix.enable = true; networking.networkmanager.enable = true;\n  \
                boot.initrd.availableKernelModules = [ \"vfat\" \"nls_ascii\" \"nls_cp437\" \"nls_iso8859-1\" ];\n  ";
    fs::write(&path, text.replacen("sdImage.", &format!("{more}sdImage."), 1)).unwrap();
    let image = run(&mut user.build(&["--rpi-imager"])).assert_exit_code(0).image();
    let list = fs::read_to_string(format!("{}.rpi-imager.json", image.display())).unwrap();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["os_list"][0]["init_format"], "rpi-preseed");

    // As version 2.0.11 writes it.
    let file = format!(
        "config_version = \"1.0\"\n\n[system]\nhostname = \"attic\"\n\n[user]\nname = \"ann\"\n\
         password = \"$6$salt$hash\"\npassword_encrypted = true\ngroups = [\"sudo\"]\npasswordless_sudo = true\n\n\
         [ssh]\nenabled = true\npassword_authentication = false\nauthorized_keys = [\n  \"{key_of_ann}\",\n]\n\n\
         [wlan]\nssid = \"Caf\u{e9}\"\npassword = \"{SECRET}\"\npassword_encrypted = false\nhidden = false\n\
         country = \"DE\"\n\n[locale]\nkeymap = \"de\"\ntimezone = \"Europe/Paris\"\n"
    );
    user.write("preseed.toml", &file);
    let copy = user.out().join("attic.img");
    let paths = [&image, &copy].map(|path| path.to_str().unwrap());
    let put = ["--put", "preseed.toml:/boot/firmware/rpi-preseed.toml", "--host-key", "generate"];
    run(&mut user.sdbuild(&[&["personalise", paths[0], "-o", paths[1]], &put[..]].concat()))
        .assert_exit_code(0);
    let key = ["inspect", paths[1], "cat", "/etc/ssh/ssh_host_ed25519_key.pub"];
    let known = user.write("known", &format!("* {}", run(&mut user.sdbuild(&key)).stdout));

    let mut board = Board::boot(&user, &copy, &login);
    let seen = board.answer(&known, "hostname; readlink /etc/localtime; ls /boot/firmware");
    let (start, firmware) = seen.split_once("Paris\n").unwrap();
    assert_eq!(start, "attic\n/etc/zoneinfo/Europe/");
    assert!(firmware.contains("config.txt") && !firmware.contains("preseed"), "{firmware}");
    let wifi = "cd /etc/NetworkManager/system-connections; stat -c %a *; cat *";
    let wifi = board.answer(&known, wifi);
    assert!(wifi.starts_with("600\n"), "{wifi}");
    assert!(wifi.contains("\nssid=67;97;102;195;169;\n"), "{wifi}");
    assert!(wifi.contains(&format!("\npsk={SECRET}\n")), "{wifi}");
    assert!(board.answer(&known, "grep ^ann: /etc/shadow").starts_with("ann:$6$salt$hash:"));
    (board.login, board.who) = (&ann, "ann");
    let groups = board.answer(&known, "id -Gn");
    let groups: BTreeSet<&str> = groups.split_whitespace().collect();
    assert_eq!(groups, BTreeSet::from(["users", "wheel", "rpi-preseed-sudo"]));
    board.off();
}

/// A virtual machine that runs an image.
struct Board<'a> {
    running: Running,
    port: String,
    /// The user, and the private key that the machine accepts.
    who: &'a str,
    login: &'a Path,
}

impl<'a> Board<'a> {
    fn boot(user: &TestUser, image: &Path, login: &'a Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        drop(free);
        let words = ["boot", image.to_str().unwrap(), "--port", &port];
        Self { running: Running::start(&mut user.sdbuild(&words)), port, who: "root", login }
    }

    /// Runs `command` there, if its host key is in the file `known`.
    fn ssh(&self, known: &Path, command: &str) -> Outcome {
        let known = format!("UserKnownHostsFile=\"{}\"", known.display());
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-p", &self.port, "-o", &known, "-o", "StrictHostKeyChecking=yes"]);
        ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-i"]).arg(self.login);
        run(ssh.args([&format!("{}@127.0.0.1", self.who), command]).stdin(Stdio::null()))
    }

    /// Runs `command` there with the options that sdbuild printed.
    fn ssh_with(&self, user: &TestUser, options: &str, command: &str) -> Outcome {
        let login = self.login.display();
        let fixed = "-F none -o StrictHostKeyChecking=yes -o BatchMode=yes";
        let line = format!(
            "exec ssh {fixed} -p {} -i '{login}' {options} root@127.0.0.1 \"$1\"",
            self.port
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &line, "sh", command]).current_dir(user.home.path());
        run(shell.stdin(Stdio::null()))
    }

    /// What `command` prints there, as soon as the machine has started.
    fn answer(&self, known: &Path, command: &str) -> String {
        let start = Instant::now();
        loop {
            let outcome = self.ssh(known, command);
            if outcome.code == Some(0) {
                return outcome.stdout;
            }
            assert!(!outcome.stderr.contains("verification failed"), "{}", outcome.stderr);
            let is_in_time = start.elapsed() < BOOT_LIMIT && !self.running.is_ended();
            assert!(is_in_time, "{}", outcome.stderr);
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn off(self) {
        self.running.signal(Signal::SIGTERM);
        self.running.finish();
    }
}

#[test]
fn what_ends_early_leaves_no_image_and_no_secret() {
    needs!(engine_ready(), root_available());
    let user = TestUser::new().with_own_cache();
    let runs = user.track_runs();
    let (image, _) = image(&user);
    let (names, before) = (user.outputs(), hash(&image));
    let disk = SmallDisk::mount(&user.home.path().join("disk"), "16m");
    let full = disk.path().join("new.img");
    let told = run(&mut personalise(&user, &image, &full, "barn", "generate"));
    told.assert_exit_code(3).assert_stderr_contains(&["No space left"]);
    assert_eq!(file_names(disk.path()), [""; 0]);
    runs.assert_no_objects();

    let copy = user.out().join("new.img");
    let mut running = Running::start(&mut personalise(&user, &image, &copy, "barn", "generate"));
    running.wait_until("the container", || runs.containers_of("card").len() == 1);
    running.signal(Signal::SIGSTOP);
    let container = runs.container("card");
    let described = docker(&["inspect", &container]);
    assert!(described.contains(&container) && !described.contains(SECRET), "{described}");
    let log = ["inspect", "--format", "{{.HostConfig.LogConfig.Type}}", &container];
    assert_eq!(docker(&log).trim(), "none");
    running.signal(Signal::SIGKILL);
    assert_eq!(running.finish().signal, Some(9));
    assert_eq!(user.outputs(), names);
    // It removes what the killed one left.
    run(&mut personalise(&user, &image, &copy, "barn", "generate")).assert_exit_code(0);
    runs.assert_nothing_left();
    assert_eq!(hash(&image), before);
    assert_secret_is_only_in(&user, &[&user.home.path().join("secret"), &copy]);
}

/// How often a copy, and a card, is disturbed.
const FAULTS: usize = 9;

/// Random moments until `took` has passed; the seed is printed.
fn moments(took: Duration) -> impl FnMut() -> Duration {
    let seed = fastrand::u64(..100_000);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    move || took.mul_f64(random.f64())
}

#[test]
fn signals_while_files_are_put_leave_a_whole_copy_or_none() {
    needs!(engine_ready());
    let user = TestUser::new().with_own_cache();
    let runs = user.track_runs();
    let (image, _) = image(&user);
    let before = hash(&image);
    let copy = user.out().join("copy.img");
    let command = || personalise(&user, &image, &copy, "barn", "generate");
    let remove = || {
        for end in ["", ".sha256", ".bmap", ".json", ".known_hosts"] {
            fs::remove_file(format!("{}{end}", copy.display())).ok();
        }
    };
    let start = Instant::now();
    run(&mut command()).assert_exit_code(0);
    let mut moment = moments(start.elapsed());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL].repeat(FAULTS / 3) {
        remove();
        let running = Running::start(&mut command());
        std::thread::sleep(moment());
        running.signal(signal);
        let ended = running.finish();
        if signal != Signal::SIGKILL {
            runs.assert_no_objects();
        }
        assert!(copy.exists() || ended.code != Some(0), "{signal}: {}", ended.stderr);
        if copy.exists() {
            assert_sound(&copy);
        }
        assert_eq!(hash(&image), before);
    }
    remove();
    run(&mut command()).assert_exit_code(0);
    runs.assert_nothing_left();
    assert_secret_is_only_in(&user, &[&user.home.path().join("secret"), &copy]);
}

/// What happens to a card while it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CardFault {
    /// sdbuild gets a signal.
    Signal(Signal),
    /// The card loses what was written to it, and goes on.
    Forgets,
    /// It is taken out: the reader has no medium any more, and every access fails.
    Removed,
}

#[test]
fn faults_while_files_are_put_onto_a_card_are_told_and_the_card_can_be_written_again() {
    needs!(engine_ready(), nix::unistd::geteuid().is_root());
    let user = TestUser::new().with_own_cache();
    let runs = user.track_runs();
    let (image, _) = image(&user);
    let (before, size) = (hash(&image), fs::metadata(&image).unwrap().len());
    let card = user.home.path().join("card");
    let erase = || fs::File::create(&card).unwrap().set_len(2 * size).unwrap();
    erase();
    let reader = Reader::with(&card);
    let words = ["flash", image.to_str().unwrap(), &reader.0, "--allow-fixed", "--yes"];
    let words = [&words[..], &["--put", "secret:/var/lib/secret:0600"]].concat();
    let flash = || user.sdbuild(&words);
    let start = Instant::now();
    run(&mut flash()).assert_exit_code(0);
    let mut moment = moments(start.elapsed());
    let faults = [
        CardFault::Signal(Signal::SIGINT),
        CardFault::Forgets,
        CardFault::Removed,
        CardFault::Signal(Signal::SIGKILL),
    ];
    for fault in faults.repeat(FAULTS.div_ceil(faults.len())) {
        erase();
        reader.look_again();
        let running = Running::start(&mut flash());
        std::thread::sleep(moment());
        match fault {
            CardFault::Signal(signal) => running.signal(signal),
            CardFault::Forgets => erase(),
            CardFault::Removed => {
                fs::File::create(&card).unwrap();
                reader.look_again();
            }
        }
        let ended = running.finish();
        let is_told = ended.code == Some(0) || ended.stderr.contains("card");
        let is_killed = fault == CardFault::Signal(Signal::SIGKILL);
        assert!(is_told || is_killed, "{fault:?}: {}", ended.stderr);
        if ended.code == Some(0) && matches!(fault, CardFault::Signal(_)) {
            assert_sound(&card);
        }
        assert_eq!(hash(&image), before);
    }
    erase();
    reader.look_again();
    run(&mut flash()).assert_exit_code(0);
    assert_sound(&card);
    drop(reader);
    runs.assert_nothing_left();
    assert_secret_is_only_in(&user, &[&user.home.path().join("secret"), &card]);
}

#[test]
fn what_would_not_stay_is_refused_before_an_engine_is_asked() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (image, _) = image(&user);
    let names = user.outputs();
    let user = user.with("DOCKER_HOST", "unix:///nowhere");
    let refused = |put: &str| {
        let words = ["personalise", image.to_str().unwrap(), "-o", "out/new.img", "--put", put];
        run(&mut user.sdbuild(&words)).assert_exit_code(2)
    };
    refused("secret:/etc/ssh/authorized_keys.d/root").assert_stderr_contains(&["environment.etc"]);
    refused("secret:/nix/store/x").assert_stderr_contains(&["/nix/store"]);
    assert_eq!(user.outputs(), names);
}

#[test]
fn files_are_put_onto_a_card_that_was_written() {
    needs!(engine_ready(), nix::unistd::geteuid().is_root());
    let user = TestUser::new().with_own_cache();
    let runs = user.track_runs();
    let (image, _) = image(&user);
    let card = user.home.path().join("card");
    fs::File::create(&card).unwrap().set_len(2 * fs::metadata(&image).unwrap().len()).unwrap();
    let mut losetup = Command::new("losetup");
    let node = run(losetup.args(["--find", "--show"]).arg(&card)).assert_exit_code(0).stdout;
    let node = node.trim();
    let words = ["flash", image.to_str().unwrap(), node, "--allow-fixed", "--yes"];
    let put = ["--put", "secret:/var/lib/secret:0600:1000:100"];
    let told = run(&mut user.sdbuild(&[&words[..], &put].concat()));
    run(Command::new("losetup").args(["--detach", node]));
    let told = told.assert_exit_code(0);
    assert!(!told.stderr.contains(SECRET), "{}", told.stderr);
    runs.assert_nothing_left();
    assert_sound(&card);
    let cat = ["inspect", card.to_str().unwrap(), "cat", "/var/lib/secret"];
    assert_eq!(run(&mut user.sdbuild(&cat)).stdout, SECRET);
    assert_secret_is_only_in(&user, &[&user.home.path().join("secret"), &card]);
}

const BOARDS: [&str; 3] = ["kitchen", "barn", "shed"];

/// A loop device as the reader of cards, which are files.
struct Reader(String);

impl Reader {
    fn with(card: &Path) -> Self {
        Self(losetup(&["--find", "--show"], Some(card)))
    }

    /// Has the kernel read the size of the card again: without one it is 0.
    fn look_again(&self) {
        losetup(&["--set-capacity", &self.0], None);
    }

    fn insert(&self, card: &Path) {
        losetup(&["--detach", &self.0], None);
        losetup(&[&self.0], Some(card));
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        losetup(&["--detach", &self.0], None);
    }
}

fn losetup(words: &[&str], card: Option<&Path>) -> String {
    let mut losetup = Command::new("losetup");
    run(losetup.args(words).args(card)).assert_exit_code(0).stdout.trim().to_owned()
}

/// Writes the list of the boards with a secret of each, and makes empty cards.
fn cards_of_boards(user: &TestUser, image: &Path) -> [PathBuf; 3] {
    let list = BOARDS.map(|name| {
        user.write(&format!("wifi-{name}"), &format!("{SECRET}-{name}"));
        let put = format!("put = [\"wifi-{name}:/etc/wifi:0600\"]");
        format!("[{name}]\nhostname = \"{name}\"\nhost-key = \"generate\"\n{put}\n")
    });
    user.write("boards.toml", &list.concat());
    let size = fs::metadata(image).unwrap().len();
    BOARDS.map(|name| {
        let card = user.home.path().join(format!("{name}.card"));
        fs::File::create(&card).unwrap().set_len(2 * size).unwrap();
        card
    })
}

/// Answers the questions of `screen` until it ends: the second card is inserted late, and not written.
fn write_first_and_third(screen: &mut Screen, reader: &Reader, cards: &[PathBuf]) {
    let asks = |screen: &Screen, times: usize| {
        let question = "Write the image to it?";
        screen.wait_until(question, |text| text.matches(question).count() == times);
    };
    asks(screen, 1);
    screen.type_keys("y\n");
    screen.wait_for("Insert the card of barn");
    screen.type_keys("y\n");
    screen.wait_for("still has the card of kitchen");
    reader.insert(&cards[1]);
    screen.type_keys("y\n");
    asks(screen, 2);
    screen.type_keys("n\n");
    screen.wait_for("Insert the card of shed");
    let no_card = cards[0].with_extension("empty");
    fs::write(&no_card, "").unwrap();
    reader.insert(&no_card);
    screen.type_keys("y\n");
    screen.wait_for("there is no card in");
    reader.insert(&cards[2]);
    screen.type_keys("y\n");
    asks(screen, 3);
    screen.type_keys("y\n");
    assert_eq!(screen.wait().code(), Some(2));
}

#[test]
fn one_image_becomes_the_cards_of_several_boards() {
    needs!(engine_ready(), boot_available(), nix::unistd::geteuid().is_root());
    let user = TestUser::new().with_own_cache();
    let runs = user.track_runs();
    let (image, login) = image(&user);
    let before = hash(&image);
    let cards = cards_of_boards(&user, &image);
    let reader = Reader::with(&cards[0]);
    let words = ["flash", image.to_str().unwrap(), &reader.0, "--allow-fixed", "--each"];
    let names = BOARDS.join(",");
    let all = user.sdbuild(&[&words[..], &[&*names]].concat());
    let mut screen = Screen::start(&all, (160, 200));
    write_first_and_third(&mut screen, &reader, &cards);
    let seen = String::from_utf8_lossy(&screen.all()).into_owned();
    assert!(seen.contains("--each barn") && !seen.contains(SECRET), "{seen}");

    reader.insert(&cards[1]);
    let barn = run(&mut user.sdbuild(&[&words[..], &["barn", "--yes"]].concat()));
    drop(reader);
    let told = [&*seen, &barn.assert_exit_code(0).stderr].concat();
    assert!(!told.contains(SECRET), "{told}");
    runs.assert_nothing_left();
    assert_eq!(hash(&image), before);
    let mut keys = BTreeSet::new();
    for (name, card) in BOARDS.iter().zip(&cards) {
        assert_sound(card);
        let cat = |path: &str| {
            run(&mut user.sdbuild(&["inspect", card.to_str().unwrap(), "cat", path])).stdout
        };
        assert_eq!(cat("/etc/hostname"), format!("{name}\n"));
        assert_eq!(cat("/etc/wifi"), format!("{SECRET}-{name}"));
        let key = cat("/etc/ssh/ssh_host_ed25519_key.pub");
        assert!(told.contains(&format!("{name},{name}.local {}", key.trim())), "{name}: {key}");
        keys.insert(key);
    }
    assert_eq!(keys.len(), 3);
    let secrets = BOARDS.map(|name| user.home.path().join(format!("wifi-{name}")));
    let secret = user.home.path().join("secret");
    let with = cards.iter().chain(&secrets).chain([&secret]);
    let with: Vec<&Path> = with.map(PathBuf::as_path).collect();
    assert_secret_is_only_in(&user, &with);
    for (name, card) in BOARDS.iter().zip(&cards) {
        let key = ["inspect", card.to_str().unwrap(), "cat", "/etc/ssh/ssh_host_ed25519_key.pub"];
        let known = user.write("known", &format!("* {}", run(&mut user.sdbuild(&key)).stdout));
        let board = Board::boot(&user, card, &login);
        let seen = board.answer(&known, "hostname; stat -c %a /etc/wifi; cat /etc/wifi");
        assert_eq!(seen, format!("{name}\n600\n{SECRET}-{name}"));
        board.off();
    }
}

/// A module in the shapes of agenix and sops-nix: secrets are decrypted at the start, with a host key and with a key of age.
const SECRETS_MODULE: &str = r#"{ config, lib, pkgs, ... }:
let
  option = type: lib.mkOption { inherit type; };
  decrypt = dir: key: files: lib.concatMapStrings (name: ''
    mkdir -p ${dir}
    (umask 077; ${pkgs.age}/bin/age --decrypt -i ${key} -o ${dir}/${name} ${files.${name}})
  '') (lib.attrNames files);
  files = member: lib.mapAttrs (_: secret: secret.${member});
in
{
  options.age.identityPaths = option (lib.types.listOf lib.types.str);
  options.age.secrets = option (lib.types.attrsOf lib.types.attrs);
  options.sops.age.keyFile = option lib.types.str;
  options.sops.secrets = option (lib.types.attrsOf lib.types.attrs);
  config = {
    age.identityPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
    age.secrets.wifi.file = ./wifi.age;
    sops.age.keyFile = "/var/lib/sops-nix/key.txt";
    sops.secrets.mqtt.sopsFile = ./mqtt.age;
    system.activationScripts.agenixInstall = decrypt "/run/agenix" (lib.head config.age.identityPaths) (files "file" config.age.secrets);
    system.activationScripts.setupSecrets = decrypt "/run/secrets" config.sops.age.keyFile (files "sopsFile" config.sops.secrets);
  };
}
"#;

#[test]
fn secrets_for_keys_that_were_put_onto_the_card_are_decrypted_at_the_first_start() {
    needs!(engine_ready(), boot_available());
    let user = TestUser::new().with_own_cache();
    let host_key = user.home.path().join("host-key");
    fs::create_dir(&host_key).unwrap();
    let (host_key, public) = key_in(&host_key);
    let recipient = user.write("host-key.pub", &public);
    let age_key = user.home.path().join("age.key");
    run(Command::new("age-keygen").arg("-o").arg(&age_key)).assert_exit_code(0);
    let own = run(Command::new("age-keygen").arg("-y").arg(&age_key)).assert_exit_code(0).stdout;
    let encrypt = |secret: &str, name: &str, to: &[&str]| {
        let plain = user.write("plain", secret);
        let mut age = Command::new("age");
        age.args(to).arg("-o").arg(user.home.path().join(name)).arg(&plain);
        run(&mut age).assert_exit_code(0);
        fs::remove_file(plain).unwrap();
    };
    encrypt("home=for-the-host-key", "wifi.age", &["-R", recipient.to_str().unwrap()]);
    encrypt("for-the-key-of-age", "mqtt.age", &["-r", own.trim()]);
    let (login, accepted) = key(&user);
    let config = example(&accepted).replacen("imports = [", "imports = [ ./secrets.nix", 1);
    user.write("sd-card.nix", &config);
    user.write("secrets.nix", SECRETS_MODULE);
    let mut check = user.sdbuild(&["check", "--offline", "--json", "--nixpkgs"]);
    let found = run(check.arg(mini_nixpkgs())).json();
    let late = found["findings"].as_array().unwrap().iter().filter(|one| one["id"] == "late-key");
    assert_eq!(late.count(), 2, "{found}");

    let image = run(&mut user.build(&[])).assert_exit_code(0).image();
    let copy = user.out().join("kitchen.img");
    let words = ["personalise", image.to_str().unwrap(), "-o", copy.to_str().unwrap()];
    let keys = ["--host-key", host_key.to_str().unwrap()];
    let put = ["--put", "age.key:/var/lib/sops-nix/key.txt:0600"];
    run(&mut user.sdbuild(&[&words[..], &keys, &put].concat())).assert_exit_code(0);
    let known = user.write("known", &format!("* {public}\n"));
    let board = Board::boot(&user, &copy, &login);
    let look = "cat /run/agenix/wifi; echo; cat /run/secrets/mqtt";
    assert_eq!(board.answer(&known, look), "home=for-the-host-key\nfor-the-key-of-age");
    board.off();
}
