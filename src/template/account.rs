//! Names of accounts.

use sdbuild_core::failure::Failure;

/// Characters of the longest name (`LOGIN_NAME_MAX` of utmp, which systemd and shadow apply).
const MAX_CHARS: usize = 31;
/// Accounts that every NixOS has.
const TAKEN: [&str; 4] = ["root", "nobody", "messagebus", "sshd"];

/// A usage error unless `name` can be a new account: lower-case letters, digits, `-` and `_`, a letter or `_` first.
pub fn check_user_name(name: &str) -> Result<(), Failure> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if TAKEN.contains(&name) {
        return Err(
            Failure::usage(format!("the account {name} exists on every machine"))
                .hint("choose another name; root has your keys without --user"),
        );
    }
    if starts_well && name.len() <= MAX_CHARS && name.chars().all(is_allowed) {
        return Ok(());
    }
    Err(
        Failure::usage(format!("`{name}` is not a valid user name")).hint(format!(
            "user names have lower-case letters, digits, `-` and `_`, begin with a letter, and have at most \
             {MAX_CHARS} characters"
        )),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_linux_refuses_are_refused() {
        for good in ["ann", "_x", "pi-4", &"a".repeat(MAX_CHARS)] {
            check_user_name(good).unwrap();
        }
        for bad in [
            "",
            "root",
            "Ann",
            "4pi",
            "-a",
            "a b",
            "a\"",
            "ü",
            &"a".repeat(MAX_CHARS + 1),
        ] {
            assert!(check_user_name(bad).is_err(), "{bad}");
        }
    }
}
