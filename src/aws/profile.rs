//! The profiles in `~/.aws/config` and `~/.aws/credentials`, which AWS's own tools write.

use std::path::{Path, PathBuf};

use ini::Ini;

use crate::common::aws_variables::AwsVariables;
use crate::common::failure::Failure;
use crate::common::plain_file;

/// Larger files are not settings of AWS's tools.
const MAX_BYTES: u64 = 1 << 20;
/// The profile where none is named.
pub(super) const DEFAULT: &str = "default";

/// What the files say of one profile.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) access_key_id: Option<String>,
    pub(super) secret_access_key: Option<String>,
    pub(super) session_token: Option<String>,
    pub(super) credential_process: Option<String>,
    pub(super) region: Option<String>,
    /// Whether a file has a section of it.
    pub(super) exists: bool,
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
        let fields = [
            (&mut self.access_key_id, "aws_access_key_id"),
            (&mut self.secret_access_key, "aws_secret_access_key"),
            (&mut self.session_token, "aws_session_token"),
            (&mut self.credential_process, "credential_process"),
            (&mut self.region, "region"),
        ];
        for (field, key) in fields {
            if field.is_none() {
                *field = section.get(key).map(str::to_owned);
            }
        }
    }
}

/// The file at `path`, empty if there is none.
fn load(path: &Path) -> Result<Ini, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::usage(why).context(format!("read {}", path.display()))
    };
    let text = match plain_file::read_text(path, MAX_BYTES) {
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
