//! Reads the examples for continuous integration as the services would.

use std::fs;

use saphyr::{LoadableYamlNode as _, YamlOwned};

use super::root;

/// A service that runs such an example.
#[derive(Clone, Copy, Debug)]
pub enum Ci {
    GitHub,
    GitLab,
}

impl Ci {
    /// The job in the service's example.
    fn job(self) -> YamlOwned {
        let name = match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
        };
        let path = root().join(format!("examples/ci/{name}.yml"));
        let documents = YamlOwned::load_from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(documents.len(), 1);
        let document = &documents[0];
        match self {
            Self::GitHub => document["jobs"]["image"].clone(),
            Self::GitLab => document["image"].clone(),
        }
    }

    /// The lines that the job's shell runs.
    pub fn lines(self) -> Vec<String> {
        let job = self.job();
        let steps = |key: &str| job[key].as_sequence().unwrap().clone();
        match self {
            Self::GitHub => {
                let steps = steps("steps");
                steps
                    .iter()
                    .filter_map(|step| text(step.as_mapping_get("run")?))
                    .collect()
            }
            Self::GitLab => steps("script").iter().filter_map(text).collect(),
        }
    }

    /// The job's variables.
    pub fn variables(self) -> Vec<(String, String)> {
        let job = self.job();
        let variables = job
            .as_mapping_get("variables")
            .and_then(YamlOwned::as_mapping);
        let pairs = variables.into_iter().flatten();
        pairs
            .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
            .collect()
    }
}

fn text(value: &YamlOwned) -> Option<String> {
    value.as_str().map(str::to_owned)
}
