//! `sdbuild deploy`: builds the system of a configuration, and changes the machine that runs it.

use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt as _};

use crate::cli;
use crate::cli::DeployTarget;
use crate::commands::cloud;
use crate::commands::confirm::{agree, read_hidden};
use crate::commands::flake_caches::asking;
use crate::commands::several::{Table, evaluate_at_once};
use crate::settings;
use crate::settings::{Environment, Number};
use crate::ui;
use crate::ui::Ui;
use sdbuild_build::{BuildRequest, ClosureExport, Outcome as Built, SourceChoice};
use sdbuild_core::context::Context;
use sdbuild_core::counted::counted;
use sdbuild_core::event::{Event, Events, LastLine, Phase};
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::program::{OPENSSH_PACKAGES, find_program, missing_program};
use sdbuild_core::to_usize::to_usize;
use sdbuild_deploy::{
    Board, Change, Closure, Connection, Deployment, Difference, Elevation, Firmware,
    FirmwareChange, Generation, Host, Missing, Mode, Outcome, Returned, SshProgram, StorePath,
    Terminal,
};
use tokio::sync::mpsc;

mod records;

pub use records::Record;

/// Chunks of archives between the builder and the board.
const CHUNKS: usize = 16;
/// Boards that are changed at once.
const BOARDS_AT_ONCE: u32 = 4;
/// Packages that are listed.
const MAX_LISTED: usize = 40;
/// Bytes that are left free on a board.
const MIN_FREE: u64 = 64 << 20;

/// Builds the system, shows what would change, and changes the board.
pub async fn run(
    args: &cli::Deploy,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    if args.list || args.rollback || args.collect {
        return Box::pin(manage(args, env, ui, context)).await;
    }
    let targets = args.targets()?;
    if let [target] = targets.as_slice() {
        let hosts: Vec<_> = target.host.iter().cloned().collect();
        let settings = settings::Build::resolve(&args.build(target.configuration.as_deref()), env)?;
        let done = Box::pin(deploy(args, settings, hosts, env, ui, context)).await?;
        return done.into_iter().try_for_each(|(_, done)| done);
    }
    if !args.yes && !args.dry_run {
        let text = "several boards are not asked about one by one";
        return Err(
            Failure::usage(text).hint("--dry-run shows what would change, and --yes changes them")
        );
    }
    let mut all = Vec::new();
    for (configuration, hosts) in by_configuration(targets) {
        let settings = settings::Build::resolve(&args.build(configuration.as_deref()), env)?;
        all.push((settings, hosts));
    }
    evaluate_at_once(all.iter_mut().map(|(one, _)| &mut one.request.source));
    let mut table = Table::default();
    for (settings, hosts) in all {
        let deploying = deploy(args, settings, hosts.clone(), env, ui, context);
        match Box::pin(deploying).await {
            Ok(done) => {
                for (host, done) in done {
                    table.add(host.to_string(), None, done.map(|()| "done".to_owned()));
                }
            }
            Err(failure) => {
                let (class, why) = (failure.class, failure.sentence());
                // The first board has all that is known, the others of the configuration the reason.
                let mut whole = Some(failure);
                for host in hosts {
                    let failure = whole.take();
                    let failure = failure.unwrap_or_else(|| Failure::message(class, &why));
                    table.add(host.to_string(), None, Err(failure));
                }
                if class == Class::Interrupted {
                    break;
                }
            }
        }
    }
    ui.result(&table.lines().join("\n"))?;
    table.worst().map_or(Ok(()), Err)
}

/// The boards of each configuration, which is built once.
fn by_configuration(targets: Vec<DeployTarget>) -> Vec<(Option<PathBuf>, Vec<Host>)> {
    let mut all: Vec<(Option<PathBuf>, Vec<Host>)> = Vec::new();
    for target in targets {
        let known = all.iter_mut().find(|(one, _)| *one == target.configuration);
        match known {
            Some((_, hosts)) => hosts.extend(target.host),
            None => all.push((target.configuration, target.host.into_iter().collect())),
        }
    }
    all
}

/// How each board's deployment ended.
type Deployed = Vec<(Host, Result<(), Failure>)>;

