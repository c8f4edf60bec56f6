//! Finds Debian's tools, with which some tiers compare our results.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The directories of the tools, because `PATH` of other users lacks root's.
const DIRS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Returns from the test unless each of the conditions holds, which print why it is skipped.
macro_rules! needs {
    ($($condition:expr),+) => {
        if !($($condition)&&+) {
            return;
        }
    };
}
pub(crate) use needs;

/// Whether all of `tools` (names or paths) are installed. When they are not, prints a message, and fails with `CI`
/// set.
pub fn have(tools: &[&str]) -> bool {
    let missing: Vec<_> = tools.iter().filter(|tool| find(tool).is_none()).collect();
    let ci = std::env::var_os("CI").is_some();
    assert!(missing.is_empty() || !ci, "in CI every test must run: no {missing:?}");
    if !missing.is_empty() {
        report_skip(&format!("no {missing:?}; run scripts/setup --test"));
    }
    missing.is_empty()
}

/// Prints why a test is skipped, and appends it to the file that `SDBUILD_TEST_SKIPS` names: a test runner hides the output of
/// tests that pass.
pub fn report_skip(why: &str) {
    eprintln!("SKIPPED: {why}");
    if let Some(path) = std::env::var_os("SDBUILD_TEST_SKIPS") {
        let file = std::fs::File::options().append(true).create(true).open(path);
        file.unwrap().write_all(format!("{why}\n").as_bytes()).unwrap();
    }
}

/// The path of the program `tool`.
pub fn find(tool: &str) -> Option<PathBuf> {
    let mut places = DIRS.iter().map(|dir| Path::new(dir).join(tool));
    places.find(|path| path.exists())
}
