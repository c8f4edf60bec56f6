//! A machine that is reached by SSH and has one host key that is accepted.

/// Where it is, and its host key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshMachine {
    /// `[USER@]HOST[:PORT]`.
    pub place: String,
    /// Type and key, as in a `.pub` file without its comment.
    pub host_key: String,
}
