//! The rules about the keys and the passwords of users. Pure.

use super::facts::{ConfigFacts, PasswordState, UserFacts};
use super::finding::Severity::{Error, Warning};
use super::finding::{Change, Finding, keys_option, user_option};
use super::ways_in::{changes_that_refuse_passwords, password_is_accepted};
use sdbuild_core::nix_string::nix_string;
use sdbuild_core::ssh_key::{contains_key, is_private};
use sdbuild_core::text::truncate;

/// What is wrong with keys and passwords.
pub(super) fn findings(facts: &ConfigFacts) -> Vec<Finding> {
    let of_users = facts.users.iter().flat_map(|user| {
        [
            private_key(facts, user),
            private_key_file(user),
            key_is_none(facts, user),
            password_hash(facts, user),
            password_file(user),
            plain_password(facts, user),
        ]
    });
    of_users.flatten().collect()
}

/// Lines that have no complete key, except comments and private keys.
fn broken_keys(user: &UserFacts) -> impl Iterator<Item = &String> {
    let is_entry = |line: &str| !line.is_empty() && !line.starts_with('#');
    let is_broken = |line: &str| !contains_key(line) && !is_private(line);
    let keys = user.keys.iter();
    keys.filter(move |line| is_entry(line.trim()) && is_broken(line))
}

fn has_private_key(user: &UserFacts) -> bool {
    !user.private_key_files.is_empty() || user.keys.iter().any(|key| is_private(key))
}

/// Whether one of the keys is none, or private.
pub(super) fn has_wrong_key(facts: &ConfigFacts) -> bool {
    let mut users = facts.users.iter();
    users.any(|user| broken_keys(user).next().is_some() || has_private_key(user))
}

/// Whether the hash of a password is none.
pub(super) fn has_wrong_hash(facts: &ConfigFacts) -> bool {
    facts.users.iter().any(|user| user.invalid_hash.is_some())
}

/// What follows if there is nothing else to log in with.
fn no_other_login(facts: &ConfigFacts) -> &'static str {
    if facts.is_locked_out() {
        ", and no user has another key or a password"
    } else {
        ""
    }
}

fn private_key(facts: &ConfigFacts, user: &UserFacts) -> Option<Finding> {
    // Not the key itself.
    let detail = format!(" has a private key{}", no_other_login(facts));
    let has_one = user.keys.iter().any(|key| is_private(key));
    has_one.then(|| {
        Finding::of_option(
            "private-key",
            Error,
            keys_option(&user.name),
            detail,
            "a private key does not let anyone in here, and anyone who can read the card or the Nix store of this machine \
             can use it. Make a new pair with ssh-keygen, and put the line of its .pub file here",
        )
    })
}

fn private_key_file(user: &UserFacts) -> Option<Finding> {
    let file = user.private_key_files.first()?;
    Some(Finding::of_option(
        "private-key",
        Error,
        user_option(&user.name, "openssh.authorizedKeys.keyFiles"),
        format!(" has the private key {}", nix_string(file)),
        "a private key does not let anyone in here, and others can read it in the image and in the Nix store of this \
         machine. Name the .pub file beside it. If anyone else has an image with this key, make a new pair with ssh-keygen",
    ))
}

fn key_is_none(facts: &ConfigFacts, user: &UserFacts) -> Option<Finding> {
    /// Characters of the text that are shown.
    const SHOWN: usize = 40;
    let broken: Vec<&String> = broken_keys(user).collect();
    let first = broken.first()?;
    let others = match broken.len() - 1 {
        0 => String::new(),
        others => format!(" and {others} more that are not keys"),
    };
    let shown = nix_string(&truncate(first, SHOWN));
    let detail = format!(" has {shown}{others}{}", no_other_login(facts));
    let are_all = broken.len() == user.keys.len() && !user.has_expired_key;
    let finding = Finding::of_option(
        "key-is-none",
        Error,
        keys_option(&user.name),
        detail,
        "the text in quotes is not a complete public key. Write the whole line of a .pub file in ~/.ssh, not its path; \
         `ssh-keygen -t ed25519` makes one",
    );
    Some(finding.fix(are_all.then(|| Change::own_key(&user.name))))
}

/// The change with which the user has the hash of a password.
fn hash_of_password(user: &UserFacts, option: &str) -> Change {
    let change = Change::set(user_option(&user.name, option), "\"$y$…\"");
    change.note("the output of `mkpasswd`")
}

fn password_hash(facts: &ConfigFacts, user: &UserFacts) -> Option<Finding> {
    let option = user.invalid_hash.as_deref()?;
    let finding = Finding::of_option(
        "password-hash",
        Error,
        user_option(&user.name, option),
        format!(" is not the hash of a password{}", no_other_login(facts)),
        "that is not the complete hash of a password, so no password is accepted. If it is the password itself, anyone \
         who has the card can read it",
    );
    Some(finding.fix([hash_of_password(user, option)]))
}

fn password_file(user: &UserFacts) -> Option<Finding> {
    let finding = Finding::of_option(
        "password-hash",
        Warning,
        user_option(&user.name, "hashedPasswordFile"),
        " is not the whole path of a file",
        "NixOS finds no such file on the card, so the user has no password",
    );
    let change = hash_of_password(user, "hashedPassword").note(
        "the output of `mkpasswd`, instead of hashedPasswordFile; or give the path of a file on the card there",
    );
    user.has_wrong_file.then(|| finding.fix([change]))
}

fn plain_password(facts: &ConfigFacts, user: &UserFacts) -> Option<Finding> {
    let option = user.plain_password.as_deref();
    let option = option.filter(|_| user.password == PasswordState::Set)?;
    let finding = |id, why| {
        let option = user_option(&user.name, option);
        Finding::of_option(id, Warning, option, " is a password in plain text", why)
    };
    Some(if password_is_accepted(facts, user) {
        let finding = finding(
            "open-password",
            "SSH accepts it from the whole network, and anyone can read it on the card or in the Nix store of a machine \
             that builds the image",
        );
        finding.fix(changes_that_refuse_passwords(facts, &user.name))
    } else {
        let finding = finding(
            "stored-password",
            "anyone can read it on the card and in the Nix store of each machine that builds the image. It works at the \
             console and for the user's sudo",
        );
        finding.fix([hash_of_password(user, "hashedPassword")])
    })
}
