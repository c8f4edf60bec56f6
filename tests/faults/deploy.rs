//! Faults while a board that runs is changed: after each one the board runs and starts the old or the new system, whole, and the next
//! deployment succeeds. One machine is started, and each run begins with the state in which it was then.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::board::{Board, generations};
use crate::support::*;

/// What happens to a deployment. A run's kind is the one at its seed modulo the number of kinds.
const KINDS: [&str; 7] = [
    "deploy, connection cut",
    "deploy, network gone",
    "deploy, INT",
    "deploy, KILL",
    "deploy, power cut",
    "deploy, card full",
    "deploy, second one",
];
/// The snapshot of the machine.
const FRESH: &str = "fresh";
/// How long a board may take to decide by itself, and to start again.
const SETTLED: Duration = Duration::from_mins(6);

/// What every connection to the machine passes through.
struct Network {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Bytes so far in both directions, and those after which `reached` is set; with `cuts` nothing more passes.
    bytes: AtomicU64,
    limit: AtomicU64,
    cuts: AtomicBool,
    reached: AtomicBool,
    /// Whether new connections end at once.
    gone: AtomicBool,
    first: Mutex<Option<Instant>>,
    streams: Mutex<Vec<TcpStream>>,
}

impl Network {
    fn to(machine: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if shared.gone.load(SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", machine)) else { continue };
                shared.first.lock().unwrap().get_or_insert_with(Instant::now);
                let mut streams = shared.streams.lock().unwrap();
                for (from, to) in [(&near, &far), (&far, &near)] {
                    streams.push(from.try_clone().unwrap());
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let state = Arc::clone(&shared);
                    std::thread::spawn(move || state.pass(from, to));
                }
            }
        });
        Self { port, state }
    }

    fn arm(&self, limit: u64, cuts: bool) {
        let state = &self.state;
        state.bytes.store(0, SeqCst);
        state.limit.store(limit, SeqCst);
        state.cuts.store(cuts, SeqCst);
        for flag in [&state.reached, &state.gone] {
            flag.store(false, SeqCst);
        }
        *state.first.lock().unwrap() = None;
    }
}

impl State {
    /// Passes on what comes, up to the byte that is drawn.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = [0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let before = self.bytes.fetch_add(count as u64, SeqCst);
            let left = usize::try_from(self.limit.load(SeqCst).saturating_sub(before)).unwrap();
            let is_last = count >= left && !self.reached.swap(count >= left, SeqCst);
            let passed = if is_last && self.cuts.load(SeqCst) { left } else { count };
            if to.write_all(&buffer[..passed]).is_err() {
                break;
            }
            if is_last && self.cuts.load(SeqCst) {
                self.cut();
            }
        }
        to.shutdown(Shutdown::Write).unwrap_or(());
    }

    /// Ends all connections.
    fn cut(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).unwrap_or(());
        }
    }
}

/// A machine that is started, and what a deployment to it takes without a fault.
struct Bench {
    board: Board,
    network: Network,
    file: String,
    runs: RunTracker,
    bytes: u64,
    took: Duration,
    old: String,
    new: String,
}

impl Bench {
    fn new() -> Self {
        let mut board = Board::start();
        let network = Network::to(board.machine.port);
        board.port = network.port;
        let runs = board.user.track_runs();
        // Some paths that take a while to copy, and an activation that can be hit.
        let mut rng = fastrand::Rng::with_seed(1);
        let mut word = || -> String { (0..200_000).map(|_| rng.alphanumeric()).collect() };
        let etc = |n| format!("  environment.etc.big{n}.text = \"{}\";\n", word());
        let etc: String = (0..6).map(etc).collect();
        let more = format!("{etc}  system.activationScripts.slow = \"sleep 2\";\n");
        let file = board.write("second", &more);
        let old = board.running();
        let mut bench = Self {
            board,
            network,
            file,
            runs,
            bytes: u64::MAX,
            took: Duration::ZERO,
            old,
            new: String::new(),
        };
        // What the first start wrote, such as the keys of the SSH server, is on the card of a board that runs for a while.
        bench.board.machine.run("sync");
        bench.board.machine.monitor(&format!("savevm {FRESH}"));
        bench.network.arm(u64::MAX, false);
        run(&mut bench.deploy()).assert_exit_code(0);
        bench.took = bench.age();
        bench.bytes = bench.network.state.bytes.load(SeqCst);
        bench.new = bench.board.running();
        assert_ne!(bench.old, bench.new);
        bench.network.arm(u64::MAX, false);
        run(&mut bench.deploy()).assert_exit_code(0).assert_stderr_contains(&["already"]);
        eprintln!("nothing to do: {:?} from the first connection", bench.age());
        bench
    }

