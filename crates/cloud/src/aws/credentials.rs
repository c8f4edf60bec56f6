//! Who signs the requests: the credentials that AWS's own tools would use.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use aws_credential_types::Credentials;
use ini::Ini;
use sdbuild_core::aws_machine;
use sdbuild_core::aws_variables::AwsVariables;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::http_url;
use sdbuild_core::plain_file;
use sdbuild_core::program::find_program;
use sdbuild_core::timeout::timeout;
use sdbuild_core::untrusted;
use serde::Deserialize;
use tokio::process::Command;

use crate::aws::client::{Client, Error, OWN_ADDRESS, single};

/// A program that asks for a second factor may take this long.
const PROGRAM_TIMEOUT: Duration = Duration::from_mins(2);

/// The credentials, region and endpoint of an AWS account.
#[derive(Clone, Debug)]
pub struct Account {
    pub(super) credentials: Credentials,
    /// Takes the place of the services' own addresses.
    pub(super) endpoint: Option<String>,
    /// The service that returns the caller's address, in place of AWS's.
    pub(super) own_address_url: Option<String>,
    /// The region, such as `eu-central-1`.
    pub region: String,
}

impl Account {
    /// The same account in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self {
            region: region.to_owned(),
            ..self.clone()
        }
    }
}

/// The account of the environment, of the profile `profile`, or of the profile that the environment names; in `region`, if one is given.
///
/// # Errors
///
/// There is no region or there are no credentials; a program that prints them failed.
pub(super) async fn account(
    region: Option<&str>,
    profile: Option<&str>,
    variables: &AwsVariables,
    cancel: &Cancel,
) -> Result<Account, Failure> {
    let name = profile.or(variables.profile.as_deref());
    let found = read_profiles(name.unwrap_or(DEFAULT), variables)?;
    if let Some(name) = name.filter(|_| !found.exists) {
        return Err(Failure::usage(format!(
            "there is no profile {name} in ~/.aws/config or ~/.aws/credentials"
        ))
        .hint("aws configure list-profiles lists them"));
    }
    let region = region
        .or(variables.region.as_deref())
        .or(found.region.as_deref());
    let region = region.map(str::to_owned).ok_or_else(|| {
        Failure::usage("no AWS region is set")
            .hint("--region eu-central-1 (for a build: --on aws:region=eu-central-1), AWS_REGION, or region in ~/.aws/config")
    })?;
    check_region(&region)?;
    if let Some(Err(why)) = variables.endpoint_url.as_deref().map(http_url::check) {
        return Err(
            Failure::usage(format!("AWS_ENDPOINT_URL {why}")).hint("leave it unset for AWS")
        );
    }
    let of_environment = match profile {
        None => of_environment(variables)?,
        Some(_) => None,
    };
    let credentials = match of_environment {
        Some(credentials) => credentials,
        None => cancel.race(of_profile(&found, name, variables)).await??,
    };
    Ok(Account {
        credentials,
        endpoint: variables.endpoint_url.clone(),
        own_address_url: variables.own_address_url.clone(),
        region,
    })
}

/// An error unless `region` can be a region, whose name is part of the servers' names.
pub fn check_region(region: &str) -> Result<(), Failure> {
    let checked = aws_machine::region(region);
    checked
        .map(drop)
        .map_err(|why| Failure::usage(why).hint("regions have names such as eu-central-1"))
}

/// The credentials of the environment, if it has a key. Without the secret of the key, another account would be taken.
fn of_environment(variables: &AwsVariables) -> Result<Option<Credentials>, Failure> {
    let Some(id) = &variables.access_key_id else {
        return Ok(None);
    };
    let secret = variables.secret_access_key.as_ref().ok_or_else(|| {
        Failure::usage("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not")
            .hint("set both, or neither to use a profile")
    })?;
    let token = variables.session_token.clone();
    let credentials = Credentials::new(id, secret, token, None, "environment");
    Ok(Some(credentials))
}

async fn of_profile(
    profile: &Profile,
    name: Option<&str>,
    variables: &AwsVariables,
) -> Result<Credentials, Failure> {
    if !profile.is_delegated {
        if let Some(keys) = &profile.keys {
            return Ok(keys.clone());
        }
        if let Some(line) = &profile.credential_process {
            let words = shlex::split(line).filter(|words| !words.is_empty());
            let words = words.ok_or_else(|| {
                Failure::usage("credential_process in ~/.aws/config is not a command")
            })?;
            return from_process("credential_process", words).await;
        }
    }
    let Some(aws) = find_program("aws", &variables.path) else {
        return Err(without_program(profile));
    };
    // Knows single sign-on, roles and whatever comes next.
    let mut words = vec![aws.into_os_string()];
    words.extend(["configure", "export-credentials", "--format", "process"].map(OsString::from));
    words.extend(
        name.into_iter()
            .flat_map(|name| ["--profile", name].map(OsString::from)),
    );
    let printed = from_process("aws configure export-credentials", words).await;
    printed.map_err(|failure| {
        // It knows none either, or is of version 1, which prints none.
        let error = format!("{:#}", failure.error);
        if error.contains("no credentials found") || error.contains("Invalid choice") {
            without_program(profile)
        } else {
            failure
        }
    })
}

/// The profile has no keys of its own, and AWS's program is not installed or knows none.
fn without_program(profile: &Profile) -> Failure {
    if profile.is_delegated {
        return Failure::usage("the profile takes a role or single sign-on, which needs the AWS CLI version 2 (the program `aws`)")
            .hint("install the AWS CLI version 2, or set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN");
    }
    Failure::usage("no AWS credentials were found").hint(
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws/credentials (AWS_PROFILE), or log in with aws sso login \
         of the AWS CLI version 2",
    )
}

