//! The table in docs/errors.md.

use super::super::table::{Row, page};

const BEGIN: &str = "<!-- The table of crates/nix/src/diagnosis/table.rs begins: SDBUILD_RENEW=1 scripts/test --quick errors_page writes it. -->\n";
const END: &str = "<!-- The table ends. -->\n";

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "whoever renews the page says so in the environment"
)]
fn the_errors_page_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let renewed = format!("{before}{BEGIN}{}{END}{after}", page());
    if std::env::var_os("SDBUILD_RENEW").is_some() {
        std::fs::write(path, &renewed).unwrap();
    }
    assert!(
        text == renewed,
        "docs/errors.md differs: renew it with SDBUILD_RENEW=1"
    );
}

#[test]
fn every_row_has_its_own_condition_in_a_section() {
    for row in Row::ALL {
        let text = row.advice().text();
        assert!(!text.is_empty() && !text.ends_with('.'), "{row:?}: {text}");
    }
}
