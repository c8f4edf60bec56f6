//! Texts in place of the names that `networking.hosts` has for an address. Pure.

use std::net::IpAddr;

use super::names::is_name;
use super::wrong_value::Wrong;

/// The definition in `networking.hosts` that is meant by the `text`: an address and a name, or the address of the name.
pub(super) fn definition(wrong: &Wrong<'_>, text: &str) -> Option<String> {
    let name = wrong.option.strip_prefix("networking.hosts")?;
    if let Some(name) = name.strip_prefix('.') {
        let name = name.trim_matches('"');
        let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
        let is_exchanged = is_address(text) && !is_address(name) && !wrong.is_part;
        return is_exchanged.then(|| {
            format!("give the address its names: networking.hosts.\"{text}\" = [ \"{name}\" ];")
        });
    }
    let (address, name) = text.split_once(' ')?;
    let is_certain = address.parse::<IpAddr>().is_ok() && is_name(name);
    let host = format!("\"{address}\" = [ \"{name}\" ];");
    is_certain.then(|| {
        if wrong.is_part {
            format!("write {{ {host} }} instead of {}", wrong.shown)
        } else {
            format!("write networking.hosts.{host}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_names_of_its_host() {
        for (option, value, hint) in [
            (
                "networking.hosts",
                "\"192.168.1.2 nas.lan\"",
                Some("write networking.hosts.\"192.168.1.2\" = [ \"nas.lan\" ];"),
            ),
            (
                "networking.hosts.\"nas.lan\"",
                "\"192.168.1.2\"",
                Some(
                    "give the address its names: networking.hosts.\"192.168.1.2\" = [ \"nas.lan\" ];",
                ),
            ),
            ("networking.hosts.\"192.168.1.2\"", "\"nas.lan\"", None),
        ] {
            let told = definition(
                &Wrong::at(option, false, "list of string", value),
                value.trim_matches('"'),
            );
            assert_eq!(told.as_deref(), hint, "{option}");
        }
    }
}