/// Builds a configuration once, and deploys it to `hosts`; without any, to the board that it was deployed to last, or that has
/// the name of the configuration.
async fn deploy(
    args: &cli::Deploy,
    settings: settings::Build,
    hosts: Vec<Host>,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<Deployed, Failure> {
    let name = match &settings.request.source.choice {
        SourceChoice::Config(path) => path.to_string_lossy().into_owned(),
        SourceChoice::Flake { reference, .. } => reference.to_string(),
    };
    let ssh = ssh_program(env)?;
    let terminal = Terminal::new(context.events.clone());
    let state_dir = settings.request.common.state_dir.clone();
    let hosts = if hosts.is_empty() {
        last_host(&name, &state_dir).into_iter().collect()
    } else {
        hosts
    };
    let boards = try_new(args, &ssh, hosts, &state_dir, &terminal, context);
    let mut boards = Box::pin(boards).await;
    let is_failed = |(_, tried): &Target| matches!(tried, Some(Err(_)));
    if !boards.is_empty() && boards.iter().all(is_failed) {
        let failed = |(host, tried): Target| Some((host, Err(tried?.err()?)));
        return Ok(boards.into_iter().filter_map(failed).collect());
    }
    let accepts_price = args.yes;
    let price = async |price: &str| super::build::may_pay(price, accepts_price, ui, context).await;
    let work = async |request: BuildRequest| {
        let built = Box::pin(build(request.clone(), ui, context)).await?;
        let export = ClosureExport {
            request: &request,
            result: &built.value,
        };
        let read = async { Closure::parse(&export.list(context).await?) };
        let closure = context.phase(Phase::Compare, Box::pin(read)).await?;
        if args.firmware && closure.firmware.is_none() {
            return Err(unknown_firmware());
        }
        if boards.is_empty() {
            let host = named_host(&name, &closure.system)?;
            context.events.notice(format!("to {host}"));
            boards.push((host, None));
        }
        let run = Run {
            args,
            request: &request,
            name: &name,
            closure: &closure,
            export,
            terminal: &terminal,
            ui,
            context,
        };
        Ok(Built {
            value: Box::pin(run.deploy_to_all(&ssh, boards)).await,
            leftovers: built.leftovers,
        })
    };
    let done = Box::pin(cloud::with_machine(settings, env, context, price, work)).await?;
    done.finish("the deployment has ended", Ok)
}

/// A board, and how an attempt to connect to it ended before the build.
type Target = (Host, Option<Result<Connection, Failure>>);

/// Connects to those of `hosts` that nothing was deployed to so far, and without a change to all: a wrong address costs no build.
async fn try_new(
    args: &cli::Deploy,
    ssh: &SshProgram,
    hosts: Vec<Host>,
    state_dir: &Path,
    terminal: &Terminal,
    context: &Context,
) -> Vec<Target> {
    let records = Record::all(state_dir);
    let is_new = |host: &Host| !records.iter().any(|record| record.host == host.as_str());
    let one = async |host: Host| {
        if !args.dry_run && !is_new(&host) {
            return (host, None);
        }
        let opening =
            Connection::open(ssh.clone(), host.clone(), terminal.clone(), &context.cancel);
        let opened = context.phase(Phase::Look, Box::pin(opening)).await;
        (host, Some(opened))
    };
    stream::iter(hosts).then(one).collect().await
}

/// Nobody knows what belongs into the firmware partition.
fn unknown_firmware() -> Failure {
    let text = "the firmware of this configuration is not known: its image is not the SD card of nixpkgs, or has no files in its firmware partition";
    Failure::usage(text).hint("leave --firmware out, or write the card again")
}

/// The board that the configuration `name` was deployed to last.
fn last_host(name: &str, state_dir: &Path) -> Option<Host> {
    let records = Record::all(state_dir);
    let last = records.iter().find(|record| record.configuration == name)?;
    last.host.parse().ok()
}

/// The board that has the host name of the `system` of the configuration `name`.
fn named_host(name: &str, system: &StorePath) -> Result<Host, Failure> {
    let named = || format!("root@{}.local", system.host_name()?).parse().ok();
    named().ok_or_else(|| {
        Failure::usage(format!(
            "{name} was not deployed to any board yet, and has no host name"
        ))
        .hint("name the board: sdbuild deploy root@ADDRESS")
    })
}

/// `events` of one board of several: its name is before each line, and a phase is a line when it has ended.
fn named_events(events: &Events, host: &Host) -> Events {
    let (events, host) = (events.clone(), host.clone());
    Events::new(move |event| {
        if let Event::Notice(text) = event {
            events.notice(format!("{host}: {text}"));
        } else if let Event::Warning(text) = event {
            events.warn(format!("{host}: {text}"));
        } else if let Event::Finished(phase, took) = event {
            let (phase, took) = (ui::words::phase(phase), ui::words::duration(took));
            events.notice(format!("{host}: {phase}: done in {took}"));
        } else if let Event::Next(LastLine::Done(text)) = event {
            events.notice(text);
        }
    })
}

fn ssh_program(env: &Environment) -> Result<SshProgram, Failure> {
    let ssh = find_program("ssh", &env.program_path());
    let ssh = ssh.ok_or_else(|| missing_program("ssh", OPENSSH_PACKAGES));
    ssh.map(SshProgram)
}

/// Does what needs no configuration: lists the systems of the board, returns to the one before, or removes older ones.
async fn manage(
    args: &cli::Deploy,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let cancel = &context.cancel;
    let targets = args.targets()?;
    let [
        DeployTarget {
            host: Some(host), ..
        },
    ] = targets.as_slice()
    else {
        return Err(Failure::usage("this takes the address of one board"));
    };
    let terminal = Terminal::new(context.events.clone());
    let ssh = ssh_program(env)?;
    let connection = Connection::open(ssh, host.clone(), terminal.clone(), cancel);
    let look = look(connection, None, context);
    let (mut connection, board) = Box::pin(look).await?;
    let all = Generation::list(&connection, cancel).await?;
    if args.list {
        let lines: Vec<_> = all.iter().map(|one| generation(one, &board)).collect();
        return ui.result(&lines.join("\n"));
    }
    let current = all
        .iter()
        .position(|one| Some(one.number) == board.generation);
    connection.measure(cancel).await?;
    let elevation = elevation(&connection, &board, ui, context).await?;
    let deployment = Deployment {
        connection: &connection,
        board: &board,
        elevation: &elevation,
        cancel,
    };
    let work = async {
        if args.collect {
            return collect(&deployment, &all, args, ui, context).await;
        }
        let before = current.and_then(|at| all.get(at.checked_sub(1)?));
        let before = before.ok_or_else(|| {
            Failure::usage(format!("{host} has no system before the current one"))
        })?;
        context
            .events
            .notice(format!("to the system {}", generation(before, &board)));
        agree_to(host, args, ui, context).await?;
        let moved = deployment.moved(&before.system, &[]);
        let number = Some(before.number);
        let notice = |state: &str| context.events.detail(Phase::Switch, state);
        let change = deployment.change(&before.system, number, Mode::Switch, &moved, notice);
        let changed = async { confirmed(change.await?, host) };
        context.phase(Phase::Switch, Box::pin(changed)).await?;
        context
            .events
            .done(format!("{host} runs generation {} again", before.number));
        Ok(())
    };
    connection.locked(&elevation, cancel, Box::pin(work)).await
}

/// Removes what is neither the current system nor the one that runs or was started.
async fn collect(
    deployment: &Deployment<'_>,
    all: &[Generation],
    args: &cli::Deploy,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let (board, host) = (deployment.board, deployment.connection.host());
    let is_needed = |one: &&Generation| {
        let needed = [
            Some(&board.running),
            board.next.as_ref(),
            board.started.as_ref(),
        ];
        needed.contains(&Some(&one.system))
    };
    let old: Vec<_> = all.iter().filter(|one| !is_needed(one)).collect();
    if old.is_empty() {
        context.events.done(format!("{host} has no older systems"));
        return Ok(());
    }
    for one in &old {
        context
            .events
            .notice(format!("to remove: {}", generation(one, board)));
    }
    if args.dry_run {
        return Ok(());
    }
    agree_to(host, args, ui, context).await?;
    let numbers: Vec<_> = old.iter().map(|one| one.number).collect();
    let freed = deployment.collect(&numbers).await?;
    let removed = counted(numbers.len(), "system", "systems");
    context
        .events
        .done(format!("{host}: {removed} removed; {freed}"));
    Ok(())
}

/// A line about a system of the board.
fn generation(one: &Generation, board: &Board) -> String {
    let time = jiff::Timestamp::from_second(one.time).map_or_else(
        |_| one.time.to_string(),
        |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    );
    let marks = [
        (one.system == board.running, "runs"),
        (Some(one.number) == board.generation, "starts next"),
    ];
    let marks: Vec<_> = marks
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, mark)| *mark)
        .collect();
    let marks = if marks.is_empty() {
        String::new()
    } else {
        format!("  ({})", marks.join(", "))
    };
    format!("{:>4}  {time}  {}{marks}", one.number, one.system.name())
}

