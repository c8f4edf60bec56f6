//! `sdbuild build`: plans and runs a build, and boots the image if a boot test is requested.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::boot::Reached;
use crate::cli;
use crate::commands::boot::{BootPlan, PreparedBoot};
use crate::commands::confirm::confirm;
use crate::commands::flake_caches::asking;
use crate::commands::newest_image::is_newest_in_its_directory;
use crate::commands::{board_check, dry_run, shell};
use crate::common::board::BoardName;
use crate::common::context::Context;
use crate::common::event::{Event, ImageDone};
use crate::common::failure::{Class, Failure};
use crate::common::image_format::{ImageFormat, Maker};
use crate::common::shell_word::quoted;
use crate::common::shown_path::shown_path;
use crate::common::timings::Timings;
use crate::output::Image;
use crate::pipeline::{self, Outcome};
use crate::settings::{self, BuildArgs, Environment};
use crate::ui::{self, Ui};

/// Builds the image and writes its path, or its manifest, to standard output.
pub async fn run(
    args: &cli::Build,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let build_args = args.args();
    let mut settings = settings::Build::resolve(&build_args, env)?;
    settings.borrow.accepts_price = args.yes;
    let is_borrowed = settings.borrow.from.is_some();
    if let Some(up_to) = settings.dry_run {
        if is_borrowed {
            context.events.notice(NOT_BORROWED);
        }
        return Box::pin(dry_run::run(settings, up_to, args.json, ui, context)).await;
    }
    let write = |image: &Image| {
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
        path_follows: !args.json && ui.results_follow_lines(),
        keep_hint: None,
        or_until_prompt: false,
    };
    let built = Box::pin(build(settings, env, ui, context, &output)).await;
    let built = built.map_err(|failure| {
        if is_borrowed {
            // Nothing is kept on a machine that is given back.
            return failure;
        }
        with_shell(with_kept(failure), &build_args)
    });
    built.map(drop)
}

/// What is told when a build on a machine on loan is only described.
const NOT_BORROWED: &str =
    "no machine is borrowed for a description: it is about the engine that is there";

/// Adds to an interruption that nothing is lost.
fn with_kept(failure: Failure) -> Failure {
    if failure.class != Class::Interrupted {
        return failure;
    }
    failure.hint("what was downloaded and built is kept: the same command goes on from there")
}

/// How a command that builds presents the image.
pub(super) struct BuildOutput<'a> {
    /// Writes the result of the command.
    pub(super) write: &'a dyn Fn(&Image) -> Result<(), Failure>,
    /// Whether that is the path, in the same file as the lines about the run.
    pub(super) path_follows: bool,
    /// If the command removes the image at the end: a hint how to keep one.
    pub(super) keep_hint: Option<&'static str>,
    /// Whether a boot test is content with the prompt on the console where a login is not possible.
    pub(super) or_until_prompt: bool,
}

/// Builds the image, writes the result, and boots the image if the settings request a boot test: how far that came.
pub(super) async fn build(
    settings: settings::Build,
    env: &Environment,
    ui: &Ui,
    context: &Context,
    output: &BuildOutput<'_>,
) -> Result<Option<Reached>, Failure> {
    let start = Instant::now();
    let boot_test = prepare_boot_test(&settings, env, context, output.or_until_prompt).await?;
    let format = settings.format.row();
    let board = settings.board.filter(|_| format.is_disk);
    let scratch = settings.common.cache_dir.clone();
    let timings = Timings::default();
    let context = &Context {
        events: timings.listen(&context.events),
        ..context.clone()
    };
    let accepts_price = settings.borrow.accepts_price;
    let agree = async |price: &str| may_pay(price, accepts_price, ui, context).await;
    let work = async |settings| build_or_replace(settings, ui, context, &timings).await;
    let done = Box::pin(pipeline::with_machine(settings, context, agree, work)).await;
    // After an interrupt the table of timings would only delay the exit.
    let ended = || {
        if !context.cancel.is_cancelled() {
            context.events.emit(Event::WorkEnded);
        }
    };
    if boot_test.is_none() || done.is_err() {
        ended();
    }
    let done = done?;
    let image = &done.value;
    let path = image.path.clone();
    let is_tested = boot_test.is_some() || board.is_some();
    let next = if is_tested {
        Vec::new()
    } else {
        next_commands(&path, format)
    };
    let told = image_done(image, format.raw, start.elapsed(), next);
    tell_image(image, told, output, context);
    // An image that was there already may have been built for another board; a boot on the board shows more.
    if let Some(BoardName(board)) = board.filter(|_| boot_test.is_none())
        && board_check::run(&path, board, scratch, context).await?
    {
        tell_next(next_commands(&path, format), output, context);
    }
    done.finish("the image is done", |image| (output.write)(&image))?;
    let Some(boot_test) = boot_test else {
        return Ok(None);
    };
    let flags = boot_test.flags();
    let booted = Box::pin(boot_test.boot(&path, ui, context)).await;
    if booted.is_ok() {
        let next = next_commands(&path, format).into_iter();
        let next = next.filter(|(command, _)| !command.starts_with(BOOT));
        tell_next(next, output, context);
    }
    ended();
    let booted = booted.map(Some);
    booted.map_err(|failure| not_booted(failure, &path, &flags, output.keep_hint))
}

