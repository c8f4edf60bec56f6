//! `sdbuild build`: resolve, plan, run, report; then boot what came out, when that is asked for.

use crate::cli::{self, DryRun};
use crate::commands;
use crate::commands::boot::{Bench, Ready};
use crate::event::{Event, Timings};
use crate::failure::{Class, Failure};
use crate::output::Image;
use crate::pipeline::{self, Context, described};
use crate::settings::{self, Environment, SshKey};
use crate::ui::{self, Ui};

/// Builds the image and writes its path to standard output as the last line.
pub async fn run(
    args: &cli::Build,
    env: &Environment,
    (ui, context): (&Ui, &Context),
) -> Result<(), Failure> {
    let settings = settings::Build::resolve(args, env)?;
    if let Some(up_to) = settings.dry_run {
        return Box::pin(dry_run(settings, up_to, (ui, context))).await;
    }
    let tell = |image: &Image| {
        if args.json {
            ui.result(image.manifest.trim_end())
        } else {
            ui.result(&image.path.to_string_lossy())
        }
    };
    let built = Box::pin(build(settings, env, (ui, context, &tell))).await;
    built.map_err(|failure| with_shell(failure, args))
}

/// Tells what a build would do, as far as it can be told without doing it.
async fn dry_run(
    settings: settings::Build,
    up_to: DryRun,
    (ui, context): (&Ui, &Context),
) -> Result<(), Failure> {
    let tell = |line: &String| ui.result(&ui::sanitize(line).replace('\n', " "));
    let changed = |what: &str| tell(&described(&("changed", what.to_owned())));
    let plan = pipeline::plan(settings, context).await?;
    plan.describe().iter().try_for_each(tell)?;
    if up_to == DryRun::Plan {
        return changed("nothing");
    }
    let (forecast, leftovers) = pipeline::forecast(&plan, context).await?;
    let lines = forecast.describe();
    lines
        .iter()
        .map(described)
        .try_for_each(|line| tell(&line))?;
    if !leftovers.is_empty() {
        let text = "the forecast is told, but not everything could be removed";
        return Err(Failure::environment(text).with_teardown(leftovers));
    }
    changed(
        "nothing but what an evaluation needs: the cache has the packages and nixpkgs, the engine the \
         builder's image and the store volume",
    )
}

/// How a finished image is told.
pub(super) type Tell<'a> = dyn Fn(&Image) -> Result<(), Failure> + 'a;

/// Builds the image, tells of it, and boots it when the settings say so.
pub(super) async fn build(
    settings: settings::Build,
    env: &Environment,
    (ui, context, tell): (&Ui, &Context, &Tell<'_>),
) -> Result<(), Failure> {
    let boot = boot_test(&settings, env, context).await?;
    let timings = Timings::default();
    let context = &Context {
        events: timings.listen(&context.events),
        ..context.clone()
    };
    let plan = pipeline::plan(settings, context).await?;
    let done = pipeline::run(&plan, context, &timings).await;
    // Who interrupts a build does not wait for its table.
    if !context.cancel.is_cancelled() {
        context.events.emit(Event::WorkEnded);
    }
    let done = done?;
    let image = &done.image;
    context.events.notice(format!(
        "{} in {} (SHA-256 {})",
        ui::words::bytes(image.size),
        image.path.display(),
        hex::encode(image.sha256)
    ));
    let told = tell(image);
    let path = image.path.clone();
    // What could not be removed weighs more than a result that nobody could be told.
    done.all_given_back().and(told)?;
    match boot {
        Some(mut ready) => {
            ready.request.image.clone_from(&path);
            let booted = Box::pin(ready.boot((ui, context))).await;
            let shown = path.display();
            booted.map_err(|e| e.context(format!("boot the image, which stays at {shown}")))
        }
        None => Ok(()),
    }
}

/// Names the command that gives the environment of what failed, when a look into it can help.
fn with_shell(failure: Failure, args: &cli::Build) -> Failure {
    match &failure.derivation {
        Some(derivation) if failure.class == Class::Build => {
            let command = commands::shell::command(args, derivation);
            failure.hint(format!("look into it where it failed: {command}"))
        }
        _ => failure,
    }
}

/// How the image will be booted; what that needs is looked for before the hours of a build.
async fn boot_test(
    settings: &settings::Build,
    env: &Environment,
    context: &Context,
) -> Result<Option<Ready>, Failure> {
    if !settings.boot_test {
        return Ok(None);
    }
    let args = cli::Boot {
        image: settings.output.clone(),
        until_ssh: true,
        run: None,
        ssh_key: settings.ssh_key.as_ref().and_then(SshKey::private),
        user: None,
        timeout: None,
        memory: None,
        port: None,
        system: Some(settings.system.to_string()),
        emulator: None,
        firmware: None,
    };
    let bench = Bench::new(settings::Boot::resolve(&args, env)?);
    bench.preflight()?;
    Ok(Some(bench.ready(context).await?))
}
