//! The faults themselves.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::fault_kinds::Fault;
use super::fixture::Fixture;
use super::live_run::{LiveRun, StreamTarget};
use super::phases::Phase;
use super::run::Run;
use super::setup::fill;
use super::terminal;
use crate::support::*;

const MAGIC: &str = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
const MASK: &str =
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";

/// How long anything may take after which a hang is a hang.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(60);

fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// The engine's client, whose refusals are part of the game.
fn try_docker(words: &[&str]) -> Outcome {
    run(Command::new("docker").args(words))
}

/// What has to be there before the run starts.
pub fn before(run: &mut Run<'_>) {
    match run.setup.kind.fault {
        Fault::ForeignHandler if run.setup.rng.bool() => {
            run.setup.variant.push_str("goes");
            register(run);
        }
        Fault::CacheDamaged if run.setup.phase == Phase::Start => run.setup.damage_cache(),
        _ => {}
    }
}

/// Does it.
pub fn inject(run: &mut Run<'_>, fixture: &mut Fixture) {
    match run.setup.kind.fault {
        Fault::Signal(signal) => run.live.signal(signal),
        Fault::Again => again(run),
        Fault::Stop => stop(run),
        Fault::CtrlZ => ctrl_z(run),
        Fault::Terminal => terminal::close(&run.live),
        Fault::Stream(stream) => run.live.close(stream),
        Fault::Registrar(words) => container(run, "registrar", words),
        Fault::Builder(words) => container(run, "builder", words),
        Fault::BuilderPaused => paused(run),
        Fault::RegistrarImage => fixture.remove_images(),
        Fault::Processes => processes(run),
        Fault::Engine(signal) => engine_ends(run, signal, fixture.engine(false)),
        Fault::EngineStalls => engine_stalls(run, fixture.engine(false)),
        Fault::LastingEngine => {
            let signals = [Signal::SIGTERM, Signal::SIGKILL];
            let signal = signals[run.setup.rng.usize(..2)];
            run.setup.variant.push_str(signal.as_str());
            engine_ends(run, signal, fixture.engine(true));
        }
        Fault::OutputFull | Fault::StoreFull | Fault::CacheFull => {
            fill(run.setup.disk.as_ref().unwrap().path());
        }
        Fault::CacheDamaged if run.setup.variant.is_empty() => run.setup.damage_cache(),
        Fault::DoubleKill { .. } => double_kill(run, "registrar"),
        Fault::PrivateKill => double_kill(run, "builder"),
        Fault::ForeignHandler => foreign_handler(run),
        Fault::ForeignContainer => foreign_container(run),
        Fault::HandlerRemoved => handler_removed(run),
        Fault::ManyBuilds => many(run, fixture),
        Fault::TwoFillACache => accompany(run, fixture),
        // These began before the run.
        Fault::CacheDamaged
        | Fault::Memory
        | Fault::MirrorStalls
        | Fault::MirrorSlow
        | Fault::MirrorWrong
        | Fault::MirrorCuts => {}
    }
}

fn again(run: &mut Run<'_>) {
    let ten = run.setup.rng.bool();
    run.setup
        .variant
        .push_str(if ten { "ten times" } else { "twice" });
    for nth in 0..if ten { 10 } else { 2 } {
        if nth > 0 {
            pause(run.setup.rng.u64(1..150));
        }
        run.live.signal(Signal::SIGINT);
        // The second one is what shortens the patience.
        if nth <= 1 {
            run.injected_at = run.live.age();
        }
    }
}

/// The registrar waits for a heartbeat for 16 to 18 s.
fn stop(run: &mut Run<'_>) {
    let held = !our(run).is_empty() && matches!(run.phase, Phase::Upload | Phase::Build);
    run.live.signal(Signal::SIGSTOP);
    pause(if run.campaign.brief { 20_000 } else { 62_000 });
    let waited = std::time::Instant::now();
    while held && !our(run).is_empty() && waited.elapsed() < Duration::from_secs(5) {
        pause(50);
    }
    if held && !our(run).is_empty() {
        run.violation("the silence did not take the handler away");
    }
    if held && run.phase == Phase::Build {
        run.setup.variant.push_str("held");
    }
    run.live.signal(Signal::SIGCONT);
    run.injected_at = run.live.age();
}

