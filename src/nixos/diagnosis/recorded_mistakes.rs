//! Recorded mistakes of beginners: `tests/streams` has the configuration and Nix's standard error of each, without the lines
//! about progress.

mod addresses;
mod arguments;
mod beginners;
mod elements;
mod files;
mod flakes;
mod names;
mod options;
mod packages;
mod places;
mod sets;
mod systems;
mod values;

use super::*;
use crate::nixos::build_log::BuildLog;
use crate::nixos::cli_module::CliModule;
use crate::nixos::log::Log;
use crate::nixos::user_files::UserFiles;

/// Nix's message about `error`, of which it names no place.
fn without_place(error: &str) -> String {
    let message = serde_json::to_string(&format!("error: {error}")).unwrap();
    let raw = serde_json::to_string(error).unwrap();
    format!(
        r#"@nix {{"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":{message},"raw_msg":{raw}}}"#
    )
}

/// The failure of a build of `c.nix`, or of the flake, with the text `nix`, the log `stream` and `set`, the value of `--set`, if it is not empty.
fn failure(nix: impl AsRef<[u8]>, stream: &str, set: &str) -> Failure {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("pi");
    std::fs::create_dir(&root).unwrap();
    let has_configurations = String::from_utf8_lossy(nix.as_ref()).contains("nixosConfigurations");
    let is_flake = stream.contains("flake") || has_configurations;
    let name = if is_flake { "flake.nix" } else { "c.nix" };
    std::fs::write(root.join(name), &nix).unwrap();
    std::fs::write(root.join("wifi.nix"), "{ }").unwrap();
    std::fs::write(root.join(".gitignore"), "wifi.nix\n").unwrap();
    std::fs::write(dir.path().join("common.nix"), "{ }").unwrap();
    let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
    let mut log = Log::default();
    for line in stream.lines() {
        if build_log.note_names(line) {
            continue;
        }
        if let Some(event) = log.line(line) {
            build_log.note(&event, log.take_error());
        }
    }
    let (findings, _) = build_log.finish();
    let mut cli_module = CliModule::default();
    if !set.is_empty() {
        cli_module.set(set).unwrap();
    }
    let context = ExitContext {
        code: 1,
        shown_dir: "pi/",
        source: if is_flake { "pi" } else { "pi/c.nix" },
        in_words: "the configuration pi/c.nix",
        is_flake,
        files: Some(&UserFiles::new(&root)),
        cli_module: Some(&cli_module),
        ..ExitContext::default()
    };
    diagnose(&context, &findings)
}

/// Nix's message about `error` at `line` and `column` of `file`, with `quoted` source after it, both escaped as in JSON.
fn reported(file: &str, (line, column): (usize, usize), error: &str, quoted: &str) -> String {
    format!(
        r#"@nix {{"action":"msg","column":{column},"file":"{file}:{line}:{column}","level":0,"line":{line},"msg":"error: {error}{quoted}","raw_msg":"{error}"}}"#
    )
}

/// The hints for `error` in line 1, column `column`, of a configuration that is this `line`.
fn hints_of_line(line: &str, column: usize, error: &str) -> Vec<String> {
    let stream = reported("/build/config/c.nix", (1, column), error, "");
    failure(line, &stream, "").hints
}

/// The failure that the recording `name` shows.
fn recorded(name: &str) -> Failure {
    recorded_with("", name)
}

/// The same with the value `set` of `--set`, if it is not empty.
fn recorded_with(set: &str, name: &str) -> Failure {
    let nix = std::fs::read(recording_path(name, "nix")).unwrap();
    failure(nix, &recording(name, "log"), set)
}

/// The file `name.extension` of the recordings.
fn recording(name: &str, extension: &str) -> String {
    std::fs::read_to_string(recording_path(name, extension)).unwrap()
}

fn recording_path(name: &str, extension: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/streams");
    format!("{dir}/{name}.{extension}")
}

/// Asserts that the message and the only hint contain these texts.
#[track_caller]
fn assert_hint(failure: &Failure, message: &str, hint: &str) {
    assert_eq!(failure.class, Class::Usage, "{failure}");
    assert!(failure.to_string().contains(message), "{failure}");
    assert_eq!(failure.hints.len(), 1, "{:?}", failure.hints);
    assert!(failure.hints[0].contains(hint), "{:?}", failure.hints);
}
