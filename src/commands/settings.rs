//! `sdbuild settings`: shows the settings of a build and where each comes from.

use serde_json::{Value, json};

use crate::cli;
use crate::commands::json_output::print_json;
use crate::common::failure::Failure;
use crate::settings::{Build, Environment, Setting};
use crate::ui::Ui;
use crate::ui::layout::labelled;

/// Version of the JSON, raised when a field is removed or changes its meaning.
const VERSION: u32 = 1;
/// Columns of the keys.
const KEY_COLUMNS: usize = 21;
/// The heading of the lines.
const HEADING: &str = "SETTING              VALUE  (where it comes from)";

/// Resolves the settings and writes them to standard output.
pub fn run(args: &cli::Settings, env: &Environment, ui: &Ui) -> Result<(), Failure> {
    let settings = Build::resolve(&args.build.args(), env)?.settings;
    if args.build.json {
        let all = json!({ "version": VERSION, "settings": settings });
        return print_json(&all, ui);
    }
    let columns = ui.result_columns();
    ui.result(HEADING)?;
    settings
        .iter()
        .flat_map(|setting| lines(setting, columns))
        .try_for_each(|line| ui.result(&line))
}

/// A setting, never truncated: users copy from it.
fn lines(setting: &Setting, columns: usize) -> Vec<String> {
    let text = format!("{}  ({})", shown(&setting.value), setting.origin);
    labelled(
        setting.key,
        KEY_COLUMNS,
        &text.replace('\n', "\\n"),
        columns,
    )
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
