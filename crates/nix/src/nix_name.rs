//! Names of Nix, as they are written without quotes.

/// Whether `c` may be part of a name.
pub fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || "_-'".contains(c)
}

/// Whether `c` may be part of several names, joined by dots, such as that of an option.
pub fn is_of_path(c: char) -> bool {
    is_of_name(c) || c == '.'
}

/// `text`, if it is such names, without the white space around them.
pub fn path_of(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_path = |text: &&str| {
        text.split('.').all(|name| {
            let begins = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
            begins && name.chars().all(is_of_name)
        })
    };
    Some(text).filter(is_path)
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn names_are_joined_by_dots() {
        assert_eq!(path_of(" services.a-b' "), Some("services.a-b'"));
        for other in ["", ".enable", "a..b", "a.", "a b", "a.3d", "\"a\"", "-a"] {
            assert_eq!(path_of(other), None, "{other}");
        }
    }
}
