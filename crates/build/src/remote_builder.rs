//! Nix's remote builders, in the syntax of Nix's own setting `builders`:
//! `URI SYSTEMS SSH-KEY MAX-JOBS SPEED-FACTOR FEATURES MANDATORY-FEATURES HOST-KEY`, where `-` or nothing means the default.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::ssh_key;

/// Fields of a line.
const FIELDS: usize = 8;
/// The feature that nixpkgs requires of machines that compile a kernel or a compiler.
const BIG_PARALLEL: &str = "big-parallel";
/// Parameters of a store's address that may be given. The key and the host key have fields of their own.
const PARAMETERS: [&str; 4] = [
    "compress",
    "max-connections",
    "remote-program",
    "remote-store",
];
/// Names under which Nix reaches no other machine: it starts its own daemon without ssh, in the builder's container.
const THIS_MACHINE: [&str; 2] = ["localhost", "127.0.0.1"];

/// A machine that Nix sends derivations to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteBuilder {
    /// `ssh-ng`, or `ssh` for a machine with an old Nix.
    scheme: &'static str,
    /// The account there.
    pub user: String,
    /// Its name or IPv4 address.
    pub host: String,
    /// The port of its SSH server; `None`: 22.
    pub port: Option<u16>,
    /// Parameters of the store, with the question mark in front; may be empty.
    parameters: String,
    /// The systems that it builds for, at least one.
    pub systems: Vec<String>,
    /// The private key to log in with, if the line names one.
    pub key: Option<PathBuf>,
    /// Derivations that it builds in parallel.
    jobs: u32,
    /// How fast it is, compared with others.
    speed: String,
    /// Its features.
    features: Vec<String>,
    /// The features that each derivation must require to be sent to it.
    mandatory: Vec<String>,
    /// Type and key of its SSH server, if the line has it.
    pub host_key: Option<String>,
}

impl RemoteBuilder {
    /// Its address without parameters: `ssh-ng://root@pi.lan`.
    pub fn address(&self) -> String {
        format!("{}://{}@{}", self.scheme, self.user, self.authority())
    }

    /// Its address with the parameters, which Nix opens.
    pub fn store(&self) -> String {
        format!("{}{}", self.address(), self.parameters)
    }

    /// Host and port, as they are in the address.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The line for Nix, which takes key and host key from the configuration of ssh.
    pub fn machine(&self) -> String {
        [
            self.store(),
            self.systems.join(","),
            "-".to_owned(),
            self.jobs.to_string(),
            self.speed.clone(),
            or_dash(&self.features),
            or_dash(&self.mandatory),
        ]
        .join(" ")
    }

    /// The features that it may be asked for.
    pub(crate) fn all_features(&self) -> Vec<String> {
        [&self.features[..], &self.mandatory].concat()
    }

    /// Whether it builds everything that `system` needs: kernels too, and not only what requires certain features.
    pub fn covers(&self, system: &str) -> bool {
        let has_system = self.systems.iter().any(|one| one == system);
        has_system && self.mandatory.is_empty() && self.compiles_kernels()
    }

    /// Whether it has the feature that nixpkgs requires for kernels.
    pub(crate) fn compiles_kernels(&self) -> bool {
        self.features.iter().any(|feature| feature == BIG_PARALLEL)
    }

    /// The same with a relative path of the key below `dir`.
    #[must_use]
    pub fn relative_to(self, dir: &Path) -> Self {
        let key = self
            .key
            .map(|key| sdbuild_core::absolute_path::absolute(&key, dir));
        Self { key, ..self }
    }
}

fn or_dash(words: &[String]) -> String {
    if words.is_empty() {
        return "-".to_owned();
    }
    words.join(",")
}

impl fmt::Display for RemoteBuilder {
    /// Address and systems.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address(), self.systems.join(", "))
    }
}

