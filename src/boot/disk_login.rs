//! Who logs in to the system on a disk, and with which keys, as far as the user does not say it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::boot::request::BootRequest;
use crate::boot::{login_keys, seed_disk};
use crate::common::context::Context;
use crate::common::failure::{Class, Failure, OrFail as _};
use crate::common::shell_word::quoted;
use crate::image::{InstalledSystem, MAX_KEY_LIST_BYTES};

/// Completes the login of `request`: its user, if none was named, and `keys`, if there are none, with those of the user's that the
/// system that is `installed`, or its seed, accepts. A failure where a login is certainly refused.
pub(super) async fn complete(
    request: &mut BootRequest,
    keys: &mut Vec<PathBuf>,
    installed: &InstalledSystem,
    context: &Context,
) -> Result<(), Failure> {
    let lists = &installed.key_lists;
    // A seed may configure the server.
    let is_certain = installed.takes_only_listed_keys && request.seed.is_none();
    let home = request.home.as_deref().filter(|_| keys.is_empty());
    let Some(login) = &mut request.login else {
        return Ok(());
    };
    if login.is_default_user
        && let Some(only) = only_user(lists)
        && only != login.user
    {
        let text = format!("logging in as {only}, the only user with a key in the image");
        context.events.notice(text);
        only.clone_into(&mut login.user);
    }
    let of_seed = request.seed.as_deref();
    let of_seed = of_seed.map_or_else(String::new, |seed| seed_disk::keys_of(seed, &login.user));
    if of_seed.is_empty()
        && let Some(text) = without_keys(&login.user, lists)
    {
        context.events.warn(text);
    }
    if let (Some(key), Some(list)) = (&login.key, lists.get(&login.user)) {
        let accepted = format!("{list}\n{of_seed}");
        let look = {
            let (key, path) = (key.clone(), request.path.clone());
            tokio::task::spawn_blocking(move || login_keys::is_accepted(&key, &accepted, &path))
        };
        let looked = context.cancel.race(look).await?;
        if looked.or_internal("look for the key")? == Some(false) {
            let (shown, user) = (key.display(), &login.user);
            let text = format!("the image does not accept the key {shown} for {user}");
            // Of a longer list only the beginning was read.
            if is_certain && list.len() < MAX_KEY_LIST_BYTES {
                let failure = Failure::message(Class::Build, text);
                return Err(failure.hint(format!(
                    "its SSH server accepts only the keys in users.users.{user}.openssh.authorizedKeys of the \
                     configuration. Add the public key there, and build again"
                )));
            }
            context.events.warn(format!(
                "{text}: the login fails unless the system gets the key while it runs"
            ));
        }
    }
    if let Some(home) = home {
        let of_image = lists.get(&login.user).cloned();
        let accepted: Vec<String> = of_image.into_iter().chain([of_seed]).collect();
        let (path, cancel) = (&request.path, &context.cancel);
        *keys = login_keys::keys_at(home, accepted.join("\n"), path, cancel).await?;
    }
    Ok(())
}

/// The user with a list, if there is a single one.
fn only_user(lists: &BTreeMap<String, String>) -> Option<&str> {
    let mut users = lists.keys();
    users
        .next()
        .filter(|_| users.next().is_none())
        .map(String::as_str)
}

