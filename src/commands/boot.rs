//! `sdbuild boot`: resolves the settings, finds QEMU on the host or prepares it in a container, boots, and says what to do with the
//! image.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::commands::Session;
use crate::commands::newest_image::named_or_newest;
use crate::settings;
use crate::settings::{BootArgs, Environment, common_of_boot};
use crate::ui;
use crate::ui::Ui;
use sdbuild_boot as boot;
use sdbuild_boot::{BootMethod, BootRequest, ContainerOptions, Login, Reached};
use sdbuild_build::build_mode::EmulatorChoice;
use sdbuild_build::{Common, RunEngine, last_times, note_times};
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Phase};
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::timings::Timings;
use sdbuild_image::board::{BOARDS, Board, Wiring};
use sdbuild_image::seed;

/// Boots the image; the output of `--run` goes to standard output.
pub async fn run(args: &BootArgs, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, ui, context } = session;
    let start = Instant::now();
    let image = named_or_newest(args.image.as_deref(), session)?;
    let method_of_image = boot::boot_method_of(&image);
    let method = method_of_image.as_ref().copied().unwrap_or_default();
    let plan = BootPlan::new(args, &image, common_of_boot(env)?, env)?.by_method(method);
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
    let booted = prepared.boot(&image, session).await;
    if is_waited_for && let Ok(reached) = &booted {
        // The result of a command is what it wrote.
        if !runs_command {
            context.events.done(done_in(*reached, start.elapsed()));
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
}

/// A boot whose emulator is ready.
pub(super) struct PreparedBoot {
    request: BootRequest,
    /// The engine to run QEMU in; `None` runs it on the host.
    engine: Option<RunEngine>,
    /// Where the times of boots are kept.
    state_dir: PathBuf,
}

impl BootPlan {
    /// The plan of the boot of `image` that `args` ask for.
    fn new(
        args: &BootArgs,
        image: &Path,
        common: Common,
        env: &Environment,
    ) -> Result<Self, Failure> {
        Ok(Self {
            request: request(args, args.board(image), &common, env)?,
            emulator: args.emulator.unwrap_or_default(),
            common,
        })
    }

    /// The plan of the boot test of `build`.
    pub(super) fn test_of(build: &settings::Build, env: &Environment) -> Result<Self, Failure> {
        let (args, common) = (BootArgs::test_of(build), build.request.common.clone());
        Self::new(&args, Path::new(""), common, env)
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
            state_dir: self.common.state_dir,
        })
    }

    async fn prepare_engine(&self, context: &Context) -> Result<RunEngine, Failure> {
        let needs_port = needs_port(&self.request);
        if let Some(missing) = boot::missing_on_host(&self.request).filter(|_| self.is_auto()) {
            let notice = format!("{missing}: booting in a container");
            context.events.notice(notice);
        }
        let engine = RunEngine::to_boot(&self.common, needs_port, context).await;
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
    pub(super) async fn boot(self, image: &Path, session: Session<'_>) -> Result<Reached, Failure> {
        let Session { ui, context, .. } = session;
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
        engine.ended(&outcome);
        outcome
    }
}

/// Whether the boot needs a port that leads to the machine. The console offers one only where it can.
fn needs_port(request: &BootRequest) -> bool {
    (request.login.is_some() && request.prompt.is_none()) || request.port.is_some()
}

/// The result of a boot that took this long.
fn done_in(reached: Reached, took: Duration) -> String {
    let how = match reached {
        Reached::Login => ", and you can log in over SSH",
        Reached::Prompt => ": its console asks for a login",
        Reached::End => "",
    };
    format!("the image boots{how} · {}", ui::words::duration(took))
}

/// Default memory of the machine.
const MEMORY_MIB: u32 = 1024;
/// The user of a login where nothing names one.
const USER: &str = "root";

/// The boot as `board` that `args` ask for. Refuses what QEMU's model of the board does not have.
fn request(
    args: &BootArgs,
    board: &'static Board,
    common: &Common,
    env: &Environment,
) -> Result<BootRequest, Failure> {
    let model = board.qemu.as_ref().ok_or_else(|| {
        let text = format!(
            "QEMU has no model of the board {} ({})",
            board.name, board.title
        );
        let with_model = BOARDS.iter().filter(|board| board.0.qemu.is_some());
        let names: Vec<&str> = with_model.map(|board| board.0.name).collect();
        Failure::usage(text)
            .hint("without --board the image boots on QEMU's virtual machine")
            .hint(format!("QEMU has models for --board {}", names.join(", ")))
    })?;
    if !model.has_network() && (args.logs_in() || args.port.is_some()) {
        let text = format!("QEMU's model of a {} has no network", board.title);
        return Err(Failure::usage(text).hint(
            "wait for the prompt on its serial console: --until-login; or log in on --board rpi3",
        ));
    }
    let here = std::env::current_dir().or_environment("find the current directory")?;
    let located = |path: &Option<PathBuf>| path.as_ref().map(|path| here.join(path));
    let seed = located(&args.seed);
    if let Some(path) = seed.as_ref().filter(|_| model.wiring != Wiring::Virtio) {
        let (seed, title) = (path.display(), board.title);
        let text = format!("QEMU's model of a {title} has no second disk for the seed {seed}");
        return Err(Failure::usage(text).hint("leave out --board; QEMU's virtual machine has one"));
    }
    let seed = seed.as_deref().map(seed::read).transpose()?;
    let of_seed = seed.as_ref().and_then(|seed| seed.logins.first());
    let user = args
        .user
        .clone()
        .or_else(|| of_seed.map(|login| login.user.clone()));
    let timeout = args.time_limit(board);
    Ok(BootRequest {
        login: args.logs_in().then(|| Login {
            key: located(&args.login_key),
            is_default_user: user.is_none(),
            user: user.unwrap_or_else(|| USER.to_owned()),
            timeout,
            command: args.run.clone(),
        }),
        seed: seed.map(Arc::new),
        scratch: common.cache_dir.clone(),
        home: common.home.clone(),
        board,
        model,
        firmware: located(&args.firmware),
        method: BootMethod::default(),
        kvm: !args.no_kvm,
        memory_mib: model
            .fixed_memory_mib()
            .or(args.memory)
            .unwrap_or(MEMORY_MIB),
        port: args.port,
        ssh_port: boot::DEFAULT_SSH_PORT,
        path: env.program_path(),
        prompt: args.until_login.then_some(timeout),
    })
}

#[cfg(test)]
mod tests;
