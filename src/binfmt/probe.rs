//! The probe: really run an `AArch64` program, before anybody relies on it.

use std::time::Duration;

use crate::binfmt::registrar::RegistrarImage;
use crate::common::cancel::Cancel;
use crate::common::failure::Failure;
use crate::common::timeout::timeout;
use crate::engine::{
    Container, ContainerGuard, ContainerSpec, Engine, EngineError, Exit, Role, RunId,
};

/// It takes a tenth of a second, or half a minute in a slow and busy virtual machine; emulation that hangs is a
/// known failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// A program of a few words that says more than this is not ours.
const MOST_LINES: usize = 50;
/// A static busybox for `AArch64` in the registrar's container image. Its name begins with `busybox`,
/// or it would look for an applet of its own name.
const PROGRAM: &str = "/sdbuild/busybox-aarch64";

/// Whose handler is tried: what helps depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerKind {
    /// That of our registrar, in a table that others use as well.
    Registered,
    /// Somebody else's, as the user wished.
    Found,
    /// The container's own, in a table of its own.
    Own,
}

impl HandlerKind {
    fn hint(self) -> &'static str {
        match self {
            Self::Registered => {
                "another handler for aarch64 may be in front of ours: they are in \
                 /proc/sys/fs/binfmt_misc of the engine's machine"
            }
            Self::Found => {
                "no handler there, or one that does not work in containers (it takes the flag F): \
                 leave --emulation away, and sdbuild brings its own"
            }
            Self::Own => {
                "no other handler is in the way of this one: messages of the engine's kernel (`dmesg`) \
                 may say more; --emulation register takes another way, where the engine runs as root"
            }
        }
    }
}

/// Runs an `AArch64` program that runs another one, in a container without network or capability.
pub async fn probe(
    engine: &Engine,
    (image, handler): (&RegistrarImage, HandlerKind),
    run: &RunId,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let spec = spec(image, run);
    let mut guard = ContainerGuard::arm(engine, &spec.name).grace(0);
    let verdict = match cancel.race(guard.create(&spec)).await {
        Err(interrupted) => Err(interrupted),
        Ok(Err(error)) => Err(refused(error, handler)),
        Ok(Ok(container)) => match said(&container, (cancel, handler)).await {
            Err(failure) => Err(failure),
            Ok(Err(error)) => Err(refused(error, handler)),
            Ok(Ok((exit, lines))) => judge(exit, &lines, handler),
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
pub(super) async fn said(
    container: &Container,
    (cancel, handler): (&Cancel, HandlerKind),
) -> Result<Ran, Failure> {
    let output = Box::pin(container.output(MOST_LINES));
    let ran = cancel.race(timeout(PATIENCE, output)).await?;
    ran.ok_or_else(|| {
        let seconds = PATIENCE.as_secs();
        Failure::environment(format!("no answer within {seconds} s")).hint(handler.hint())
    })
}

pub(super) fn judge(exit: Exit, lines: &[String], handler: HandlerKind) -> Result<(), Failure> {
    let said = lines.join("; ");
    if exit.code == 0 && lines.iter().any(|line| line == "aarch64") {
        return Ok(());
    }
    if said.to_lowercase().contains("exec format error") || exit.code == 126 {
        return Err(no_handler(&said, handler));
    }
    let signal = exit.code - 128;
    let text = if (1..=64).contains(&signal) {
        format!("the emulator or the program crashed by signal {signal}: {said}")
    } else if said.contains("uncaught target signal") {
        format!("the emulator or the program crashed: {said}")
    } else {
        format!("exit status {}, and it said: {said}", exit.code)
    };
    let failure = Failure::environment(text).hint(handler.hint());
    // What the kernel killed for want of memory was not judged.
    Err(if exit.oom_killed {
        failure
    } else {
        failure.try_next_mode()
    })
}

/// Some engines cannot even start such a container.
fn refused(error: EngineError, handler: HandlerKind) -> Failure {
    let text = error.to_string();
    if text.to_lowercase().contains("exec format error") {
        no_handler(&text, handler)
    } else {
        error.into()
    }
}

fn no_handler(said: &str, handler: HandlerKind) -> Failure {
    let text = format!("the kernel has no working handler for aarch64: {said}");
    Failure::environment(text)
        .hint(handler.hint())
        .try_next_mode()
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
            HandlerKind::Registered,
        )
        .map_err(|f| f.to_string())
    }

    #[test]
    fn what_is_advised_is_not_what_was_done() {
        let exit = Exit {
            code: 126,
            oom_killed: false,
        };
        let hint = |handler| judge(exit, &[], handler).unwrap_err().hints.remove(0);
        assert!(hint(HandlerKind::Registered).contains("in front of ours"));
        assert!(hint(HandlerKind::Found).contains("leave --emulation away"));
        let own = hint(HandlerKind::Own);
        assert!(
            !own.contains("binfmt_misc") && own.contains("register"),
            "{own}"
        );
    }

    #[test]
    fn a_verdict_bars_this_way_and_want_of_memory_does_not() {
        let barred = |code, oom_killed| {
            let exit = Exit { code, oom_killed };
            let failure = judge(exit, &[], HandlerKind::Registered).unwrap_err();
            failure.try_next_mode
        };
        assert!(barred(126, false) && barred(139, false) && barred(0, false));
        assert!(!barred(137, true));
        let refusal = |message: &str| EngineError::Refused {
            operation: "start container x".into(),
            status: 400,
            message: message.into(),
        };
        let no_format = refusal("exec /sdbuild/busybox-aarch64: exec format error");
        assert!(refused(no_format, HandlerKind::Found).try_next_mode);
        assert!(!refused(refusal("no space left on device"), HandlerKind::Found).try_next_mode);
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
