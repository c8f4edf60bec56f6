//! `sdbuild build`: plans and runs a build, and boots the image if a boot test is requested.

mod boot_test;
mod summary;

use std::path::Path;
use std::time::Instant;

use crate::cli;
use crate::commands::confirm::confirm;
use crate::commands::flake_caches::asking;
use crate::commands::{board_check, cloud, dry_run, shell};
use crate::output::Image;
use crate::pipeline;
use crate::pipeline::{BuildRequest, Outcome};
use crate::settings;
use crate::settings::{BuildArgs, Environment};
use crate::ui;
use crate::ui::Ui;
use boot_test::{prepare_boot_test, run_boot_test};
use sdbuild_boot::Reached;
use sdbuild_core::context::Context;
use sdbuild_core::event::Event;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::timings::Timings;
use sdbuild_image::board::BoardName;
use summary::{image_done, tell_image, tell_next};

pub(super) use summary::{BOOT, BuildOutput, next_commands};

/// Builds the image and writes its path, or its manifest, to standard output.
pub async fn run(
    args: &cli::Build,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let build_args = args.args();
    let mut settings = settings::Build::resolve(&build_args, env)?;
    settings.accepts_price = args.yes;
    let is_rented = settings.on.is_rented();
    if let Some(up_to) = settings.dry_run {
        if is_rented {
            context.events.notice(NOT_RENTED);
        }
        return Box::pin(dry_run::run(settings, up_to, args.json, env, ui, context)).await;
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
        if is_rented {
            // Nothing is kept on a machine that is given back.
            return failure;
        }
        with_shell(failure, &build_args)
    });
    built.map(drop)
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
    env: &Environment,
    ui: &Ui,
    context: &Context,
    output: &BuildOutput<'_>,
) -> Result<Option<Reached>, Failure> {
    let start = Instant::now();
    let boot_test = prepare_boot_test(&settings, env, context, output.or_until_prompt).await?;
    let format = settings.request.target.format.row();
    let board = settings.request.target.board.filter(|_| format.is_disk);
    let scratch = settings.request.common.cache_dir.clone();
    let timings = Timings::default();
    let watched = match &boot_test {
        Some(boot_test) => boot_test.watch_keys(&context.events),
        None => context.events.clone(),
    };
    let context = &Context {
        events: timings.listen(&watched),
        ..context.clone()
    };
    let accepts_price = settings.accepts_price;
    let is_rented = settings.on.is_rented();
    let agree = async |price: &str| may_pay(price, accepts_price, ui, context).await;
    let work = async |request| build_or_replace(request, ui, context, &timings).await;
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
    let is_tested = boot_test.is_some() || board.is_some();
    let next = if is_tested {
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
    if let Some(BoardName(board)) = board.filter(|_| boot_test.is_none())
        && board_check::run(&path, board, scratch, context).await?
    {
        tell_next(next_commands(&path, format), output, context);
    }
    let write = |image| (output.write)(&image).map(|()| image);
    let image = done.finish("the image is complete", write)?;
    let Some(boot_test) = boot_test else {
        return Ok(None);
    };
    let booted = run_boot_test(boot_test, &image, format, ui, context, output, start).await;
    ended();
    booted.map(Some)
}

/// Shows the price of a rented machine, and asks for confirmation unless it was given in advance.
async fn may_pay(price: &str, accepts: bool, ui: &Ui, context: &Context) -> Result<(), Failure> {
    let price = ui::sanitize_line(price);
    if accepts {
        context.events.notice(format!("the machine costs {price}"));
        return Ok(());
    }
    let question = format!("The machine costs {price}. Rent it?");
    agreed(confirm(question, ui, context).await?, &price)
}

fn agreed(answer: Option<bool>, price: &str) -> Result<(), Failure> {
    match answer {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::declined("no machine was rented")
            .hint("--on none builds with the engine of this machine")),
        None => Err(Failure::usage(format!(
            "no machine was rented. It costs {price}, and nobody answered the question on a terminal"
        ))
        .hint("give --yes to accept the price without a question")),
    }
}

/// Builds the image. If another file has its name, asks whether it may take its place.
async fn build_or_replace(
    mut request: BuildRequest,
    ui: &Ui,
    context: &Context,
    timings: &Timings,
) -> Result<Outcome<Image>, Failure> {
    request.questions.replacing = ui.can_ask();
    let failure = match plan_and_build(request.clone(), ui, context, timings).await {
        Ok(done) => return Ok(done),
        Err(failure) => failure,
    };
    let Some(file) = &failure.in_the_way else {
        return Err(failure);
    };
    match may_replace(file, ui, context).await? {
        Some(true) => {
            // What was built is kept.
            request.output.force = true;
            plan_and_build(request, ui, context, timings).await
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
    ui: &Ui,
    context: &Context,
    timings: &Timings,
) -> Result<Outcome<Image>, Failure> {
    let build = async |request| {
        let plan = pipeline::plan(request, context).await?;
        Box::pin(pipeline::build(&plan, context, timings)).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_says_that_results_are_kept() {
        let stopped = with_kept(Failure::interrupted(), false);
        assert!(stopped.hints.concat().contains("are kept"), "{stopped:?}");
        assert!(with_kept(Failure::usage("x"), false).hints.is_empty());
        assert!(with_kept(Failure::interrupted(), true).hints.is_empty());
    }

    #[test]
    fn a_price_that_nobody_agreed_to_is_not_paid() {
        agreed(Some(true), "1 €").unwrap();
        for answer in [Some(false), None] {
            let refused = agreed(answer, "1 €").unwrap_err();
            let (class, instead) = if answer.is_some() {
                (Class::Declined, "--on none")
            } else {
                (Class::Usage, "--yes")
            };
            assert_eq!(refused.class, class);
            assert!(refused.hints[0].contains(instead), "{refused:?}");
        }
    }
}
