//! `sdbuild build`: plans and runs a build, and boots the image if a boot test is requested.

use std::cell::OnceCell;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cli;
use crate::commands::Session;
use crate::commands::boot::{BootPlan, PreparedBoot};
use crate::commands::confirm::{agree, confirm};
use crate::commands::flake_caches::asking;
use crate::commands::json_output::{VERSION, print_json};
use crate::commands::newest_image::is_newest_in_its_directory;
use crate::commands::several::One;
use crate::commands::{board_check, cloud, dry_run, several, shell};
use crate::settings;
use crate::settings::BuildArgs;
use crate::ui;
use crate::ui::{Ui, failure_fields};
use sdbuild_boot::{BootMethod, Reached};
use sdbuild_build::output::{Image, older_images};
use sdbuild_build::{BuildRequest, Outcome};
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, ImageDone, LastLine};
use sdbuild_core::failure::{Class, Failure, Question};
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::timings::Timings;
use sdbuild_image::board::BoardName;
use sdbuild_image::image_format::{ImageFormat, Maker};

/// Builds the image and writes its path, or its manifest, to standard output.
pub async fn run(args: &cli::Build, session: Session<'_>) -> Result<(), Failure> {
    let one = async |one: One| {
        let name = one.name.clone();
        let done = Box::pin(run_one(one, args, session)).await;
        // Of several, each has an object.
        if let (Err(failure), Some(name), true) = (&done, name, args.json) {
            let errors = failure_fields(failure);
            let object = json!({ "version": VERSION, "configuration": name, "errors": errors });
            print_json(&object, session.ui).ok();
        }
        done
    };
    let all = Box::pin(several::chosen(args.each(), args.all, session)).await?;
    Box::pin(several::run(all, args.all, session, one)).await
}

/// The same for one configuration; the image as messages name it.
async fn run_one(one: One, args: &cli::Build, session: Session<'_>) -> Result<String, Failure> {
    let Session { ui, context, .. } = session;
    if one.settings.dry_run.is_some() && !args.json {
        one.head(ui)?;
    }
    let One {
        args: build_args,
        mut settings,
        ..
    } = one;
    settings.accepts_price = args.yes;
    let is_rented = settings.on.is_rented();
    if let Some(up_to) = settings.dry_run {
        if is_rented {
            context.events.notice(NOT_RENTED);
        }
        Box::pin(dry_run::run(settings, up_to, args.json, session)).await?;
        return Ok("nothing was built".to_owned());
    }
    let path = OnceCell::new();
    let write = |image: &Image| {
        path.get_or_init(|| shown_path(&image.path));
        if args.json {
            ui.result(image.manifest.trim_end())
        } else if ui.shows_events_and_results() {
            Ok(())
        } else {
            ui.result(&image.path.to_string_lossy())
        }
    };
    let output = BuildOutput {
        write: &write,
        keep_hint: None,
        or_until_prompt: false,
    };
    let built = Box::pin(build(settings, session, &output)).await;
    let built = built.map_err(|failure| {
        if is_rented {
            // Nothing is kept on a machine that is given back.
            return failure;
        }
        with_shell(failure, &build_args)
    });
    built.map(|_| path.into_inner().unwrap_or_default())
}

/// The notice of a dry run with a rented machine.
const NOT_RENTED: &str =
    "a dry run does not rent a machine; it describes a build on the current engine";

/// Adds to an interruption of a build that nothing is lost, unless the machine on which it ran is given back.
fn with_kept(failure: Failure, is_rented: bool) -> Failure {
    if failure.class != Class::Interrupted || is_rented {
        return failure;
    }
    failure.hint("downloads and results are kept; run the same command again to resume")
}

/// Builds the image, writes the result, and boots the image if the settings request a boot test: how far that came.
pub(super) async fn build(
    settings: settings::Build,
    session: Session<'_>,
    output: &BuildOutput<'_>,
) -> Result<Option<Reached>, Failure> {
    let Session { env, ui, context } = session;
    let start = Instant::now();
    let boot_test = prepare_boot_test(&settings, session, output.or_until_prompt).await?;
    let format = settings.request.target.format.row();
    let board = settings.request.target.board.filter(|_| format.is_disk);
    let board = board.map(|BoardName(board)| board);
    let is_judged = boot_test.is_none() && format.is_disk;
    let scratch = settings.request.common.cache_dir.clone();
    let timings = Timings::default();
    let context = &Context {
        events: timings.listen(&context.events),
        ..context.clone()
    };
    let session = Session { context, ..session };
    let accepts_price = settings.accepts_price;
    let is_rented = settings.on.is_rented();
    let agree = async |price: &str| may_pay(price, accepts_price, ui, context).await;
    let work = async |request| build_or_replace(request, session, &timings).await;
    let done = Box::pin(cloud::with_machine(settings, env, context, agree, work)).await;
    // After an interrupt the table of timings would only delay the exit. What the user declined has not failed.
    let ended = || {
        if !context.cancel.is_cancelled() {
            context.events.emit(Event::WorkEnded);
        }
    };
    let is_declined = matches!(&done, Err(failure) if failure.class == Class::Declined);
    if !is_declined && (boot_test.is_none() || done.is_err()) {
        ended();
    }
    let done = done.map_err(|failure| with_kept(failure, is_rented))?;
    let image = &done.value;
    let path = image.path.clone();
    let next = if boot_test.is_some() || board.is_some() {
        Vec::new()
    } else {
        next_commands(&path, format)
    };
    let told = image_done(
        image,
        format.raw,
        start.elapsed(),
        boot_test.is_some(),
        next,
    );
    tell_image(image, told, output, context);
    // An image that was there already may have been built for another board; a boot on the board shows more.
    if is_judged && board_check::run(&path, board, scratch, context).await? && board.is_some() {
        tell_next(next_commands(&path, format), output, context);
    }
    let write = |image| (output.write)(&image).map(|()| image);
    let image = done.finish("the image is complete", write)?;
    let Some(boot_test) = boot_test else {
        return Ok(None);
    };
    let booted = run_boot_test(boot_test, &image, format, session, output, start).await;
    ended();
    booted.map(Some)
}

