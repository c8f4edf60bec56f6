//! Nix string literals.

/// `text` as a quoted Nix string. Nothing in it is interpolated or ends the string.
pub fn nix_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            // Every `$`, not only one before `{`: Nix reads `$${` as the text `$${`.
            '"' | '\\' | '$' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::nix_string;

    #[test]
    fn escapes_what_nix_interprets() {
        assert_eq!(nix_string("plain ü"), "\"plain ü\"");
        assert_eq!(nix_string(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(nix_string("${x} $${y} $5"), r#""\${x} \$\${y} \$5""#);
        assert_eq!(nix_string("a\nb\r\t"), r#""a\nb\r\t""#);
    }

    proptest::proptest! {
        /// Unescaping by Nix's rules yields the text again, and no quote ends the string early.
        #[test]
        fn nix_reads_back_the_same_text(text in "(?s)[\"\\\\$\\{\\}nrt\n\r\ta-c]{0,40}") {
            let quoted = nix_string(&text);
            let inner = quoted.strip_prefix('"').and_then(|s| s.strip_suffix('"')).unwrap();
            let mut read = String::new();
            let mut chars = inner.chars();
            while let Some(c) = chars.next() {
                proptest::prop_assert!(c != '"' && c != '$', "unescaped {c} in {quoted}");
                read.push(match (c, c == '\\') {
                    (_, true) => match chars.next().unwrap() {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        other => other,
                    },
                    (c, false) => c,
                });
            }
            proptest::prop_assert_eq!(read, text);
        }
    }
}
