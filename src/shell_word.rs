//! Words of a command that a person pastes into their shell. Part of the hall.

/// `word` as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/.-_+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        assert_eq!(
            quoted("/home/me/.cargo/bin/sdbuild"),
            "/home/me/.cargo/bin/sdbuild"
        );
        assert_eq!(quoted("my pi/it's"), r"'my pi/it'\''s'");
        assert_eq!(quoted("$(id)"), "'$(id)'");
        assert_eq!(quoted(""), "''");
    }
}
