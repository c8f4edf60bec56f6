//! The probe: runs a program of the emulated architecture in a container, to test emulation before a build relies on it.

use std::time::Duration;

use crate::binfmt::private;
use crate::binfmt::refused::Refused;
use crate::binfmt::registrar::RegistrarImage;
use crate::{Container, ContainerGuard, ContainerSpec, Engine, EngineError, Exit, Role, RunId};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::Failure;
use sdbuild_core::system::Architecture;
use sdbuild_core::timeout::timeout;

/// A probe takes a tenth of a second, or half a minute on a slow and busy virtual machine; emulation that hangs is a known
/// failure.
const PROBE_TIMEOUT: Duration = Duration::from_mins(1);
const MAX_LINES: usize = 50;

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

/// The handler that is probed, and the architecture of the programs that it is to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probed {
    pub(super) handler: HandlerKind,
    pub(super) architecture: Architecture,
}

impl Probed {
    /// The handler for what the registrar of `image` emulates.
    pub(super) fn new(image: &RegistrarImage, handler: HandlerKind) -> Self {
        let architecture = image.emulates;
        Self {
            handler,
            architecture,
        }
    }

    fn hint(self) -> String {
        match self.handler {
            HandlerKind::Registered => format!(
                "another binfmt_misc entry for {} may take precedence; look in /proc/sys/fs/binfmt_misc on the engine's \
                 machine",
                self.architecture.kernel_name()
            ),
            HandlerKind::Found => {
                "binfmt_misc has no entry for it that works in containers (flag F). Leave out --emulation, and sdbuild \
                 adds its own"
                    .to_owned()
            }
            HandlerKind::Own => {
                "`dmesg` on the engine's machine may say more. If the engine runs as root, try --emulation register"
                    .to_owned()
            }
        }
    }

    /// Whether the programs ran.
    fn judge(self, exit: Exit, lines: &[String]) -> Result<(), Refused> {
        if let Some(refused) = private::failed_step(lines) {
            return Err(refused);
        }
        let output = lines.join("; ");
        let expected = self.architecture.kernel_name();
        if exit.code == 0 && lines.iter().any(|line| line == expected) {
            return Ok(());
        }
        // What the kernel cannot execute busybox takes for a script, and complains about a line of it.
        let is_no_script = output.contains(&format!("{}: line ", program(self.architecture)));
        if is_no_script || output.to_lowercase().contains("exec format error") || exit.code == 126 {
            let message = if is_no_script {
                "exec format error"
            } else {
                &output
            };
            return Err(self.no_handler(message));
        }
        let text = if let Some(signal) = exit.signal() {
            format!("the emulator or the program crashed by signal {signal}: {output}")
        } else if output.contains("uncaught target signal") {
            format!("the emulator or the program crashed: {output}")
        } else {
            format!("exit status {}, with the output: {output}", exit.code)
        };
        let failure = Failure::environment(text).hint(self.hint());
        // A lack of memory says nothing about the handler.
        Err(if exit.oom_killed {
            Refused::from(failure)
        } else {
            Refused::next_mode(failure)
        })
    }

    /// The error for an engine that does not create or start the container: some fail already there without a handler.
    fn explain_refusal(self, error: EngineError) -> Refused {
        let text = error.to_string();
        if self.handler == HandlerKind::Own {
            private::explain_refusal(error)
        } else if text.to_lowercase().contains("exec format error") {
            self.no_handler(&text)
        } else {
            Failure::from(error).into()
        }
    }

    fn no_handler(self, message: &str) -> Refused {
        let name = self.architecture.kernel_name();
        let text = format!("the kernel has no working binfmt_misc entry for {name}: {message}");
        Refused::next_mode(Failure::environment(text)).hint(self.hint())
    }
}

/// The path in the registrar's container image of a static busybox for the emulated `architecture`. Its name must begin with
/// `busybox`, or it would run the applet of that name.
fn program(architecture: Architecture) -> String {
    format!("/sdbuild/busybox-{}", architecture.kernel_name())
}

/// Runs a program of the architecture that `image` emulates, which starts another one, in a container without network or
/// capability. Fails unless `handler` works for both.
pub async fn probe(
    engine: &Engine,
    image: &RegistrarImage,
    handler: HandlerKind,
    run: &RunId,
    cancel: &Cancel,
) -> Result<(), Refused> {
    let spec = spec(image, run);
    let mut guard = ContainerGuard::arm(engine, &spec.name).grace(0);
    let done = run_to_end(&mut guard, &spec, Probed::new(image, handler), cancel).await;
    let leftovers: Vec<_> = guard.remove(cancel).await.into_iter().collect();
    let refused = match done {
        Ok(_) if leftovers.is_empty() => return Ok(()),
        Ok(_) => Failure::environment("its container could not be removed").into(),
        Err(refused) => refused,
    };
    let name = image.emulates.kernel_name();
    let operation = format!("run a program for {name} in a container");
    let refused = refused.map(|failure| failure.during(operation));
    Err(refused.with_teardown(leftovers))
}

