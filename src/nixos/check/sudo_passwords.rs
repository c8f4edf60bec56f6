//! Users for whose `sudo` there is no password. Pure.

use super::Finding;
use super::Severity;
use super::corrections::lines_that_make_an_administrator;
use super::facts::ConfigFacts;
use super::named_options::user_option;
use super::ways_in::{inside, is_administrator};

/// What is said of users in the group of administrators who log in and have no password, for which sudo asks. If there are only such,
/// `no-admin` tells of them.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let users = inside(facts);
    let (others, without): (Vec<&str>, Vec<&str>) = users
        .into_iter()
        .partition(|name| is_administrator(facts, name));
    let is_in_wheel = |name: &&&str| {
        let mut users = facts.users.iter();
        users.any(|user| user.name == **name && user.groups.iter().any(|group| group == "wheel"))
    };
    let name = without.iter().find(is_in_wheel).copied();
    let name = name.filter(|_| facts.sudo.enable && !others.is_empty());
    let finding = name.map(|name| Finding {
        id: "sudo-password",
        severity: Severity::Warning,
        is: format!(
            "sudo asks for a password, and {} has none",
            user_option(name)
        ),
        why: format!("{name} is in the group wheel, but cannot use sudo"),
        add: lines_that_make_an_administrator(facts, name),
        place: None,
    });
    finding.into_iter()
}