/// The warning that the image has keys for others, but none for `user`: the account may be missing, or its name mistyped. No error,
/// because a system can get keys while it runs.
fn without_keys(user: &str, lists: &BTreeMap<String, String>) -> Option<String> {
    if lists.is_empty() || lists.contains_key(user) {
        return None;
    }
    let others: Vec<&str> = lists.keys().map(String::as_str).collect();
    let choice = match &others[..] {
        [only] => format!("log in with --user {}", quoted(only)),
        [..] => "choose one of them with --user".to_owned(),
    };
    let others = others.join(", ");
    Some(format!(
        "the image has no SSH key for {user}, only for {others}: {choice}"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::boot::request::Login;
    use crate::common::cancel::Cancel;
    use crate::common::event::{Event, Events};

    #[test]
    fn accounts_with_keys_are_named_for_one_without() {
        let lists = ["admin", "root"].map(|user| (user.to_owned(), String::new()));
        let lists = BTreeMap::from(lists);
        let told = without_keys("bob", &lists).unwrap();
        assert!(told.starts_with("the image has no SSH key for bob, only for admin, root: "));
        assert_eq!(without_keys("root", &lists), None);
        let only = BTreeMap::from([("admin".to_owned(), String::new())]);
        let told = without_keys("bob", &only).unwrap();
        assert!(
            told.ends_with("only for admin: log in with --user admin"),
            "{told}"
        );
        // Without any list nothing is known.
        assert_eq!(without_keys("bob", &BTreeMap::new()), None);
    }

    #[test]
    fn a_user_is_chosen_only_without_another_one() {
        let lists = |users: &[&str]| {
            let lists = users.iter().map(|user| ((*user).to_owned(), String::new()));
            lists.collect()
        };
        assert_eq!(only_user(&lists(&["admin"])), Some("admin"));
        for users in [&[][..], &["admin", "root"]] {
            assert_eq!(only_user(&lists(users)), None, "{users:?}");
        }
    }

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c me";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1d you";

    /// What is told before a login as `user` with [`KEY`] to an image with `lists`.
    async fn told(user: &str, lists: &[(&str, &str)]) -> Vec<Event> {
        let (events, completed) = completed(user, lists, false).await;
        completed.unwrap();
        events
    }

    /// The same, with the result; the server may take keys only from the lists.
    async fn completed(
        user: &str,
        lists: &[(&str, &str)],
        takes_only_listed_keys: bool,
    ) -> (Vec<Event>, Result<(), Failure>) {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("me.pub");
        std::fs::write(&key, KEY).unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let context = Context {
            cancel: Cancel::new(),
            events: Events::new(move |event| sink.lock().unwrap().push(event)),
        };
        let mut request = BootRequest {
            login: Some(Login {
                key: Some(key),
                user: user.to_owned(),
                is_default_user: false,
                timeout: Duration::ZERO,
                command: None,
            }),
            ..BootRequest::example()
        };
        let lists = lists.iter();
        let lists = lists.map(|(user, list)| ((*user).to_owned(), (*list).to_owned()));
        let installed = InstalledSystem {
            key_lists: lists.collect(),
            takes_only_listed_keys,
            ..InstalledSystem::default()
        };
        let completed = complete(&mut request, &mut Vec::new(), &installed, &context).await;
        (std::mem::take(&mut *events.lock().unwrap()), completed)
    }

    #[tokio::test]
    async fn a_login_that_is_certainly_refused_is_not_tried() {
        let (events, refused) = completed("root", &[("root", OTHER)], true).await;
        let refused = refused.unwrap_err();
        assert_eq!((events, refused.class), (vec![], Class::Build));
        let text = refused.to_string();
        assert!(text.ends_with("me.pub for root"), "{text}");
        assert!(
            refused.hints[0].contains("users.users.root.openssh"),
            "{refused:?}"
        );
        // Whether there is such a user is not known.
        let (told, other_user) = completed("bob", &[("root", KEY)], true).await;
        other_user.unwrap();
        assert_eq!(told.len(), 1);
        let (_, accepted) = completed("root", &[("root", KEY)], true).await;
        accepted.unwrap();
    }

    #[tokio::test]
    async fn a_key_that_the_image_does_not_accept_is_warned_of() {
        let [Event::Warning(text)] = &told("root", &[("root", OTHER)]).await[..] else {
            panic!("no warning alone");
        };
        assert!(
            text.starts_with("the image does not accept the key /")
                && text.contains("me.pub for root: the login fails unless"),
            "{text}"
        );
        let both = format!("{OTHER}\n{KEY}");
        assert_eq!(told("root", &[("root", &both)]).await, []);
        // What an image without lists accepts is not known.
        assert_eq!(told("root", &[]).await, []);
        // That the user has no key at all is told instead.
        let [Event::Warning(text)] = &told("bob", &[("root", KEY)]).await[..] else {
            panic!("no warning alone");
        };
        assert!(text.contains("no SSH key for bob"), "{text}");
    }
}
