//! What a rule is.

use super::Severity;
use super::facts::ConfigFacts;

/// One rule. In `add`, `{system}`, `{port}`, `{release}`, `{stored}`, the first user with a stored password, `{invalid}`, the
/// first option that has no hash, `{admit}`, what lets a user with a key or a password in, `{locked out}`, the first user without key and password, and `{locale}` and `{time zone}`, those that may be meant, are replaced.
pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    /// What the configuration sets, if that is a mistake. The second argument is the system of the image.
    pub(super) is: fn(&ConfigFacts, &str) -> Option<String>,
    pub(super) why: &'static str,
    pub(super) add: &'static [&'static str],
}
