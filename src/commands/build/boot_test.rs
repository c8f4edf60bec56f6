//! The boot test of an image that was built.

use std::path::Path;
use std::time::{Duration, Instant};

use super::summary::{BOOT, BuildOutput, next_commands, tell_next};
use crate::commands::boot::{BootPlan, PreparedBoot};
use crate::output::Image;
use crate::settings;
use crate::settings::Environment;
use crate::ui;
use crate::ui::Ui;
use sdbuild_boot::{BootMethod, Reached};
use sdbuild_core::context::Context;
use sdbuild_core::event::Event;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::shell_word::quoted;
use sdbuild_image::image_format::{ImageFormat, Maker};

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
pub(super) async fn prepare_boot_test(
    settings: &settings::Build,
    env: &Environment,
    context: &Context,
    or_until_prompt: bool,
) -> Result<Option<PreparedBoot>, Failure> {
    if !settings.request.output.is_booted {
        return Ok(None);
    }
    let prepared = async {
        let method = match settings.request.target.format.row().maker {
            Maker::Disk | Maker::Iso => BootMethod::Uefi,
            Maker::Nixpkgs | Maker::Archive | Maker::Container => BootMethod::Firmware,
        };
        let mut plan = BootPlan::new(settings::Boot::test_of(settings, env))?.by_method(method);
        if or_until_prompt {
            plan = plan.or_until_prompt();
        }
        plan.preflight()?;
        plan.warn_of_keys(context).await?;
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
pub(super) async fn run_boot_test(
    boot_test: PreparedBoot,
    image: &Image,
    format: &ImageFormat,
    ui: &Ui,
    context: &Context,
    output: &BuildOutput<'_>,
    start: Instant,
) -> Result<Reached, Failure> {
    let flags = boot_test.flags();
    let is_compressed = image.size != image.raw_size;
    let phases = format.boot_phases(is_compressed).to_vec();
    let (image, was_there) = (&image.path, image.up_to_date);
    context.events.emit(Event::ToCome(phases));
    let booted = Box::pin(boot_test.boot(image, ui, context)).await;
    let reached = booted.map_err(|failure| not_booted(failure, image, &flags, output.keep_hint))?;
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn an_image_that_was_up_to_date_was_not_built() {
        let second = Duration::from_secs(12);
        assert_eq!(done_in(second, false), "built and booted in 12 s");
        assert!(!done_in(second, true).contains("built"));
    }
}
