//! The systems that a machine has, each with a number.

use crate::script;
use crate::ssh::{Connection, Link};
use crate::store_path::StorePath;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::Failure;

/// Generations of a machine that are read.
const MAX_GENERATIONS: usize = 10_000;

/// A system that a machine can start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub number: u32,
    /// When it was made, in seconds since 1970 by the machine's clock.
    pub time: i64,
    /// The system.
    pub system: StorePath,
}

impl Generation {
    /// Those of the machine at the other end of `connection`, the oldest first.
    pub async fn list(connection: &Connection, cancel: &Cancel) -> Result<Vec<Self>, Failure> {
        let list = connection.script(Link::Shared, script::GENERATIONS, &[], None);
        let said = cancel.race(list).await??;
        Ok(Self::parse(&said))
    }

    fn parse(said: &str) -> Vec<Self> {
        let lines = script::facts(said).filter(|(key, _)| *key == "generation");
        let read = lines.filter_map(|(_, value)| {
            let words: Vec<_> = value.split(' ').collect();
            let [number, time, system] = words[..] else {
                return None;
            };
            Some(Self {
                number: number.parse().ok()?,
                time: time.parse().ok()?,
                system: system.parse().ok()?,
            })
        });
        let mut all: Vec<_> = read.take(MAX_GENERATIONS).collect();
        all.sort_by_key(|one| one.number);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_path::fixture::path;

    #[test]
    fn generations_are_sorted_by_number() {
        let (one, two) = (path('1', "nixos-system-a"), path('2', "nixos-system-b"));
        let said = format!(
            "sdbuild: generation 10 20 {two}\nsdbuild: generation 9 10 {one}\nsdbuild: generation x 1 {one}\nsdbuild: generation 3\n"
        );
        let found: Vec<_> = Generation::parse(&said)
            .into_iter()
            .map(|one| (one.number, one.time, one.system))
            .collect();
        assert_eq!(found, [(9, 10, one), (10, 20, two)]);
    }
}
