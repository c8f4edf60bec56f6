//! Tokens by which AWS knows a call again.

use sdbuild_core::failure::Failure;

/// A random token: 32 hexadecimal digits.
pub(super) fn random() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::environment(format!("the system has no random numbers: {error}"))
    })?;
    Ok(hex::encode(bytes))
}