impl FromStr for RemoteBuilder {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [uri, ..] = words[..] else {
            return Err("a builder begins with its address: ssh-ng://USER@HOST".to_owned());
        };
        let field = |number: usize| words.get(number).copied().filter(|word| *word != "-");
        let (scheme, rest) = address(uri)?;
        let of_builder = |problem: String| format!("the builder {}: {problem}", hide_secrets(uri));
        if words.len() > FIELDS {
            let text = format!("{} fields, at most {FIELDS} are allowed", words.len());
            return Err(of_builder(text));
        }
        let builder = || {
            let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
            let (user, host, port) = place_of(place)?;
            check_parameters(parameters)?;
            let systems = field(1).ok_or(
                "the systems are missing: name them after the address, for instance aarch64-linux",
            )?;
            Ok(Self {
                scheme,
                user,
                host,
                port,
                parameters: match parameters {
                    "" => String::new(),
                    parameters => format!("?{parameters}"),
                },
                systems: names("system", systems)?,
                key: field(2).map(PathBuf::from),
                jobs: field(3).map_or(Ok(1), jobs)?,
                speed: field(4).map_or_else(|| Ok("1".to_owned()), speed)?,
                features: names("feature", field(5).unwrap_or_default())?,
                mandatory: names("mandatory feature", field(6).unwrap_or_default())?,
                host_key: field(7).map(host_key).transpose()?,
            })
        };
        builder().map_err(of_builder)
    }
}

/// The scheme of a builder's address and what follows it.
fn address(uri: &str) -> Result<(&'static str, &str), String> {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("ssh", uri));
    match scheme {
        "ssh" => Ok(("ssh", rest)),
        "ssh-ng" => Ok(("ssh-ng", rest)),
        _ => Err(format!(
            "a builder's address begins with ssh-ng:// or ssh://, not with {scheme}://"
        )),
    }
}

/// User, host and port.
fn place_of(place: &str) -> Result<(String, String, Option<u16>), String> {
    let Some((user, host)) = place.split_once('@').filter(|(user, _)| !user.is_empty()) else {
        return Err("the account is missing: give USER@HOST".to_owned());
    };
    let (host, port) = match host.split_once(':') {
        None => (host, None),
        Some((host, port)) => match port.parse() {
            Ok(port @ 1..) => (host, Some(port)),
            _ => return Err(format!("`{port}` is not the number of a port")),
        },
    };
    let is_name = |word: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(allowed)
    };
    if user.contains(':') {
        return Err("an address must not contain a password: log in with a key".to_owned());
    }
    if !is_name(user) {
        return Err(format!("`{user}` is not the name of an account"));
    }
    if !is_name(host) {
        return Err(format!("`{host}` is not a host name or an IPv4 address"));
    }
    if THIS_MACHINE.contains(&host) {
        return Err(format!(
            "{host} would be the builder's own container: give the machine's name or address in the network"
        ));
    }
    Ok((user.to_owned(), host.to_owned(), port))
}

/// Refuses parameters that sdbuild sets itself, and those that Nix does not know.
fn check_parameters(parameters: &str) -> Result<(), String> {
    let mut given = parameters.split('&').filter(|one| !one.is_empty());
    let refused = given.find(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        !PARAMETERS.contains(&name) || parameter.contains([';', '#'])
    });
    refused.map_or(Ok(()), |parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        let known = PARAMETERS.join(", ");
        Err(format!(
            "the parameter `{name}` is not one of {known}, or has a `;` or a `#` in it; the key is the third field, the host key the eighth"
        ))
    })
}

/// The words between commas.
fn names(what: &str, words: &str) -> Result<Vec<String>, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-+:/".contains(c);
    let words = words.split(',').filter(|word| !word.is_empty());
    words
        .map(|word| {
            let is_name = word.chars().all(allowed);
            let name = is_name.then(|| word.to_owned());
            name.ok_or_else(|| format!("`{word}` is not the name of a {what}"))
        })
        .collect()
}

fn jobs(word: &str) -> Result<u32, String> {
    let number = word.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        format!("`{word}` is not a number of derivations (the fourth field: how many it builds in parallel)")
    })
}

fn speed(word: &str) -> Result<String, String> {
    let number: Option<f32> = word.parse().ok();
    let number = number.filter(|number| number.is_finite() && *number > 0.0);
    number.map(|_| word.to_owned()).ok_or_else(|| {
        format!("`{word}` is not a speed factor (the fifth field: 2 is twice as fast as 1)")
    })
}

/// Type and key in the base64 of a public host key's file.
fn host_key(word: &str) -> Result<String, String> {
    let wrong = || {
        "the eighth field is not a host key: on the builder, \
         `base64 -w0 /etc/ssh/ssh_host_ed25519_key.pub` prints it"
            .to_owned()
    };
    let text = BASE64_STANDARD.decode(word).map_err(|_| wrong())?;
    let text = String::from_utf8(text).map_err(|_| wrong())?;
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (Some(kind), Some(key)) if ssh_key::is_complete(kind, key) => Ok(format!("{kind} {key}")),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests;
