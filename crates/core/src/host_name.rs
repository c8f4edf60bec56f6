//! Host names (`networking.hostName`).

use crate::failure::Failure;

/// Characters of a host name's label (RFC 1123).
pub const MAX_CHARS: usize = 63;

/// Whether `name` is a single label of RFC 1123: letters, digits and `-`, which is neither first nor last. NixOS accepts `_` too.
pub fn is_valid(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let dash_at_edge = name.starts_with('-') || name.ends_with('-');
    (1..=MAX_CHARS).contains(&name.len()) && name.chars().all(is_allowed) && !dash_at_edge
}

/// A usage error unless `name` [is valid](is_valid).
pub fn check(name: &str) -> Result<(), Failure> {
    if is_valid(name) {
        return Ok(());
    }
    let failure = Failure::usage(format!("`{name}` is not a valid host name"));
    let (label, domain) = name.split_once('.').unwrap_or((name, ""));
    Err(if !domain.is_empty() && is_valid(label) {
        failure.hint(format!(
            "give only the first part, {label}; set the domain with networking.domain"
        ))
    } else {
        failure.hint("use at most 63 letters and digits, with `-` only between them")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_single_labels_are_host_names() {
        for good in ["a", "kitchen", "Pi-4", &"x".repeat(MAX_CHARS)] {
            check(good).unwrap();
        }
        let long = "x".repeat(MAX_CHARS + 1);
        for bad in ["", "-a", "a-", "a.b", "a b", "ü", "a\"", "x\nb", ".", &long] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_domain_is_distinguished_from_the_name() {
        let hint = |name| check(name).unwrap_err().hints.concat();
        assert!(hint("pi.home.example").contains("first part, pi;"));
        assert!(hint("a b").contains("letters and digits"));
    }
}
