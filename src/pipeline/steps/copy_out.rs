//! Step: the image is copied out of the builder into the output directory.

use std::path::Path;
use std::time::SystemTime;

use tokio::sync::watch;

use crate::common::configuration_file::{CONFIG_NAME, flake_text, lock_command};
use crate::nixos::builder::{BuildJob, BuildResult, NoConfiguration};
use crate::output;
use crate::output::manifest::Provenance;
use crate::output::{CopyRequest, Image, ImagerUrl, OutputSettings, UnchangedImage};
use crate::pipeline::plan::Plan;
use crate::pipeline::provenance::{container_image, image_owner_id};
use crate::pipeline::request::{BuildRequest, SourceChoice};
use crate::pipeline::run_context::RunContext;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::timings::Timings;
use sdbuild_image::board::BoardName;
use sdbuild_image::image_name::Sidecar;
use sdbuild_nix::flake_file::first_configuration;
use sdbuild_nix::flake_ref::FlakeLocation;

/// Where the image goes.
pub(super) fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    let request = &plan.request;
    let dir = request.output.dir.display();
    let replaces = if request.output.force {
        ", replacing one of the same name"
    } else {
        ""
    };
    let board = request.target.board.as_ref();
    let board = board.map(|board| ("board", board.to_string()));
    let mut lines = vec![("format", request.target.format.to_string())];
    lines.extend(board);
    lines.push(("image into", format!("{dir}{replaces}")));
    lines
}

/// Copies the image of a finished build, with its sidecars.
pub(in crate::pipeline) async fn copy_out(
    run: &RunContext<'_>,
    built: &BuildResult,
    origin: Provenance,
    timings: &Timings,
    configuration_read: SystemTime,
) -> Result<Image, Failure> {
    let request = request(run, origin, timings, configuration_read);
    let copy = output::copy_out(&built.container, &built.out_path, &request, run.context);
    let asks = run.plan.request.questions.replacing;
    let copy = async {
        let copied = copy.await;
        // What it came to is the size.
        let events = &run.context.events;
        events.detail(Phase::CopyOut, "");
        copied.map_err(|failure| {
            let failure = with_configuration(failure, built.as_it_is.as_ref(), local_flake(run));
            with_question(failure, asks)
        })
    };
    let image = run.context.phase(Phase::CopyOut, copy).await?;
    if let Some(imager) = &request.settings.imager {
        run.context
            .events
            .notice(imager_advice(imager, &image.path));
    }
    Ok(image)
}

/// How Raspberry Pi Imager takes the list beside the image at `path`.
fn imager_advice(imager: &ImagerUrl, path: &Path) -> String {
    let list = Sidecar::ImagerList.path(path);
    let shown = shown_path(&list);
    match imager {
        ImagerUrl::OutputDir => format!(
            "the list for Raspberry Pi Imager is {shown}: rpi-imager --repo {}",
            quoted(&shown)
        ),
        ImagerUrl::Below(base) => {
            let name = list.file_name().unwrap_or_default().to_string_lossy();
            let url = output::imager_url(base, &name);
            format!(
                "the list for Raspberry Pi Imager is {shown}; when it is published beside the image: rpi-imager --repo {}",
                quoted(&url)
            )
        }
    }
}

/// Ends with a failure as soon as it is known that the image cannot get its name, otherwise never. `image` receives its
/// derivation.
pub(in crate::pipeline) async fn refuse_early(
    run: &RunContext<'_>,
    mut image: watch::Receiver<Option<String>>,
) -> Failure {
    let mut origin = Provenance::default();
    origin.configuration.id = image_owner_id(run.plan);
    let request = request(run, origin, &Timings::default(), SystemTime::now());
    while image.changed().await.is_ok() {
        let derivation = image.borrow_and_update().clone().unwrap_or_default();
        let check = output::check_name(&derivation, &request, run.context);
        if let Err(failure) = check.await {
            let failure = Failure {
                // Nix has evaluated, and built nothing.
                is_refusal: true,
                ..failure
            };
            return with_question(failure, run.plan.request.questions.replacing);
        }
    }
    std::future::pending().await
}

/// `failure`, which asks whether a file may be replaced only if the user can be asked.
fn with_question(failure: Failure, asks_to_replace: bool) -> Failure {
    let in_the_way = failure.in_the_way.filter(|_| asks_to_replace);
    Failure {
        in_the_way,
        ..failure
    }
}

