//! The probe of a handler that is held: in the registrar's own container, where that shows the same as another container would.

use std::time::Duration;

use crate::binfmt::lease::Lease;
use crate::binfmt::probe::{HandlerKind, PROBE_TIMEOUT, Probed, probe};
use crate::binfmt::registrar::RegistrarOptions;
use crate::common::cancel::Cancel;
use crate::common::failure::Failure;
use crate::common::timeout::timeout;
use crate::engine::{EngineFacts, Exit};

/// How long a program may take before it is tried again, because the registrar's shell may have lost the line that asks for it.
const AGAIN_AFTER: Duration = Duration::from_secs(15);
/// What ends with this status was killed, by the kernel if memory ran out.
const KILLED: i64 = 137;

impl Lease {
    /// Runs a program of the emulated architecture, which starts another one. Fails unless the lease's handler works for both.
    pub async fn probe(&self, cancel: &Cancel) -> Result<(), Failure> {
        let RegistrarOptions {
            engine,
            image,
            run,
            privileged,
            ..
        } = &self.options;
        if needs_own_container(engine.facts(), *privileged) {
            return probe(engine, image, HandlerKind::Registered, run, cancel).await;
        }
        let probed = Probed::new(image, HandlerKind::Registered);
        let tried = cancel.race(timeout(PROBE_TIMEOUT, self.try_until_answered()));
        let judged = match tried.await? {
            Some(Some((code, lines))) => {
                let oom_killed = code == KILLED;
                probed.judge(Exit { code, oom_killed }, &lines)
            }
            Some(None) => Err(Failure::environment("the registrar ended")),
            None => Err(probed.no_answer()),
        };
        judged.map_err(|failure| failure.context(probed.operation()))
    }

    async fn try_until_answered(&self) -> Option<(i64, Vec<String>)> {
        loop {
            if let Some(tried) = timeout(AGAIN_AFTER, self.try_program()).await {
                return tried;
            }
        }
    }
}

/// Whether a program may run in the registrar's container and in no other one: `SELinux` allows the registrar, which has a directory of
/// the host, more than it allows builders, and nothing is denied to a registrar with privileges.
fn needs_own_container(facts: &EngineFacts, privileged: bool) -> bool {
    let mut options = facts.security_options.iter();
    privileged || options.any(|option| option.contains("selinux"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrar_with_more_rights_than_a_builder_shows_nothing() {
        let facts = |option: &str| EngineFacts {
            security_options: vec!["name=seccomp,profile=default".into(), option.into()],
            ..EngineFacts::sound()
        };
        assert!(!needs_own_container(&facts("name=apparmor"), false));
        assert!(needs_own_container(&facts("name=apparmor"), true));
        assert!(needs_own_container(&facts("name=selinux"), false));
    }
}
