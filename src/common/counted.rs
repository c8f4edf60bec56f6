//! Numbers with their nouns.

use std::fmt::Display;

/// `n` with its noun, whose plural ends with `s`: `1 derivation`, `2 derivations`, `2 entries`.
pub fn counted(n: impl Display, noun: &str) -> String {
    let n = n.to_string();
    if n == "1" {
        return format!("{n} {noun}");
    }
    match noun.strip_suffix("ry") {
        Some(stem) => format!("{n} {stem}ries"),
        None => format!("{n} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_thing_has_no_plural() {
        assert_eq!(counted(1, "derivation"), "1 derivation");
        assert_eq!(counted(1, "entry"), "1 entry");
        assert_eq!(counted(2, "entry"), "2 entries");
        assert_eq!(counted(0, "derivation"), "0 derivations");
        assert_eq!(counted(21, "derivation"), "21 derivations");
    }
}
