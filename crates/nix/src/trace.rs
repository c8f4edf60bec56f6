//! What an evaluation writes to the log for sdbuild, by `builtins.trace` (`expressions/default.nix`). It is not for the log file.

use serde_json::Value;

/// Whether `line` of Nix's log has a trace with `prefix`. An error that quotes the expression has no prefix of Nix there.
pub fn is_trace(line: &str, prefix: &str) -> bool {
    line.contains(&marker(prefix))
}

/// What follows `prefix` in the trace in `line` of Nix's log. Anything that the builder runs can write such a line.
pub fn traced(line: &str, prefix: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line.strip_prefix("@nix ")?).ok()?;
    let (_, text) = value.get("msg")?.as_str()?.split_once(&marker(prefix))?;
    Some(text.to_owned())
}

fn marker(prefix: &str) -> String {
    format!("trace: {prefix}: ")
}
