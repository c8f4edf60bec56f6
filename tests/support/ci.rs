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
    /// The service's example.
    fn document(self) -> YamlOwned {
        let name = match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
        };
        let path = root().join(format!("examples/ci/{name}.yml"));
        let documents = YamlOwned::load_from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(documents.len(), 1);
        documents[0].clone()
    }

    /// The job in it that builds the image.
    fn job(self) -> YamlOwned {
        let document = self.document();
        match self {
            Self::GitHub => document["jobs"]["image"].clone(),
            Self::GitLab => document["image"].clone(),
        }
    }

    /// The version of sdbuild that it installs.
    pub fn version(self) -> String {
        let holder = match self {
            Self::GitHub => self.document()["env"].clone(),
            Self::GitLab => self.job()["variables"].clone(),
        };
        text(&holder["SDBUILD_VERSION"]).unwrap()
    }

    /// The step of GitHub's job with that name, as a script.
    pub fn step(name: &str) -> String {
        let job = Self::GitHub.job();
        let steps = job["steps"].as_sequence().unwrap();
        let named =
            |step: &&YamlOwned| step.as_mapping_get("name").and_then(text).as_deref() == Some(name);
        text(&steps.iter().find(named).unwrap()["run"]).unwrap()
    }

    /// The scripts of the job, each of which may have several lines.
    pub fn scripts(self) -> Vec<String> {
        let job = self.job();
        let steps = |key: &str| job[key].as_sequence().unwrap().clone();
        match self {
            Self::GitHub => {
                let steps = steps("steps");
                let scripts = steps.iter().filter_map(|step| text(step.as_mapping_get("run")?));
                scripts.collect()
            }
            Self::GitLab => steps("script").iter().filter_map(text).collect(),
        }
    }

    /// The script of the job that installs sdbuild.
    pub fn installation(self) -> String {
        let scripts = self.scripts();
        let mut found = scripts.into_iter().filter(|s| s.contains("install.sh"));
        let script = found.next().unwrap();
        assert_eq!(found.next(), None);
        script
    }

    /// The lines that the job's shell runs.
    pub fn lines(self) -> Vec<String> {
        let scripts = self.scripts();
        let lines = scripts.iter().flat_map(|script| script.lines());
        lines.map(str::to_owned).collect()
    }

    /// The scripts of the steps of this repository's own release.
    pub fn release_lines() -> Vec<String> {
        let path = root().join(".github/workflows/release.yml");
        let documents = YamlOwned::load_from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let jobs = documents[0]["jobs"].as_mapping().unwrap();
        let steps = jobs.values().flat_map(|job| job["steps"].as_sequence().unwrap());
        steps.filter_map(|step| text(step.as_mapping_get("run")?)).collect()
    }

    /// The job's variables.
    pub fn variables(self) -> Vec<(String, String)> {
        let job = self.job();
        let variables = job.as_mapping_get("variables").and_then(YamlOwned::as_mapping);
        let pairs = variables.into_iter().flatten();
        pairs.filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
    }
}

fn text(value: &YamlOwned) -> Option<String> {
    value.as_str().map(str::to_owned)
}