    fn deploy(&self) -> std::process::Command {
        self.board.deploy(&self.file, &["--yes"])
    }

    /// The time since the first connection.
    fn age(&self) -> Duration {
        self.network.state.first.lock().unwrap().map_or(Duration::ZERO, |first| first.elapsed())
    }

    /// Does the run `seed`: what was drawn, how it ended, and what does not hold.
    fn run(&self, seed: u64) -> (String, Vec<String>) {
        let machine = &self.board.machine;
        self.network.state.cut();
        machine.monitor(&format!("loadvm {FRESH}"));
        let mut rng = fastrand::Rng::with_seed(seed);
        let kind = kind_of(seed);
        // At a byte, or at a time: the activation has few bytes.
        let at_byte = kind.contains("connection") || rng.bool();
        let (byte, time) = (rng.u64(..self.bytes), self.took.mul_f64(rng.f64()));
        if kind.contains("full") {
            let mib = rng.u32(..4);
            let fill = format!(
                "df -Pm / | awk 'END {{ print $4 - {mib} }}' | xargs -I N dd if=/dev/zero of=/fill bs=1M count=N"
            );
            run(&mut machine.ssh(&fill));
        }
        self.network.arm(if at_byte { byte } else { u64::MAX }, kind.contains("connection"));
        let live = Running::start(&mut self.deploy());
        let is_due = || {
            let is_reached = self.network.state.reached.load(SeqCst);
            is_reached || !at_byte && self.age() >= time || live.is_ended()
        };
        wait_until(Duration::from_mins(4), "the moment comes", is_due);
        let moment = self.age();
        let state = run(&mut machine.ssh("cat /run/sdbuild-deploy/state")).stdout;
        let mut second = None;
        match kind {
            "deploy, network gone" => {
                self.network.state.gone.store(true, SeqCst);
                self.network.state.cut();
                std::thread::sleep(Duration::from_millis(rng.u64(..90_000)));
                self.network.state.gone.store(false, SeqCst);
            }
            "deploy, INT" if !live.is_ended() => live.signal(Signal::SIGINT),
            "deploy, KILL" if !live.is_ended() => live.signal(Signal::SIGKILL),
            "deploy, power cut" => machine.monitor("system_reset"),
            "deploy, second one" => second = Some(run(&mut self.deploy())),
            _ => {}
        }
        let first = live.finish();
        let mut wrong = Vec::new();
        let codes = [first.code, second.as_ref().and_then(|second| second.code)];
        // KILL has no code, and an interrupted one that of its signal.
        if ![None, Some(0), Some(3), Some(7), Some(130)].contains(&first.code) && second.is_none() {
            wrong.push(format!("exit code {:?}: {}", first.code, first.stderr));
        }
        if second.is_some() && !codes.contains(&Some(0)) {
            wrong.push(format!("neither of two succeeds: {codes:?}: {}", first.stderr));
        }
        self.settle(codes, kind, &mut wrong);
        let drawn = format!(
            "{:>6.1} s, {} {:?}, state {:?}",
            moment.as_secs_f64(),
            if at_byte { "byte" } else { "time" },
            codes,
            state.trim_end()
        );
        (drawn, wrong)
    }