/// Tells the price of a machine on loan, and asks whether it may be paid unless the user said so.
async fn may_pay(price: &str, accepts: bool, ui: &Ui, context: &Context) -> Result<(), Failure> {
    let price = ui::sanitize_line(price);
    if accepts {
        context.events.notice(format!("the machine costs {price}"));
        return Ok(());
    }
    let question = format!("The machine costs {price}. Borrow it?");
    agreed(confirm(question, ui, context).await?, &price)
}

fn agreed(answer: Option<bool>, price: &str) -> Result<(), Failure> {
    match answer {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::usage("no machine was borrowed")
            .hint("--on none builds with the engine of this machine")),
        None => Err(Failure::usage(format!(
            "no machine was borrowed: it costs {price}, and there is no answer from a terminal"
        ))
        .hint("give --yes to pay without a question")),
    }
}

/// Builds the image. If another file has its name, asks whether it may take its place.
async fn build_or_replace(
    settings: settings::Build,
    ui: &Ui,
    context: &Context,
    timings: &Timings,
) -> Result<Outcome<Image>, Failure> {
    let done = plan_and_build(settings.clone(), ui, context, timings).await;
    let in_the_way = done.as_ref().err().and_then(|e| e.in_the_way.as_deref());
    match in_the_way {
        Some(file) if may_replace(file, ui, context).await? => {
            // What was built is kept.
            let settings = settings::Build {
                force: true,
                ..settings
            };
            plan_and_build(settings, ui, context, timings).await
        }
        Some(_) | None => done,
    }
}

async fn plan_and_build(
    settings: settings::Build,
    ui: &Ui,
    context: &Context,
    timings: &Timings,
) -> Result<Outcome<Image>, Failure> {
    let build = async |settings| {
        let plan = pipeline::plan(settings, context).await?;
        Box::pin(pipeline::build(&plan, context, timings)).await
    };
    Box::pin(asking(settings, ui, context, build)).await
}

/// Asks whether the image may take the place of `file`; nobody can be asked without a terminal.
async fn may_replace(file: &Path, ui: &Ui, context: &Context) -> Result<bool, Failure> {
    let shown = ui::sanitize_line(&shown_path(file));
    let question = format!(
        "{shown} is there already, and is not what a build of this configuration wrote. Replace it?"
    );
    Ok(confirm(question, ui, context).await? == Some(true))
}

/// The command that boots an image.
const BOOT: &str = "sdbuild boot";

/// Tells about `image`. If it is tested afterwards, what to do next is told then.
fn tell_image(image: &Image, told: ImageDone, output: &BuildOutput<'_>, context: &Context) {
    if output.keep_hint.is_some() {
        let size = ui::words::human_bytes(image.raw_size);
        let text = format!("built an image of {size}");
        return context.events.notice(text);
    }
    context.events.emit(Event::ImageDone(ImageDone {
        path_follows: output.path_follows,
        ..told
    }));
}

