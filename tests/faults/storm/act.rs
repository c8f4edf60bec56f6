//! The deeds themselves.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::deeds::Deed;
use super::ground::Ground;
use super::live::{Live, To};
use super::moments::Phase;
use super::run::Run;
use super::scene::fill;
use crate::support::*;

const MAGIC: &str = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
const MASK: &str =
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";

fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// The engine's client, whose refusals are part of the game.
fn try_docker(words: &[&str]) -> Ran {
    ran(Command::new("docker").args(words))
}

/// What has to be there before the run starts.
pub fn before(run: &mut Run<'_>) {
    match run.scene.kind.deed {
        Deed::ForeignHandler if run.scene.rng.bool() => {
            run.scene.variant.push_str("goes");
            register(run);
        }
        Deed::CacheDamaged if run.scene.phase == Phase::Start => run.scene.damage_cache(),
        _ => {}
    }
}

/// Does it.
pub fn act(run: &mut Run<'_>, ground: &mut Ground) {
    match run.scene.kind.deed {
        Deed::Signal(signal, times) => signals(run, signal, times),
        Deed::Stop => stop(run),
        Deed::CtrlZ => ctrl_z(run),
        Deed::Terminal => run.live.signal(Signal::SIGKILL),
        Deed::Stream(stream) => run.live.close(stream),
        Deed::Registrar(words) => container(run, "registrar", words),
        Deed::Builder(words) => container(run, "builder", words),
        Deed::BuilderPaused => paused(run),
        Deed::RegistrarImage => ground.remove_images(),
        Deed::Processes => processes(run),
        Deed::Engine(signal) => {
            run.acted = run.live.age();
            ground.engine(false).end(signal);
        }
        Deed::LastingEngine => lasting(run, ground),
        Deed::OutputFull | Deed::StoreFull | Deed::CacheFull => {
            fill(run.scene.disk.as_ref().unwrap().path());
        }
        Deed::CacheDamaged if run.scene.variant.is_empty() => run.scene.damage_cache(),
        Deed::DoubleKill { .. } => double_kill(run),
        Deed::ForeignHandler => foreign_handler(run),
        Deed::ForeignContainer => foreign_container(run),
        Deed::HandlerRemoved => handler_removed(run),
        Deed::ManyBuilds => many(run, ground),
        Deed::TwoFillACache => accompany(run, ground),
        // These began before the run.
        Deed::CacheDamaged
        | Deed::Memory
        | Deed::MirrorStalls
        | Deed::MirrorSlow
        | Deed::MirrorWrong
        | Deed::MirrorCuts => {}
    }
}

fn signals(run: &mut Run<'_>, signal: Signal, times: u32) {
    for nth in 0..times {
        if nth > 0 {
            pause(run.scene.rng.u64(1..150));
        }
        run.live.signal(signal);
        // The second one is what shortens the patience.
        if nth <= 1 {
            run.acted = run.live.age();
        }
    }
}

fn stop(run: &mut Run<'_>) {
    let held = !our(run).is_empty() && matches!(run.phase, Phase::Upload | Phase::Build);
    run.live.signal(Signal::SIGSTOP);
    pause(20_000);
    let waited = std::time::Instant::now();
    while held && !our(run).is_empty() && waited.elapsed() < Duration::from_secs(5) {
        pause(50);
    }
    if held && !our(run).is_empty() {
        run.violation("25 s of silence did not take the handler away");
    }
    run.live.signal(Signal::SIGCONT);
    run.acted = run.live.age();
}