    /// Waits until the board has decided, and checks what must hold then, and after the next deployment.
    fn settle(&self, codes: [Option<i32>; 2], kind: &str, wrong: &mut Vec<String>) {
        let machine = &self.board.machine;
        let begin = Instant::now();
        let script = "cd /run; if [ -e sdbuild-deploy/pid ] && [ ! -e sdbuild-deploy/ended ] && kill -0 $(cat sdbuild-deploy/pid); then echo busy; else echo settled; fi";
        while run(&mut machine.ssh(script)).stdout != "settled\n" {
            if begin.elapsed() > SETTLED {
                let console = self.board.machine.console();
                wrong.push(format!("the board has not decided, or does not start: {console}"));
                return;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        let next = machine.run("readlink -f /nix/var/nix/profiles/system");
        let running = self.board.running();
        let expected = match codes {
            [Some(0), _] | [_, Some(0)] => vec![&self.new],
            [Some(7), _] => vec![&self.old],
            _ => vec![&self.old, &self.new],
        };
        if running != next || !expected.contains(&&running) {
            wrong.push(format!("{codes:?}: it runs {running} and starts {next}"));
        }
        let check = "set -e; cd /boot; default=$(sed -n 's/^default //p' loader/loader.conf); grep -q \"init=$(readlink -f /nix/var/nix/profiles/system)/init\" loader/entries/$default; for file in $(sed -n 's/^linux //p; s/^initrd //p' loader/entries/*.conf); do test -s .$file; done; rm -f /fill; nix-store --verify $1 2>&1";
        let contents = if kind.contains("power") { "--check-contents" } else { "" };
        let check = check.replace("$1", contents);
        let checked = run(&mut machine.ssh(&check));
        if checked.code != Some(0) {
            wrong.push(format!("boot loader or store: {}{}", checked.stdout, checked.stderr));
        }
        self.network.arm(u64::MAX, false);
        let again = run(&mut self.deploy());
        if again.code != Some(0) || self.board.running() != self.new {
            wrong.push(format!("the next one ends with {:?}: {}", again.code, again.stderr));
        }
        if generations(machine) != ["1", "2*"] {
            wrong.push(format!("generations {:?}", generations(machine)));
        }
        let left = "ls -d /run/sdbuild-deploy-* /nix/var/nix/gcroots/auto/sdbuild* 2>/dev/null; ps | grep '[j]ob [st]'";
        let left = run(&mut machine.ssh(left)).stdout;
        // Who was killed did not read how it ended: that is kept for ten minutes.
        if !left.is_empty() && codes != [None, None] {
            wrong.push(format!("left on the board: {left}"));
        }
        let here = [self.runs.handlers(), self.runs.containers(), self.runs.volumes()].concat();
        if !here.is_empty() {
            wrong.push(format!("left here: {here:?}"));
        }
    }
}

fn kind_of(seed: u64) -> &'static str {
    KINDS[usize::try_from(seed % KINDS.len() as u64).unwrap()]
}

#[test]
fn boards_survive_faults() {
    needs!(engine_ready(), boot_available());
    let number = |name: &str| -> Option<u64> { Some(std::env::var(name).ok()?.parse().unwrap()) };
    let runs = number("SDBUILD_FAULTS_RUNS").unwrap_or(KINDS.len() as u64);
    let runs = usize::try_from(runs).unwrap();
    let first = number("SDBUILD_FAULTS_SEED").unwrap_or_else(|| fastrand::u64(..100_000));
    let kind = std::env::var("SDBUILD_FAULTS_KIND").unwrap_or_default();
    let jobs = number("SDBUILD_FAULTS_JOBS").unwrap_or(1).min(2);
    let minutes = number("SDBUILD_FAULTS_MINUTES").unwrap_or(u64::MAX / 60);
    let begin = Instant::now();
    let seeds = Mutex::new((first..).filter(|seed| kind_of(*seed).contains(&kind)).take(runs));
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let bench = Bench::new();
                eprintln!("{} bytes, {:?} without a fault", bench.bytes, bench.took);
                while begin.elapsed().as_secs() < minutes * 60 {
                    let Some(seed) = seeds.lock().unwrap().next() else { return };
                    let start = Instant::now();
                    let (drawn, wrong) = bench.run(seed);
                    let result = if wrong.is_empty() {
                        "ok".to_owned()
                    } else {
                        format!("VIOLATION: {}", wrong.join("; "))
                    };
                    eprintln!(
                        "seed {seed:<7} {:<24} {drawn}  {:.0} s  {result}",
                        kind_of(seed),
                        start.elapsed().as_secs_f64()
                    );
                    done.lock().unwrap().push(wrong);
                }
            });
        }
    });
    let done = done.into_inner().unwrap();
    let violations: usize = done.iter().map(Vec::len).sum();
    let seconds = begin.elapsed().as_secs() / done.len().max(1) as u64;
    let summary = format!("{} runs, {violations} violations, {seconds} s each\n", done.len());
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("summary"), &summary).unwrap();
    assert!(violations == 0 && !done.is_empty(), "{summary}");
}
