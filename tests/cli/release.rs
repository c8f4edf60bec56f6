//! `scripts/release --check`, on this tree and on a copy with mistakes.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::*;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// A copy of the repository's files in a new repository.
fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let files = "git ls-files -z Cargo.* CHANGELOG.md README.md docs/install.md install.sh examples scripts packaging \
                 | tar --null -T - -c | tar -x -C \"$0\"";
    let mut copy = Command::new("sh");
    copy.args(["-ec", files]).arg(dir.path());
    run(copy.current_dir(root())).assert_exit_code(0);
    git(dir.path(), &["init", "--quiet"]);
    commit(dir.path());
    dir
}

fn git(dir: &Path, words: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=x", "-c", "user.email=x@localhost"]);
    run(git.args(words).current_dir(dir)).assert_exit_code(0);
}

fn commit(dir: &Path) {
    git(dir, &["add", "--all"]);
    git(dir, &["commit", "--quiet", "--message", "x"]);
}

fn replace(dir: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(dir.join(file)).unwrap();
    assert!(text.contains(from), "{file}: {from}");
    fs::write(dir.join(file), text.replacen(from, to, 1)).unwrap();
}

fn release(dir: &Path, words: &[&str]) -> Outcome {
    run(Command::new(dir.join("scripts/release")).args(words))
}

#[test]
fn version_changelog_and_addresses_agree() {
    release(root(), &["--check"]).assert_exit_code(0);
}

#[test]
fn what_does_not_agree_is_named() {
    let dir = copy();
    let dir = dir.path();
    release(dir, &["--check"]).assert_exit_code(0);
    let version = format!("\nversion = \"{VERSION}\"\n");
    replace(dir, "Cargo.toml", &version, "\nversion = \"9.8.7\"\n");
    let other = "https://github.com/other/sdbuild";
    replace(dir, "docs/install.md", REPOSITORY, other);
    release(dir, &["--check"]).assert_exit_code(1).assert_stderr_contains(&[
        "Cargo.lock has another version than 9.8.7",
        "the first section of CHANGELOG.md is not of 9.8.7",
        "docs/install.md:",
        &format!("{other}, but Cargo.toml says {REPOSITORY}"),
        "examples/ci/github.yml does not install 9.8.7",
        "examples/ci/gitlab.yml does not install 9.8.7",
    ]);
}

#[test]
fn a_tag_needs_date_commit_and_a_real_address() {
    let dir = copy();
    let dir = dir.path();
    let tag = format!("v{VERSION}");
    let address = |owner: &str| format!("https://github.com/{owner}/sdbuild");
    release(dir, &["--repository", &address("OWNER")]).assert_exit_code(0);
    release(dir, &["--check", "v9.9.9"]).assert_exit_code(1).assert_stderr_contains(&[
        "the tag v9.9.9 is not v",
        "CHANGELOG.md has no date",
        "the tag v9.9.9 is not this commit",
        "README.md says that no release is published yet",
        "the address of the repository is a placeholder",
    ]);
    let title = |rest: &str| format!("## {VERSION} ({rest})");
    replace(dir, "CHANGELOG.md", &title("unreleased"), &title("2030-01-02"));
    for file in ["README.md", "docs/install.md"] {
        replace(dir, file, "No release is published yet", "There are releases");
    }
    release(dir, &["--repository", &address("somebody")]).assert_exit_code(0);
    commit(dir);
    git(dir, &["tag", &tag]);
    release(dir, &["--check", &tag]).assert_exit_code(0);
    let package = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    assert!(package.contains(&address("somebody")));
    assert!(package.contains("<somebody@users.noreply.github.com>"), "{package}");
}

#[test]
fn notes_are_the_section_of_this_version() {
    let notes = release(root(), &["--notes"]).assert_exit_code(0).stdout;
    let changes = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(changes.contains(&notes));
    assert!(notes.contains("### ") && !notes.contains("\n## "), "{notes}");
}
