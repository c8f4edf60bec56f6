//! The probe: runs an `AArch64` program in a container, to test emulation before a build relies on it.

use std::time::Duration;

use crate::binfmt::registrar::RegistrarImage;
use crate::common::cancel::Cancel;
use crate::common::failure::Failure;
use crate::common::timeout::timeout;
use crate::engine::{
    Container, ContainerGuard, ContainerSpec, Engine, EngineError, Exit, Role, RunId,
};

/// A probe takes a tenth of a second, or half a minute on a slow and busy virtual machine; emulation that hangs is a known
/// failure.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Lines of output that are kept for an error message.
const MAX_LINES: usize = 50;
/// A static busybox for `AArch64` in the registrar's container image. Its name must begin with `busybox`, or it would run
/// the applet of that name.
const PROGRAM: &str = "/sdbuild/busybox-aarch64";

/// Which handler is probed: the hints depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerKind {
    /// The registrar's, in the table of the engine's kernel.
    Registered,
    /// A handler of the engine's kernel that sdbuild did not register.
    Found,
    /// The one in the container's own table.
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
                "there is no handler, or one that does not work in containers, which takes the flag F: \
                 omit --emulation, and sdbuild uses its own"
            }
            Self::Own => {
                "the messages of the engine's kernel (`dmesg`) may tell more; \
                 --emulation register avoids private handlers, if the engine runs as root"
            }
        }
    }
}

/// Runs an `AArch64` program that starts another one, in a container without network or capability. Fails unless `handler`
/// works for both.
pub async fn probe(
    engine: &Engine,
    image: &RegistrarImage,
    handler: HandlerKind,
    run: &RunId,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let spec = spec(image, run);
    let guard = ContainerGuard::arm(engine, &spec.name).grace(0);
    let refusal = |error| explain_refusal(error, handler);
    let run_and_judge = async |guard: &mut ContainerGuard| {
        let container = guard.create(&spec).await.map_err(refusal)?;
        match run_to_end(&container, handler, cancel).await? {
            ProbeRun::Ended { exit, lines } => judge(exit, &lines, handler),
            ProbeRun::Refused(error) => Err(refusal(error)),
        }
    };
    let operation = "run an aarch64 program in a container";
    guard.run(operation, cancel, run_and_judge).await
}

/// The container that runs the probe's programs.
pub(super) fn spec(image: &RegistrarImage, run: &RunId) -> ContainerSpec {
    // By its path: `uname` alone would be the one of the host's architecture.
    let script = format!("{PROGRAM} uname -m");
    let command = [PROGRAM, "sh", "-c", &script].map(str::to_owned).to_vec();
    let spec = ContainerSpec {
        user: Some("1000:1000".to_owned()),
        read_only: true,
        ..ContainerSpec::new(Role::Probe, run, &image.reference, command)
    };
    spec.until_client_ends(&["/bin/busybox", "sh"])
}

/// What came of a probe's container that was created.
pub(super) enum ProbeRun {
    Ended {
        exit: Exit,
        lines: Vec<String>,
    },
    /// The engine did not start it, or could not tell how it ended.
    Refused(EngineError),
}

/// Starts the container and runs it to its end. Fails when it takes too long, or when the run is cancelled.
pub(super) async fn run_to_end(
    container: &Container,
    handler: HandlerKind,
    cancel: &Cancel,
) -> Result<ProbeRun, Failure> {
    let output = Box::pin(container.output(MAX_LINES));
    match cancel.race(timeout(TIMEOUT, output)).await? {
        Some(Ok((exit, lines))) => Ok(ProbeRun::Ended { exit, lines }),
        Some(Err(error)) => Ok(ProbeRun::Refused(error)),
        None => {
            let seconds = TIMEOUT.as_secs();
            let failure = Failure::environment(format!("no answer within {seconds} s"));
            Err(failure.hint(handler.hint()))
        }
    }
}

/// Whether the programs ran; the next mode of emulation is worth a try if they did not.
pub(super) fn judge(exit: Exit, lines: &[String], handler: HandlerKind) -> Result<(), Failure> {
    let output = lines.join("; ");
    if exit.code == 0 && lines.iter().any(|line| line == "aarch64") {
        return Ok(());
    }
    // What the kernel cannot execute busybox takes for a script, and complains about a line of it.
    let is_no_script = output.contains(&format!("{PROGRAM}: line "));
    if is_no_script || output.to_lowercase().contains("exec format error") || exit.code == 126 {
        let message = if is_no_script {
            "exec format error"
        } else {
            &output
        };
        return Err(no_handler(message, handler));
    }
    let text = if let Some(signal) = exit.signal() {
        format!("the emulator or the program crashed by signal {signal}: {output}")
    } else if output.contains("uncaught target signal") {
        format!("the emulator or the program crashed: {output}")
    } else {
        format!("exit status {}, with the output: {output}", exit.code)
    };
    let failure = Failure::environment(text).hint(handler.hint());
    // A lack of memory says nothing about the handler.
    Err(if exit.oom_killed {
        failure
    } else {
        failure.try_next_mode()
    })
}

/// The failure for an engine that does not create or start the container: some fail already there without a handler.
fn explain_refusal(error: EngineError, handler: HandlerKind) -> Failure {
    let text = error.to_string();
    if text.to_lowercase().contains("exec format error") {
        no_handler(&text, handler)
    } else {
        error.into()
    }
}

fn no_handler(message: &str, handler: HandlerKind) -> Failure {
    let text = format!("the kernel has no working handler for aarch64: {message}");
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
    fn hints_do_not_advise_the_mode_that_failed() {
        let exit = Exit {
            code: 126,
            oom_killed: false,
        };
        let hint = |handler| judge(exit, &[], handler).unwrap_err().hints.remove(0);
        assert!(hint(HandlerKind::Registered).contains("in front of ours"));
        assert!(hint(HandlerKind::Found).contains("omit --emulation"));
        let own = hint(HandlerKind::Own);
        assert!(
            !own.contains("binfmt_misc") && own.contains("register"),
            "{own}"
        );
    }

    #[test]
    fn a_lack_of_memory_does_not_lead_to_the_next_mode() {
        let tries_next = |code, oom_killed| {
            let exit = Exit { code, oom_killed };
            let failure = judge(exit, &[], HandlerKind::Registered).unwrap_err();
            failure.try_next_mode
        };
        assert!(tries_next(126, false) && tries_next(139, false) && tries_next(0, false));
        assert!(!tries_next(137, true));
        let refusal = |message: &str| EngineError::Refused {
            operation: "start container x".into(),
            status: 400,
            message: message.into(),
        };
        let no_format = refusal("exec /sdbuild/busybox-aarch64: exec format error");
        assert!(explain_refusal(no_format, HandlerKind::Found).try_next_mode);
        let full = refusal("no space left on device");
        assert!(!explain_refusal(full, HandlerKind::Found).try_next_mode);
    }

    #[test]
    fn outcomes_are_distinguished() {
        assert_eq!(verdict(0, &["aarch64"]), Ok(()));
        let format = verdict(1, &["exec user process caused: exec format error"]).unwrap_err();
        assert!(format.contains("no working handler"), "{format}");
        let script = "/sdbuild/busybox-aarch64: line 1: syntax error: unexpected word";
        let script = verdict(2, &[script]).unwrap_err();
        assert!(
            script.ends_with("for aarch64: exec format error"),
            "{script}"
        );
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
