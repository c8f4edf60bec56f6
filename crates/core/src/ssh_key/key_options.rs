//! The options that may precede a key in `authorized_keys` (`sshd(8)`, "authorized keys file format"). The SSH server ignores a
//! line with any other text there.

/// Options without a value; those of the second list may begin with `no-`.
const FLAGS: [&str; 2] = ["restrict", "cert-authority"];
const FLAGS_TO_NEGATE: [&str; 7] = [
    "agent-forwarding",
    "port-forwarding",
    "pty",
    "touch-required",
    "user-rc",
    "verify-required",
    "x11-forwarding",
];

/// Options with a value in double quotes.
const WITH_VALUE: [&str; 8] = [
    "command",
    "environment",
    "expiry-time",
    "from",
    "permitlisten",
    "permitopen",
    "principals",
    "tunnel",
];

/// Whether `c` separates words in `authorized_keys`: other spaces, such as a no-break space, do not.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// `line` divided at the first blank outside double quotes, where the options end: the options, and what follows the blanks.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let ends_here = |c: char| {
        let is_end = is_blank(c) && !is_quoted;
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = c == '\\' && !is_escaped;
        is_end
    };
    let (options, rest) = line.split_once(ends_here)?;
    Some((options, rest.trim_start_matches(is_blank)))
}

/// An option before a key.
pub(super) struct KeyOption<'a> {
    /// Its name, in lower case.
    pub(super) name: String,
    /// What is between the quotes behind it.
    pub(super) value: Option<&'a str>,
}

/// The options in the list `text`; `None` if it is none, or has one that the SSH server does not know.
pub(super) fn known(text: &str) -> Option<Vec<KeyOption<'_>>> {
    let mut options = Vec::new();
    let mut rest = text;
    // The server accepts a comma at the end.
    while !rest.is_empty() {
        let (option, after) = option_at_start(rest)?;
        options.push(option);
        rest = match after.strip_prefix(',') {
            Some(more) => more,
            None if after.is_empty() => after,
            None => return None,
        };
    }
    (!options.is_empty()).then_some(options)
}

/// The known option at the start of `text`, and what follows it.
fn option_at_start(text: &str) -> Option<(KeyOption<'_>, &str)> {
    let end = text.find([',', '=']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let name = name.to_ascii_lowercase();
    if let Some(quoted) = rest.strip_prefix('=') {
        let is_known = WITH_VALUE.contains(&name.as_str());
        let (value, rest) = quoted_at_start(quoted).filter(|_| is_known)?;
        let value = Some(value);
        return Some((KeyOption { name, value }, rest));
    }
    let positive = name.strip_prefix("no-").unwrap_or(&name);
    let is_known = FLAGS.contains(&name.as_str()) || FLAGS_TO_NEGATE.contains(&positive);
    is_known.then_some((KeyOption { name, value: None }, rest))
}

/// The text in double quotes at the start of `text`, and what follows it; `\"` in it is a quote of its own.
fn quoted_at_start(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let closes = |c: char| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    };
    inner.split_once(closes)
}

#[cfg(test)]
mod tests {
    use super::known;
    use super::split;

    #[test]
    fn options_are_those_of_sshd() {
        for options in [
            "restrict",
            "No-Pty,X11-FORWARDING",
            r#"command="echo \"a, b\"",no-port-forwarding"#,
            r#"from="10.0.0.1,*.lan""#,
            "pty,",
        ] {
            assert!(known(options).is_some(), "{options}");
        }
        for other in [
            "",
            ",",
            "ssh-ed25519",
            "~/.ssh/id_ed25519.pub",
            "no-ptty",
            "no-restrict",
            "command",
            "from=10.0.0.1",
            r#"from="10.0.0.1"#,
            r#"from="a"pty"#,
            "pty,,restrict",
        ] {
            assert!(known(other).is_none(), "{other}");
        }
    }

    #[test]
    fn blanks_in_quotes_do_not_end_the_options() {
        let line = "command=\"a \\\" b\",pty \t key me";
        assert_eq!(split(line), Some(("command=\"a \\\" b\",pty", "key me")));
        assert_eq!(split("restrict"), None);
    }
}