/// Looks at the board at the other end of `connection`, less if it has the system `wanted`.
async fn look(
    connection: impl Future<Output = Result<Connection, Failure>>,
    wanted: Option<&StorePath>,
    context: &Context,
) -> Result<(Connection, Board), Failure> {
    let work = async {
        let connection = connection.await?;
        let board = Board::look(&connection, wanted, &context.cancel).await?;
        Ok((connection, board))
    };
    context.phase(Phase::Look, Box::pin(work)).await
}

/// How often a password is asked for, as by `sudo` itself.
const PASSWORD_ATTEMPTS: usize = 3;

/// How to become root on the board; asks for the password of `sudo`.
async fn elevation(
    connection: &Connection,
    board: &Board,
    ui: &Ui,
    context: &Context,
) -> Result<Elevation, Failure> {
    let host = connection.host();
    if let Some(way) = board.way {
        return Ok(Elevation::By(way));
    }
    let hint = "log in as root, or let the account use sudo: security.sudo.wheelNeedsPassword = false; allows it without a password";
    if !board.asks_password {
        let text = format!("the account on {host} cannot become root");
        return Err(Failure::usage(text).hint(hint));
    }
    for _ in 0..PASSWORD_ATTEMPTS {
        let question = format!("Password of sudo on {host}: ");
        let Some(password) = read_hidden(question, ui, context).await? else {
            let text =
                format!("sudo on {host} asks for a password, and there is no terminal to ask on");
            return Err(Failure::usage(text).hint(hint));
        };
        let elevation = Elevation::Password(password);
        let accepted = connection.becomes_root(&elevation);
        if context.cancel.race(accepted).await?? {
            return Ok(elevation);
        }
        context
            .events
            .warn(format!("sudo on {host} does not take this password"));
    }
    let text = format!("the account on {host} cannot become root");
    Err(Failure::usage(text).hint(hint))
}

