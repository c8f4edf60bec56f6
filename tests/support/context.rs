//! Docker contexts, made by Docker's own client.

use super::{Person, ran};

impl Person {
    /// Whose current context is `name`, an engine that `endpoint` tells in the words of Docker's client; nothing
    /// else says where one is.
    pub fn with_context(self, name: &str, endpoint: &str) -> Self {
        let folder = self.state.path().join("docker");
        let person = self.with("DOCKER_CONFIG", folder.to_str().unwrap());
        let client = |words: &[&str]| {
            let mut client = std::process::Command::new("docker");
            let environment = client.env_clear().envs(&person.environment);
            ran(environment.arg("context").args(words)).exits(0);
        };
        client(&["create", name, "--docker", endpoint]);
        client(&["use", name]);
        person
    }
}