/// Shows the price of a rented machine, and asks for confirmation unless it was given in advance.
pub(super) async fn may_pay(
    price: &str,
    accepts: bool,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let price = ui::sanitize_line(price);
    if accepts {
        context.events.notice(format!("the machine costs {price}"));
        return Ok(());
    }
    let unasked = Failure::usage(format!(
        "no machine was rented. It costs {price}, and nobody answered the question on a terminal"
    ))
    .hint("give --yes to accept the price without a question");
    let declined = "no machine was rented: --on none builds with the engine of this machine";
    let question = format!("The machine costs {price}. Rent it?");
    agree(question, declined, unasked, ui, context).await
}

/// Builds the image. If another file has its name, asks whether it may take its place.
async fn build_or_replace(
    mut request: BuildRequest,
    session: Session<'_>,
    timings: &Timings,
) -> Result<Outcome<Image>, Failure> {
    let Session { ui, context, .. } = session;
    request.questions.replacing = ui.can_ask();
    let failure = match plan_and_build(request.clone(), session, timings).await {
        Ok(done) => return Ok(done),
        Err(failure) => failure,
    };
    let Some(Question::Replace(file)) = failure.question() else {
        return Err(failure);
    };
    match may_replace(file, ui, context).await? {
        Some(true) => {
            // What was built is kept.
            request.output.force = true;
            plan_and_build(request, session, timings).await
        }
        Some(false) => Err(kept(file).with_teardown(failure.teardown)),
        None => Err(failure),
    }
}

/// The user wants to keep the file that the image would replace.
fn kept(file: &Path) -> Failure {
    Failure::declined(format!("no image was written, and {} is unchanged", file.display()))
        .hint("write the image to another directory with --output DIR, or give it another name with --hostname NAME")
}

async fn plan_and_build(
    request: BuildRequest,
    session: Session<'_>,
    timings: &Timings,
) -> Result<Outcome<Image>, Failure> {
    let Session { ui, context, .. } = session;
    let build = async |request| {
        let plan = sdbuild_build::plan(request, context).await?;
        Box::pin(sdbuild_build::build(&plan, context, timings)).await
    };
    Box::pin(asking(request, ui, context, build)).await
}

/// Asks whether the image may replace `file`; `None` without a terminal.
async fn may_replace(file: &Path, ui: &Ui, context: &Context) -> Result<Option<bool>, Failure> {
    let shown = ui::sanitize_line(&shown_path(file));
    let question = format!(
        "{shown} already exists and was not written by a build of this configuration. Replace it?"
    );
    confirm(question, ui, context).await
}

/// Adds a hint with the command that opens a shell in the environment of the failed derivation.
fn with_shell(failure: Failure, args: &BuildArgs) -> Failure {
    match &failure.derivation {
        Some(derivation) if failure.class == Class::Build => {
            let command = shell::command(args, derivation);
            failure.hint(format!("debug it where it failed: {command}"))
        }
        _ => failure,
    }
}

/// Flags of `boot` that `build` does not have; the hints of a failed boot name them.
const BOOT_FLAGS: &str = "--timeout, --memory, --user and --firmware";

/// Adds where the image is, and which command has the flags that the hints of a failed boot name.
fn not_booted(failure: Failure, image: &Path, keep_hint: Option<&str>) -> Failure {
    let shown = shown_path(image);
    let (operation, hint) = match keep_hint {
        Some(hint) => ("boot the image".to_owned(), hint.to_owned()),
        None => (
            format!("boot the image, which stays at {shown}"),
            format!("`{BOOT} {} --until-ssh` has {BOOT_FLAGS}", quoted(&shown)),
        ),
    };
    let failure = failure.context(operation);
    if failure.class == Class::Interrupted {
        return failure;
    }
    failure.hint(hint)
}