pub(super) fn spec(image: &RegistrarImage, run: &RunId) -> ContainerSpec {
    // By its path: `uname` alone would be the one of the host's architecture.
    let program = program(image.emulates);
    let script = format!("{program} uname -m");
    let command = [&program, "sh", "-c", &script].map(str::to_owned).to_vec();
    let spec = ContainerSpec {
        user: Some("1000:1000".to_owned()),
        read_only: true,
        ..ContainerSpec::new(Role::Probe, run, &image.reference, command)
    };
    spec.until_client_ends(&["/bin/busybox", "sh"])
}

/// Creates the container and runs it to its end; fails unless `probed` works, when that takes too long, or when the run is
/// cancelled. The caller's guard removes the container in any case.
pub(super) async fn run_to_end(
    guard: &mut ContainerGuard,
    spec: &ContainerSpec,
    probed: Probed,
    cancel: &Cancel,
) -> Result<Container, Refused> {
    let refusal = |error| probed.explain_refusal(error);
    let created = cancel.race(guard.create(spec)).await?;
    let container = created.map_err(refusal)?;
    let output = Box::pin(container.output(MAX_LINES));
    let ended = cancel.race(timeout(PROBE_TIMEOUT, output)).await?;
    let ended = ended.ok_or_else(|| {
        let seconds = PROBE_TIMEOUT.as_secs();
        Failure::environment(format!("no answer within {seconds} s")).hint(probed.hint())
    })?;
    let (exit, lines) = ended.map_err(refusal)?;
    probed.judge(exit, &lines)?;
    Ok(container)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_arm(handler: HandlerKind) -> Probed {
        Probed {
            handler,
            architecture: Architecture::Aarch64,
        }
    }

    fn verdict_on(probed: Probed, code: i64, lines: &[&str]) -> Result<(), String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let exit = Exit {
            code,
            oom_killed: false,
        };
        probed
            .judge(exit, &lines)
            .map_err(|refused| refused.failure.to_string())
    }

    fn verdict(code: i64, lines: &[&str]) -> Result<(), String> {
        verdict_on(of_arm(HandlerKind::Registered), code, lines)
    }

    #[test]
    fn programs_of_the_emulated_architecture_are_expected() {
        let image = RegistrarImage::new("x".to_owned(), Architecture::Aarch64);
        let probed = Probed::new(&image, HandlerKind::Registered);
        assert_eq!(verdict_on(probed, 0, &["x86_64"]), Ok(()));
        assert!(verdict_on(probed, 0, &["aarch64"]).is_err());
        let script = "/sdbuild/busybox-x86_64: line 1: syntax error: unexpected word";
        let failure = verdict_on(probed, 2, &[script]).unwrap_err();
        assert!(
            failure.ends_with("for x86_64: exec format error"),
            "{failure}"
        );
        let command = spec(&image, &"0123456789ab".parse().unwrap()).command;
        assert!(command.contains(&"/sdbuild/busybox-x86_64 uname -m".to_owned()));
    }

    #[test]
    fn a_lack_of_memory_does_not_lead_to_the_next_mode() {
        let tries_next = |code, oom_killed| {
            let exit = Exit { code, oom_killed };
            let refused = of_arm(HandlerKind::Registered).judge(exit, &[]);
            refused.unwrap_err().of_this_mode
        };
        assert!(tries_next(126, false) && tries_next(139, false) && tries_next(0, false));
        assert!(!tries_next(137, true));
        let refusal = |message: &str| EngineError::Refused {
            operation: "start container x".into(),
            status: 400,
            message: message.into(),
        };
        let no_format = refusal("exec /sdbuild/busybox-aarch64: exec format error");
        let found = of_arm(HandlerKind::Found);
        assert!(found.explain_refusal(no_format).of_this_mode);
        let full = refusal("no space left on device");
        assert!(!found.explain_refusal(full).of_this_mode);
    }

    #[test]
    fn outcomes_are_distinguished() {
        assert_eq!(verdict(0, &["aarch64"]), Ok(()));
        let format = verdict(1, &["exec user process caused: exec format error"]).unwrap_err();
        assert!(format.contains("no working binfmt_misc entry"), "{format}");
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
