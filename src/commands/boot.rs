//! `sdbuild boot`: resolves the settings, finds QEMU on the host or prepares it in a container, and boots.

mod key_warnings;
mod next;
mod request;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::commands::newest_image::named_or_newest;
use crate::common::build_mode::EmulatorChoice;
use crate::pipeline::{BootEngine, Common, last_times, note_times};
use crate::settings;
use crate::settings::{BootArgs, Environment};
use crate::ui::Ui;
use next::{done_in, next_commands_after_boot};
use request::request;
use sdbuild_boot as boot;
use sdbuild_boot::{BootMethod, BootRequest, ContainerOptions, Reached};
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, LastLine, Phase};
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::shell_word::quoted;
use sdbuild_core::timings::Timings;
use sdbuild_image::board::generic_machine;

/// Boots the image; the output of `--run` goes to standard output.
pub async fn run(
    args: &BootArgs,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let start = Instant::now();
    let image = named_or_newest(args.image.as_deref(), env, context)?;
    let method_of_image = boot::boot_method_of(&image);
    let method = method_of_image.as_ref().copied().unwrap_or_default();
    let plan = BootPlan::new(settings::Boot::resolve(&image, args, env)?)?.by_method(method);
    // Checked before anything is downloaded.
    boot::check_requirements(&image, &plan.request, plan.on_host())?;
    // What cannot be opened was refused now, with whatever else is missing.
    method_of_image?;
    if let Some(advice) = boot::memory_advice(plan.request.memory_mib) {
        context.events.warn(advice);
    }
    if plan.shows_the_console() && !ui.can_ask() {
        context.events.notice(
            "without a terminal, sdbuild shows the console until the machine powers off. --until-login, --until-ssh and \
             --run end by themselves",
        );
    }
    let prepared = plan.prepare(context).await?;
    let (is_waited_for, runs_command) = (prepared.is_waited_for(), prepared.runs_command());
    let booted = prepared.boot(&image, ui, context).await;
    if is_waited_for && let Ok(reached) = &booted {
        // The result of a command is what it wrote.
        if !runs_command {
            context.events.done(done_in(*reached, start.elapsed()));
        }
        let next = next_commands_after_boot(&image);
        if !next.is_empty() {
            context.events.emit(Event::Next(LastLine::Commands(next)));
        }
    }
    if booted.is_err() && !context.cancel.is_cancelled() {
        // Shows what failed.
        context.events.emit(Event::WorkEnded);
    }
    booted.map(drop)
}

/// How an image will be booted, and where QEMU will run.
pub(super) struct BootPlan {
    request: BootRequest,
    common: Common,
    emulator: EmulatorChoice,
    /// Whether the user knows that the login will hardly succeed.
    is_warned: bool,
}

/// A boot whose emulator is ready.
pub(super) struct PreparedBoot {
    request: BootRequest,
    /// The engine to run QEMU in; `None` runs it on the host.
    engine: Option<BootEngine>,
    /// Whether the user knows that the login will hardly succeed.
    is_warned: bool,
    /// Where the times of boots are kept.
    state_dir: PathBuf,
}

impl BootPlan {
    /// The plan for `settings`.
    pub(super) fn new(settings: settings::Boot) -> Result<Self, Failure> {
        Ok(Self {
            common: settings.common.clone(),
            emulator: settings.emulator,
            request: request(settings)?,
            is_warned: false,
        })
    }

    /// The plan of a boot that is content with the prompt on the console where a login is not possible.
    pub(super) fn or_until_prompt(mut self) -> Self {
        let login = self.request.login.as_ref();
        self.request.prompt = self.request.prompt.or(login.map(|login| login.timeout));
        self
    }

    /// The plan of a boot of an image that is booted by `method`.
    pub(super) fn by_method(mut self, method: BootMethod) -> Self {
        self.request.method = method;
        self
    }

    /// Whether the user has the machine's console, and nothing else ends the boot than the machine itself.
    fn shows_the_console(&self) -> bool {
        self.request.login.is_none() && self.request.prompt.is_none()
    }

    fn is_auto(&self) -> bool {
        self.emulator == EmulatorChoice::Auto
    }

    fn on_host(&self) -> bool {
        match self.emulator {
            EmulatorChoice::Host => true,
            EmulatorChoice::Container => false,
            EmulatorChoice::Auto => boot::missing_on_host(&self.request).is_none(),
        }
    }

    /// Checks everything that is not downloaded, except the image.
    pub(super) fn preflight(&self) -> Result<(), Failure> {
        boot::check_tools(&self.request, self.on_host())
    }

    /// Prepares the emulator, with a download if it runs in a container.
    pub(super) async fn prepare(self, context: &Context) -> Result<PreparedBoot, Failure> {
        let seed = self.request.seed.iter();
        for text in seed.flat_map(|seed| &seed.not_followed) {
            context.events.warn(text);
        }
        let engine = if self.on_host() {
            None
        } else {
            Some(self.prepare_engine(context).await?)
        };
        Ok(PreparedBoot {
            request: self.request,
            engine,
            is_warned: self.is_warned,
            state_dir: self.common.state_dir,
        })
    }

    async fn prepare_engine(&self, context: &Context) -> Result<BootEngine, Failure> {
        let needs_port = needs_port(&self.request);
        if let Some(missing) = boot::missing_on_host(&self.request).filter(|_| self.is_auto()) {
            let notice = format!("{missing}: booting in a container");
            context.events.notice(notice);
        }
        let engine = BootEngine::prepare(&self.common, needs_port, context).await;
        engine.map_err(|failure| self.add_host_failure(failure))
    }

