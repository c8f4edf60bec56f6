//! Options with secrets.

use serde::Deserialize;

/// An option whose secret is in the store; the secret itself is not among the facts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StoredSecretFacts {
    /// The path of the object with the option: `services.tailscale`. That of a peer is the path of its interface.
    pub object: Vec<String>,
    /// The name of the option, such as `privateKey`.
    pub name: String,
    /// Whether it is a file, of which the store has a copy.
    pub is_file: bool,
}
