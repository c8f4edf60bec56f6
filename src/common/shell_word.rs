//! Words of commands that a user is to copy into a shell.
//!
//! Part of the hall. Nothing here is run by sdbuild: that knows no command lines, only arguments.

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
    fn a_shell_reads_back_what_was_meant() {
        for word in [
            "",
            "plain",
            "a b",
            "it's",
            "$(x) `y` \"z\" \\",
            "~/*",
            "[::1]",
        ] {
            let script = format!("printf %s {}", quoted(word));
            let shell = std::process::Command::new("sh")
                .args(["-c", &script])
                .output();
            assert_eq!(String::from_utf8(shell.unwrap().stdout).unwrap(), word);
        }
        assert_eq!(quoted("ssh://me@pi:22/x.sock"), "ssh://me@pi:22/x.sock");
    }
}