/// The same with the configuration to build instead, if what was built is none. `as_it_is` names one of the flake, if it has any.
/// `flake` is the text of its `flake.nix` and the command that completes its lock, if it is a directory of this machine.
fn with_configuration(
    failure: Failure,
    as_it_is: Option<&NoConfiguration>,
    flake: Option<(String, String)>,
) -> Failure {
    let Some(NoConfiguration { configuration }) =
        as_it_is.filter(|_| failure.class == Class::Build)
    else {
        return failure;
    };
    if let Some(first) = configuration {
        return failure.hint(format!(
            "a configuration of the flake has one: sdbuild build {}",
            quoted(first)
        ));
    }
    let (text, lock) = flake.unwrap_or_default();
    failure.hint(first_configuration(&text, &lock))
}

/// The text of the `flake.nix` that is built, and the command that completes its lock; `None` if it is not here.
fn local_flake(run: &RunContext<'_>) -> Option<(String, String)> {
    let SourceChoice::Flake { reference, .. } = &run.plan.request.source.choice else {
        return None;
    };
    let FlakeLocation::Directory { path, .. } = &reference.location else {
        return None;
    };
    let dir = path.join(&reference.dir);
    let lock = lock_command(&reference.text, dir.join(CONFIG_NAME).is_file());
    Some((flake_text(&dir)?, lock))
}

fn request(
    run: &RunContext<'_>,
    origin: Provenance,
    timings: &Timings,
    configuration_read: SystemTime,
) -> CopyRequest {
    CopyRequest {
        settings: output_settings(&run.plan.request),
        origin,
        timings: timings.clone(),
        configuration_read,
    }
}

/// The image that an earlier build made of the same configuration, nixpkgs and settings, if it is still there. Nix is not
/// asked: the key of the evaluation of `job` says that it would answer the same.
pub(in crate::pipeline) async fn unchanged(
    run: &RunContext<'_>,
    job: &BuildJob,
    configuration_read: SystemTime,
) -> Result<Option<UnchangedImage>, Failure> {
    let (plan, cancel) = (run.plan, &run.context.cancel);
    let Some(builder) = plan.engine_plan.builder.content_reference() else {
        return Ok(None);
    };
    let job = job.clone();
    let settings = output_settings(&plan.request);
    let mut origin = Provenance::default();
    origin.configuration.id = image_owner_id(plan);
    let registrar = plan.engine_plan.registrar.as_ref();
    origin.registrar = registrar.map(container_image);
    let token = cancel.clone();
    let find = move || {
        origin.configuration.evaluation = job.evaluation_key(&builder)?;
        Ok::<_, Failure>(output::unchanged(
            &settings,
            &origin,
            configuration_read,
            &token,
        ))
    };
    let found = cancel.race(tokio::task::spawn_blocking(find)).await?;
    found.or_internal("look for an earlier image")?
}

fn output_settings(request: &BuildRequest) -> OutputSettings {
    OutputSettings {
        board: request.target.board.map(|BoardName(board)| board),
        format: request.target.format.clone(),
        dir: request.output.dir.clone(),
        force: request.output.force,
        owner: request.output.owner,
        is_private: request.source.choice.is_private(),
        compression: request.output.compress,
        imager: request.output.imager.clone(),
        created: request
            .output
            .source_date_epoch
            .unwrap_or_else(jiff::Timestamp::now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_be_asked_has_failed() {
        let in_the_way = || Failure {
            in_the_way: Some(Path::new("pi.img").into()),
            ..Failure::usage("it exists")
        };
        assert!(with_question(in_the_way(), true).has_question());
        assert!(!with_question(in_the_way(), false).has_question());
    }

    #[test]
    fn the_command_for_imager_names_the_list() {
        let path = Path::new("/out/my pi.img.zst");
        let advice = imager_advice(&ImagerUrl::OutputDir, path);
        let command = ": rpi-imager --repo '/out/my pi.img.zst.rpi-imager.json'";
        assert!(advice.ends_with(command), "{advice}");
        let advice = imager_advice(&ImagerUrl::Below("https://h.example/x".into()), path);
        let command = ": rpi-imager --repo https://h.example/x/my%20pi.img.zst.rpi-imager.json";
        assert!(advice.ends_with(command), "{advice}");
    }
}
