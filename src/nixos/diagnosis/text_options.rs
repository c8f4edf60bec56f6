//! What to write in place of a text where the option and the text tell what is meant: the key of a user, or a host name. Pure.

use super::wrong_value::Wrong;
use sdbuild_core::host_name;
use sdbuild_core::ssh_key::KEY_TYPES;

/// The end of the options with files of keys, without what follows it in the path of an element.
const KEY_FILES: &str = ".openssh.authorizedKeys.keyFiles";

/// What to write for the `text` of `wrong`.
pub(super) fn hint(wrong: &Wrong<'_>, text: &str) -> Option<String> {
    if wrong.option == "networking.hostName" {
        return host_name(wrong, text);
    }
    let (user, _) = wrong.option.split_once(KEY_FILES)?;
    // Options may be before the key; and the text may be that of a file which was read.
    let is_key = text.split([' ', ',']).any(|word| KEY_TYPES.contains(&word));
    is_key.then(|| {
        format!(
            "keyFiles takes paths, such as ./id_ed25519.pub. Put the text of a key into \
             {user}.openssh.authorizedKeys.keys"
        )
    })
}

/// What to write for a `text` that is no host name: `my-pi` for `my pi`, and the first part of one with a domain.
fn host_name(wrong: &Wrong<'_>, text: &str) -> Option<String> {
    if text.contains(['$', '`']) {
        let definition = wrong.definition("\"pi\"", wrong.shown);
        return Some(format!(
            "Nix runs no commands of a shell in a string, and reads no variables of it. Write the name itself: {definition}"
        ));
    }
    let (label, domain) = text.split_once('.').unwrap_or((text, ""));
    let words = label.split([' ', '_', '-']).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-");
    if !host_name::is_valid(&name) {
        return None;
    }
    let definition = wrong.definition(&format!("\"{name}\""), wrong.shown);
    if !text.contains('.') {
        return Some(format!(
            "a host name has at most 63 letters from a to z, digits and `-`: {definition}"
        ));
    }
    // The last part of an address is a number, that of a domain never.
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_domain = domain.split('.').all(host_name::is_valid)
        && !domain.rsplit('.').next().is_some_and(is_number);
    let replaced = if name == label {
        ""
    } else {
        ", which has `-` in place of `_` and spaces"
    };
    is_domain.then(|| {
        format!(
            "put the domain into networking.domain, not into the host name{replaced}: {definition}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_for(option: &str, text: &str) -> Option<String> {
        let shown = format!("\"{text}\"");
        hint(&Wrong::at(option, false, "string", &shown), text)
    }

    #[test]
    fn a_host_name_becomes_one_that_is_valid() {
        for (text, definition) in [
            ("my pi", Some("networking.hostName = \"my-pi\";")),
            ("-pi_4 ", Some("networking.hostName = \"pi-4\";")),
            ("pi.home.lan", Some("networking.hostName = \"pi\";")),
            ("my_pi.lan", Some("networking.hostName = \"my-pi\";")),
            ("192.168.1.5", None),
            ("my pi.lan", Some("networking.hostName = \"my-pi\";")),
            ("$(hostname)", Some("networking.hostName = \"pi\";")),
            ("`hostname`", Some("networking.hostName = \"pi\";")),
            ("$HOST", Some("networking.hostName = \"pi\";")),
            ("küche", None),
            ("pi.", None),
            (" ", None),
        ] {
            let told = hint_for("networking.hostName", text);
            let told = told
                .as_deref()
                .and_then(|hint| Some(hint.split_once(": ")?.1));
            assert_eq!(told, definition, "{text}");
        }
    }

    #[test]
    fn a_changed_letter_of_a_host_name_is_said() {
        let is_said = |text| {
            let told = hint_for("networking.hostName", text).unwrap();
            told.contains("name, which has `-` in place of `_` and spaces: ")
        };
        assert!(is_said("kitchen_pi.local") && is_said("my pi.lan"));
        assert!(!is_said("kitchen-pi.local"));
    }

    #[test]
    fn a_key_among_files_goes_into_keys() {
        let files = "users.users.ann.openssh.authorizedKeys.keyFiles";
        let told = hint_for(
            &format!("{files}.\"[definition 1-entry 1]\""),
            "ssh-ed25519 AAAA me@pc",
        );
        let option = "into users.users.ann.openssh.authorizedKeys.keys";
        assert!(told.unwrap().ends_with(option));
        let with_options = hint_for(files, "no-pty ssh-ed25519 AAAA me@pc");
        assert!(with_options.unwrap().ends_with(option));
        assert_eq!(hint_for(files, "id.pub"), None);
    }
}
