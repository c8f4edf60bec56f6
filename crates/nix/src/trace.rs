//! What an evaluation writes to the log for sdbuild, by `builtins.trace` (`expressions/default.nix`). It is not for the log file.

use serde::Deserialize;

use sdbuild_core::untrusted;

/// The record of a message, of which only the text is read.
#[derive(Deserialize)]
struct Message {
    msg: String,
}

/// Whether `line` of Nix's log has a trace with `prefix`. An error that quotes the expression has no prefix of Nix there.
pub fn is_trace(line: &str, prefix: &str) -> bool {
    line.contains(&marker(prefix))
}

/// What follows `prefix` in the trace in `line` of Nix's log. Anything that the builder runs can write such a line.
pub fn traced(line: &str, prefix: &str) -> Option<String> {
    let message: Message = untrusted::json(line.strip_prefix("@nix ")?).ok()?;
    let (_, text) = message.msg.split_once(&marker(prefix))?;
    Some(text.to_owned())
}

fn marker(prefix: &str) -> String {
    format!("trace: {prefix}: ")
}
