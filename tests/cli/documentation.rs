//! What the documentation and other lists name exists: pages, commands, tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{root, run};
use crate::user;

/// Every page: those of the repository's top, of `docs`, and of the directories that they lead to.
fn pages() -> Vec<PathBuf> {
    let dirs = ["", "docs", "containers", "containers/builder", "tests"];
    let files = dirs.map(|dir| fs::read_dir(root().join(dir)).unwrap().flatten());
    let paths = files.into_iter().flatten().map(|file| file.path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "md")).collect()
}

/// The text of a page outside of blocks of code.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap();
    let parts = text.split("\n```").enumerate();
    parts.filter_map(|(at, part)| (at % 2 == 0).then_some(part)).collect()
}

/// The anchors of the headings of a page, as GitHub makes them.
fn anchors(page: &Path) -> BTreeSet<String> {
    let kept = |c: char| (c.is_alphanumeric() || c == '-' || c == ' ' || c == '_').then_some(c);
    let text = prose(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let words = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    words
        .map(|words| words.chars().filter_map(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

/// The targets of the links of a page, without those to other sites.
fn targets(page: &Path) -> Vec<String> {
    let text = prose(page);
    let links = text.split("](").skip(1);
    let targets = links.map(|part| part.split(')').next().unwrap());
    targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut links = 0;
    for page in pages() {
        for target in targets(&page) {
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let shown = format!("{target} in {}", page.display());
            let path =
                if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(path.exists(), "{shown}");
            assert!(anchor.is_empty() || anchors(&path).contains(anchor), "{shown}");
        }
    }
    assert!(links > 40, "the search itself works: {links}");
}

/// GitHub shows `docs/README.md` below the list of the files.
#[test]
fn the_list_of_pages_has_every_page() {
    let list = root().join("docs/README.md");
    let file = |target: String| target.split('#').next().unwrap().to_owned();
    let listed: BTreeSet<String> = targets(&list).into_iter().map(file).collect();
    let files = fs::read_dir(root().join("docs")).unwrap().flatten();
    let pages = files.filter(|file| file.path().extension().is_some_and(|e| e == "md"));
    let names = pages.map(|page| page.file_name().into_string().unwrap());
    let others = names.filter(|name| name != "README.md");
    assert_eq!(listed, others.collect());
}

/// Every `sdbuild WORD` that a message or the documentation names is a command.
#[test]
fn every_named_command_exists() {
    let named = ["README.md", "docs/reference.md", "docs/errors.md", "sd-card.nix"];
    let mut files: Vec<_> = named.map(|name| root().join(name)).into();
    let mut dirs = vec![root().join("src"), root().join("containers")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            if entry.path().is_dir() {
                dirs.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    let help = run(&mut user().sdbuild(&["--help"])).assert_exit_code(0).stdout;
    let mut named = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for rest in text.split("`sdbuild ").skip(1) {
            let word = rest.split(['`', ' ']).next().unwrap();
            named += 1;
            let listed = help.contains(&format!("\n  {word} "));
            let is_version = word.starts_with(|first: char| first.is_ascii_digit());
            let known = listed || is_version || word == "help" || word.starts_with('-');
            assert!(known, "`sdbuild {word}` in {}", file.display());
        }
    }
    assert!(named > 3, "the search itself works");
}

/// Every test that docs/security.md names exists: a function, or a module of them.
#[test]
fn promises_name_their_tests() {
    let text = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let rows = text.split("| promise |").nth(1).unwrap().lines().skip(2);
    let rows: Vec<_> = rows.take_while(|row| row.starts_with('|')).collect();
    assert!(rows.len() > 6, "{rows:?}");
    let mut code = String::new();
    let mut dirs = ["crates", "src", "tests"].map(|dir| root().join(dir)).to_vec();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                code += &fs::read_to_string(path).unwrap();
            }
        }
    }
    for row in rows {
        let tests = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap();
        let mut names = tests.split('`').skip(1).step_by(2).peekable();
        assert!(names.peek().is_some(), "{row}");
        for name in names {
            let last = name.rsplit("::").next().unwrap();
            let is_there = ["fn {}(", "mod {};", "mod {} {"];
            let is_there = is_there.iter().any(|form| code.contains(&form.replacen("{}", last, 1)));
            assert!(is_there, "{name}");
        }
    }
}
