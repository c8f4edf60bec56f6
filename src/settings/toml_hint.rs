//! What helps against errors in the syntax of `sdbuild.toml`. Pure.

/// How values are written.
pub(super) const HOW_TO_WRITE: &str =
    "strings are in quotes, lists in brackets, and switches are true or false";

/// What to write in place of what is at the byte `at` of `text`, for an error with this `message`.
pub(super) fn hint(text: &str, at: usize, message: &str) -> String {
    if message.contains("duplicate key") {
        return "a setting can be set only once: remove one of the two lines".to_owned();
    }
    let before = text.get(..at).unwrap_or_default().matches('\n').count();
    let line = text.lines().nth(before).unwrap_or_default().trim();
    of_line(line).unwrap_or_else(|| HOW_TO_WRITE.to_owned())
}

fn of_line(line: &str) -> Option<String> {
    let fixed = if line.starts_with("//") || line.starts_with(';') || line.starts_with("--") {
        "a comment begins with `#`"
    } else if line.starts_with(['{', '}']) {
        "the file has a line `SETTING = VALUE` for each setting, without braces around them"
    } else {
        return of_setting(line);
    };
    Some(fixed.to_owned())
}

/// Of a line that begins with the name of a setting.
fn of_setting(line: &str) -> Option<String> {
    let is_key = |c: char| c.is_ascii_alphanumeric() || "-_\"".contains(c);
    let behind = line.trim_start_matches(is_key);
    let key = line.strip_suffix(behind)?;
    let behind = behind.trim_start();
    let Some(value) = behind.strip_prefix('=') else {
        let colon = behind.starts_with(':');
        return Some(if colon {
            "write `=` in place of `:`".to_owned()
        } else {
            format!("a setting and its value have a `=` between them: {key} = …")
        });
    };
    let value = value.trim();
    let quotes = value.matches('"').count();
    if value.is_empty() {
        return Some("a value is missing behind the `=`".to_owned());
    }
    if value.ends_with([',', ';']) {
        let value = value.trim_end_matches([',', ';']);
        return Some(format!(
            "a line has nothing behind its value: {key} = {value}"
        ));
    }
    if quotes >= 4 && !value.starts_with('[') {
        return Some("several values are a list: [\"a\", \"b\"]".to_owned());
    }
    if ["yes", "on", "True"].contains(&value) {
        return Some(format!("a switch that is on is true: {key} = true"));
    }
    if ["no", "off", "False"].contains(&value) {
        return Some(format!("a switch that is off is false: {key} = false"));
    }
    let is_word = value.starts_with(|c: char| c.is_alphabetic() || "./~".contains(c));
    let is_plain = !value.contains(['"', '\'', '[', '#']);
    (is_word && is_plain).then(|| format!("a string is in quotes: {key} = \"{value}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_explained_by_what_it_looks_like() {
        for (line, expected) in [
            ("jobs = 2,", "a line has nothing behind its value: jobs = 2"),
            ("jobs = 2;", "a line has nothing behind its value: jobs = 2"),
            ("// more jobs", "a comment begins with `#`"),
            ("{\"jobs\": 2}", "without braces"),
            ("jobs: 2", "write `=` in place of `:`"),
            ("jobs 2", "jobs = …"),
            ("jobs =", "a value is missing"),
            ("format = iso", "a string is in quotes: format = \"iso\""),
            ("output = ./out", "output = \"./out\""),
            ("offline = yes", "offline = true"),
            ("offline = off", "offline = false"),
            ("substituters = \"a\" \"b\"", "[\"a\", \"b\"]"),
            ("substituters = [\"a\" \"b\"]", HOW_TO_WRITE),
            ("format = \"iso", HOW_TO_WRITE),
        ] {
            let told = hint(&format!("cores = 1\n{line}\n"), "cores = 1\n".len(), "");
            assert!(told.contains(expected), "{line}: {told}");
        }
        assert!(hint("", 0, "duplicate key").contains("only once"));
        assert_eq!(hint("a = 1", 99, ""), HOW_TO_WRITE);
    }
}
