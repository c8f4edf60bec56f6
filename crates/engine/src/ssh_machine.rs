//! A machine that is reached by SSH and has one host key that is accepted.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where it is, its host key, and who may log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshMachine {
    /// `[USER@]HOST[:PORT]`.
    pub place: String,
    /// Type and key, as in a `.pub` file without its comment.
    pub host_key: String,
    /// The file with the private key that logs in there, and no other one; the user's own keys if there is none.
    pub identity: Option<PathBuf>,
}
