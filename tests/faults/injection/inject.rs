//! Injects each kind of fault.

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

/// How long a run with a stopped engine may take to end after SIGINT.
const RELEASE_TIMEOUT: Duration = Duration::from_mins(1);

fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// Runs the engine's client, which may fail: the run may have ended by then.
fn try_docker(words: &[&str]) -> Outcome {
    run(Command::new("docker").args(words))
}

/// Does what has to be done before the run starts.
pub fn before(run: &mut Run<'_>) {
    match run.setup.kind.fault {
        Fault::ForeignHandler if run.setup.rng.bool() => {
            run.setup.variant.push_str("goes");
            register_foreign_handler(run);
        }
        Fault::CacheDamaged if run.setup.phase == Phase::Start => run.setup.damage_cache(),
        _ => {}
    }
}

/// Injects the fault of `run`.
pub fn inject(run: &mut Run<'_>, fixture: &mut Fixture) {
    match run.setup.kind.fault {
        Fault::Signal(signal) => run.live.signal(signal),
        Fault::Again => interrupt_again(run),
        Fault::Stop => stop(run),
        Fault::CtrlZ => ctrl_z(run),
        Fault::Terminal => terminal::close(&run.live),
        Fault::Stream(stream) => run.live.close(stream),
        Fault::Registrar(words) => harm_container(run, "registrar", words),
        Fault::Builder(words) => harm_container(run, "builder", words),
        Fault::BuilderPaused => pause_builder(run),
        Fault::RegistrarImage => fixture.remove_images(),
        Fault::Processes => limit_processes(run),
        Fault::Engine(signal) => end_engine(run, signal, fixture.engine(false)),
        Fault::EngineStalls => stall_engine(run, fixture.engine(false)),
        Fault::LastingEngine => {
            let signals = [Signal::SIGTERM, Signal::SIGKILL];
            let signal = signals[run.setup.rng.usize(..2)];
            run.setup.variant.push_str(signal.as_str());
            end_engine(run, signal, fixture.engine(true));
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
        Fault::ManyBuilds => start_more_builds(run, fixture),
        Fault::TwoFillACache => start_second_build(run, fixture),
        // These were injected before the run began.
        Fault::CacheDamaged
        | Fault::Memory
        | Fault::MirrorStalls
        | Fault::MirrorSlow
        | Fault::MirrorWrong
        | Fault::MirrorCuts => {}
    }
}

fn interrupt_again(run: &mut Run<'_>) {
    let ten = run.setup.rng.bool();
    run.setup.variant.push_str(if ten { "ten times" } else { "twice" });
    for nth in 0..if ten { 10 } else { 2 } {
        if nth > 0 {
            pause(run.setup.rng.u64(1..150));
        }
        run.live.signal(Signal::SIGINT);
        // The second one shortens the release.
        if nth <= 1 {
            run.injected_at = run.live.age();
        }
    }
}

/// Stops sdbuild for longer than the 16 to 18 s that the registrar waits for a heartbeat.
fn stop(run: &mut Run<'_>) {
    let held = !handlers_of(run).is_empty() && matches!(run.phase, Phase::Upload | Phase::Build);
    run.live.signal(Signal::SIGSTOP);
    pause(if run.campaign.brief { 20_000 } else { 62_000 });
    let waited = std::time::Instant::now();
    while held && !handlers_of(run).is_empty() && waited.elapsed() < Duration::from_secs(5) {
        pause(50);
    }
    if held && !handlers_of(run).is_empty() {
        run.violation("the handler was not removed after the heartbeat stopped");
    }
    if held && run.phase == Phase::Build {
        run.setup.variant.push_str("held");
    }
    run.live.signal(Signal::SIGCONT);
    run.injected_at = run.live.age();
}

/// Types Ctrl-Z, waits, and types `fg`.
fn ctrl_z(run: &mut Run<'_>) {
    let held = !handlers_of(run).is_empty() && matches!(run.phase, Phase::Upload | Phase::Build);
    run.live.type_keys("\x1a");
    let long = run.setup.rng.u32(..3) == 0;
    run.setup.variant.push_str(if long { "20 s" } else { "2 s" });
    // The longer pause exceeds the time that the registrar waits for a heartbeat without Ctrl-Z.
    pause(if long { 20_000 } else { 2000 });
    let process = terminal::process(&run.live);
    let stopped = process.is_some_and(|(_, stopped)| stopped);
    if process.is_some() && !stopped && run.phase < Phase::Release {
        run.violation("Ctrl-Z does not stop sdbuild");
    }
    if held && stopped && handlers_of(run).is_empty() {
        run.violation("the handler was lost while sdbuild was stopped by Ctrl-Z");
    }
    // Ctrl-U empties the line in case the shell read the Ctrl-Z.
    run.live.type_keys("\x15fg\nexit\n");
    run.injected_at = run.live.age();
}

/// The run's handlers that are in the kernel's table.
fn handlers_of(run: &Run<'_>) -> Vec<String> {
    let ids = run.live.runs();
    let all = our_handlers().into_iter();
    all.filter(|name| ids.iter().any(|id| name.ends_with(id.as_str()))).collect()
}

/// Waits until the run's container of `role` runs; its name, or `None` when the run ends first.
fn wait_for_container(run: &Run<'_>, role: &str) -> Option<String> {
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

fn harm_container(run: &mut Run<'_>, role: &str, words: &[&str]) {
    // `rm --force` removes a container that does not run as well.
    let any = words.contains(&"--force") && run.phase != Phase::Emulation;
    let id = run.live.runs().into_iter().next().unwrap_or_default();
    let name =
        if any { Some(format!("sdbuild-{role}-{id}")) } else { wait_for_container(run, role) };
    let Some(name) = name else { return };
    let (phase, _) = run.current_phase();
    run.phase = phase;
    let done = try_docker(&[words, &[&name]].concat());
    if done.code != Some(0) {
        run.setup.variant.push_str("missed");
    }
}

fn pause_builder(run: &mut Run<'_>) {
    let Some(name) = wait_for_container(run, "builder") else { return };
    if try_docker(&["pause", &name]).code == Some(0) {
        pause(3000);
        docker(&["unpause", &name]);
    }
}

fn limit_processes(run: &mut Run<'_>) {
    let Some(name) = wait_for_container(run, "builder") else { return };
    try_docker(&["update", "--pids-limit", "24", &name]);
}

/// Ends the engine, and starts it again at once or only after the run has ended.
fn end_engine(run: &mut Run<'_>, signal: Signal, engine: &mut OwnEngine) {
    run.injected_at = run.live.age();
    engine.end(signal);
    if run.setup.rng.bool() {
        run.setup.variant.push_str(" comes back");
        engine.ensure_up();
    }
}

/// Stops the engine for longer than the registrar waits for a heartbeat, or until SIGINT has ended the run.
fn stall_engine(run: &mut Run<'_>, engine: &mut OwnEngine) {
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

/// Kills sdbuild and its container of `role` at once.
fn double_kill(run: &mut Run<'_>, role: &str) {
    let Some(name) = wait_for_container(run, role) else {
        // The run ended before the container could be killed.
        run.setup.variant.push_str("missed");
        run.moment = run.live.age();
        return;
    };
    run.phase = run.current_phase().0;
    if run.setup.rng.bool() {
        // A paused agent does not see that sdbuild is gone, so what it holds surely stays.
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

/// Registers a working handler of another program.
fn register_foreign_handler(run: &mut Run<'_>) {
    let name = format!("faults-{}", run.setup.seed);
    let qemu = run.campaign.qemu.to_str().unwrap();
    let line = format!(":{name}:M::{MAGIC}:{MASK}:{qemu}:PF");
    fs::write(format!("{BINFMT}/register"), line).unwrap();
    run.foreign_handler = Some(name);
}

fn foreign_handler(run: &mut Run<'_>) {
    if run.foreign_handler.is_some() {
        run.unregister_foreign_handler();
    } else {
        run.setup.variant.push_str("comes");
        register_foreign_handler(run);
    }
}

fn foreign_container(run: &mut Run<'_>) {
    let id: String =
        (0..12).map(|_| char::from_digit(run.setup.rng.u32(..16), 16).unwrap()).collect();
    let name = format!("sdbuild-registrar-{id}");
    // An empty image is enough: the container is never started.
    let nothing = tempfile::NamedTempFile::new().unwrap();
    fs::write(nothing.path(), [0; 1024]).unwrap();
    let image = docker(&["import", nothing.path().to_str().unwrap()]);
    docker(&["create", "--name", &name, image.trim(), "/none"]);
    run.foreign_container = Some((name, image.trim().to_owned()));
}

fn handler_removed(run: &mut Run<'_>) {
    while handlers_of(run).is_empty()
        && run.live.ended().is_none()
        && run.current_phase().0 <= Phase::Build
    {
        pause(5);
    }
    let Some(name) = handlers_of(run).pop() else { return };
    run.phase = run.current_phase().0;
    if fs::write(format!("{BINFMT}/{name}"), "-1").is_err() {
        return;
    }
    let removed = std::time::Instant::now();
    let machine = &run.campaign.machine;
    while handlers_of(run).is_empty() {
        let over = run.live.ended().is_some() || run.current_phase().0 >= Phase::CopyOut;
        if over || run.live.stderr().contains("error:") {
            return;
        }
        if removed.elapsed().saturating_sub(machine.stalled_for(removed)) > Duration::from_secs(4) {
            run.violation("the handler was not put back within 4 s");
            return;
        }
        pause(5);
    }
    let [took, still] =
        [removed.elapsed(), machine.stalled_for(removed)].map(|time| time.as_millis());
    run.setup.variant = match still {
        0 => format!("back in {took} ms"),
        _ => format!("back in {took} ms, the machine stalled for {still}"),
    };
    run.required_words = Some("sdbuild has restored it");
}

fn start_companion(run: &mut Run<'_>, fixture: &Fixture) {
    let user = run.setup.companion(fixture);
    let live = LiveRun::start(
        &mut user.build(&[]),
        user.state.path(),
        [StreamTarget::Harness, StreamTarget::Harness],
    );
    run.others.push((user, live));
}

fn start_second_build(run: &mut Run<'_>, fixture: &Fixture) {
    run.setup.variant.push_str("at once");
    start_companion(run, fixture);
}

fn start_more_builds(run: &mut Run<'_>, fixture: &Fixture) {
    let four = run.setup.rng.bool();
    run.setup.variant.push_str(if four { "four" } else { "two" });
    for _ in 0..if four { 3 } else { 1 } {
        start_companion(run, fixture);
    }
    if four {
        let (_, live) = run.others.last().unwrap();
        pause(run.setup.rng.u64(..6000));
        live.signal(Signal::SIGKILL);
        run.killed = true;
    }
}
