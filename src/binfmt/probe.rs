//! The probe: really run an `AArch64` program, before anybody relies on it.

use std::time::Duration;

use crate::binfmt::registrar::RegistrarImage;
use crate::cancel::Cancel;
use crate::engine::{
    Container, ContainerGuard, ContainerSpec, Engine, EngineError, Exit, Role, RunId,
};
use crate::failure::Failure;
use crate::waiting::at_most;

/// It takes a tenth of a second; emulation that hangs is a known failure.
const PATIENCE: Duration = Duration::from_secs(30);
/// A program of a few words that says more than this is not ours.
const MOST_LINES: usize = 50;
/// A static busybox for `AArch64` in the registrar's container image. Its name begins with `busybox`,
/// or it would look for an applet of its own name.
const PROGRAM: &str = "/sdbuild/busybox-aarch64";

/// Runs an `AArch64` program that runs another one, in a container without network or capability.
pub async fn probe(
    engine: &Engine,
    image: &RegistrarImage,
    run: &RunId,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let spec = spec(image, run);
    let mut guard = ContainerGuard::arm(engine, &spec.name).grace(0);
    let verdict = match cancel.race(guard.create(&spec)).await {
        Err(interrupted) => Err(interrupted),
        Ok(Err(error)) => Err(refused(error)),
        Ok(Ok(container)) => match said(&container, cancel).await {
            Err(failure) => Err(failure),
            Ok(Err(error)) => Err(refused(error)),
            Ok(Ok((exit, lines))) => judge(exit, &lines),
        },
    };
    match (verdict, guard.remove(cancel).await) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(left)) => {
            Err(Failure::environment("remove the probe").with_teardown(vec![left]))
        }
        (Err(failure), left) => Err(failure
            .context("run an aarch64 program in a container")
            .with_teardown(left.into_iter().collect())),
    }
}

/// The container that shows whether `AArch64` programs run.
pub(super) fn spec(image: &RegistrarImage, run: &RunId) -> ContainerSpec {
    // By name, not through an applet: `uname` alone would be the other architecture's.
    let script = format!("{PROGRAM} uname -m");
    let command = [PROGRAM, "sh", "-c", &script].map(str::to_owned).to_vec();
    ContainerSpec {
        user: Some("1000:1000".to_owned()),
        read_only: true,
        ..ContainerSpec::new(Role::Probe, run, &image.reference, command)
    }
}

type Ran = Result<(Exit, Vec<String>), EngineError>;

/// Runs such a container to its end, if it has one.
pub(super) async fn said(container: &Container, cancel: &Cancel) -> Result<Ran, Failure> {
    let output = Box::pin(container.output(MOST_LINES));
    let ran = cancel.race(at_most(PATIENCE, output)).await?;
    ran.ok_or_else(hangs)
}

pub(super) fn judge(exit: Exit, lines: &[String]) -> Result<(), Failure> {
    let said = lines.join("; ");
    if exit.code == 0 && lines.iter().any(|line| line == "aarch64") {
        return Ok(());
    }
    if said.to_lowercase().contains("exec format error") || exit.code == 126 {
        return Err(no_handler(&said));
    }
    let signal = exit.code - 128;
    if said.contains("uncaught target signal") || (1..=64).contains(&signal) {
        let how = if (1..=64).contains(&signal) {
            format!(" by signal {signal}")
        } else {
            String::new()
        };
        return Err(Failure::environment(format!(
            "the emulator or the program crashed{how}: {said}"
        ))
        .hint("another handler for aarch64 may be in front of ours: they are in /proc/sys/fs/binfmt_misc"));
    }
    Err(
        Failure::environment(format!("exit status {}, and it said: {said}", exit.code))
            .hint("look for other handlers in /proc/sys/fs/binfmt_misc, and for messages of the kernel: `dmesg`"),
    )
}

/// Some engines cannot even start such a container.
fn refused(error: EngineError) -> Failure {
    let text = error.to_string();
    if text.to_lowercase().contains("exec format error") {
        no_handler(&text)
    } else {
        error.into()
    }
}

fn no_handler(said: &str) -> Failure {
    Failure::environment(format!(
        "the kernel has no working handler for aarch64: {said}"
    ))
    .hint("let sdbuild register one: leave --emulation at auto")
}

fn hangs() -> Failure {
    Failure::environment(format!("no answer within {} s", PATIENCE.as_secs())).hint(
        "another handler for aarch64 may be in front of ours: they are in /proc/sys/fs/binfmt_misc",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(code: i64, lines: &[&str]) -> Result<(), String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        judge(
            Exit {
                code,
                oom_killed: false,
            },
            &lines,
        )
        .map_err(|f| f.to_string())
    }

    #[test]
    fn outcomes_are_told_apart() {
        assert_eq!(verdict(0, &["aarch64"]), Ok(()));
        let format = verdict(1, &["exec user process caused: exec format error"]).unwrap_err();
        assert!(format.contains("no working handler"), "{format}");
        let crash = verdict(
            139,
            &["qemu: uncaught target signal 11 (Segmentation fault)"],
        )
        .unwrap_err();
        assert!(crash.contains("signal 11"), "{crash}");
        let wrong = verdict(0, &["x86_64"]).unwrap_err();
        assert!(wrong.contains("x86_64"), "{wrong}");
    }
}
