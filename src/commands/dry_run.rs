//! `sdbuild build --dry-run`: what a build would do, as far as that can be told without doing it.

use serde_json::json;

use crate::cli::DryRun;
use crate::common::failure::{Failure, OrFail as _};
use crate::nixos::forecast::Forecast;
use crate::pipeline::{self, Context, Plan};
use crate::settings;
use crate::ui::{self, Ui};

/// Raised when a field of the JSON goes or means something else.
const VERSION: u32 = 1;
const CHANGED: &str = "nothing but what an evaluation needs: packages and nixpkgs in the cache, the builder's image \
                       and the store volume in the engine, a log";

/// Tells the plan, and Nix's forecast when it is asked for; with `as_json` both in one object.
pub(super) async fn run(
    settings: settings::Build,
    (up_to, as_json): (DryRun, bool),
    (ui, context): (&Ui, &Context),
) -> Result<(), Failure> {
    let plan = pipeline::plan(settings, context).await?;
    if !as_json {
        tell(ui, &plan.describe())?;
    }
    let (forecast, leftovers) = match up_to {
        DryRun::Plan => (None, Vec::new()),
        DryRun::Forecast => {
            let (forecast, leftovers) = pipeline::forecast(&plan, context).await?;
            (Some(forecast), leftovers)
        }
    };
    if as_json {
        ui.result(&object(&plan, forecast.as_ref())?)?;
    } else {
        tell(ui, &last_lines(forecast.as_ref()))?;
    }
    if leftovers.is_empty() {
        return Ok(());
    }
    let text = "the forecast is told, but not everything could be removed";
    Err(Failure::environment(text).with_teardown(leftovers))
}

fn tell(ui: &Ui, lines: &[(&str, String)]) -> Result<(), Failure> {
    lines.iter().try_for_each(|(name, what)| {
        let what = ui::sanitize(what).replace('\n', " ");
        ui.result(&format!("{name:<14} {what}"))
    })
}

fn last_lines(forecast: Option<&Forecast>) -> Vec<(&'static str, String)> {
    let changed = if forecast.is_some() {
        CHANGED
    } else {
        "nothing"
    };
    let mut lines = forecast.map(Forecast::describe).unwrap_or_default();
    lines.push(("changed", changed.to_owned()));
    lines
}

fn object(plan: &Plan, forecast: Option<&Forecast>) -> Result<String, Failure> {
    let plan = plan.describe().into_iter();
    let plan: Vec<_> = plan
        .map(|(about, what)| json!({ "about": about, "what": what }))
        .collect();
    let forecast = forecast.map(|forecast| {
        let (paths, download, unpacked) = forecast.fetch;
        json!({
            "derivation": forecast.derivation,
            "build": forecast.build,
            "emulate": forecast.emulate,
            "fetch": { "paths": paths, "download": download, "unpacked": unpacked },
        })
    });
    let told = json!({ "version": VERSION, "plan": plan, "forecast": forecast });
    serde_json::to_string_pretty(&told).or_internal("write JSON")
}
