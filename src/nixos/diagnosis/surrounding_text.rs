//! Text before a configuration, or after it, that is not Nix: of an answer of a chat, or the name of the file. Pure.

use super::wrong_token::SIGNS;
use crate::common::nix_name::path_of;
use crate::nixos::nix_syntax::parse;

/// What is above and below code in Markdown.
pub(super) const FENCE: &str = "```";

/// Words that an expression of Nix begins with.
const KEYWORDS: [&str; 7] = ["assert", "if", "import", "in", "let", "rec", "with"];

/// What to do about the lines of `text` before and after a file of Nix that is right without them.
pub(super) fn hint(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let begin = lines.iter().position(|line| line.starts_with('{'))?;
    let last = lines.iter().rposition(|line| line.starts_with('}'));
    let end = last.unwrap_or(begin).max(begin);
    let (before, rest) = lines.split_at_checked(begin)?;
    let (code, after) = rest.split_at_checked(end + 1 - begin)?;
    if !parse(&code.join("\n")).errors().is_empty() {
        return None;
    }
    let before = other_lines(before, 1)?;
    let after = other_lines(after, end + 2)?;
    let found = [before, after].concat();
    match found[..] {
        [] => None,
        [(first, last)] if first == last => Some(format!("line {first} is not Nix. Remove it")),
        _ => {
            let range = |&(first, last): &(usize, usize)| {
                if first == last {
                    first.to_string()
                } else {
                    format!("{first} to {last}")
                }
            };
            let ranges = found.iter().map(range);
            let ranges: Vec<String> = ranges.collect();
            let ranges = ranges.join(" and ");
            Some(format!("lines {ranges} are not Nix. Remove them"))
        }
    }
}

/// The numbers of the first and the last of `lines` that is text, if there is one. The first line has the number `from`. `None` if one of
/// them may be Nix.
fn other_lines(lines: &[&str], from: usize) -> Option<Vec<(usize, usize)>> {
    let is_comment = |line: &str| line.trim().is_empty() || line.trim().starts_with('#');
    let mut numbered = (from..).zip(lines).filter(|(_, line)| !is_comment(line));
    let mut found = None;
    numbered.try_for_each(|(number, line)| {
        let (first, _) = found.unwrap_or((number, number));
        found = Some((first, number));
        is_text(line.trim()).then_some(())
    })?;
    Some(found.into_iter().collect())
}

/// Whether `line` is not Nix: it has letters, and neither a sign nor a word of Nix.
fn is_text(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    let is_argument = |part: &str| part.trim() == "..." || path_of(part).is_some();
    let header = line.strip_suffix(':').filter(|line| line.contains(','));
    let is_header =
        header.is_some_and(|header| header.trim_matches(['(', ')']).split(',').all(is_argument));
    let is_comment = SIGNS.iter().any(|sign| line.starts_with(sign));
    let has_sign = line.contains(['{', '}', '[', ']', '=']) || line.contains("/*");
    let is_words = line.contains(char::is_alphabetic) && !has_sign && !is_header && !is_comment;
    line.starts_with(FENCE) || is_words && !KEYWORDS.contains(&first)
}

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn text_around_a_configuration_is_found() {
        let code = "{ ... }:\n{\n  a = 1;\n}\n";
        for (before, after, expected) in [
            ("Here it is:\n", "", "line 1 is not Nix. Remove it"),
            ("# a\nsd-card.nix:\n\n", "", "line 2 is not Nix. Remove it"),
            (
                "Sure!\n\nIt is:\n```nix\n",
                "",
                "lines 1 to 4 are not Nix. Remove them",
            ),
            ("", "\nNow run it.\n", "line 6 is not Nix. Remove it"),
            ("It is\n", "```\n", "lines 1 and 6 are not Nix. Remove them"),
        ] {
            assert_eq!(
                hint(&format!("{before}{code}{after}")).as_deref(),
                Some(expected)
            );
        }
        for (before, after) in [
            ("", ""),
            ("# a\n", "# b\n"),
            ("let a = 1;\n", ""),
            ("with lib;\n", ""),
            ("pkgs, ...:\n", ""),
            ("( pkgs, ... ):\n", ""),
            ("/* a */\n", ""),
            ("// a b\n", ""),
            ("", "}\n"),
            ("", "b = 1;\n"),
        ] {
            assert_eq!(
                hint(&format!("{before}{code}{after}")),
                None,
                "{before}{after}"
            );
        }
        assert_eq!(hint("a b\n{ a = }\n"), None);
    }
}
