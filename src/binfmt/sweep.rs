//! What dead runs left behind: their handlers and their containers.

use std::collections::HashSet;
use std::time::Duration;

use crate::binfmt::registrar::Registrar;
use crate::binfmt::status::{Entry, Owner, classify};
use crate::engine::{ContainerInfo, Engine, Role, RunId};
use crate::event::Events;
use crate::failure::Failure;

/// A live run has, for a moment, a container that it has yet to start, or whose outcome it has yet to read.
const IN_A_MOMENT: Duration = Duration::from_secs(600);
/// A live run reads its image out of a builder that has ended, which takes minutes on a slow disk.
const BEING_READ: Duration = Duration::from_secs(3600);

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Names of entries.
    pub handlers: Vec<String>,
    /// Names of containers.
    pub containers: Vec<String>,
}

/// Removes the handlers and containers of dead runs. One that cannot be removed is a warning: this
/// run can go on without it.
pub async fn sweep(registrar: &mut Registrar, events: &Events) -> Result<Swept, Failure> {
    let engine = registrar.options.engine.clone();
    let own = registrar.options.run.clone();
    // In this order: a run that registers between the two has a running registrar in the list.
    let entries = registrar.entries().await?;
    let containers = engine.our_containers().await?;
    let mut swept = Swept::default();
    for entry in stale(&entries, &containers, &own) {
        match registrar.remove(entry).await {
            Ok(()) => swept.handlers.push(entry.name.clone()),
            Err(failure) => events.warn(format!("left behind by an earlier run: {failure}")),
        }
    }
    for container in candidates(&containers, &own) {
        if Box::pin(is_dead(&engine, container)).await? {
            match engine.remove_container(&container.name).await {
                Ok(()) => swept.containers.push(container.name.clone()),
                Err(error) => events.warn(format!("left behind by an earlier run: {error}")),
            }
        }
    }
    for name in swept
        .handlers
        .iter()
        .map(|h| format!("handler {h}"))
        .chain(named(&swept.containers))
    {
        events.notice(format!("removed what an earlier run left behind: {name}"));
    }
    Ok(swept)
}

fn named(containers: &[String]) -> impl Iterator<Item = String> {
    containers.iter().map(|name| format!("container {name}"))
}

fn is_role(container: &ContainerInfo, role: Role) -> bool {
    container.role.as_deref() == Some(role.as_str())
}

/// Entries of ours whose run has no running registrar.
fn stale<'a>(entries: &'a [Entry], containers: &[ContainerInfo], own: &RunId) -> Vec<&'a Entry> {
    let registrars = containers
        .iter()
        .filter(|c| c.running && is_role(c, Role::Registrar));
    let live: HashSet<&str> = registrars.filter_map(|c| c.run.as_deref()).collect();
    let is_stale = |entry: &&Entry| match classify(entry) {
        Owner::Ours(run) => run != *own && !live.contains(run.as_str()),
        Owner::Foreign => false,
    };
    entries.iter().filter(is_stale).collect()
}

/// Containers that do not run, of runs that have none running.
fn candidates<'a>(containers: &'a [ContainerInfo], own: &RunId) -> Vec<&'a ContainerInfo> {
    let running = containers
        .iter()
        .filter(|c| c.running)
        .filter_map(|c| c.run.as_deref());
    let live: HashSet<&str> = running.chain([own.as_str()]).collect();
    let is_dead = |c: &&ContainerInfo| c.run.as_deref().is_some_and(|run| !live.contains(run));
    containers.iter().filter(is_dead).collect()
}

/// Whether it has been idle so long that no live run can be about to use it.
async fn is_dead(engine: &Engine, container: &ContainerInfo) -> Result<bool, Failure> {
    let reserve = if is_role(container, Role::Builder) {
        BEING_READ
    } else if container.never_started || !is_role(container, Role::Registrar) {
        IN_A_MOMENT
    } else {
        // Nobody needs anything of a registrar that has ended.
        return Ok(true);
    };
    let idle = engine.container_idle(&container.name).await?;
    Ok(idle.is_some_and(|idle| idle > reserve))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binfmt::registration::HandlerName;
    use crate::binfmt::status::parse;

    fn run(digit: char) -> RunId {
        digit.to_string().repeat(12).parse().unwrap()
    }

    fn entry(digit: char) -> Entry {
        let text = format!(
            "enabled\ninterpreter {}\nflags: PF\noffset 0\nmagic {}\nmask {}\n",
            crate::binfmt::registration::INTERPRETER,
            crate::binfmt::registration::magic(),
            crate::binfmt::registration::mask()
        );
        parse(&HandlerName::new(&run(digit)).to_string(), &text)
    }

    fn container(role: Role, digit: char, running: bool) -> ContainerInfo {
        ContainerInfo {
            name: role.container_name(&run(digit)),
            role: Some(role.as_str().to_owned()),
            run: Some(run(digit).to_string()),
            running,
            ..ContainerInfo::default()
        }
    }

    #[test]
    fn live_runs_and_foreign_entries_are_left_alone() {
        let foreign = Entry {
            name: "qemu-aarch64".into(),
            ..entry('a')
        };
        let entries = [entry('1'), entry('2'), entry('3'), foreign];
        let containers = [
            container(Role::Registrar, '1', true),
            container(Role::Registrar, '2', false),
            // A builder alone does not hold a handler.
            container(Role::Builder, '2', true),
        ];
        let names: Vec<&str> = stale(&entries, &containers, &run('3'))
            .iter()
            .map(|e| e.name.as_str())
            .collect();
        assert_eq!(names, ["sdbuild-aarch64-222222222222"]);
    }

    #[test]
    fn containers_of_live_runs_are_left_alone() {
        let containers = [
            container(Role::Registrar, '1', true),
            container(Role::Builder, '1', false),
            container(Role::Builder, '2', false),
            container(Role::Builder, '3', false),
        ];
        let names: Vec<String> = candidates(&containers, &run('3'))
            .iter()
            .map(|c| c.name.clone())
            .collect();
        assert_eq!(names, ["sdbuild-builder-222222222222"]);
    }
}
