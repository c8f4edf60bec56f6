//! The value of the setting `builders`.

use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::value::Value;
use crate::common::remote_builder::RemoteBuilder;

/// Remote builders, separated by semicolons or line ends; lines that begin with `#` are comments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "Vec<String>")]
pub struct BuilderList(Vec<RemoteBuilder>);

impl BuilderList {
    /// All builders of several lists.
    pub(super) fn joined(lists: &[Self]) -> Self {
        Self(lists.iter().flat_map(|list| list.0.clone()).collect())
    }

    /// The builders.
    pub(super) fn into_machines(self) -> Vec<RemoteBuilder> {
        self.0
    }
}

impl FromStr for BuilderList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'));
        let entries = lines.flat_map(|line| line.split(';')).map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        Ok(Self(entries.map(str::parse).collect::<Result<_, _>>()?))
    }
}

impl TryFrom<String> for BuilderList {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BuilderList> for Vec<String> {
    fn from(list: BuilderList) -> Self {
        list.0.iter().map(RemoteBuilder::machine).collect()
    }
}

impl Value for BuilderList {
    fn relative_to(self, dir: &Path) -> Self {
        let machines = self.0.into_iter();
        Self(machines.map(|one| one.relative_to(dir)).collect())
    }
}
