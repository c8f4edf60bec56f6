//! The users of a cloud-config that have an authorized key.

use super::yaml::{Node, Value};

/// The user who gets the keys that no user is named for: NixOS has no other one by default.
const KEYS_WITHOUT_A_USER: &str = "root";
/// The lists of a user's keys; the second is an older name.
const KEY_LISTS: [&str; 2] = ["ssh_authorized_keys", "ssh-authorized-keys"];

/// A user of user-data, with the lines of keys that it may log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedLogin {
    /// The user's name.
    pub user: String,
    /// Lines as in `authorized_keys`.
    pub keys: Vec<String>,
}

/// The users of `config` with at least one key, in their order; last the user of the keys that belong to no user.
pub(super) fn logins(config: &Node) -> Vec<SeedLogin> {
    let users = config.get("users");
    let mut found: Vec<SeedLogin> = match users.map(|users| &users.value) {
        Some(Value::List(users)) => users.iter().filter_map(login_of).collect(),
        Some(Value::Scalar(_) | Value::Mapping(_) | Value::Alias) | None => Vec::new(),
    };
    let keys = keys_of(config);
    if !keys.is_empty() {
        let user = KEYS_WITHOUT_A_USER.to_owned();
        found.push(SeedLogin { user, keys });
    }
    found
}

fn login_of(user: &Node) -> Option<SeedLogin> {
    let name = user.get("name")?.text()?;
    let keys = keys_of(user);
    (!keys.is_empty()).then(|| SeedLogin {
        user: name.to_owned(),
        keys,
    })
}

/// The keys that `node` lists.
fn keys_of(node: &Node) -> Vec<String> {
    let lists = KEY_LISTS.iter().filter_map(|name| node.get(name));
    let keys = lists.flat_map(|list| match &list.value {
        Value::List(keys) => keys.iter().filter_map(Node::text).collect(),
        Value::Scalar(key) => vec![key.as_str()],
        Value::Mapping(_) | Value::Alias => Vec::new(),
    });
    keys.filter(|key| !key.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::yaml;

    fn found(text: &str) -> Vec<(String, usize)> {
        let config = yaml::parse(text).unwrap().unwrap();
        let logins = logins(&config).into_iter();
        logins.map(|login| (login.user, login.keys.len())).collect()
    }

    #[test]
    fn users_with_a_key_come_in_their_order() {
        let text = "users:\n- default\n- name: none\n- {name: a, ssh_authorized_keys: [k, l]}\n\
            - name: b\n  ssh-authorized-keys: k\nssh_authorized_keys:\n- k\n";
        let expected = [("a", 2), ("b", 1), ("root", 1)];
        assert_eq!(found(text), expected.map(|(user, n)| (user.to_owned(), n)));
    }

    #[test]
    fn other_shapes_have_no_logins() {
        for text in [
            "users: a",
            "users: {}",
            "users: [[x]]",
            "a: 1",
            "ssh_authorized_keys: []",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
