//! Names of Nix, as they are written without quotes.

/// Whether `c` may be part of a name.
pub fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || "_-'".contains(c)
}

/// Whether `c` may be part of several names, joined by dots, such as that of an option.
pub fn is_of_path(c: char) -> bool {
    is_of_name(c) || c == '.'
}
