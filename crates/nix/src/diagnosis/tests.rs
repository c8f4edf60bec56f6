//! Causes, places and rows of recorded errors: `tests/streams` has Nix's standard error of each, and the configuration.

mod exits;
mod machines;
mod page;
mod recorded;

use super::*;
use crate::build_log::BuildLog;
use crate::cli_module::CliModule;
use crate::log::Log;
use crate::reports::image_choice;
use crate::user_files::UserFiles;

/// The findings in the log `stream`.
fn findings(stream: &str) -> Findings {
    let dir = tempfile::tempdir().unwrap();
    let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
    let mut log = Log::default();
    for line in stream.lines() {
        if build_log.note_names(line) {
            continue;
        }
        if let Some(choice) = image_choice(line) {
            build_log.note_image(&choice);
        }
        if let Some(event) = log.line(line) {
            build_log.note(&event, log.take_error());
        }
    }
    build_log.finish().0
}

/// What a build of `c.nix`, or of the flake, with the text `nix` shows after the log `stream`.
struct Shown {
    failure: Failure,
    /// The place as the user reads it, and the rows.
    place: String,
    rows: Vec<Row>,
}

fn shown(nix: impl AsRef<[u8]>, stream: &str, set: &str) -> Shown {
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
    let mut cli_module = CliModule::default();
    if !set.is_empty() {
        cli_module.set(set).unwrap();
    }
    let files = UserFiles::new(&root);
    let context = ExitContext {
        code: 1,
        command: "sdbuild build",
        shown_dir: "pi/",
        source: if is_flake { "pi" } else { "pi/c.nix" },
        in_words: "the configuration pi/c.nix",
        is_flake,
        files: Some(&files),
        cli_module: Some(&cli_module),
        ..ExitContext::default()
    };
    let findings = findings(stream);
    let failure = diagnose(&context, &findings);
    let own = flakes::with_own_paths(&context, &findings);
    let error = own.nix_errors.first().unwrap();
    let Explanation { place, advice, .. } = Explanation::find(&context, &own, error);
    Shown {
        failure,
        place: place.map_or_else(String::new, |place| place.shown(&context)),
        rows: advice.iter().map(|advice| advice.row).collect(),
    }
}

/// The file `name` of the recordings.
fn recording(name: &str) -> Vec<u8> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/streams");
    std::fs::read(format!("{dir}/{name}")).unwrap_or_default()
}

fn recorded(name: &str, set: &str) -> Shown {
    let stream = String::from_utf8(recording(&format!("{name}.log"))).unwrap();
    shown(recording(&format!("{name}.nix")), &stream, set)
}
