//! `sdbuild build`: resolve, plan, run, report; then boot what came out, when that is asked for.

use crate::boot;
use crate::cli;
use crate::commands;
use crate::event::{Event, Timings};
use crate::failure::{Class, Failure};
use crate::pipeline::{self, Context};
use crate::settings::{self, Environment};
use crate::ui::{self, Ui};

/// Builds the image and writes its path to standard output as the last line.
pub async fn run(
    args: &cli::Build,
    env: &Environment,
    (ui, context): (&Ui, &Context),
) -> Result<(), Failure> {
    let settings = settings::Build::resolve(args, env)?;
    let boot = boot_test(&settings, args, env)?;
    let timings = Timings::default();
    let context = &Context {
        events: timings.listen(&context.events),
        ..context.clone()
    };
    let plan = pipeline::plan(settings, context).await?;
    if plan.settings.dry_run {
        let lines = plan.describe();
        return lines
            .iter()
            .try_for_each(|line| ui.result(&ui::sanitize(line).replace('\n', " ")));
    }
    let done = pipeline::run(&plan, context, &timings).await;
    // Who interrupts a build does not wait for its table.
    if !context.cancel.is_cancelled() {
        context.events.emit(Event::WorkEnded);
    }
    let done = done.map_err(|failure| with_shell(failure, args))?;
    let image = &done.image;
    context.events.notice(format!(
        "{} in {} (SHA-256 {})",
        ui::words::bytes(image.size),
        image.path.display(),
        hex::encode(image.sha256)
    ));
    let told = if args.json {
        ui.result(image.manifest.trim_end())
    } else {
        ui.result(&image.path.to_string_lossy())
    };
    let path = image.path.clone();
    // What could not be removed weighs more than a result that nobody could be told.
    done.all_given_back().and(told)?;
    match boot {
        Some(request) => {
            test(
                boot::Request {
                    image: path,
                    ..request
                },
                context,
            )
            .await
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
fn boot_test(
    settings: &settings::Build,
    args: &cli::Build,
    env: &Environment,
) -> Result<Option<boot::Request>, Failure> {
    if !settings.boot_test || settings.dry_run {
        return Ok(None);
    }
    let args = cli::Boot {
        image: settings.output.clone(),
        until_ssh: true,
        run: None,
        ssh_key: args.ssh_key.clone(),
        user: None,
        timeout: None,
        memory: None,
        port: None,
        system: Some(settings.system.to_string()),
        firmware: None,
    };
    let request = commands::boot::request(settings::Boot::resolve(&args, env)?);
    boot::preflight(&request)?;
    Ok(Some(request))
}

async fn test(request: boot::Request, context: &Context) -> Result<(), Failure> {
    let booted = Box::pin(boot::boot(&request, (&context.cancel, &context.events))).await;
    let shown = request.image.display();
    booted.map_err(|failure| failure.context(format!("boot the image, which stays at {shown}")))
}
