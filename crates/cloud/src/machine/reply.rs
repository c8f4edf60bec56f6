//! What a program prints about the machine that it made, checked: lines `KEY=VALUE`.

use crate::machine::provider::CreatedMachine;
use sdbuild_core::ssh_key;
use sdbuild_core::text::truncate;
use sdbuild_engine::Endpoint;
use sdbuild_engine::ssh_machine::SshMachine;

/// The keys of lines, for messages.
const KEYS: &str = "host, host-key, id";
/// Characters of a name, and of a price.
const MAX_CHARS: usize = 200;
/// Characters of a line that a message shows.
const SHOWN_CHARS: usize = 80;
/// The type of host keys that live on a hardware token, which no rented machine has.
const TOKEN: &str = "sk-";

/// The machine that `text` describes; `run` is the id of the rental. An error says what is wrong, in words.
pub(super) fn parse(text: &str, run: &str) -> Result<CreatedMachine, String> {
    let [mut host, mut host_key, mut id] = [None; 3];
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.chars().any(char::is_control) {
            return Err("it has control characters".to_owned());
        }
        let shown = shortened(line);
        let (key, value) = line.split_once('=').ok_or_else(|| {
            format!("`{shown}` is not KEY=VALUE; print messages to standard error")
        })?;
        let field = match key {
            "host" => &mut host,
            "host-key" => &mut host_key,
            "id" => &mut id,
            _ => return Err(format!("`{shown}` is not one of {KEYS}")),
        };
        if field.replace(value.trim()).is_some() {
            return Err(format!(
                "`{key}` is given twice; only one machine was requested"
            ));
        }
    }
    let host = host.ok_or("it has no line host=USER@HOST")?;
    let host_key = host_key.ok_or("it has no line host-key=ssh-ed25519 AAAA…")?;
    Ok(CreatedMachine {
        machine: machine(host, host_key)?,
        id: id.map_or(Ok(run.to_owned()), checked_id)?,
        unreachable_hint: None,
    })
}

/// A price in words: `text`, which has one line; `None` if it is empty.
pub(super) fn price(text: &str) -> Result<Option<String>, String> {
    let line = text.trim();
    if line.chars().any(char::is_control) || line.chars().count() > MAX_CHARS {
        return Err(format!(
            "the price is not one line of at most {MAX_CHARS} characters"
        ));
    }
    Ok(Some(line.to_owned()).filter(|line| !line.is_empty()))
}

fn machine(host: &str, host_key: &str) -> Result<SshMachine, String> {
    let mut words = host_key.split_whitespace();
    let key = words.next().zip(words.next());
    let is_usable = |(kind, key): &(&str, &str)| {
        let is_known = ssh_key::KEY_TYPES.contains(kind) && !kind.starts_with(TOKEN);
        is_known && ssh_key::is_complete(kind, key)
    };
    let (kind, key) = key.filter(is_usable).ok_or_else(|| {
        let shown = shortened(host_key);
        format!("`{shown}` is not a host key: give the line of /etc/ssh/ssh_host_ed25519_key.pub")
    })?;
    let machine = SshMachine {
        place: host.to_owned(),
        host_key: format!("{kind} {key}"),
        identity: None,
    };
    match Endpoint::by_ssh(&machine) {
        Some(_) if host.len() <= MAX_CHARS => Ok(machine),
        Some(_) | None => Err(format!("`{}` is not [USER@]HOST[:PORT]", shortened(host))),
    }
}

/// An id is an argument of the program again.
fn checked_id(id: &str) -> Result<String, String> {
    let is_plain = id.chars().all(|c| c.is_ascii_graphic());
    if is_plain && !id.is_empty() && !id.starts_with('-') && id.len() <= MAX_CHARS {
        return Ok(id.to_owned());
    }
    let shown = shortened(id);
    Err(format!(
        "`{shown}` is not an ID: use at most {MAX_CHARS} visible ASCII characters, and no `-` at the start"
    ))
}

fn shortened(text: &str) -> String {
    truncate(text, SHOWN_CHARS).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

    #[test]
    fn a_machine_has_a_place_a_key_and_an_id() {
        let made = |more: &str| {
            let text = format!("\n host=me@10.0.0.1:2222\r\nhost-key={KEY} root@x\n{more}");
            parse(&text, "0123456789ab")
        };
        let without = made("").unwrap();
        assert_eq!(without.machine.place, "me@10.0.0.1:2222");
        assert_eq!(without.machine.host_key, KEY);
        assert_eq!(without.id, "0123456789ab");
        assert_eq!(made("id=i-0abc").unwrap().id, "i-0abc");
        for (more, words) in [
            ("id=", "is not an ID"),
            ("id=--all", "is not an ID"),
            ("id=a b", "is not an ID"),
            ("id=\u{1b}[2J", "control characters"),
            ("host=other", "`host` is given twice"),
            ("Creating…", "is not KEY=VALUE"),
            ("port=22", "is not one of host, host-key, id"),
        ] {
            let refused = made(more).unwrap_err();
            assert!(refused.contains(words), "{more}: {refused}");
        }
    }

    #[test]
    fn hostile_places_and_keys_are_refused() {
        for host in [
            "",
            "-oProxyCommand=touch /tmp/x",
            "me@-oProxyCommand=x",
            "a b",
            "a,b",
            "$(x)",
            "me:secret@pi",
            "pi/run/docker.sock",
            "pi:99999",
        ] {
            let refused = parse(&format!("host={host}\nhost-key={KEY}"), "x").unwrap_err();
            assert!(refused.contains("is not [USER@]HOST[:PORT]"), "{refused}");
        }
        for key in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-dss AAAA", "* x"] {
            let refused = parse(&format!("host=pi\nhost-key={key}"), "x").unwrap_err();
            assert!(refused.contains("is not a host key"), "{key}: {refused}");
        }
        assert!(parse("host=pi", "x").unwrap_err().contains("host-key="));
        assert!(parse("", "x").unwrap_err().contains("host="));
    }

    #[test]
    fn a_price_is_one_line() {
        assert_eq!(
            price("0.04 € an hour\n").unwrap().as_deref(),
            Some("0.04 € an hour")
        );
        assert_eq!(price("\n").unwrap(), None);
        assert!(price("a\nb").is_err());
        assert!(price(&"x".repeat(201)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_machine_or_refused_in_words(text in "(?s)(host=|host-key=|id=|[a-z@:]|\n|.){0,60}") {
            if let Err(refused) = parse(&text, "0123456789ab") {
                proptest::prop_assert!(!refused.is_empty());
            }
        }
    }
}
