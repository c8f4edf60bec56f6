//! Where the user's files have an address or a hash of which an error speaks.

use super::evidence::ExitContext;

/// Where the user's files have `word`, an address or a hash: the file and the line, if there is only one.
pub(super) fn place_of(context: &ExitContext<'_>, word: &str) -> Option<String> {
    let found = |text: &str| {
        let lines = (1..).zip(text.lines());
        let with_word = lines.filter(|(_, line)| has_word(line, word));
        with_word.map(|(line, _)| (line, ())).collect()
    };
    let (place, ()) = context.files?.only_place(found)?;
    Some(format!("{}{place}", context.shown_dir))
}

/// Whether the Nix code of `line` has `word` alone.
fn has_word(line: &str, word: &str) -> bool {
    let is_around = |c: char| c.is_whitespace() || "\"';()[]".contains(c);
    let is_comment = line.trim_start().starts_with('#');
    // Git reports an address with a slash at its end.
    let is_word = |found: &str| found.trim_end_matches('/') == word.trim_end_matches('/');
    !is_comment && line.split(is_around).any(is_word)
}

/// Where the user's files have the hash of which Nix says that a file has another one.
pub(super) fn place_of_hash(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let is_mismatch = summary.starts_with("hash mismatch in ");
    let (_, rest) = summary.split_once("specified:").filter(|_| is_mismatch)?;
    let hash = rest.split_whitespace().next()?;
    // Nix puts the algorithm in front of a hash that is written without it.
    let plain = hash.split_once(':').map(|(_, plain)| plain);
    let mut written = [Some(hash), plain].into_iter().flatten();
    written.find_map(|hash| place_of(context, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_word_and_a_comment_are_something_else() {
        let word = "https://a.example/x";
        assert!(has_word("  url = \"https://a.example/x\";", word));
        assert!(!has_word("  url = \"https://a.example/x.sig\";", word));
        assert!(!has_word("  # url = \"https://a.example/x\";", word));
    }
}