/// The key, the shell, the word.
fn ctrl_z(run: &mut Run<'_>) {
    let held = !our(run).is_empty() && matches!(run.phase, Phase::Upload | Phase::Build);
    run.live.type_keys("\x1a");
    let long = run.setup.rng.u32(..3) == 0;
    run.setup
        .variant
        .push_str(if long { "20 s" } else { "2 s" });
    // Longer than without it the registrar would wait for a heartbeat.
    pause(if long { 20_000 } else { 2000 });
    let process = terminal::process(&run.live);
    let stopped = process.is_some_and(|(_, stopped)| stopped);
    if process.is_some() && !stopped && run.phase < Phase::Release {
        run.violation("Ctrl-Z does not stop it");
    }
    if held && stopped && our(run).is_empty() {
        run.violation("the handler was lost while the process was put aside");
    }
    // Empties the line, should the key have come to the shell.
    run.live.type_keys("\x15fg\nexit\n");
    run.injected_at = run.live.age();
}

/// The run's own handlers.
fn our(run: &Run<'_>) -> Vec<String> {
    let ids = run.live.runs();
    let all = our_handlers().into_iter();
    all.filter(|name| ids.iter().any(|id| name.ends_with(id.as_str())))
        .collect()
}

/// The run's container of `role`, once it runs; `None` when the run ends before.
fn running(run: &Run<'_>, role: &str) -> Option<String> {
    while run.live.ended().is_none() {
        for id in run.live.runs() {
            let name = format!("sdbuild-{role}-{id}");
            let state = try_docker(&["inspect", "--format", "{{.State.Running}}", &name]);
            if state.stdout.trim() == "true" {
                return Some(name);
            }
        }
        pause(10);
    }
    None
}

fn container(run: &mut Run<'_>, role: &str, words: &[&str]) {
    // One that has ended, or has not begun, can be removed as well.
    let any = words.contains(&"--force") && run.phase != Phase::Emulation;
    let id = run.live.runs().into_iter().next().unwrap_or_default();
    let name = if any {
        Some(format!("sdbuild-{role}-{id}"))
    } else {
        running(run, role)
    };
    let Some(name) = name else { return };
    let (phase, _) = run.current_phase();
    run.phase = phase;
    let done = try_docker(&[words, &[&name]].concat());
    if done.code != Some(0) {
        run.setup.variant.push_str("missed");
    }
}

fn paused(run: &mut Run<'_>) {
    let Some(name) = running(run, "builder") else {
        return;
    };
    if try_docker(&["pause", &name]).code == Some(0) {
        pause(3000);
        docker(&["unpause", &name]);
    }
}

fn processes(run: &mut Run<'_>) {
    let Some(name) = running(run, "builder") else {
        return;
    };
    try_docker(&["update", "--pids-limit", "24", &name]);
}

/// It ends, and comes back at once or not before the run has ended.
fn engine_ends(run: &mut Run<'_>, signal: Signal, engine: &mut OwnEngine) {
    run.injected_at = run.live.age();
    engine.end(signal);
    if run.setup.rng.bool() {
        run.setup.variant.push_str(" comes back");
        engine.ensure_up();
    }
}

/// It stands still for longer than the registrar waits for a heartbeat, or somebody has had enough.
fn engine_stalls(run: &mut Run<'_>, engine: &mut OwnEngine) {
    let times = run.setup.rng.u32(..3);
    let word = ["20 s", "INT", "INT twice"][times as usize];
    run.setup.variant.push_str(word);
    engine.signal(Signal::SIGSTOP);
    if times == 0 {
        pause(20_000);
    }
    for _ in 0..times {
        pause(run.setup.rng.u64(..1500));
        run.live.signal(Signal::SIGINT);
        run.injected_at = run.live.age();
    }
    while times > 0
        && run.live.ended().is_none()
        && run.live.age() < run.injected_at + RELEASE_TIMEOUT
    {
        pause(10);
    }
    if times == 0 {
        run.injected_at = run.live.age();
    }
    engine.signal(Signal::SIGCONT);
}

