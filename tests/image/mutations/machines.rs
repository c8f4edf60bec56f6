//! The names of a flake's configurations, as the builder prints them.

use sdbuild_nix::reports::machines;

use crate::door::enter;

#[test]
fn names_of_machines_are_read_to_an_end() {
    enter(&[br#"[["pi"],["packages","aarch64-linux","b.c"]]"#], |_, bytes| {
        drop(machines(&String::from_utf8_lossy(bytes)));
    });
}
