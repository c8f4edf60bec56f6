//! The bytes in our volumes, which the registrar's busybox counts: engines report them in ways that differ by version, or not
//! at all, and slowly, because they count the images too.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::pipeline::inventory::{Inventory, SizedVolume};
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::Failure;
use sdbuild_core::text::listed;
use sdbuild_core::timeout::timeout;
use sdbuild_engine::{ContainerGuard, ContainerSpec, ImageInfo, Role};

/// Counts every volume at the same time, one process each. A store of some hundred thousand files is counted in half a
/// minute; a size that takes longer than two stays unknown. `du` complains about every file that it may not read.
const SCRIPT: &str = r#"for dir in /volumes/*; do
  busybox timeout 120 busybox du -sk "$dir" 2>/dev/null &
done
wait"#;
/// The script's own limit, and the time that the engine may need to start the container.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(180);
/// Volumes that are named as those which are still counted.
const MAX_NAMED: usize = 2;
/// Where the volumes are mounted, each under its number.
const DIR: &str = "/volumes";

/// Bytes by the number of the volume.
type Sizes = BTreeMap<usize, u64>;

impl Inventory {
    /// The volumes that [`Inventory::look`] found, with their sizes, which a container counts; they are unknown without a
    /// registrar's image. Those that were removed meanwhile are left out. To be called with the run's lock.
    pub(super) async fn volume_sizes(
        &self,
        context: &Context,
    ) -> Result<Vec<SizedVolume>, Failure> {
        let listed = &self.objects.volumes;
        let names: Vec<&str> = listed.iter().map(|v| v.volume.name.as_str()).collect();
        let counted = match self.registrar_image() {
            Some(image) if !names.is_empty() => self.count(image, &names, context).await,
            _ => return Ok(listed.clone()),
        };
        let mut volumes = Vec::new();
        let mut recreated = Vec::new();
        for SizedVolume { volume, .. } in listed {
            let removal = self.engine.remove_recreated_volume(&volume.name, &self.own);
            recreated.push(removal.await);
        }
        let sizes = counted?;
        for (number, (found, recreated)) in listed.iter().zip(recreated).enumerate() {
            if !recreated? {
                let volume = found.volume.clone();
                let size = sizes.get(&number).copied();
                volumes.push(SizedVolume { volume, size });
            }
        }
        Ok(volumes)
    }

    /// Counts all volumes in one container, because starting one takes longer than counting. If that fails, for instance
    /// because one volume is damaged, each in a container of its own.
    async fn count(
        &self,
        image: &ImageInfo,
        names: &[&str],
        context: &Context,
    ) -> Result<Sizes, Failure> {
        let numbered: Vec<(usize, &str)> = names.iter().copied().enumerate().collect();
        if let Some(sizes) = self.count_together(image, &numbered, context).await? {
            return Ok(sizes);
        }
        let mut sizes = Sizes::new();
        for volume in numbered.iter().filter(|_| numbered.len() > 1) {
            let one = self.count_together(image, &[*volume], context).await?;
            sizes.extend(one.unwrap_or_default());
        }
        Ok(sizes)
    }

    /// `None` if the engine could not run the container.
    async fn count_together(
        &self,
        image: &ImageInfo,
        volumes: &[(usize, &str)],
        context: &Context,
    ) -> Result<Option<Sizes>, Failure> {
        let command = ["/bin/busybox", "sh", "-c", SCRIPT].map(str::to_owned);
        let mut spec = ContainerSpec::new(Role::Probe, &self.own, &image.id, command.into());
        spec.read_only = true;
        let mounts = volumes.iter();
        spec.volumes = mounts
            .map(|(number, name)| ((*name).to_owned(), format!("{DIR}/{number}")))
            .collect();
        let spec = spec.until_client_ends(&["/bin/busybox", "sh"]);
        let guard = ContainerGuard::arm(&self.engine, &spec.name).grace(0);
        let tell = |counted: &[usize]| {
            let text = detail(volumes, counted);
            context.events.detail(Phase::Measure, text);
        };
        let count = async |guard: &mut ContainerGuard| {
            tell(&[]);
            let mut counted = Vec::new();
            let seen = |line: &str| {
                counted.extend(size(line).map(|(number, _)| number));
                tell(&counted);
            };
            let output = async {
                let container = guard.create(&spec).await?;
                container.watched_output(volumes.len(), seen).await
            };
            let output = timeout(MEASURE_TIMEOUT, output).await;
            Ok(output.and_then(Result::ok))
        };
        let operation = "count the bytes of the volumes";
        let counted = guard.run(operation, &context.cancel, count).await?;
        Ok(counted.map(|(_, lines)| sizes(&lines)))
    }
}

/// How many of the `volumes` are `counted`, given by their numbers, in words, and the names of the last ones that are not.
fn detail(volumes: &[(usize, &str)], counted: &[usize]) -> String {
    let left = volumes.iter();
    let left: Vec<&str> = left
        .filter(|(number, _)| !counted.contains(number))
        .map(|(_, name)| *name)
        .collect();
    if let [(_, name)] = volumes {
        return format!("volume {name}");
    }
    let done = format!("{} of {} volumes", counted.len(), volumes.len());
    match left.len() {
        1..=MAX_NAMED => format!("{done} · counting {}", listed(&left)),
        _ => done,
    }
}

/// Bytes by the number of the volume, from the output of `du`.
fn sizes(lines: &[String]) -> Sizes {
    lines.iter().filter_map(|line| size(line)).collect()
}

/// The number of a volume and its bytes, from a line of `du -sk`: a number of KiB, a tab, the directory.
fn size(line: &str) -> Option<(usize, u64)> {
    let (kib, dir) = line.split_once('\t')?;
    let number = dir.strip_prefix(DIR)?.strip_prefix('/')?.parse().ok()?;
    Some((number, kib.parse::<u64>().ok()?.checked_mul(1024)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_distinguished_by_the_number_of_the_volume() {
        let lines = ["12\t/volumes/1", "du: no such thing", "7\t/volumes/0"].map(str::to_owned);
        assert_eq!(sizes(&lines), Sizes::from([(0, 7 * 1024), (1, 12 * 1024)]));
    }

    #[test]
    fn volumes_that_are_counted_are_told() {
        assert_eq!(detail(&[(0, "sdbuild-store")], &[]), "volume sdbuild-store");
        let volumes = [(0, "a"), (1, "b"), (2, "c")];
        assert_eq!(detail(&volumes, &[]), "0 of 3 volumes");
        assert_eq!(detail(&volumes, &[1]), "1 of 3 volumes · counting a and c");
        assert_eq!(detail(&volumes, &[1, 0, 2]), "3 of 3 volumes");
    }
}
