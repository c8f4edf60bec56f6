//! Texts as Nix strings. Part of the hall.

/// `text` as a Nix string in quotes: whatever it holds stays text.
pub fn nix_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            // Each `$`, not only one before `{`: of `$${` Nix takes the first two as themselves.
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
    fn what_means_something_to_nix_is_escaped() {
        assert_eq!(nix_string("plain ü"), "\"plain ü\"");
        assert_eq!(nix_string(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(nix_string("${x} $${y} $5"), r#""\${x} \$\${y} \$5""#);
        assert_eq!(nix_string("a\nb\r\t"), r#""a\nb\r\t""#);
    }

    proptest::proptest! {
        /// Read back by Nix's own rules it is the text again, and it ends where it should.
        #[test]
        fn nix_reads_the_same_text(text in "(?s)[\"\\\\$\\{\\}nrt\n\r\ta-c]{0,40}") {
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