/// Prepares the boot test before the build, which can take hours. `None` if no boot test is requested.
async fn prepare_boot_test(
    settings: &settings::Build,
    session: Session<'_>,
    or_until_prompt: bool,
) -> Result<Option<PreparedBoot>, Failure> {
    let Session { env, context, .. } = session;
    if !settings.request.output.is_booted {
        return Ok(None);
    }
    let prepared = async {
        let method = match settings.request.target.format.row().maker {
            Maker::Disk | Maker::Iso => BootMethod::Uefi,
            Maker::Nixpkgs | Maker::Archive | Maker::Container => BootMethod::Firmware,
        };
        let mut plan = BootPlan::test_of(settings, env)?.by_method(method);
        if or_until_prompt {
            plan = plan.or_until_prompt();
        }
        plan.preflight()?;
        plan.prepare(context).await
    };
    prepared.await.map(Some).map_err(|failure: Failure| {
        failure.hint(format!(
            "build without --boot-test; `sdbuild boot IMAGE --until-ssh` can boot the image later, and has \
             {BOOT_FLAGS}"
        ))
    })
}

/// Boots the image of a run that began at `start`. If it booted, tells what the run took, and prints the next commands.
async fn run_boot_test(
    boot_test: PreparedBoot,
    image: &Image,
    format: &ImageFormat,
    session: Session<'_>,
    output: &BuildOutput<'_>,
    start: Instant,
) -> Result<Reached, Failure> {
    let Session { context, .. } = session;
    let is_compressed = image.size != image.raw_size;
    let phases = format.boot_phases(is_compressed).to_vec();
    let (image, was_there) = (&image.path, image.up_to_date);
    context.events.emit(Event::ToCome(phases));
    let booted = Box::pin(boot_test.boot(image, session)).await;
    let reached = booted.map_err(|failure| not_booted(failure, image, output.keep_hint))?;
    let mut next = next_commands(image, format);
    next.retain(|(command, _)| !command.starts_with(BOOT));
    // A command that keeps no image has a last line of its own.
    if output.keep_hint.is_none() {
        let done = done_in(start.elapsed(), was_there);
        context.events.done(done);
    }
    tell_next(next, output, context);
    Ok(reached)
}

/// What a run did that took this long; nothing was built of an image that `was_there`.
fn done_in(took: Duration, was_there: bool) -> String {
    let took = ui::words::duration(took);
    if was_there {
        format!("up to date, booted in {took}")
    } else {
        format!("built and booted in {took}")
    }
}

/// How a command that builds presents the image.
pub(super) struct BuildOutput<'a> {
    /// Writes the result of the command.
    pub(super) write: &'a dyn Fn(&Image) -> Result<(), Failure>,
    /// If the command removes the image at the end: a hint how to keep one.
    pub(super) keep_hint: Option<&'static str>,
    /// Whether a boot test is content with the prompt on the console where a login is not possible.
    pub(super) or_until_prompt: bool,
}

/// The command that boots an image.
pub(super) const BOOT: &str = "sdbuild boot";

/// Reports `image`. If it is tested afterwards, the next commands are printed after the test.
fn tell_image(image: &Image, told: ImageDone, output: &BuildOutput<'_>, context: &Context) {
    if output.keep_hint.is_some() {
        let size = ui::words::human_bytes(image.raw_size);
        let text = format!("built an image of {size}");
        return context.events.notice(text);
    }
    context.events.emit(Event::ImageDone(told));
}

/// Tells what to do after a test of an image that is kept.
fn tell_next(next: Vec<(String, &'static str)>, output: &BuildOutput<'_>, context: &Context) {
    if output.keep_hint.is_none() && !next.is_empty() {
        context.events.emit(Event::Next(LastLine::Commands(next)));
    }
}

/// The commands that go on with the image at `path`, and what for.
pub(super) fn next_commands(path: &Path, format: &ImageFormat) -> Vec<(String, &'static str)> {
    let shown = shown_path(path);
    // Without a name the commands take the newest image here.
    let is_newest_here = !shown.contains('/') && is_newest_in_its_directory(path);
    let named = |command: &str| {
        if is_newest_here && command.starts_with("sdbuild ") {
            command.to_owned()
        } else {
            format!("{command} {}", quoted(&shown))
        }
    };
    let next = format.next.iter();
    next.map(|(command, purpose)| (named(command), *purpose))
        .collect()
}

/// The summary of `image` for users, with the commands to run next.
fn image_done(
    image: &Image,
    raw: &'static str,
    took: Duration,
    is_booted_next: bool,
    next: Vec<(String, &'static str)>,
) -> ImageDone {
    ImageDone {
        path: image.path.clone(),
        shown: shown_path(&image.path),
        size: image.size,
        raw_size: image.raw_size,
        raw,
        sha256: image.sha256.to_string(),
        took,
        is_booted_next,
        up_to_date: image.up_to_date,
        older: if image.up_to_date {
            Vec::new()
        } else {
            older_images(image)
        },
        next,
    }
}