    /// When neither the host, which is tried first, nor a container can run QEMU, both failures are reported.
    fn add_host_failure(&self, failure: Failure) -> Failure {
        match boot::missing_on_host(&self.request) {
            Some(mut missing) if self.is_auto() && failure.class == Class::Environment => {
                missing.others.push(failure.context("boot in a container"));
                missing
            }
            _ => failure,
        }
    }
}

impl PreparedBoot {
    /// The private key to log in with, if the user named one.
    fn key(&self) -> Option<&Path> {
        self.request.login.as_ref()?.key.as_deref()
    }

    /// The flags of `sdbuild boot` that boot an image in the same way, up to the same condition.
    pub(super) fn flags(&self) -> String {
        let request = &self.request;
        let mut flags = String::new();
        if request.board.name != generic_machine(request.board.system).name {
            flags.extend(["--board ", request.board.name, " "]);
        }
        flags.push_str(match &request.login {
            Some(_) => "--until-ssh",
            None => "--until-login",
        });
        if let Some(key) = self.key() {
            flags.extend([" --login-key ", &quoted(&key.to_string_lossy())]);
        }
        flags
    }

    /// Whether the boot ends with a login or its prompt.
    fn is_waited_for(&self) -> bool {
        self.request.login.is_some() || self.request.prompt.is_some()
    }

    /// Whether a command runs on the machine.
    fn runs_command(&self) -> bool {
        let login = self.request.login.as_ref();
        login.is_some_and(|login| login.command.is_some())
    }

    /// Boots `image`, and notes how long that took.
    pub(super) async fn boot(
        self,
        image: &Path,
        ui: &Ui,
        context: &Context,
    ) -> Result<Reached, Failure> {
        let state_dir = self.state_dir.clone();
        let name = image.file_name().unwrap_or_default().to_string_lossy();
        let last = last_times(&state_dir, &name);
        context.events.emit(Event::LastTimes(last));
        let timings = Timings::default();
        let context = &Context {
            events: timings.listen(&context.events),
            ..context.clone()
        };
        let reached = self.boot_now(image, ui, context).await?;
        let phases = timings.in_millis();
        if phases.contains_key(&Phase::Boot) {
            // Without it the next boot shows no earlier time.
            note_times(&state_dir, &name, phases).ok();
        }
        Ok(reached)
    }

    async fn boot_now(self, image: &Path, ui: &Ui, context: &Context) -> Result<Reached, Failure> {
        let Some(engine) = self.engine else {
            return boot::boot(image, &self.request, None, context).await;
        };
        let options = ContainerOptions {
            engine: engine.engine.clone(),
            run: engine.run.clone(),
            image: engine.image.clone(),
            disk: engine.disk(),
            screen: ui.screen()?,
        };
        let outcome = boot::boot(image, &self.request, Some(&options), context).await;
        engine.booted(&outcome);
        outcome
    }
}

/// Whether the boot needs a port that leads to the machine. The console offers one only where it can.
fn needs_port(request: &BootRequest) -> bool {
    (request.login.is_some() && request.prompt.is_none()) || request.port.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_boot::Login;
    use sdbuild_core::system::System;
    use sdbuild_image::board;
    use sdbuild_image::board::BoardName;

    fn request(login: Option<Login>, port: Option<u16>) -> BootRequest {
        BootRequest {
            scratch: "/nowhere".into(),
            board: board::generic_machine(System::Aarch64Linux),
            model: board::generic_machine(System::Aarch64Linux)
                .qemu
                .as_ref()
                .unwrap(),
            prompt: None,
            seed: None,
            firmware: None,
            method: BootMethod::default(),
            kvm: true,
            memory_mib: 1024,
            port,
            ssh_port: boot::DEFAULT_SSH_PORT,
            home: None,
            path: "/nowhere".into(),
            login,
        }
    }

    #[test]
    fn a_boot_is_repeated_with_its_board_and_its_key() {
        let flags = |request| {
            PreparedBoot {
                request,
                engine: None,
                is_warned: false,
                state_dir: "/nowhere".into(),
            }
            .flags()
        };
        let login = |key: Option<&str>| Login {
            key: key.map(Into::into),
            user: "root".into(),
            is_default_user: false,
            timeout: std::time::Duration::from_secs(1),
            command: None,
        };
        assert_eq!(flags(request(Some(login(None)), None)), "--until-ssh");
        let keyed = request(Some(login(Some("/my keys/id"))), None);
        assert_eq!(flags(keyed), "--until-ssh --login-key '/my keys/id'");
        let BoardName(rpi4) = "rpi4".parse().unwrap();
        let on_board = BootRequest {
            board: rpi4,
            ..request(None, None)
        };
        assert_eq!(flags(on_board), "--board rpi4 --until-login");
    }

    #[test]
    fn requested_port_is_needed_at_the_console_too() {
        let login = Login {
            key: None,
            user: "root".into(),
            is_default_user: false,
            timeout: std::time::Duration::from_secs(1),
            command: None,
        };
        assert!(needs_port(&request(None, Some(2222))));
        let or_prompt = BootRequest {
            prompt: Some(login.timeout),
            ..request(Some(login.clone()), None)
        };
        assert!(!needs_port(&or_prompt));
        assert!(needs_port(&request(Some(login), None)));
        assert!(!needs_port(&request(None, None)));
    }
}
