//! Docker contexts, made by Docker's own client.

use super::{TestUser, run};

impl TestUser {
    /// Whose current context is `name`, an engine that `endpoint` tells in the words of Docker's client; nothing
    /// else says where one is.
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
