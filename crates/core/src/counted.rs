//! Numbers with their nouns.

use std::fmt::Display;

/// `n` with the noun for `one` thing or for `many`: `1 entry`, `2 entries`.
pub fn counted(n: impl Display, one: &str, many: &str) -> String {
    let n = n.to_string();
    let noun = if n == "1" { one } else { many };
    format!("{n} {noun}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_thing_has_no_plural() {
        assert_eq!(counted(1, "entry", "entries"), "1 entry");
        for (n, expected) in [(0, "0 entries"), (2, "2 entries"), (21, "21 entries")] {
            assert_eq!(counted(n, "entry", "entries"), expected);
        }
    }
}
