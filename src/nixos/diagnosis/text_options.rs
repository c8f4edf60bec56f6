//! What to write in place of a text where the option and the text tell what is meant: the key of a user, or a host name. Pure.

use super::wrong_value::Wrong;
use crate::common::host_name;
use crate::common::ssh_key::KEY_TYPES;

/// The end of the options with files of keys, without what follows it in the path of an element.
const KEY_FILES: &str = ".openssh.authorizedKeys.keyFiles";

/// What to write for the `text` of `wrong`.
pub(super) fn hint(wrong: &Wrong<'_>, text: &str) -> Option<String> {
    if wrong.option == "networking.hostName" {
        return host_name(wrong, text);
    }
    let (user, _) = wrong.option.split_once(KEY_FILES)?;
    let kind = text.split(' ').next()?;
    KEY_TYPES.contains(&kind).then(|| {
        format!(
            "the text of a key goes into keys, in place of keyFiles: {user}.openssh.authorizedKeys.keys = [ \"{kind} …\" ];"
        )
    })
}

/// What to write for a `text` that is no host name: `my-pi` for `my pi`, and the first part of one with a domain.
fn host_name(wrong: &Wrong<'_>, text: &str) -> Option<String> {
    let (label, domain) = text.split_once('.').unwrap_or((text, ""));
    let words = label.split([' ', '_', '-']).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-");
    if !host_name::is_valid(&name) {
        return None;
    }
    let definition = wrong.definition(&format!("\"{name}\""), wrong.shown);
    if domain.is_empty() && !text.contains('.') {
        return Some(format!(
            "a host name has letters from a to z, digits and `-`, at most 63: {definition}"
        ));
    }
    let is_domain = domain.split('.').all(host_name::is_valid);
    (is_domain && !wrong.is_part).then(|| {
        format!(
            "the domain is an option of its own: {definition} networking.domain = \"{domain}\";"
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
            (
                "pi.home.lan",
                Some("networking.hostName = \"pi\"; networking.domain = \"home.lan\";"),
            ),
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
    fn a_key_among_files_goes_into_keys() {
        let files = "users.users.ann.openssh.authorizedKeys.keyFiles";
        let told = hint_for(
            &format!("{files}.\"[definition 1-entry 1]\""),
            "ssh-ed25519 AAAA me@pc",
        );
        let line = "users.users.ann.openssh.authorizedKeys.keys = [ \"ssh-ed25519 …\" ];";
        assert!(told.unwrap().ends_with(line));
        assert_eq!(hint_for(files, "id.pub"), None);
    }
}
