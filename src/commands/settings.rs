//! `sdbuild settings`: shows the settings of a build and where each comes from.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli;
use crate::commands::json_output::{VERSION, print_json};
use crate::settings::{Build, BuildArgs, ConfigArgs, Environment, Origin, Setting};
use crate::ui::Ui;
use crate::ui::layout::labelled;
use sdbuild_core::failure::Failure;

/// Columns of the keys.
const KEY_COLUMNS: usize = 26;

/// Resolves the settings and writes them, or the one that is named, to standard output.
pub fn run(args: &cli::Settings, env: &Environment, ui: &Ui) -> Result<(), Failure> {
    let [given] = &args.build.each()[..] else {
        return Err(Failure::usage("settings are those of one configuration"));
    };
    let word = args.build.paths().first().map(PathBuf::as_path);
    let settings = match named(word, given, env)? {
        Some(setting) => vec![setting],
        None => Build::resolve(given, env)?.settings,
    };
    if args.build.json {
        let all = json!({ "version": VERSION, "settings": settings });
        return print_json(&all, ui);
    }
    let columns = ui.result_columns();
    shown_settings(&settings, columns)
        .iter()
        .try_for_each(|line| ui.result(line))
}

/// The setting whose name `word` stands where a configuration would. `./jobs` is a path.
fn named(
    word: Option<&Path>,
    given: &BuildArgs,
    env: &Environment,
) -> Result<Option<Setting>, Failure> {
    let is_plain = |word: &&str| !word.contains(['/', '#', ':']) && !word.contains(".nix");
    let Some(word) = word.and_then(Path::to_str).filter(is_plain) else {
        return Ok(None);
    };
    let config = ConfigArgs {
        config: None,
        ..given.config.clone()
    };
    let of_directory = BuildArgs {
        config,
        ..given.clone()
    };
    let settings = Build::resolve(&of_directory, env)?.settings;
    if let Some(setting) = settings.iter().find(|setting| setting.key == word) {
        return Ok(Some(setting.clone()));
    }
    if Path::new(word).exists() {
        return Ok(None);
    }
    let failure = Failure::usage(format!("there is no setting and no configuration {word}"));
    Err(failure.hint("`sdbuild settings`, without a name, shows all settings"))
}

/// The settings that were given, followed by those with their default.
fn shown_settings(settings: &[Setting], columns: usize) -> Vec<String> {
    let (defaults, given): (Vec<&Setting>, Vec<&Setting>) =
        settings.iter().partition(|s| s.origin == Origin::Default);
    let heading = labelled(
        "SETTING",
        KEY_COLUMNS,
        "VALUE  (where it comes from)",
        columns,
    );
    let is_mixed = !given.is_empty() && !defaults.is_empty();
    let between = is_mixed.then(String::new);
    let given = given.into_iter().flat_map(|s| lines(s, columns));
    let defaults = defaults.into_iter().flat_map(|s| lines(s, columns));
    heading
        .into_iter()
        .chain(given)
        .chain(between)
        .chain(defaults)
        .collect()
}

/// A setting, never truncated: users copy from it.
fn lines(setting: &Setting, columns: usize) -> Vec<String> {
    let value = chosen(setting).map_or_else(|| shown(&setting.value), str::to_owned);
    let text = format!("{value}  ({})", setting.origin);
    labelled(
        setting.key,
        KEY_COLUMNS,
        &text.replace('\n', "\\n"),
        columns,
    )
}

/// What a build takes for a `setting` that is not set, where it chooses a value itself.
fn chosen(setting: &Setting) -> Option<&'static str> {
    if !setting.value.is_null() {
        return None;
    }
    Some(match setting.key {
        "jobs" => "one for each core of the engine's machine, fewer if its memory is short",
        "cores" => "all of the engine's machine, fewer if its memory is short",
        "connections" => "8 for each core of the engine's machine, from 25 to 64",
        "memory-mib" => "all of the engine's machine",
        _ => return None,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_settings_come_first_and_unset_ones_say_what_a_build_takes() {
        let setting = |key, value, origin| Setting { key, value, origin };
        let settings = [
            setting("jobs", Value::Null, Origin::Default),
            setting("output", json!("/home/me/pi"), Origin::Flag),
        ];
        let shown = shown_settings(&settings, usize::MAX);
        assert_eq!(shown[1], "output                    /home/me/pi  (flag)");
        assert_eq!(shown[2], "");
        assert!(
            shown[3].contains("one for each core of the engine's machine"),
            "{shown:?}"
        );
    }
}
