//! Numbers with their nouns.

use std::fmt::Display;

/// `n` with the noun for `one` thing or for `many`: `1 entry`, `2 entries`.
pub fn counted(n: impl Display, one: &str, many: &str) -> String {
    let n = n.to_string();
    let noun = if n == "1" { one } else { many };
    format!("{n} {noun}")
}
