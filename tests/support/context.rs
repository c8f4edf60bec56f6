//! Makes Docker contexts with Docker's own client.

use super::{TestUser, run};

impl TestUser {
    /// Makes `name` the user's current context, for the engine at `endpoint` in the syntax of Docker's client.
    pub fn with_context(self, name: &str, endpoint: &str) -> Self {
        let dir = self.state.path().join("docker");
        let user = self.with("DOCKER_CONFIG", dir.to_str().unwrap());
        let client = |words: &[&str]| {
            let mut client = std::process::Command::new("docker");
            let environment = client.env_clear().envs(&user.environment);
            run(environment.arg("context").args(words)).assert_exit_code(0);
        };
        client(&["create", name, "--docker", endpoint]);
        client(&["use", name]);
        user
    }
}
