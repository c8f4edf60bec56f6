//! What a rule is.

use super::Severity;
use super::facts::ConfigFacts;

/// A line that authorizes an SSH key.
pub(super) const KEY_LINE: &str =
    "users.users.root.openssh.authorizedKeys.keys = [ \"ssh-ed25519 …\" ];";

/// One rule. In `add` these are replaced:
/// - `{system}` and `{release}`
/// - `{stored}`, the first user with a stored password
/// - `{invalid}`, the first option that has no hash
/// - `{admit}`, the lines that let a user with a key or a password in, and `{admit without passwords}`, those that do so once the server accepts no password
/// - `{administrator}`, those that let the first user become root
/// - `{locked out}`, the first user without key and password
/// - `{locale}` and `{host name}`, those that may be meant
/// - `{time zone}`, the line that sets the one that may be meant
/// - `{address}` and `{prefix}`, those that a wrong address means, and `{gateway}`, that of a wrong gateway
/// - `{host address}`, `{host gateway}` and `{name servers}`, the lines with such that are of machines
/// - `{state version}`, the line that sets it
/// - `{meant groups}`, those that put users into the groups that are meant
/// - `{missing groups}`, those that make groups of users
/// - `{shells}` and `{other shells}`, the lines that set shells in place of those that do not exist, of users who can log in otherwise and of others
/// - `{ssh on}`, the line that turns the SSH server on
/// - `{open firewall}`, the one with which it is reached
/// - `{refused}`, the first user whose shell ends the login
/// - `{dhcp}`, the lines that turn DHCP on
/// - `{interface}`, the only one with a fixed address
/// - `{root label}`, that of the image's root file system
/// - `{linked file}`, the line that copies a file which is a link
/// - `{renamed user}`, the definition of the first user whose name other programs do not take by another one
/// - `{secret network}` and `{first network}`, the lines with a wireless network that has its passphrase from a file, and those that turn Wi-Fi on besides
/// - `{secrets file}`, the lines that name the file with keys that are to come from one
/// - `{secret networks}`, the lines that take the passphrases of wireless networks out of the configuration
/// - `{right keys}`, the lines in place of keys of wireless networks that cannot be one
/// - `{needed disk}`, where the first disk is mounted without which the machine does not start
/// - `{right key}`, the line with a key of a user who has only what is none
/// - `{upgrade}`, the line that names a flake for upgrades
pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    /// What the configuration sets, if that is a mistake. The second argument is the system of the image. Options are named by
    /// their whole paths, from which the place of their definition follows.
    pub(super) is: fn(&ConfigFacts, &str) -> Option<String>,
    pub(super) why: &'static str,
    pub(super) add: &'static [&'static str],
}