/// Asks whether the board may be changed.
async fn agree_to(
    host: &Host,
    args: &cli::Deploy,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    let text = format!("{host} was not changed: nobody answered the question on a terminal");
    let unasked = Failure::usage(text).hint("give --yes to change it without a question");
    let declined = format!("{host} was not changed");
    let question = format!("Change {host}?");
    agree(question, &declined, unasked, ui, context).await
}

/// Fails if the board has returned to its old system.
fn confirmed(outcome: Outcome, host: &Host) -> Result<(), Failure> {
    match outcome {
        Outcome::Confirmed => Ok(()),
        Outcome::Returned(returned) => Err(rolled_back(returned, host)),
    }
}

/// Builds the system: its store path.
async fn build(
    request: BuildRequest,
    ui: &Ui,
    context: &Context,
) -> Result<Built<String>, Failure> {
    let build = async |request| {
        let plan = sdbuild_build::plan_system(request, context).await?;
        Box::pin(sdbuild_build::build_system(&plan, context)).await
    };
    Box::pin(asking(request, ui, context, build)).await
}

/// What every step of a deployment takes.
struct Run<'a> {
    args: &'a cli::Deploy,
    request: &'a BuildRequest,
    /// The configuration, as records name it.
    name: &'a str,
    closure: &'a Closure,
    export: ClosureExport<'a>,
    terminal: &'a Terminal,
    ui: &'a Ui,
    context: &'a Context,
}

