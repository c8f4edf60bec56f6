//! Where the user's files have an address or a hash of which an error speaks.

use rnix::NodeOrToken;
use rnix::SyntaxKind::TOKEN_COMMENT;

use super::evidence::ExitContext;
use crate::nixos::nix_syntax::parse;

/// Where the user's files have `word`, an address or a hash: the file and the line, if there is only one.
pub(super) fn place_of(context: &ExitContext<'_>, word: &str) -> Option<String> {
    let (place, ()) = context
        .files?
        .only_place(|text| lines_with_word(text, word))?;
    Some(format!("{}{place}", context.shown_dir))
}

/// The lines of `text`, counted from 1, of which the Nix code has `word` alone.
fn lines_with_word(text: &str, word: &str) -> Vec<(usize, ())> {
    let code = without_comments(text);
    let with_word = (1..).zip(code.lines());
    let with_word = with_word.filter(|(_, line)| has_word(line, word));
    with_word.map(|(line, _)| (line, ())).collect()
}

/// `text` without the text of its comments, on the same lines.
fn without_comments(text: &str) -> String {
    let root = parse(text).syntax();
    let parts = root.descendants_with_tokens();
    let tokens = parts.filter_map(NodeOrToken::into_token);
    let code = tokens.map(|token| {
        let text = token.text();
        if token.kind() == TOKEN_COMMENT {
            "\n".repeat(text.matches('\n').count())
        } else {
            text.to_owned()
        }
    });
    code.collect()
}

/// Whether `line` has `word` alone, and is no comment of a script in a string.
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

/// The only line of the user's files with `<path>`.
pub(super) fn place_of_search_path(context: &ExitContext<'_>, path: &str) -> Option<String> {
    let written = format!("<{path}>");
    let (place, ()) = context.files?.only_place(|text| {
        let lines = (1..).zip(text.lines());
        let code = lines.map(|(line, text)| (line, text.split('#').next().unwrap_or_default()));
        let found = code.filter(|(_, code)| code.contains(&written));
        found.map(|(line, _)| (line, ())).collect()
    })?;
    Some(format!("{}{place}", context.shown_dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_word_and_a_comment_are_something_else() {
        let word = "https://a.example/x";
        let table: [(&str, &[usize]); 7] = [
            ("{ url = \"https://a.example/x\"; }", &[1]),
            ("{ url = https://a.example/x; }", &[1]),
            ("{ url = \"https://a.example/x.sig\"; }", &[]),
            ("{ url = \"https://a.example/x${y}\"; }", &[]),
            ("{ # url = \"https://a.example/x\";\n }", &[]),
            ("{ a = 1; # https://a.example/x\n }", &[]),
            (
                "{ /* the old\n https://a.example/x */\n url = \"https://a.example/x\"; }",
                &[3],
            ),
        ];
        for (text, expected) in table {
            let found = lines_with_word(text, word).into_iter();
            let lines: Vec<usize> = found.map(|(line, ())| line).collect();
            assert_eq!(lines, expected, "{text}");
        }
        let script = "{ a = ''\n # https://a.example/x\n ''; }";
        assert_eq!(lines_with_word(script, word), []);
    }
}