/// sdbuild, and whoever is on its leash.
fn double_kill(run: &mut Run<'_>, role: &str) {
    let Some(name) = running(run, role) else {
        // The run was over before anybody could be killed.
        run.setup.variant.push_str("missed");
        run.moment = run.live.age();
        return;
    };
    run.phase = run.current_phase().0;
    if run.setup.rng.bool() {
        // What is paused does not see the end of its leash: what it holds stays for sure.
        run.setup.variant.push_str("paused");
        try_docker(&["pause", &name]);
        run.live.signal(Signal::SIGKILL);
        try_docker(&["kill", &name]);
    } else {
        let killing = std::thread::spawn(move || try_docker(&["kill", &name]));
        pause(run.setup.rng.u64(..60));
        run.live.signal(Signal::SIGKILL);
        killing.join().unwrap();
    }
}

/// A handler of somebody else's that works: nobody is disturbed by it.
fn register(run: &mut Run<'_>) {
    let name = format!("faults-{}", run.setup.seed);
    let qemu = run.campaign.qemu.to_str().unwrap();
    let line = format!(":{name}:M::{MAGIC}:{MASK}:{qemu}:PF");
    fs::write(format!("{BINFMT}/register"), line).unwrap();
    run.foreign_handler = Some(name);
}

fn foreign_handler(run: &mut Run<'_>) {
    if run.foreign_handler.is_some() {
        run.unregister();
    } else {
        run.setup.variant.push_str("comes");
        register(run);
    }
}

fn foreign_container(run: &mut Run<'_>) {
    let id: String = (0..12)
        .map(|_| char::from_digit(run.setup.rng.u32(..16), 16).unwrap())
        .collect();
    let name = format!("sdbuild-registrar-{id}");
    // An image of nothing is enough: it is never started.
    let nothing = tempfile::NamedTempFile::new().unwrap();
    fs::write(nothing.path(), [0; 1024]).unwrap();
    let image = docker(&["import", nothing.path().to_str().unwrap()]);
    docker(&["create", "--name", &name, image.trim(), "/none"]);
    run.foreign_container = Some((name, image.trim().to_owned()));
}

fn handler_removed(run: &mut Run<'_>) {
    while our(run).is_empty() && run.live.ended().is_none() && run.current_phase().0 <= Phase::Build
    {
        pause(5);
    }
    let Some(name) = our(run).pop() else { return };
    run.phase = run.current_phase().0;
    if fs::write(format!("{BINFMT}/{name}"), "-1").is_err() {
        return;
    }
    let gone = std::time::Instant::now();
    let machine = &run.campaign.machine;
    while our(run).is_empty() {
        let over = run.live.ended().is_some() || run.current_phase().0 >= Phase::CopyOut;
        if over || run.live.said().contains("error:") {
            return;
        }
        if gone.elapsed().saturating_sub(machine.stalled_for(gone)) > Duration::from_secs(4) {
            run.violation("the handler was not put back within 4 s");
            return;
        }
        pause(5);
    }
    let [took, still] = [gone.elapsed(), machine.stalled_for(gone)].map(|time| time.as_millis());
    run.setup.variant = match still {
        0 => format!("back in {took} ms"),
        _ => format!("back in {took} ms, the machine stood still for {still}"),
    };
    run.must_say = Some("is back");
}

fn companion(run: &mut Run<'_>, fixture: &Fixture) {
    let user = run.setup.companion(fixture);
    let live = LiveRun::start(
        &mut user.build(&[]),
        user.state.path(),
        [StreamTarget::Harness, StreamTarget::Harness],
    );
    run.others.push((user, live));
}

fn accompany(run: &mut Run<'_>, fixture: &Fixture) {
    run.setup.variant.push_str("at once");
    companion(run, fixture);
}

fn many(run: &mut Run<'_>, fixture: &Fixture) {
    let four = run.setup.rng.bool();
    run.setup
        .variant
        .push_str(if four { "four" } else { "two" });
    for _ in 0..if four { 3 } else { 1 } {
        companion(run, fixture);
    }
    if four {
        let (_, live) = run.others.last().unwrap();
        pause(run.setup.rng.u64(..6000));
        live.signal(Signal::SIGKILL);
        run.killed = true;
    }
}
