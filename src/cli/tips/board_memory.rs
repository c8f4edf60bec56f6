//! The memory of a machine that is a board.

use sdbuild_core::shell_word::quoted;

/// The tip for `words` that give `boot` a board and a memory, of which only one can be chosen: the same without the memory.
pub(super) fn tip(words: &[String]) -> Option<String> {
    let has = |flag: &str| {
        words
            .iter()
            .any(|word| word == flag || is_joined(word, flag))
    };
    // What follows `--` is for another program.
    let is_meant = words.first()? == "boot" && !has("--");
    if !is_meant || !has("--board") || !words.iter().any(|word| is_of_memory(word)) {
        return None;
    }
    let mut line = Vec::new();
    let mut given = words.iter();
    while let Some(word) = given.next() {
        if !is_of_memory(word) {
            line.push(quoted(word));
        } else if MEMORY.contains(&word.as_str()) {
            given.next();
        }
    }
    let line = line.join(" ");
    Some(format!(
        "an emulated board has a fixed amount of memory, so leave out --memory: sdbuild {line}"
    ))
}

/// The flag for the memory, with its value behind it.
const MEMORY: [&str; 2] = ["--memory", "-m"];

/// Whether `word` is the flag for the memory, also with its value: `-m2G`.
fn is_of_memory(word: &str) -> bool {
    let value = word.strip_prefix("-m").unwrap_or_default();
    let is_short = value.starts_with(|c: char| c.is_ascii_digit() || c == '=');
    MEMORY.contains(&word) || is_joined(word, "--memory") || is_short
}

/// Whether `word` is `flag=VALUE`.
fn is_joined(word: &str, flag: &str) -> bool {
    let value = word.strip_prefix(flag);
    value.is_some_and(|value| value.starts_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_left_out_beside_a_board() {
        let tip_for = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            tip(&words)
        };
        for line in [
            "boot --board rpi4 --memory 512M a.img",
            "boot --memory=512 --board rpi4 a.img",
            "boot -m 2G --board rpi4 a.img",
            "boot -m2G --board rpi4 a.img",
        ] {
            let tip = tip_for(line).unwrap();
            assert!(tip.ends_with(": sdbuild boot --board rpi4 a.img"), "{tip}");
        }
        for line in [
            "boot --memory 512 a.img",
            "build --board rpi4 --memory 512",
            "boot --board rpi4 --run a -- --memory 1",
        ] {
            assert_eq!(tip_for(line), None, "{line}");
        }
    }
}
