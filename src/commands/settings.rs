//! `sdbuild settings`: shows the settings of a build and where each comes from.

use serde_json::{Value, json};

use crate::cli;
use crate::commands::json_output::{VERSION, print_json};
use crate::common::failure::Failure;
use crate::settings::{Build, Environment, Origin, Setting, SourceChoice};
use crate::ui::Ui;
use crate::ui::layout::labelled;

/// Columns of the keys.
const KEY_COLUMNS: usize = 26;

/// Resolves the settings and writes them to standard output.
pub fn run(args: &cli::Settings, env: &Environment, ui: &Ui) -> Result<(), Failure> {
    let build = Build::resolve(&args.build.args(), env)?;
    check_source(&build)?;
    let settings = build.settings;
    if args.build.json {
        let all = json!({ "version": VERSION, "settings": settings });
        return print_json(&all, ui);
    }
    let columns = ui.result_columns();
    shown_settings(&settings, columns)
        .iter()
        .try_for_each(|line| ui.result(line))
}

/// Refuses the name of a setting, which is taken for the path of a configuration.
fn check_source(build: &Build) -> Result<(), Failure> {
    let SourceChoice::Config(path) = &build.source else {
        return Ok(());
    };
    let word = path.file_name().unwrap_or_default();
    let is_setting = build.settings.iter().any(|setting| setting.key == word);
    if path.exists() || !is_setting {
        return Ok(());
    }
    let word = word.display();
    let text = format!("{word} is a setting, and there is no configuration of this name");
    Err(Failure::usage(text).hint("`sdbuild settings`, without a name, shows all settings"))
}

/// The settings that were given, followed by those with their default.
fn shown_settings(settings: &[Setting], columns: usize) -> Vec<String> {
    let (defaults, given): (Vec<&Setting>, Vec<&Setting>) =
        settings.iter().partition(|s| s.origin == Origin::Default);
    let heading = format!("{:<KEY_COLUMNS$}VALUE  (where it comes from)", "SETTING");
    let given = given.into_iter().flat_map(|s| lines(s, columns));
    let defaults = defaults.into_iter().flat_map(|s| lines(s, columns));
    std::iter::once(heading)
        .chain(given)
        .chain(std::iter::once(String::new()))
        .chain(defaults)
        .collect()
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
        Value::Null => "not set".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
