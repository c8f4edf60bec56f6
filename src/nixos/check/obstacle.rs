//! What keeps a user from logging in over SSH. Pure.

use super::facts::UserFacts;

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
        match self {
            Self::NotAllowed => format!("AllowUsers does not name {name}"),
            Self::Denied => format!("DenyUsers names {name}"),
            Self::NoAllowedGroup => format!("AllowGroups names no group of {name}"),
            Self::DeniedGroup => format!("DenyGroups names a group of {name}"),
            Self::RootLogin(setting) => {
                format!("root may not log in: PermitRootLogin is \"{setting}\"")
            }
            Self::RootPassword(setting) => {
                format!(
                    "root has only a password, and PermitRootLogin \"{setting}\" accepts only a key"
                )
            }
            Self::PasswordsOff => {
                format!("{name} has only a password, and PasswordAuthentication is false")
            }
            Self::EmptyPassword => {
                format!("the password of {name} is empty, and SSH accepts no empty one")
            }
            Self::KeysOff => format!("{name} has a key, and PubkeyAuthentication is off"),
            Self::NoSecret => format!("{name} has neither a key nor a password"),
        }
    }
}
