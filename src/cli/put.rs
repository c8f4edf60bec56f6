//! What is put onto a card or an image: the flags of `personalise` and `flash`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use serde::Deserialize;

/// The heading of these flags.
pub(super) const PUT: &str = "Files on the card";

/// `sdbuild personalise`.
#[derive(Debug, Args)]
pub struct Personalise {
    /// Image to copy (raw, also compressed), or a host name
    pub image: PathBuf,

    /// New image, which is not compressed; only you can read it
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// What is put into it.
    #[command(flatten)]
    pub put: PutArgs,
}

/// What is put onto a card; `boards.toml` has the same for each of several boards.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PutArgs {
    /// File or directory, and its path on the board (repeatable)
    ///
    /// The file - is standard input.
    #[serde(rename = "put")]
    #[arg(long = "put", value_name = "FILE:PATH[:MODE[:UID:GID]]", allow_hyphen_values = true, help_heading = PUT)]
    pub files: Vec<PutFile>,

    /// Host name, for a configuration with networking.hostName = ""
    #[arg(long, value_name = "NAME", help_heading = PUT, hide_short_help = true)]
    pub hostname: Option<String>,

    /// Public SSH key with which root can log in (repeatable)
    #[arg(long, value_name = "FILE", help_heading = PUT, hide_short_help = true)]
    pub ssh_key: Vec<PathBuf>,

    /// Private SSH host key of the board, or `generate` for a new one
    #[arg(long, value_name = "FILE|generate", help_heading = PUT)]
    pub host_key: Option<PathBuf>,

    /// Wireless network whose passphrase gets to where the configuration reads it; sdbuild asks for the passphrase
    #[arg(long, value_name = "SSID", help_heading = PUT, hide_short_help = true)]
    pub wifi: Option<String>,

    /// File with the passphrase in its first line
    #[arg(long, value_name = "FILE", requires = "wifi", help_heading = PUT, hide_short_help = true)]
    pub wifi_passphrase: Option<PathBuf>,
}

impl PutArgs {
    /// Whether they name nothing.
    pub fn is_empty(&self) -> bool {
        let has_key = self.host_key.is_some() || !self.ssh_key.is_empty();
        self.files.is_empty() && self.hostname.is_none() && self.wifi.is_none() && !has_key
    }
}

/// A value of `--put`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PutFile {
    /// The file or directory here; `-` for standard input.
    pub from: PathBuf,
    /// The path on the board.
    pub path: String,
    /// The mode, if it is given.
    pub mode: Option<u32>,
    /// The numbers of user and group.
    pub owner: (u32, u32),
}

impl TryFrom<String> for PutFile {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for PutFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, rest) = text
            .split_once(":/")
            .filter(|(from, _)| !from.is_empty())
            .ok_or("write FILE:PATH, where PATH on the board begins with /")?;
        let mut parts = rest.split(':');
        let path = format!("/{}", parts.next().unwrap_or_default());
        let mode = parts.next().map(parse_mode).transpose()?;
        let owner = match (parts.next(), parts.next(), parts.next()) {
            (None, None, None) => (0, 0),
            (Some(user), Some(group), None) => (parse_number(user)?, parse_number(group)?),
            _ => {
                return Err(
                    "after the mode there can be a user and a group: FILE:PATH:MODE:UID:GID"
                        .to_owned(),
                );
            }
        };
        Ok(Self {
            from: from.into(),
            path: if path.len() > 1 {
                path.trim_end_matches('/').to_owned()
            } else {
                path
            },
            mode,
            owner,
        })
    }
}

fn parse_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| format!("{text:?} is no mode such as 0644"))
}

fn parse_number(text: &str) -> Result<u32, String> {
    if text == "root" {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        format!("{text:?} is not a number, and the users and groups of NixOS have no fixed numbers, but for root; see users.users.NAME.uid")
    })
}
