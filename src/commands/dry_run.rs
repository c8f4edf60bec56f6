//! `sdbuild build --dry-run`: what a build would do, as far as that is known without doing it.

use std::cell::OnceCell;

use serde_json::{Value, json};

use crate::commands::Session;
use crate::commands::cloud;
use crate::commands::flake_caches::asking;
use crate::commands::json_output::{VERSION, print_json};
use crate::settings;
use crate::settings::DryRun;
use crate::ui::Ui;
use crate::ui::layout::labelled;
use sdbuild_build::Plan;
use sdbuild_core::failure::Failure;
use sdbuild_nix::causes::Miss;
use sdbuild_nix::forecast::Forecast;

/// Columns in front of the text of a line.
const LABEL_COLUMNS: usize = 15;
/// What a forecast changes on the machine.
const CHANGED: &str = "only what an evaluation needs: packages and nixpkgs in the cache, the builder's image, the store \
                       volume and a log";

/// Prints Nix's forecast if `depth` asks for it, and the plan; as JSON both in one object.
pub(super) async fn run(
    settings: settings::Build,
    depth: DryRun,
    as_json: bool,
    session: Session<'_>,
) -> Result<(), Failure> {
    let Session { ui, context, .. } = session;
    // A forecast is made twice when a question was answered.
    let rows: OnceCell<Vec<Row>> = OnceCell::new();
    let planned = async |plan: &Plan| {
        if rows.get().is_none() {
            let found = rows_of(plan, &settings, session).await?;
            rows.get_or_init(|| found);
        }
        Ok::<_, Failure>(())
    };
    let known = || rows.get().map_or(&[][..], Vec::as_slice);
    let show = |forecast: Option<&Forecast>| {
        if as_json {
            return print_json(&object(known(), forecast), ui);
        }
        let first = forecast.map(|forecast| forecast.describe(ui.is_verbose()));
        print(ui, &first.unwrap_or_default())?;
        print(ui, known())?;
        print(ui, &[last_line(forecast)])
    };
    if depth == DryRun::Plan {
        let plan = sdbuild_build::plan(settings.request.clone(), context).await?;
        planned(&plan).await?;
        return show(None);
    }
    let forecast = async |request| {
        let plan = sdbuild_build::plan(request, context).await?;
        planned(&plan).await?;
        sdbuild_build::forecast(&plan, context).await
    };
    let outcome = Box::pin(asking(settings.request.clone(), ui, context, forecast)).await;
    outcome?.finish("the forecast is done", |forecast| show(Some(&forecast)))
}

/// A subject and what is said about it.
type Row = (&'static str, String);

/// What the plan says, and of a build on a rented machine what that costs: its provider is asked, but for no machine.
async fn rows_of(
    plan: &Plan,
    settings: &settings::Build,
    session: Session<'_>,
) -> Result<Vec<Row>, Failure> {
    let Session { env, context, .. } = session;
    let mut rows = sdbuild_build::describe(plan);
    if let Some(source) = settings.on.rented() {
        let price = cloud::price(settings, env);
        let price = match context.cancel.race(Box::pin(price)).await? {
            Ok(price) => price.unwrap_or_else(|| "states no price".to_owned()),
            Err(failure) => format!("cannot be asked for its price: {failure}"),
        };
        rows.push(("rented", format!("{source}: {price}")));
    }
    Ok(rows)
}

fn print(ui: &Ui, lines: &[Row]) -> Result<(), Failure> {
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

fn last_line(forecast: Option<&Forecast>) -> Row {
    let changed = if forecast.is_some() {
        CHANGED
    } else {
        "nothing"
    };
    ("changed", changed.to_owned())
}

fn object(rows: &[Row], forecast: Option<&Forecast>) -> Value {
    let plan: Vec<_> = rows
        .iter()
        .map(|(subject, text)| json!({ "about": subject, "what": text }))
        .collect();
    let forecast = forecast.map(|forecast| {
        let fetch = forecast.fetch;
        json!({
            "derivation": forecast.derivation,
            "image": forecast.image,
            "build": forecast.build,
            "derivations": forecast.derivations,
            "emulate": forecast.emulate,
            "evaluator_memory": forecast.evaluator_memory,
            "caches": forecast.caches.iter().map(|cache| json!({ "url": cache.url, "paths": cache.paths })).collect::<Vec<_>>(),
            "because": forecast.misses.iter().map(Miss::describe).collect::<Vec<_>>(),
            "without": forecast.without.map(|without| json!({ "build": without.build, "fetch": without.fetch })),
            "fetch": { "paths": fetch.paths, "download": fetch.download, "unpacked": fetch.unpacked },
        })
    });
    json!({ "version": VERSION, "plan": plan, "forecast": forecast })
}
