//! `sdbuild settings`: what a build would take, and where each value comes from.

use serde_json::{Value, json};

use crate::cli;
use crate::common::failure::{Failure, OrFail as _};
use crate::settings::{Build, Environment, Setting};
use crate::ui::layout::column;
use crate::ui::{Ui, sanitize};

/// Raised when a field of the JSON goes or means something else.
const VERSION: u32 = 1;

/// Resolves and shows them.
pub fn run(args: &cli::Settings, env: &Environment, ui: &Ui) -> Result<(), Failure> {
    let settings = Build::resolve(&args.build, env)?.listed();
    if args.build.json {
        let all = json!({ "version": VERSION, "settings": settings });
        let text = serde_json::to_string_pretty(&all).or_internal("write JSON")?;
        return ui.result(&text);
    }
    settings
        .iter()
        .try_for_each(|setting| ui.result(&line(setting)))
}

/// Never cut: what is long here is there to be copied.
fn line(setting: &Setting) -> String {
    let value = sanitize(&shown(&setting.value)).replace('\n', "\\n");
    let origin = setting.origin.to_string();
    let origin = sanitize(&origin).replace('\n', "\\n");
    format!("{} {value}  ({origin})", column(setting.key, 20))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) if all.is_empty() => "none".to_owned(),
        Value::Array(all) => all.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
