//! `sdbuild doctor`: every condition of a build, and what to do about those that are not met.

use serde_json::json;

use crate::cli;
use crate::commands::cloud;
use crate::commands::json_output::{VERSION, print_json};
use crate::settings;
use crate::settings::Environment;
use crate::ui::Ui;
use crate::ui::layout::list_item;
use sdbuild_build::doctor;
use sdbuild_build::doctor::{Check, Verdict};
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;

/// What is said of a machine that meets every condition.
const CAN_BUILD: &str = "this machine can build: `sdbuild init` writes a configuration, `sdbuild build` builds its image";

/// Checks every condition and prints the results; fails when a build is certain to fail.
pub async fn run(
    args: &cli::Doctor,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let settings = settings::Build::resolve(&args.build(), env)?;
    let provider = context.cancel.race(cloud::check_provider(&settings, env));
    let (provider, checks) = tokio::join!(
        Box::pin(provider),
        Box::pin(doctor::examine(&settings.request, context))
    );
    let checks: Vec<Check> = provider?.into_iter().chain(checks?).collect();
    let bad = checks.iter().filter(|c| c.verdict == Verdict::Bad).count();
    if args.json {
        let report = json!({ "version": VERSION, "can_build": bad == 0, "checks": checks });
        print_json(&report, ui)?;
    } else {
        let columns = ui.result_columns();
        let needs_attention = |check: &&Check| check.verdict != Verdict::Good;
        let shown = checks
            .iter()
            .filter(|check| !ui.is_quiet() || needs_attention(check));
        let mut lines = shown.flat_map(|check| lines(check, columns));
        lines.try_for_each(|line| ui.result(&line))?;
        if bad == 0 {
            context.events.notice(CAN_BUILD);
        }
    }
    match bad {
        0 => Ok(()),
        1 => Err(Failure::environment(
            "this machine cannot build yet; see the line with ✗",
        )),
        _ => Err(Failure::environment(format!(
            "this machine cannot build yet; see the {bad} lines with ✗"
        ))),
    }
}

/// A check as lines of at most `columns` columns.
fn lines(check: &Check, columns: usize) -> Vec<String> {
    let sign = match check.verdict {
        Verdict::Good => '✓',
        Verdict::Warning => '!',
        Verdict::Bad => '✗',
    };
    list_item(sign, check.topic, &[&check.text], &check.remedies, columns)
}
