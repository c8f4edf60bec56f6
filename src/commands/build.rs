//! `sdbuild build`: resolve, plan, run, report; then boot what came out, when that is asked for.

use std::path::Path;

use crate::cli;
use crate::commands::boot::{BootPlan, PreparedBoot};
use crate::commands::{self, dry_run};
use crate::common::context::Context;
use crate::common::event::{Event, Timings};
use crate::common::failure::{Class, Failure};
use crate::common::shell_word::quoted;
use crate::output::Image;
use crate::pipeline;
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
        return Box::pin(dry_run::run(settings, up_to, args.json, ui, context)).await;
    }
    let tell = |image: &Image| {
        if args.json {
            ui.result(image.manifest.trim_end())
        } else {
            ui.result(&image.path.to_string_lossy())
        }
    };
    let asker = BuildOutput {
        report: &tell,
        keep_hint: None,
    };
    let built = Box::pin(build(settings, env, (ui, context, &asker))).await;
    built.map_err(|failure| with_shell(failure, args))
}

/// Who wants the image.
pub(super) struct BuildOutput<'a> {
    /// How it is told of.
    pub(super) report: &'a dyn Fn(&Image) -> Result<(), Failure>,
    /// How to have one that stays, as a hint, when this one goes with the command.
    pub(super) keep_hint: Option<&'static str>,
}

/// Builds the image, tells of it, and boots it when the settings say so.
pub(super) async fn build(
    settings: settings::Build,
    env: &Environment,
    (ui, context, asker): (&Ui, &Context, &BuildOutput<'_>),
) -> Result<(), Failure> {
    let boot = boot_test(&settings, env, context).await?;
    let timings = Timings::default();
    let context = &Context {
        events: timings.listen(&context.events),
        ..context.clone()
    };
    let plan = pipeline::plan(settings, context).await?;
    let done = pipeline::build(&plan, context, &timings).await;
    // Who interrupts a build does not wait for its table.
    if !context.cancel.is_cancelled() {
        context.events.emit(Event::WorkEnded);
    }
    let done = done?;
    let image = &done.value;
    context.events.notice(format!(
        "{} in {} (SHA-256 {})",
        ui::words::human_bytes(image.size),
        image.path.display(),
        image.sha256
    ));
    let told = (asker.report)(image);
    let path = image.path.clone();
    // What could not be removed weighs more than a result that nobody could be told.
    done.require_clean("the image is done").and(told)?;
    match boot {
        Some(mut ready) => {
            ready.request.image.clone_from(&path);
            let login = ready.request.login.as_ref();
            let key = login.and_then(|login| login.key.clone());
            let booted = Box::pin(ready.boot(ui, context)).await;
            booted.map_err(|failure| not_booted(failure, &path, (key.as_deref(), asker.keep_hint)))
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

/// What `boot` is told and `build` is not: the hints of a failed boot are about these.
const OPTIONS: &str = "--timeout, --memory, --user and --firmware";

/// Says where the image is, and who has the options that the hints name.
fn not_booted(
    failure: Failure,
    image: &Path,
    (key, goes): (Option<&Path>, Option<&str>),
) -> Failure {
    let (context, hint) = match goes {
        Some(hint) => ("boot the image".to_owned(), hint.to_owned()),
        None => (
            format!("boot the image, which stays at {}", image.display()),
            again(image, key),
        ),
    };
    let failure = failure.context(context);
    if failure.class == Class::Interrupted {
        return failure;
    }
    failure.hint(hint)
}

fn again(image: &Path, key: Option<&Path>) -> String {
    let word = |path: &Path| quoted(&path.to_string_lossy());
    let key = key.map(|key| format!(" --ssh-key {}", word(key)));
    let (image, key) = (word(image), key.unwrap_or_default());
    format!("boot it again with other options ({OPTIONS}): sdbuild boot {image} --until-ssh{key}")
}

/// How the image will be booted; what that needs is looked for before the hours of a build.
async fn boot_test(
    settings: &settings::Build,
    env: &Environment,
    context: &Context,
) -> Result<Option<PreparedBoot>, Failure> {
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
    let boot = settings::Boot::with(settings.common.clone(), &args, env)?;
    let ready = async {
        let plan = BootPlan::new(boot)?;
        plan.preflight()?;
        plan.prepare(context).await
    };
    ready.await.map(Some).map_err(|failure: Failure| {
        failure.hint(format!(
            "without a boot test it is built all the same; `sdbuild boot IMAGE --until-ssh` boots it then, and has \
             {OPTIONS}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_test_that_failed_names_the_command_that_has_its_options() {
        let failed = || Failure::environment("no login").hint("give it more time with --timeout");
        let (image, key) = (Path::new("/my pi/a.img.zst"), Path::new("/k/id"));
        let failure = not_booted(failed(), image, (Some(key), None));
        assert!(failure.to_string().contains("stays at /my pi/a.img.zst"));
        let command = "sdbuild boot '/my pi/a.img.zst' --until-ssh --ssh-key /k/id";
        assert!(failure.hints[1].ends_with(command), "{:?}", failure.hints);
        assert!(failure.hints[1].contains("--timeout"));
        let gone = not_booted(failed(), image, (None, Some("keep it")));
        assert!(!gone.to_string().contains("stays"), "{gone}");
        assert_eq!(gone.hints[1..], ["keep it"], "nothing boots what is gone");
        let stopped = not_booted(Failure::interrupted(), image, (None, None));
        assert!(stopped.hints.is_empty());
    }
}
