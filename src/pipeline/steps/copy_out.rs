//! Step: the image is copied out of the builder into the output directory.

use crate::common::event::Phase;
use crate::common::failure::Failure;
use crate::common::timings::Timings;
use crate::nixos::builder::BuildResult;
use crate::output::manifest::Provenance;
use crate::output::{self, CopyRequest, Image, ImagerUrl, OutputSettings};
use crate::pipeline::plan::Plan;
use crate::pipeline::run_context::RunContext;
use crate::settings::{self, PublishedAt};

/// Where the image goes.
pub(super) fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    let dir = plan.settings.output.display();
    let replaces = if plan.settings.force {
        ", in place of one of the same name"
    } else {
        ""
    };
    vec![("image into", format!("{dir}{replaces}"))]
}

/// Copies the image of a finished build, with its sidecars.
pub(in crate::pipeline) async fn copy_out(
    run: &RunContext<'_>,
    built: &BuildResult,
    origin: Provenance,
    timings: &Timings,
) -> Result<Image, Failure> {
    let request = CopyRequest {
        format: run.plan.format,
        settings: output_settings(&run.plan.settings),
        origin,
        timings: timings.clone(),
    };
    let copy = output::copy_out(&built.container, &built.out_path, &request, run.context);
    run.context.phase(Phase::CopyOut, copy).await
}

fn output_settings(settings: &settings::Build) -> OutputSettings {
    let imager = settings.rpi_imager.clone();
    OutputSettings {
        dir: settings.output.clone(),
        force: settings.force,
        owner: settings.owner,
        compression: settings.compress,
        imager: imager.map(|PublishedAt(url)| url.map_or(ImagerUrl::OutputDir, ImagerUrl::Below)),
        created: settings
            .source_date_epoch
            .unwrap_or_else(jiff::Timestamp::now),
    }
}
