//! `sdbuild boot`: resolve, find QEMU here or see to one in a container, boot, report.

use crate::boot::{self, BootRequest, Login};
use crate::cli;
use crate::common::build_mode::EmulatorChoice;
use crate::common::failure::{Class, Failure};
use crate::pipeline::{self, Context};
use crate::settings::{self, Environment};
use crate::ui::Ui;

/// Boots the image; what `--run` gave goes to standard output.
pub async fn run(
    args: &cli::Boot,
    env: &Environment,
    (ui, context): (&Ui, &Context),
) -> Result<(), Failure> {
    let bench = BootPlan::new(settings::Boot::resolve(args, env)?);
    // Before anything is fetched for it.
    boot::look(&bench.request, bench.on_host())?;
    bench.ready(context).await?.boot((ui, context)).await
}

/// What will be booted, and whose QEMU shall do it.
pub(super) struct BootPlan {
    request: BootRequest,
    common: settings::Common,
    emulator: EmulatorChoice,
}

/// The same, when everything that it takes is there.
pub(super) struct PreparedBoot {
    /// What will be booted.
    pub(super) request: BootRequest,
    emulator: Option<pipeline::QemuEngine>,
}

impl BootPlan {
    /// What the settings ask for.
    pub(super) fn new(settings: settings::Boot) -> Self {
        let (common, emulator) = (settings.common.clone(), settings.emulator);
        Self {
            request: request(settings),
            common,
            emulator,
        }
    }

    fn is_auto(&self) -> bool {
        self.emulator == EmulatorChoice::Auto
    }

    fn on_host(&self) -> bool {
        match self.emulator {
            EmulatorChoice::Host => true,
            EmulatorChoice::Container => false,
            EmulatorChoice::Auto => boot::host_lacks(&self.request).is_none(),
        }
    }

    /// Looks for everything that is not fetched, but for the image.
    pub(super) fn preflight(&self) -> Result<(), Failure> {
        boot::preflight(&self.request, self.on_host())
    }

    /// Sees to QEMU: fetches what is fetched.
    pub(super) async fn ready(self, context: &Context) -> Result<PreparedBoot, Failure> {
        let emulator = if self.on_host() {
            None
        } else {
            if let Some(lacks) = boot::host_lacks(&self.request).filter(|_| self.is_auto()) {
                context
                    .events
                    .notice(format!("{lacks}: booting in a container"));
            }
            let ready =
                pipeline::QemuEngine::prepare(&self.common, wants_port(&self.request), context);
            let ready = Box::pin(ready).await;
            Some(ready.map_err(|failure| self.neither(failure))?)
        };
        Ok(PreparedBoot {
            request: self.request,
            emulator,
        })
    }

    /// No container, and the host that was to be used first has no QEMU either: both are told.
    fn neither(&self, failure: Failure) -> Failure {
        match boot::host_lacks(&self.request) {
            Some(mut lacks) if self.is_auto() && failure.class == Class::Environment => {
                lacks.others.push(failure.context("boot in a container"));
                lacks
            }
            _ => failure,
        }
    }
}

impl PreparedBoot {
    /// Boots it.
    pub(super) async fn boot(self, (ui, context): (&Ui, &Context)) -> Result<(), Failure> {
        let talk = (&context.cancel, &context.events);
        let Some(emulator) = self.emulator else {
            return boot::boot(&self.request, None, talk).await;
        };
        let place = boot::Emulator {
            engine: emulator.engine.clone(),
            run: emulator.run.clone(),
            image: emulator.image.clone(),
            disk: emulator.disk(),
            screen: ui.screen()?,
        };
        let outcome = boot::boot(&self.request, Some(&place), talk).await;
        emulator.booted(&outcome);
        outcome
    }
}

/// Whether the user wants a port that leads to the machine. The console's is a gift where there can be one.
fn wants_port(request: &BootRequest) -> bool {
    request.login.is_some() || request.port.is_some()
}

/// What the settings ask for, in the words of the room that does it.
fn request(settings: settings::Boot) -> BootRequest {
    BootRequest {
        image: settings.image,
        scratch: settings.common.cache_dir,
        architecture: settings.system.architecture(),
        firmware: settings.firmware,
        memory_mib: settings.memory_mib,
        port: settings.port,
        path: settings.path,
        login: settings.login.map(|login| Login {
            key: login.key,
            user: login.user,
            timeout: login.timeout,
            command: login.command,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::system::Architecture;

    #[test]
    fn a_port_that_was_asked_for_is_not_forgotten_at_the_console() {
        let request = |login: Option<Login>, port| BootRequest {
            image: "/nowhere.img".into(),
            scratch: "/nowhere".into(),
            architecture: Architecture::Aarch64,
            firmware: None,
            memory_mib: 1024,
            port,
            path: "/nowhere".into(),
            login,
        };
        let login = Login {
            key: None,
            user: "root".into(),
            timeout: std::time::Duration::from_secs(1),
            command: None,
        };
        assert!(wants_port(&request(None, Some(2222))));
        assert!(wants_port(&request(Some(login), None)));
        assert!(!wants_port(&request(None, None)));
    }
}
