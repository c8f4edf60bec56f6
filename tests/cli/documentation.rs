//! Links of the documentation lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// Every page: those of the repository's top, of `docs`, and of the directories that they lead to.
fn pages() -> Vec<PathBuf> {
    let dirs = ["", "docs", "containers", "containers/builder", "tests"];
    let files = dirs.map(|dir| fs::read_dir(root().join(dir)).unwrap().flatten());
    let paths = files.into_iter().flatten().map(|file| file.path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect()
}

/// The text of a page outside of blocks of code.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap();
    let parts = text.split("\n```").enumerate();
    parts
        .filter_map(|(at, part)| (at % 2 == 0).then_some(part))
        .collect()
}

/// The anchors of the headings of a page, as GitHub makes them.
fn anchors(page: &Path) -> BTreeSet<String> {
    let kept = |c: char| (c.is_alphanumeric() || c == '-' || c == ' ' || c == '_').then_some(c);
    let text = prose(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let words = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    words
        .map(|words| {
            words
                .chars()
                .filter_map(kept)
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut links = 0;
    for page in pages() {
        for part in prose(&page).split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let shown = format!("{target} in {}", page.display());
            let path = if file.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(file)
            };
            assert!(path.exists(), "{shown}");
            assert!(
                anchor.is_empty() || anchors(&path).contains(anchor),
                "{shown}"
            );
        }
    }
    assert!(links > 40, "the search itself works: {links}");
}
