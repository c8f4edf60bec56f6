//! Shell quoting: of commands that messages show to be copied, and of the arguments of the scripts that `deploy` runs on a board. So
//! what it returns must be safe to execute in a POSIX shell. On this machine sdbuild runs no shell command lines: it passes programs an
//! array of arguments.

/// `word` quoted for a POSIX shell, unquoted where that is safe.
pub fn quoted(word: &str) -> String {
    // A `#` begins a comment only where a word begins: the names of flakes are written without quotes, as in the documentation.
    let plain = |c: char| c.is_ascii_alphanumeric() || "/.-_+=:,@%#".contains(c);
    if !word.is_empty() && !word.starts_with('#') && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The command line of `words`, each quoted for a POSIX shell.
pub fn command_line(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let words = words.into_iter().map(|word| quoted(word.as_ref()));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_the_same_word() {
        for word in [
            "",
            "plain",
            "a b",
            "it's",
            "$(x) `y` \"z\" \\",
            "~/*",
            "[::1]",
            ".#pi",
            "#pi",
        ] {
            let script = format!("printf %s {}", quoted(word));
            let shell = std::process::Command::new("sh")
                .args(["-c", &script])
                .output();
            assert_eq!(String::from_utf8(shell.unwrap().stdout).unwrap(), word);
        }
        for plain in ["ssh://me@pi:22/x.sock", ".#pi", "../me/pi#pi"] {
            assert_eq!(quoted(plain), plain);
        }
    }
}
