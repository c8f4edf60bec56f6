//! A machine, as the user names it for `ssh`.

use std::fmt;
use std::str::FromStr;

/// Characters of a destination: an account and a name have fewer.
const MAX_CHARS: usize = 512;

/// What `ssh` takes as its destination: `[USER@]HOST`, or `ssh://[USER@]HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

impl Host {
    /// The destination.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("ssh://").unwrap_or(text);
        let name = name.rsplit_once('@').map_or(name, |(_, host)| host);
        let is_plain =
            |c: char| !c.is_whitespace() && !c.is_control() && !"'\"\\`$;&|<>#".contains(c);
        // Beginning with a dash, it would be an option.
        if name.is_empty()
            || text.starts_with('-')
            || name.starts_with('-')
            || text.len() > MAX_CHARS
            || !text.chars().all(is_plain)
        {
            return Err(format!(
                "`{text}` is not the address of a machine, as root@192.168.1.23 is"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_commands_are_no_hosts() {
        for right in [
            "pi",
            "root@pi.local",
            "ssh://root@127.0.0.1:2222",
            "fe80::1%eth0",
            "a@b@c",
        ] {
            assert_eq!(right.parse::<Host>().unwrap().as_str(), right);
        }
        for wrong in [
            "",
            "root@",
            "-oProxyCommand=x",
            "root@-x",
            "a b",
            "pi;x",
            "$(x)",
            ".#pi",
            "ssh://",
        ] {
            assert!(wrong.parse::<Host>().is_err(), "{wrong}");
        }
    }
}