impl Run<'_> {
    /// Deploys to several `boards` at once.
    async fn deploy_to_all(&self, ssh: &SshProgram, boards: Vec<Target>) -> Deployed {
        let is_alone = boards.len() == 1;
        let one = |(host, tried): Target| async move {
            let own = Context {
                events: named_events(&self.context.events, &host),
                ..self.context.clone()
            };
            let context = if is_alone { self.context } else { &own };
            let run = Run { context, ..*self };
            let done = match tried.transpose() {
                Ok(opened) => Box::pin(run.deploy(ssh.clone(), host.clone(), opened)).await,
                Err(failure) => Err(failure),
            };
            (host, done)
        };
        let at_once = to_usize(self.args.jobs.map_or(BOARDS_AT_ONCE, Number::get).into());
        let all = stream::iter(boards).map(one).buffer_unordered(at_once);
        all.collect().await
    }

    async fn deploy(
        &self,
        ssh: SshProgram,
        host: Host,
        opened: Option<Connection>,
    ) -> Result<(), Failure> {
        let Context { cancel, .. } = self.context;
        let connection = async {
            match opened {
                Some(connection) => connection.or_new(cancel).await,
                None => Connection::open(ssh, host, self.terminal.clone(), cancel).await,
            }
        };
        let wanted = Some(&self.closure.system).filter(|_| !self.args.firmware);
        let look = look(connection, wanted, self.context);
        let (mut connection, board) = Box::pin(look).await?;
        let changes_nothing = self.has_system(&board) && !self.args.firmware;
        // Nobody types a password only to hear about the firmware.
        if changes_nothing && (board.way.is_none() || self.closure.firmware.is_none()) {
            self.nothing_to_do(connection.host());
            return Ok(());
        }
        if !self.has_system(&board) {
            connection.measure(cancel).await?;
        }
        let alone = cancel.race(self.terminal.alone()).await?;
        let elevation = elevation(&connection, &board, self.ui, self.context).await?;
        drop(alone);
        let deployment = Deployment {
            connection: &connection,
            board: &board,
            elevation: &elevation,
            cancel,
        };
        let change = Box::pin(self.change(&deployment));
        if self.args.dry_run || changes_nothing {
            return change.await;
        }
        connection.locked(&elevation, cancel, change).await
    }

    fn nothing_to_do(&self, host: &Host) {
        let text = format!("{host} runs this system already");
        self.context.events.done(text);
    }

    /// Whether the board has nothing else than the system in effect.
    fn has_system(&self, board: &Board) -> bool {
        let system = &self.closure.system;
        board.running == *system
            && (self.args.mode() == Mode::Test || board.next.as_ref() == Some(system))
    }

    async fn change(&self, deployment: &Deployment<'_>) -> Result<(), Failure> {
        let (host, board, closure) = (deployment.connection.host(), deployment.board, self.closure);
        closure.check_machine(&board.machine, host.as_str())?;
        let firmware = self.compare_firmware(deployment).await?;
        if self.has_system(board) && firmware.is_none() {
            self.nothing_to_do(host);
            return Ok(());
        }
        let missing = deployment.missing(closure, firmware.is_some(), !self.args.dry_run);
        let missing = missing.await?;
        self.show(board, closure, &missing);
        check_room(board, &missing, host)?;
        let has_all = missing.paths.is_empty();
        if has_all {
            self.show_units(deployment).await?;
        } else if self.args.mode() != Mode::Boot && !self.has_system(board) {
            let text = "which units stop and start is known when the board has the new system";
            self.context.events.notice(text);
        }
        if self.args.dry_run {
            return Ok(());
        }
        agree_to(host, self.args, self.ui, self.context).await?;
        let copy = self.copy(deployment, missing, self.export);
        self.context.phase(Phase::Send, Box::pin(copy)).await?;
        if !self.has_system(board) {
            if !has_all {
                self.show_units(deployment).await?;
            }
            let moved = deployment.moved(&closure.system, &closure.addresses);
            self.switch(deployment, &moved).await?;
        }
        let record = Record::new(self.name, host.as_str(), closure.system.as_str());
        if let Err(failure) = record.write(&self.request.common.state_dir) {
            // The board has the system nevertheless.
            self.context.events.warn(failure);
        }
        // The board starts with the old firmware until the new system is in effect.
        if let Some((files, change)) = &firmware {
            let replace = deployment.replace_firmware(files, change);
            self.context.phase(Phase::Switch, Box::pin(replace)).await?;
        }
        if self.args.reboot {
            let restart = Box::pin(self.restart(deployment));
            self.context.phase(Phase::Switch, restart).await?;
        }
        self.context
            .events
            .done(self.summary(board, closure, host, firmware.is_some()));
        Ok(())
    }

    /// Shows what differs in the firmware partition of the board; if it is to be replaced, how.
    async fn compare_firmware(
        &self,
        deployment: &Deployment<'_>,
    ) -> Result<Option<(&Firmware, FirmwareChange)>, Failure> {
        let host = deployment.connection.host();
        let Some(files) = &self.closure.firmware else {
            return Ok(None);
        };
        let change = match deployment.compare_firmware(files).await {
            Err(failure) if !self.args.firmware && failure.class != Class::Interrupted => {
                self.context
                    .events
                    .warn(failure.context("compare the firmware"));
                return Ok(None);
            }
            change => change?,
        };
        let Some(change) = change else {
            if !self.args.firmware {
                return Ok(None);
            }
            let text =
                format!("{host} has no firmware partition at /boot/firmware in its /etc/fstab");
            return Err(Failure::usage(text).hint("leave --firmware out"));
        };
        let names: Vec<_> = change.groups.concat();
        if !names.is_empty() {
            let listed = names.iter().take(MAX_LISTED).cloned().collect::<Vec<_>>();
            let more = match names.len().saturating_sub(MAX_LISTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let how = if self.args.firmware {
                ""
            } else {
                " (--firmware replaces it)"
            };
            let text = format!("the firmware differs{how}: {}{more}", listed.join(", "));
            self.context.events.notice(text);
        }
        if !self.args.firmware || change.is_empty() {
            return Ok(None);
        }
        files.check_room(&change, host.as_str())?;
        Ok(Some((files, change)))
    }

    /// Shows what the activation would do of the system, which the board has.
    async fn show_units(&self, deployment: &Deployment<'_>) -> Result<(), Failure> {
        if self.args.mode() != Mode::Boot && !self.has_system(deployment.board) {
            for line in deployment.dry_activate(&self.closure.system).await? {
                self.context.events.notice(line);
            }
        }
        Ok(())
    }

    /// Puts the system, which the board has, into effect.
    async fn switch(&self, deployment: &Deployment<'_>, moved: &[String]) -> Result<(), Failure> {
        let (host, events, mode) = (
            deployment.connection.host(),
            &self.context.events,
            self.args.mode(),
        );
        if deployment.connection.asks() && mode != Mode::Boot {
            events.notice(format!(
                "ssh asks once more when {host} runs the new system: your answer confirms it"
            ));
        }
        let notice = |state: &str| events.detail(Phase::Switch, state);
        let change = async {
            let change = deployment.change(&self.closure.system, None, mode, moved, notice);
            let outcome = change.await?;
            confirmed(outcome, host)
        };
        let done = self.context.phase(Phase::Switch, Box::pin(change)).await;
        let wait = deployment.wait(moved).as_secs();
        done.map_err(|failure| {
            if failure.class != Class::Interrupted || self.args.mode() == Mode::Boot {
                return failure;
            }
            let text = format!("{host} decides by itself: {wait} s after the activation it returns to its old system, because nobody confirms the new one");
            failure.hint(text)
        })
    }

    async fn restart(&self, deployment: &Deployment<'_>) -> Result<(), Failure> {
        let events = &self.context.events;
        let board = deployment
            .restart(|state| events.detail(Phase::Switch, state))
            .await?;
        if board.running == self.closure.system {
            return Ok(());
        }
        let host = deployment.connection.host();
        let text = format!("{host} was restarted and runs {}", board.running.name());
        let hint = "its boot loader did not start the new system: `sdbuild deploy --list` shows what it has";
        Err(Failure::message(Class::RolledBack, text).hint(hint))
    }

    /// Shows what changes.
    fn show(&self, board: &Board, closure: &Closure, missing: &Missing<'_>) {
        let events = &self.context.events;
        let difference = Difference::between(&board.has, &closure.sizes());
        for change in difference.packages.iter().take(MAX_LISTED) {
            events.notice(package(change));
        }
        if let Some(more) = difference
            .packages
            .len()
            .checked_sub(MAX_LISTED)
            .filter(|n| *n > 0)
        {
            events.notice(format!("and {} more", counted(more, "package", "packages")));
        }
        events.notice(format!(
            "{} of the same version or without one; the system {}",
            counted(difference.rebuilt, "new path", "new paths"),
            growth(difference.growth)
        ));
        let restarts = restarts(board, closure);
        if !restarts.is_empty() {
            events.notice(format!("a restart is needed for: {}", restarts.join(", ")));
        }
        events.notice(format!(
            "to copy: {} ({})",
            counted(missing.paths.len(), "path", "paths"),
            human_bytes(missing.bytes())
        ));
    }

    async fn copy(
        &self,
        deployment: &Deployment<'_>,
        mut missing: Missing<'_>,
        export: ClosureExport<'_>,
    ) -> Result<(), Failure> {
        if !self.args.no_substitute {
            let text = "the board asks its own binary caches";
            self.context.events.detail(Phase::Send, text);
            deployment.substitute(&mut missing).await?;
        }
        if missing.paths.is_empty() {
            return Ok(());
        }
        let total = missing.bytes();
        let events = &self.context.events;
        let paths: Vec<String> = missing
            .paths
            .iter()
            .map(|info| info.path.to_string())
            .collect();
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let sent = |done| events.bytes(Phase::Send, done, Some(total));
        // A failed copy drops the receiver, which ends the export.
        let (written, copied) = tokio::join!(
            Box::pin(export.archives(&paths, sender, self.context)),
            Box::pin(deployment.copy(missing, receiver, sent))
        );
        written.and(copied)
    }

    fn summary(&self, board: &Board, closure: &Closure, host: &Host, firmware: bool) -> String {
        let mut restart = restarts(board, closure);
        restart.extend(firmware.then_some("firmware"));
        match self.args.mode() {
            Mode::Boot if self.args.reboot => {
                format!("{host} was restarted, and runs the new system")
            }
            Mode::Boot => format!("{host} starts the new system next"),
            Mode::Test => format!("{host} runs the new system until it is restarted"),
            Mode::Switch if restart.is_empty() => format!("{host} runs the new system"),
            Mode::Switch => format!(
                "{host} runs the new system; restart it for: {}",
                restart.join(", ")
            ),
        }
    }
}

