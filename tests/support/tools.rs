//! Debian's own tools, which some tiers measure ours against.

use std::path::{Path, PathBuf};

/// Where they are, for people whose `PATH` lacks root's.
const DIRS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Whether all of `tools` (names or paths) are here. Says aloud when they are not; in CI that is a failure.
pub fn have(tools: &[&str]) -> bool {
    let missing: Vec<_> = tools.iter().filter(|tool| find(tool).is_none()).collect();
    let ci = std::env::var_os("CI").is_some();
    assert!(
        missing.is_empty() || !ci,
        "in CI every test must run: no {missing:?}"
    );
    if !missing.is_empty() {
        eprintln!("SKIPPED: no {missing:?}; run scripts/setup --test");
    }
    missing.is_empty()
}

/// The program `tool`.
pub fn find(tool: &str) -> Option<PathBuf> {
    let mut places = DIRS.iter().map(|dir| Path::new(dir).join(tool));
    places.find(|path| path.exists())
}
