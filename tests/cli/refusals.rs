//! What stops a build before it starts.

mod configuration;
mod engine;
mod output_directory;
mod values;

use crate::support::*;
use crate::user;

#[test]
fn every_problem_is_listed_at_once() {
    let user = user();
    user.write("file", "");
    let outcome = run(&mut user.sdbuild(&["build", "--output", "file"])).assert_exit_code(2);
    outcome.assert_stderr_contains(&[
        "sd-card.nix",
        "file is not a directory",
        "no engine answers at unix:///nonexistent/engine.sock",
        "hint: ",
    ]);
}
