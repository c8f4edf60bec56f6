//! Reasons why no login will succeed, as far as they are known while an image that takes hours is not built yet.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::boot::login_keys::{MAX_KEY_BYTES, Obstacle, keys_for, obstacle, run};
use crate::boot::request::BootRequest;
use crate::common::cancel::Cancel;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file;
use crate::common::program::find_program;

/// The files that ssh takes keys from without being told to (`IdentityFile` in `ssh_config(5)`).
const DEFAULT_KEYS: [&str; 5] = [
    "id_rsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
];

/// The keys of a login that does not name one: `~/.ssh`, and the programs that tell whether they can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCheck {
    dir: PathBuf,
    /// The value of `PATH`.
    path: OsString,
}

impl KeyCheck {
    /// The keys of the login of `request`; `None` if it has no login, or names the key.
    pub fn of(request: &BootRequest) -> Option<Self> {
        let login = request.login.as_ref().filter(|login| login.key.is_none());
        let (home, _) = request.home.as_ref().zip(login)?;
        Some(Self {
            dir: home.join(".ssh"),
            path: request.path.clone(),
        })
    }

    /// Why a login can hardly succeed, whatever the image accepts: there is no key, or ssh could use none of them. `None` if it
    /// can, if the agent has keys or does not answer, or if the user's configuration of ssh names keys.
    pub async fn before_build(self, cancel: &Cancel) -> Result<Option<Failure>, Failure> {
        let look = tokio::task::spawn_blocking(move || self.no_usable_key());
        cancel.race(look).await?.or_internal("look for your keys")
    }

    /// Why a login can hardly succeed on an image that accepts the public keys `accepted`: ssh could use none of the user's that
    /// are among them, or none is. Blocks for as long as the programs of OpenSSH run.
    pub fn with_accepted(&self, accepted: &[String]) -> Option<Failure> {
        match keys_for(&accepted.join("\n"), &self.dir, &self.path) {
            Err(failure) => Some(failure),
            Ok(keys) if keys.is_empty() && !self.has_other_keys() => Some(
                Failure::usage(format!(
                    "the image accepts none of the keys in {}",
                    self.dir.display()
                ))
                .hint("add the line of a public key (ls ~/.ssh/*.pub) to the configuration, or name the private key with --login-key"),
            ),
            Ok(_) => None,
        }
    }

    fn no_usable_key(&self) -> Option<Failure> {
        if self.has_other_keys() {
            return None;
        }
        let keys = self.identities();
        if keys.is_empty() {
            let text = format!(
                "there is no SSH key in {}, and none in ssh-agent",
                self.dir.display()
            );
            return Some(Failure::usage(text).hint("name a key with --ssh-key or --login-key"));
        }
        let mut first = None;
        for key in &keys {
            match obstacle(key, &self.path) {
                None => return None,
                Some(Obstacle::NoKey(_)) => {}
                Some(obstacle) => drop(first.get_or_insert_with(|| obstacle.failure(key))),
            }
        }
        first
    }

    /// Whether ssh may have keys that are not in the directory: the user's configuration names some, or ssh-agent has some.
    fn has_other_keys(&self) -> bool {
        let configured = plain_file::read_text(&self.dir.join("config"), MAX_KEY_BYTES);
        let names_keys = |line: &str| line.trim_start().to_lowercase().starts_with("identityfile");
        configured.is_ok_and(|text| text.lines().any(names_keys)) || agent_may_have_keys(&self.path)
    }

    /// The private keys in the directory: those with a public half beside them, and those that ssh tries by itself.
    fn identities(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut names: Vec<PathBuf> = files.map(|file| file.path()).collect();
        names.sort();
        let is_default = |file: &Path| DEFAULT_KEYS.iter().any(|name| file.ends_with(name));
        let has_public_half = |file: &Path| {
            let mut public = file.as_os_str().to_owned();
            public.push(".pub");
            Path::new(&public).is_file()
        };
        let is_key = |file: &PathBuf| is_default(file) || has_public_half(file);
        names.into_iter().filter(is_key).collect()
    }
}

/// Whether ssh-agent has a key, as far as is known.
fn agent_may_have_keys(path: &OsStr) -> bool {
    // Exit status 1 of ssh-add: the agent has none; 2: it does not run (`ssh-add(1)`).
    match run("ssh-add", &["-l"], None, path) {
        Some(listed) => listed.status.success(),
        // It is not installed, or the agent does not answer.
        None => find_program("ssh-add", path).is_some(),
    }
}

#[cfg(test)]
mod tests;