/// Tells what to do after a test of an image that is kept.
fn tell_next(
    next: impl IntoIterator<Item = (String, &'static str)>,
    output: &BuildOutput<'_>,
    context: &Context,
) {
    for (command, purpose) in next.into_iter().filter(|_| output.keep_hint.is_none()) {
        let text = format!("next: {command} ({purpose})");
        context.events.notice(text);
    }
}

/// The commands that go on with the image at `path`, and what for.
fn next_commands(path: &Path, format: &ImageFormat) -> Vec<(String, &'static str)> {
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

/// What users are told about `image`, with the commands to go on with.
fn image_done(
    image: &Image,
    raw: &'static str,
    took: Duration,
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
        up_to_date: image.up_to_date,
        path_follows: false,
        next,
    }
}

/// Adds a hint with the command that opens a shell in the environment of the failed derivation.
fn with_shell(failure: Failure, args: &BuildArgs) -> Failure {
    match &failure.derivation {
        Some(derivation) if failure.class == Class::Build => {
            let command = shell::command(args, derivation);
            failure.hint(format!("look into it where it failed: {command}"))
        }
        _ => failure,
    }
}

/// Flags of `boot` that `build` does not have; the hints of a failed boot name them.
const BOOT_FLAGS: &str = "--timeout, --memory, --user and --firmware";

/// Adds where the image is, and which command has the flags that the hints of a failed boot name.
fn not_booted(failure: Failure, image: &Path, flags: &str, keep_hint: Option<&str>) -> Failure {
    let (operation, hint) = match keep_hint {
        Some(hint) => ("boot the image".to_owned(), hint.to_owned()),
        None => (
            format!("boot the image, which stays at {}", image.display()),
            boot_again(image, flags),
        ),
    };
    let failure = failure.context(operation);
    if failure.class == Class::Interrupted {
        return failure;
    }
    failure.hint(hint)
}

fn boot_again(image: &Path, flags: &str) -> String {
    let image = quoted(&image.to_string_lossy());
    format!("boot it again with other options ({BOOT_FLAGS}): sdbuild boot {image} {flags}")
}

/// Prepares the boot test before the build, which can take hours. `None` if no boot test is requested.
async fn prepare_boot_test(
    settings: &settings::Build,
    env: &Environment,
    context: &Context,
    or_until_prompt: bool,
) -> Result<Option<PreparedBoot>, Failure> {
    if !settings.boot_test {
        return Ok(None);
    }
    let prepared = async {
        let mut plan = BootPlan::new(settings::Boot::test_of(settings, env))?.by_uefi(matches!(
            settings.format.row().maker,
            Maker::Disk | Maker::Iso
        ));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_says_that_results_are_kept() {
        let stopped = with_kept(Failure::interrupted());
        assert!(stopped.hints.concat().contains("is kept"), "{stopped:?}");
        assert!(with_kept(Failure::usage("x")).hints.is_empty());
    }

    #[test]
    fn a_price_that_nobody_agreed_to_is_not_paid() {
        agreed(Some(true), "1 €").unwrap();
        for answer in [Some(false), None] {
            let refused = agreed(answer, "1 €").unwrap_err();
            assert_eq!(refused.class, Class::Usage);
            let instead = if answer.is_some() {
                "--on none"
            } else {
                "--yes"
            };
            assert!(refused.hints[0].contains(instead), "{refused:?}");
        }
    }

    #[test]
    fn a_failed_boot_test_names_the_command_to_retry() {
        let failed = || Failure::environment("no login").hint("give it more time with --timeout");
        let image = Path::new("/my pi/a.img.zst");
        let flags = "--board rpi3 --until-ssh --login-key /k/id";
        let failure = not_booted(failed(), image, flags, None);
        assert!(failure.to_string().contains("stays at /my pi/a.img.zst"));
        let command = "sdbuild boot '/my pi/a.img.zst' --board rpi3 --until-ssh --login-key /k/id";
        assert!(failure.hints[1].ends_with(command), "{:?}", failure.hints);
        assert!(failure.hints[1].contains("--timeout"));
        let gone = not_booted(failed(), image, flags, Some("keep it"));
        assert!(!gone.to_string().contains("stays"), "{gone}");
        assert_eq!(
            gone.hints[1..],
            ["keep it"],
            "a removed image cannot be booted"
        );
        let stopped = not_booted(Failure::interrupted(), image, flags, None);
        assert!(stopped.hints.is_empty());
    }
}
