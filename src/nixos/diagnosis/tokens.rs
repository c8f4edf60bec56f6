//! The names that Nix's parser gives to tokens, in the words of the language.

/// Each name in a syntax error, and what a file has there.
const TOKENS: [(&str, &str); 36] = [
    ("AND", "'&&'"),
    ("ASSERT", "'assert'"),
    ("CONCAT", "'++'"),
    ("DOLLAR_CURLY", "'${'"),
    ("ELLIPSIS", "'...'"),
    ("ELSE", "'else'"),
    ("EQ", "'=='"),
    ("FLOAT", "number"),
    ("FLOAT_LIT", "number"),
    ("GEQ", "'>='"),
    ("HPATH", "path"),
    ("ID", "name"),
    ("IF", "'if'"),
    ("IMPL", "'->'"),
    ("IN", "'in'"),
    ("IND_STR", "text"),
    ("IND_STRING_CLOSE", "end of string"),
    ("IND_STRING_OPEN", "string"),
    ("INHERIT", "'inherit'"),
    ("INT", "number"),
    ("INT_LIT", "number"),
    ("IN_KW", "'in'"),
    ("LEQ", "'<='"),
    ("LET", "'let'"),
    ("NEQ", "'!='"),
    ("OR", "'||'"),
    ("OR_KW", "'or'"),
    ("PATH", "path"),
    ("PATH_END", "end of path"),
    ("REC", "'rec'"),
    ("SPATH", "path in '<…>'"),
    ("THEN", "'then'"),
    ("UPDATE", "'//'"),
    ("URI", "address"),
    ("WITH", "'with'"),
    ("STR", "string"),
];

/// Before the attributes of a set that was called; none of them says more, unless it is one of the module system.
const CALLED_SET: &str = "which is not a function but a set: {";

/// The message `summary`, where the names in a syntax error are replaced, and without the attributes of a set.
pub(super) fn in_words(summary: &str) -> String {
    if let Some((before, set)) = summary.split_once(CALLED_SET)
        && !set.contains("_type")
    {
        return format!("{before}{}", CALLED_SET.trim_end_matches(": {"));
    }
    let (message, rest) = summary.split_once('\n').unwrap_or((summary, ""));
    if !message.starts_with("syntax error, ") {
        return summary.to_owned();
    }
    let words = message.split(' ').map(|word| {
        let name = word.strip_suffix(',').unwrap_or(word);
        let known = TOKENS.iter().find(|(token, _)| *token == name);
        known.map_or(word.to_owned(), |(_, shown)| word.replace(name, shown))
    });
    let message = words.collect::<Vec<_>>().join(" ");
    if rest.is_empty() {
        message
    } else {
        format!("{message}\n{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_syntax_errors_are_shown_as_they_are_written() {
        for (summary, shown) in [
            (
                "syntax error, unexpected ID, expecting '.' or '='",
                "syntax error, unexpected name, expecting '.' or '='",
            ),
            (
                "syntax error, unexpected end of file, expecting INHERIT\nID",
                "syntax error, unexpected end of file, expecting 'inherit'\nID",
            ),
            (
                "syntax error, unexpected '.', expecting ID or OR_KW or DOLLAR_CURLY or '\"'",
                "syntax error, unexpected '.', expecting name or 'or' or '${' or '\"'",
            ),
            (
                "syntax error, unexpected end of file, expecting IND_STR or DOLLAR_CURLY or IND_STRING_CLOSE",
                "syntax error, unexpected end of file, expecting text or '${' or end of string",
            ),
            ("undefined variable 'ID'", "undefined variable 'ID'"),
            ("a throw about ID", "a throw about ID"),
        ] {
            assert_eq!(in_words(summary), shown);
        }
    }
}
