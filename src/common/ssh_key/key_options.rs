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

/// Whether `text` is a list of options that the SSH server knows.
pub(super) fn are_known(text: &str) -> bool {
    let mut rest = text;
    // The server accepts a comma at the end.
    while !rest.is_empty() {
        let Some(after) = after_option(rest) else {
            return false;
        };
        rest = match after.strip_prefix(',') {
            Some(more) => more,
            None if after.is_empty() => after,
            None => return false,
        };
    }
    !text.is_empty()
}

/// What follows the known option at the start of `text`.
fn after_option(text: &str) -> Option<&str> {
    let end = text.find([',', '=']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let name = name.to_ascii_lowercase();
    if let Some(value) = rest.strip_prefix('=') {
        let is_known = WITH_VALUE.contains(&name.as_str());
        return is_known.then(|| after_quoted(value)).flatten();
    }
    let positive = name.strip_prefix("no-").unwrap_or(&name);
    let is_known = FLAGS.contains(&name.as_str()) || FLAGS_TO_NEGATE.contains(&positive);
    is_known.then_some(rest)
}

/// What follows the text in double quotes at the start of `text`; `\"` in it is a quote of its own.
fn after_quoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let closes = |c: char| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    };
    Some(inner.split_once(closes)?.1)
}

#[cfg(test)]
mod tests {
    use super::{are_known, split};

    #[test]
    fn options_are_those_of_sshd() {
        for options in [
            "restrict",
            "No-Pty,X11-FORWARDING",
            r#"command="echo \"a, b\"",no-port-forwarding"#,
            r#"from="10.0.0.1,*.lan""#,
            "pty,",
        ] {
            assert!(are_known(options), "{options}");
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
            assert!(!are_known(other), "{other}");
        }
    }

    #[test]
    fn blanks_in_quotes_do_not_end_the_options() {
        let line = "command=\"a \\\" b\",pty \t key me";
        assert_eq!(split(line), Some(("command=\"a \\\" b\",pty", "key me")));
        assert_eq!(split("restrict"), None);
    }
}
