//! `sdbuild build --dry-run`: what a build would do, as far as that is known without doing it.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::commands::flake_caches::asking;
use crate::commands::json_output::{VERSION, print_json};
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::nixos::forecast::Forecast;
use crate::pipeline::{self, Plan};
use crate::settings::{self, DryRun};
use crate::ui::Ui;
use crate::ui::layout::labelled;

/// Columns in front of the text of a line.
const LABEL_COLUMNS: usize = 15;
/// What a forecast changes on the machine.
const CHANGED: &str = "nothing but what an evaluation needs: packages and nixpkgs in the cache, the builder's image \
                       and the store volume in the engine, a log";

/// Prints the plan, and Nix's forecast if `depth` asks for it; as JSON both in one object.
pub(super) async fn run(
    settings: settings::Build,
    depth: DryRun,
    as_json: bool,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let is_described = Cell::new(as_json);
    let describe = |plan: &Plan| {
        if is_described.replace(true) {
            return Ok(());
        }
        print(ui, &pipeline::describe(plan))
    };
    let show = |plan: &Plan, forecast: Option<&Forecast>| {
        if as_json {
            print_json(&object(plan, forecast), ui)
        } else {
            print(ui, &last_lines(forecast))
        }
    };
    if depth == DryRun::Plan {
        let plan = pipeline::plan(settings, context).await?;
        describe(&plan)?;
        return show(&plan, None);
    }
    let forecast = async |settings| {
        let plan = pipeline::plan(settings, context).await?;
        describe(&plan)?;
        let outcome = pipeline::forecast(&plan, context).await?;
        Ok((plan, outcome))
    };
    let (plan, outcome) = Box::pin(asking(settings, ui, context, forecast)).await?;
    outcome.finish("the forecast is done", |forecast| {
        show(&plan, Some(&forecast))
    })
}

fn print(ui: &Ui, lines: &[(&str, String)]) -> Result<(), Failure> {
    lines.iter().try_for_each(|(subject, text)| {
        let lines = labelled(
            subject,
            LABEL_COLUMNS,
            &text.replace('\n', " "),
            ui.result_columns(),
        );
        ui.result(&lines.join("\n"))
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

fn object(plan: &Plan, forecast: Option<&Forecast>) -> Value {
    let plan = pipeline::describe(plan).into_iter();
    let plan: Vec<_> = plan
        .map(|(subject, text)| json!({ "about": subject, "what": text }))
        .collect();
    let forecast = forecast.map(|forecast| {
        let fetch = forecast.fetch;
        json!({
            "derivation": forecast.derivation,
            "build": forecast.build,
            "emulate": forecast.emulate,
            "fetch": { "paths": fetch.paths, "download": fetch.download, "unpacked": fetch.unpacked },
        })
    });
    json!({ "version": VERSION, "plan": plan, "forecast": forecast })
}