/// What a running machine takes in only when it starts.
fn restarts<'c>(board: &Board, closure: &'c Closure) -> Vec<&'c str> {
    let boot = closure.boot.iter();
    let changed = boot.filter(|(name, path)| board.booted.get(*name) != Some(*path));
    changed.map(|(name, _)| name.as_str()).collect()
}

/// Refuses what the card has no room for.
fn check_room(board: &Board, missing: &Missing<'_>, host: &Host) -> Result<(), Failure> {
    let needed = missing.bytes().saturating_add(MIN_FREE);
    match board.free {
        Some(free) if free < needed && !missing.paths.is_empty() => {
            let text = format!(
                "{host} has {} free, and the new system takes {} more; {} are to stay free",
                human_bytes(free),
                human_bytes(missing.bytes()),
                human_bytes(MIN_FREE)
            );
            let hint = format!("remove old systems there: sdbuild deploy --collect {host}");
            Err(Failure::environment(text).hint(hint))
        }
        _ => Ok(()),
    }
}

fn rolled_back(returned: Returned, host: &Host) -> Failure {
    let why = ui::sanitize_line(&returned.why);
    let text = if returned.is_whole {
        format!("{host} runs its old system again: {why}")
    } else {
        format!(
            "{host} could not activate its old system again, and starts it when it is restarted: {why}"
        )
    };
    let mut failure = Failure::message(Class::RolledBack, text);
    if !returned.failed.is_empty() {
        failure = failure.hint(format!("units that failed: {}", returned.failed.join(" ")));
    }
    Failure {
        log_tail: returned.log,
        ..failure
    }
}

/// A line about a package: `linux 6.12.1 → 6.12.2 (+1.2 MB)`.
fn package(change: &Change) -> String {
    let versions = |set: &std::collections::BTreeSet<String>| {
        set.iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (before, after) = (versions(&change.before), versions(&change.after));
    let what = match (before.is_empty(), after.is_empty()) {
        (true, _) => format!("added {} {after}", change.name),
        (_, true) => format!("removed {} {before}", change.name),
        _ => format!("{} {before} → {after}", change.name),
    };
    format!("{what} ({})", growth(change.growth))
}

fn growth(bytes: i64) -> String {
    let size = human_bytes(bytes.unsigned_abs());
    match bytes {
        0 => "same size".to_owned(),
        1.. => format!("+{size}"),
        _ => format!("-{size}"),
    }
}
