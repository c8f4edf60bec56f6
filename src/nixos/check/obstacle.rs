//! What keeps a user from logging in over SSH. Pure.

use super::facts::UserFacts;
use super::named_options::user_option;

/// What keeps a user from logging in over SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// `AllowUsers` does not admit the user.
    NotAllowed,
    /// `DenyUsers` refuses the user.
    Denied,
    /// `AllowGroups` admits no group of the user.
    NoAllowedGroup,
    /// `DenyGroups` refuses a group of the user.
    DeniedGroup,
    /// `PermitRootLogin` has this value.
    RootLogin(String),
    /// Root has a password only, and `PermitRootLogin` has this value.
    RootPassword(String),
    /// The user has a password only, and the server takes none.
    PasswordsOff,
    /// The user has an empty password only.
    EmptyPassword,
    /// The user has a key only, and the server takes none.
    KeysOff,
    /// The user has neither a key nor a password.
    NoSecret,
}

impl Obstacle {
    /// What it is, for a message.
    pub(super) fn text(&self, user: &UserFacts) -> String {
        let name = &user.name;
        let option = |name: &str| format!("services.openssh.settings.{name}");
        match self {
            Self::NotAllowed => format!("{} does not name {name}", option("AllowUsers")),
            Self::Denied => format!("{} names {name}", option("DenyUsers")),
            Self::NoAllowedGroup => format!("{} has no group of {name}", option("AllowGroups")),
            Self::DeniedGroup => format!("{} names a group of {name}", option("DenyGroups")),
            Self::RootLogin(setting) => {
                let option = option("PermitRootLogin");
                format!("root may not log in, because {option} = \"{setting}\"")
            }
            Self::RootPassword(setting) => {
                let option = option("PermitRootLogin");
                format!("root has only a password, and {option} = \"{setting}\" accepts only a key")
            }
            Self::PasswordsOff => {
                let option = option("PasswordAuthentication");
                format!("{name} has only a password, and {option} = false")
            }
            Self::EmptyPassword => {
                format!(
                    "the password of {} is empty, and SSH does not accept that",
                    user_option(name)
                )
            }
            Self::KeysOff => format!(
                "{name} has a key, and {} is off",
                option("PubkeyAuthentication")
            ),
            Self::NoSecret => format!("{name} has neither a key nor a password"),
        }
    }
}
