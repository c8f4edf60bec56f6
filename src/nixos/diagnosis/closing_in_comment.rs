//! Brackets that are closed only in a comment. Pure.

/// What is told of the `bracket` of `line`, which the code of `text` does not close.
pub(super) fn not_closed(text: &str, bracket: char, line: u64) -> String {
    let told = format!("the `{bracket}` of line {line} is not closed");
    match line_of_comment(text, bracket, line) {
        Some(comment) => {
            format!(
                "{told}, because the comment in line {comment} has its closing bracket. Write that before the `#`, or in a line of \
                 its own"
            )
        }
        None => told,
    }
}

/// The line from `opened` on whose comment has the counterpart of the `bracket` that the line `opened` of `text` does not close.
fn line_of_comment(text: &str, bracket: char, opened: u64) -> Option<u64> {
    let closing = match bracket {
        '[' => ']',
        '{' => '}',
        '(' => ')',
        _ => return None,
    };
    let lines = (1..).zip(text.lines());
    let mut lines = lines.filter(|(line, _)| *line >= opened);
    lines.find_map(|(line, text)| {
        let (code, comment) = text.split_once('#')?;
        let is_comment = code.matches('"').count() % 2 == 0;
        let count = |sign: char| comment.matches(sign).count();
        (is_comment && count(closing) > count(bracket)).then_some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::line_of_comment;

    #[test]
    fn only_a_closing_bracket_without_its_opening_one_counts() {
        for (text, found) in [
            ("a = [ b\n# c ];", Some(2)),
            ("a = [ b # c ];", Some(1)),
            ("a = [ b\n# [ c ];\nd", None),
            ("a = [ b \"# ]\"", None),
            ("a = [ b\n# c );", None),
        ] {
            assert_eq!(line_of_comment(text, '[', 1), found, "{text}");
        }
    }
}
