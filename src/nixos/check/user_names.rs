//! The rule about the names of users. Pure.

use super::Severity;
use super::facts::{ConfigFacts, UserFacts};
use super::named_options::user_option;
use super::rule::Rule;

pub(super) const RULES: [Rule; 1] = [Rule {
    id: "user-name",
    severity: Severity::Warning,
    is: |facts, _| {
        let users: Vec<String> = with_wrong_names(facts).map(user_option).collect();
        (!users.is_empty()).then(|| users.join(", "))
    },
    why: "programs may not read it as one name, so logins may fail, and a newer NixOS refuses it",
    add: &["{renamed user}"],
}];

/// The names that programs do not take for those of users.
fn with_wrong_names(facts: &ConfigFacts) -> impl Iterator<Item = &str> {
    let names = facts.users.iter().map(|user| user.name.as_str());
    names.filter(|name| is_wrong(name))
}

/// Whether programs take the name for that of no user, or for several words, a path or the number of a user. Upper case and dots
/// are common where other machines manage the users.
fn is_wrong(name: &str) -> bool {
    let is_number = !name.is_empty() && name.chars().all(|c| c.is_ascii_digit());
    let divides = |c: char| c.is_whitespace() || c == '/';
    name.contains(divides) || name.starts_with('-') || is_number
}

impl UserFacts {
    /// Whether the user's name is one that programs take.
    pub(super) fn has_usable_name(&self) -> bool {
        !is_wrong(&self.name)
    }
}

/// The definition of the first such user by another name.
pub(super) fn line_with_another_name(facts: &ConfigFacts) -> String {
    let Some(name) = with_wrong_names(facts).next() else {
        return String::new();
    };
    let lower = name.to_lowercase();
    let parts = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    let joined = parts.join("-");
    let meant = if joined.starts_with(|c: char| c.is_ascii_lowercase()) {
        joined
    } else {
        format!("user{joined}")
    };
    let is_taken = facts.users.iter().any(|user| user.name == meant);
    let another = if is_taken { "2" } else { "" };
    format!(
        "users.users.{meant}{another} = {{ … }}; # replaces {}",
        user_option(name)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::findings;
    use super::super::tests::{KEY, user, wheel, with};

    #[test]
    fn a_name_that_other_programs_do_not_take_is_told() {
        let told = |name: &str| {
            let users = json!([user("root", &[KEY], "none"), wheel(name, &[], "none")]);
            let found = findings(&with(&[("/users", users)]), "aarch64-linux", None);
            let lines = found
                .into_iter()
                .map(|one| (one.id, one.is, one.add.concat()));
            lines.collect::<Vec<_>>()
        };
        let ann = told("Ann Smith");
        let [(id, is, line)] = ann.as_slice() else {
            panic!("{ann:?}");
        };
        assert_eq!(
            (*id, is.as_str()),
            ("user-name", "users.users.\"Ann Smith\"")
        );
        let expected = "users.users.ann-smith = { … }; # replaces users.users.\"Ann Smith\"";
        assert_eq!(line, expected);
        for (name, meant) in [
            ("a/b", "a-b"),
            ("1000", "user1000"),
            ("-x", "x"),
            ("-root", "root2"),
        ] {
            let found = told(name);
            let start = format!("users.users.{meant} = ");
            assert!(found[0].2.starts_with(&start), "{found:?}");
        }
        for name in ["ann", "Ann", "ann.smith", "_ann-1", "ann$"] {
            assert_eq!(told(name)[0].0, "user-cannot-log-in", "{name}");
        }
    }
}
