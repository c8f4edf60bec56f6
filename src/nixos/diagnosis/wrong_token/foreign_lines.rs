//! Whole lines that are not of Nix: those of git in a conflict, and commands for a terminal.

use super::place::Place;

/// How the lines begin that git adds to a file with a conflict.
const CONFLICT: [&str; 3] = ["<<<<<<< ", "=======", ">>>>>>> "];

/// What to do about a whole line that is not of Nix, if the token begins one.
pub(super) fn hint(place: &Place<'_>) -> Option<&'static str> {
    if !place.begun().is_empty() {
        None
    } else if CONFLICT.iter().any(|line| place.here.starts_with(line)) {
        Some(
            "git has left a conflict in the file. Keep one of its two versions, and remove the lines with <<<<<<<, ======= \
             and >>>>>>>",
        )
    } else if place.here.starts_with("$ ") {
        Some("a command for a terminal is not part of the configuration. Remove the line")
    } else {
        None
    }
}