fn ctrl_z(run: &mut Run<'_>) {
    let held = !our(run).is_empty() && matches!(run.phase, Phase::Upload | Phase::Build);
    run.live.signal(Signal::SIGTSTP);
    let long = run.scene.rng.u32(..3) == 0;
    run.scene
        .variant
        .push_str(if long { "18 s" } else { "2 s" });
    pause(if long { 18_000 } else { 2000 });
    if held && our(run).is_empty() && run.live.ended().is_none() {
        run.violation("the handler was lost while the process was put aside");
    }
    run.live.signal(Signal::SIGCONT);
    run.acted = run.live.age();
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
    let (phase, _) = run.where_it_is();
    run.phase = phase;
    let done = try_docker(&[words, &[&name]].concat());
    if done.code != Some(0) {
        run.scene.variant.push_str("missed");
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

fn lasting(run: &mut Run<'_>, ground: &mut Ground) {
    let kill = run.scene.rng.bool();
    run.scene
        .variant
        .push_str(if kill { "KILL" } else { "TERM" });
    let engine = ground.engine(true);
    run.acted = run.live.age();
    engine.end(if kill {
        Signal::SIGKILL
    } else {
        Signal::SIGTERM
    });
}

fn double_kill(run: &mut Run<'_>) {
    let Some(name) = running(run, "registrar") else {
        return;
    };
    if run.scene.rng.bool() {
        // What is paused does not see the end of its leash: the handler stays for sure.
        run.scene.variant.push_str("paused");
        try_docker(&["pause", &name]);
        run.live.signal(Signal::SIGKILL);
        try_docker(&["kill", &name]);
    } else {
        let killing = std::thread::spawn(move || try_docker(&["kill", &name]));
        pause(run.scene.rng.u64(..60));
        run.live.signal(Signal::SIGKILL);
        killing.join().unwrap();
    }
}

/// A handler of somebody else's that works: nobody is disturbed by it.
fn register(run: &mut Run<'_>) {
    let name = format!("storm-{}", run.scene.seed);
    let qemu = run.storm.qemu.to_str().unwrap();
    let line = format!(":{name}:M::{MAGIC}:{MASK}:{qemu}:PF");
    fs::write(format!("{BINFMT}/register"), line).unwrap();
    run.foreign_handler = Some(name);
}

fn foreign_handler(run: &mut Run<'_>) {
    if run.foreign_handler.is_some() {
        run.unregister();
    } else {
        run.scene.variant.push_str("comes");
        register(run);
    }
}

fn foreign_container(run: &mut Run<'_>) {
    let id: String = (0..12)
        .map(|_| char::from_digit(run.scene.rng.u32(..16), 16).unwrap())
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
    while our(run).is_empty() && run.live.ended().is_none() && run.where_it_is().0 <= Phase::Build {
        pause(5);
    }
    let Some(name) = our(run).pop() else { return };
    run.phase = run.where_it_is().0;
    if fs::write(format!("{BINFMT}/{name}"), "-1").is_err() {
        return;
    }
    let gone = std::time::Instant::now();
    while our(run).is_empty() {
        let over = run.live.ended().is_some() || run.where_it_is().0 >= Phase::CopyOut;
        if over || run.live.said().contains("error:") {
            return;
        }
        if gone.elapsed() > Duration::from_secs(4) {
            run.violation("the handler was not put back within 4 s");
            return;
        }
        pause(5);
    }
    run.must_say = Some("is back");
}

fn companion(run: &mut Run<'_>, ground: &Ground) {
    let person = run.scene.companion(ground);
    let live = Live::start(
        &mut person.build(&[]),
        person.state.path(),
        [To::Us, To::Us],
    );
    run.others.push((person, live));
}

fn accompany(run: &mut Run<'_>, ground: &Ground) {
    run.scene.variant.push_str("at once");
    companion(run, ground);
}

fn many(run: &mut Run<'_>, ground: &Ground) {
    let four = run.scene.rng.bool();
    run.scene
        .variant
        .push_str(if four { "four" } else { "two" });
    for _ in 0..if four { 3 } else { 1 } {
        companion(run, ground);
    }
    if four {
        let (_, live) = run.others.last().unwrap();
        pause(run.scene.rng.u64(..6000));
        live.signal(Signal::SIGKILL);
        run.killed = true;
    }
}
