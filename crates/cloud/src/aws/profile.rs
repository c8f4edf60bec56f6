//! The profiles in `~/.aws/config` and `~/.aws/credentials`, which AWS's own tools write.

use std::path::{Path, PathBuf};

use ini::Ini;

use sdbuild_core::aws_variables::AwsVariables;
use sdbuild_core::failure::Failure;
use sdbuild_core::plain_file;

/// Larger files are not settings of AWS's tools.
const MAX_PROFILE_BYTES: u64 = 1 << 20;
/// The profile where none is named.
pub(super) const DEFAULT: &str = "default";

/// Settings of profiles whose credentials are asked for at a service: AWS's tools take them before keys in the same profile.
const DELEGATING: [&str; 4] = [
    "role_arn",
    "web_identity_token_file",
    "sso_session",
    "sso_start_url",
];

/// What the files say of one profile.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) keys: Option<Keys>,
    pub(super) credential_process: Option<String>,
    /// Whether its credentials come from a role or from single sign-on, which AWS's own program knows.
    pub(super) is_delegated: bool,
    pub(super) region: Option<String>,
    /// Whether a file has a section of it.
    pub(super) exists: bool,
}

/// The keys of one section, which belong together.
pub(super) struct Keys {
    pub(super) id: String,
    /// `None` if the section lacks it, with which AWS's tools do not go on.
    pub(super) secret: Option<String>,
    pub(super) token: Option<String>,
}

/// The profile `name`. The file of credentials has precedence, as for AWS's tools.
pub(super) fn read(name: &str, variables: &AwsVariables) -> Result<Profile, Failure> {
    let below_home = |file: &str| {
        variables
            .home
            .as_ref()
            .map(|home| home.join(".aws").join(file))
    };
    let path = |given: &Option<PathBuf>, file: &str| given.clone().or_else(|| below_home(file));
    let credentials = path(&variables.credentials_file, "credentials");
    let config = path(&variables.config_file, "config");
    let mut profile = Profile::default();
    if let Some(path) = credentials {
        profile.add(&load(&path)?, name);
    }
    if let Some(path) = config {
        let section = if name == DEFAULT {
            DEFAULT.to_owned()
        } else {
            format!("profile {name}")
        };
        profile.add(&load(&path)?, &section);
    }
    Ok(profile)
}

impl Profile {
    fn add(&mut self, file: &Ini, section: &str) {
        let Some(section) = file.section(Some(section)) else {
            return;
        };
        self.exists = true;
        let get = |key: &str| section.get(key).map(str::to_owned);
        let keys = || {
            Some(Keys {
                id: get("aws_access_key_id")?,
                secret: get("aws_secret_access_key"),
                token: get("aws_session_token"),
            })
        };
        self.keys = self.keys.take().or_else(keys);
        self.credential_process = self
            .credential_process
            .take()
            .or_else(|| get("credential_process"));
        self.region = self.region.take().or_else(|| get("region"));
        self.is_delegated |= DELEGATING.iter().any(|key| section.contains_key(*key));
    }
}

/// The file at `path`, empty if there is none.
fn load(path: &Path) -> Result<Ini, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::usage(why).context(format!("read {}", path.display()))
    };
    let text = match plain_file::read_text(path, MAX_PROFILE_BYTES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Ini::new()),
        read => read.map_err(|error| failed(&error))?,
    };
    // Its own words quote the line, which may have a secret in it.
    let options = ini::ParseOption {
        enabled_escape: false,
        enabled_quote: false,
        ..Default::default()
    };
    Ini::load_from_str_opt(&text, options)
        .map_err(|_| failed(&"it has lines that are neither [PROFILE] nor KEY = VALUE"))
}