/// What AWS documents for `credential_process`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// The credentials that the command `words` prints. It may ask on the terminal.
async fn from_process(
    shown: &str,
    words: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<Credentials, Failure> {
    let operation = format!("get credentials from {shown}");
    let mut words = words.into_iter();
    let program = words.next().ok_or_else(|| Failure::usage("it is empty"))?;
    let mut command = Command::new(program);
    command
        .args(words)
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let output = timeout(PROGRAM_TIMEOUT, command.output()).await;
    let output = output
        .ok_or_else(|| {
            Failure::environment(format!(
                "it did not end within {} s",
                PROGRAM_TIMEOUT.as_secs()
            ))
            .context(&operation)
        })?
        .or_environment(&operation)?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        // The error is above the usage, or below everything.
        let lines = || why.lines().filter(|line| !line.trim().is_empty());
        let why = lines()
            .find(|line| line.contains("error"))
            .or_else(|| lines().next_back());
        let why = why.unwrap_or("it said nothing").to_owned();
        return Err(Failure::environment(why)
            .context(operation)
            .hint("log in again, for instance with aws sso login"));
    }
    // serde's words would quote what was printed.
    let printed = std::str::from_utf8(&output.stdout).ok();
    let printed: Option<Printed> = printed.and_then(|text| untrusted::json(text).ok());
    match printed {
        Some(printed) if printed.version == 1 => Ok(Credentials::new(
            printed.access_key_id,
            printed.secret_access_key,
            printed.session_token,
            None,
            "program",
        )),
        _ => Err(
            Failure::environment("it did not print credentials of version 1 as JSON")
                .context(operation),
        ),
    }
}

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
    /// The keys of one section, which belong together.
    pub(super) keys: Option<Credentials>,
    pub(super) credential_process: Option<String>,
    /// Whether its credentials come from a role or from single sign-on, which AWS's own program knows.
    pub(super) is_delegated: bool,
    pub(super) region: Option<String>,
    /// Whether a file has a section of it.
    pub(super) exists: bool,
}

/// The profile `name`. The file of credentials has precedence, as for AWS's tools.
pub(super) fn read_profiles(name: &str, variables: &AwsVariables) -> Result<Profile, Failure> {
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
        profile.add(&load_profile(&path)?, name)?;
    }
    if let Some(path) = config {
        let section = if name == DEFAULT {
            DEFAULT.to_owned()
        } else {
            format!("profile {name}")
        };
        profile.add(&load_profile(&path)?, &section)?;
    }
    Ok(profile)
}

impl Profile {
    fn add(&mut self, file: &Ini, section: &str) -> Result<(), Failure> {
        let Some(section) = file.section(Some(section)) else {
            return Ok(());
        };
        self.exists = true;
        let get = |key: &str| section.get(key).map(str::to_owned);
        let keys = || {
            let (id, secret) = (get("aws_access_key_id")?, get("aws_secret_access_key")?);
            let token = get("aws_session_token");
            Some(Credentials::new(id, secret, token, None, "profile"))
        };
        self.keys = self.keys.take().or_else(keys);
        if self.keys.is_none() && section.contains_key("aws_access_key_id") {
            let text = "the profile has aws_access_key_id and no aws_secret_access_key";
            return Err(Failure::usage(text).hint("aws configure sets both"));
        }
        self.credential_process = self
            .credential_process
            .take()
            .or_else(|| get("credential_process"));
        self.region = self.region.take().or_else(|| get("region"));
        self.is_delegated |= DELEGATING.iter().any(|key| section.contains_key(*key));
        Ok(())
    }
}

/// The file at `path`, empty if there is none.
fn load_profile(path: &Path) -> Result<Ini, Failure> {
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

/// Bytes of the largest file of certificate authorities that is read.
const MAX_AUTHORITIES_BYTES: u64 = 16 << 20;

/// What calls depend on. It has the user's keys, and is in no record.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The variables of AWS's own tools.
    pub variables: AwsVariables,
    /// A file with certificate authorities to trust as well.
    pub ca_file: Option<PathBuf>,
}

impl Access {
    /// A client for `region` with the credentials of `profile`; AWS's own settings decide where they are `None`. The credentials are
    /// looked up anew: those of the last call may have expired. The client gives up when `cancel` is set.
    pub async fn client(
        &self,
        region: Option<&str>,
        profile: Option<&str>,
        cancel: &Cancel,
    ) -> Result<Client, Failure> {
        let account = account(region, profile, &self.variables, cancel).await?;
        let authorities = match &self.ca_file {
            Some(path) => plain_file::read(path, MAX_AUTHORITIES_BYTES)
                .or_environment(format!("read {}", path.display()))?,
            None => Vec::new(),
        };
        Client::new(account, &authorities, cancel)
    }
}

/// Service of AWS that returns the caller's public address.
const CHECK_ADDRESS: &str = "https://checkip.amazonaws.com/";

impl Client {
    /// The id of the account whose credentials are used: 12 digits.
    pub async fn account_id(&self) -> Result<String, Error> {
        let action = "GetCallerIdentity";
        single(action, &self.query_sts(action).await?, "Account")
    }

    /// The address from which this machine reaches the internet, as AWS sees it.
    pub async fn own_address(&self) -> Result<IpAddr, Error> {
        let action = OWN_ADDRESS;
        let other = self.account.own_address_url.as_deref();
        let text = self.get(action, other.unwrap_or(CHECK_ADDRESS)).await?;
        text.trim().parse().map_err(|_| Error::Unexpected {
            action,
            what: "something that is not an address".to_owned(),
        })
    }
}
