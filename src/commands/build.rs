//! `sdbuild build`: resolve, plan, run, report; then boot what came out, when that is asked for.

use crate::cli;
use crate::commands::boot::{Bench, Ready};
use crate::commands::{self, dry_run};
use crate::event::{Event, Timings};
use crate::failure::{Class, Failure};
use crate::output::Image;
use crate::pipeline::{self, Context};
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
        return Box::pin(dry_run::run(settings, (up_to, args.json), (ui, context))).await;
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
