//! Which partition a file is put into, what the programs are to do there, and which blocks of the disk that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::to_usize::to_usize;
use sdbuild_image::boot::Volume;
use sdbuild_image::card::Location;
use sdbuild_image::disk::{ReadAt, Section};
use sdbuild_image::files::{EntryKind, Identity, Room};
use sdbuild_image::flash::DiskBlock;
use sdbuild_image::report::{Installed, Layout};
use sdbuild_image::{Error, FileSystem};

use serde_json::{Value, json};

use crate::blocks::Blocks;
use crate::container::Tools;
use crate::put::{self, Put, is_below};
use crate::wifi::Wifi;

/// The label of the partition with a Raspberry Pi's firmware, and where NixOS has it.
const FIRMWARE: (&str, &str) = ("FIRMWARE", "/boot/firmware");
/// Bytes of the smallest sector of a FAT.
const SECTOR: u64 = 512;
/// Characters that no name on a FAT has, or that mtools understand in another way.
const NOT_IN_FAT: &[char] = &['\\', ':', '*', '?', '<', '>', '|', '[', ']'];

/// What is to be done in one file system.
#[derive(Debug)]
pub(super) struct Partition {
    /// Its first byte on the disk.
    start: u64,
    section: Section,
    /// The files, by their paths in the file system.
    pub(super) files: BTreeMap<String, Put>,
    /// Directories that are missing, each after the one that it is in.
    pub(super) dirs: BTreeSet<String>,
    /// Files that are there already.
    replaced: BTreeSet<String>,
    pub(super) is_fat: bool,
    pub(super) skeleton: Blocks,
}

/// The blocks of a disk that change when files are put onto it.
#[derive(Debug, Default)]
pub struct Changes {
    targets: Vec<Target>,
    /// The blocks of the disk, in order.
    pub blocks: Vec<DiskBlock>,
}

/// The files of one partition, by their paths in its file system.
#[derive(Debug)]
struct Target {
    start: u64,
    len: u64,
    files: BTreeMap<String, Put>,
}

/// What is to be done on a disk to put files onto it. Nothing was changed yet.
#[derive(Debug)]
pub struct Plan(Vec<Partition>);

impl Plan {
    /// The plan for `puts` and the passphrase of `wifi` on `disk`. Blocks its thread.
    ///
    /// # Errors
    ///
    /// A file cannot be put there, would not stay there, or there is no room for it.
    pub fn new(disk: &Section, puts: Vec<Put>, wifi: Option<&Wifi>) -> Result<Self, Failure> {
        plan(disk, puts, wifi).map(Self)
    }

    /// Lets the programs do it with what they read of the disk; the disk itself is not changed (`Phase::Put`).
    pub async fn changes(self, tools: &Tools, context: &Context) -> Result<Changes, Failure> {
        let work = async {
            let mut changes = Changes::default();
            for partition in self.0 {
                let after = tools.put(&partition, context).await?;
                let compare = move || partition.compare(&after);
                let cancel = &context.cancel;
                let compared = cancel.race(tokio::task::spawn_blocking(compare)).await?;
                changes.add(compared.or_internal("compare the card")??);
            }
            Ok(changes)
        };
        context.phase(Phase::Put, Box::pin(work)).await
    }
}

impl Changes {
    pub(super) fn add(&mut self, others: Self) {
        self.targets.extend(others.targets);
        self.blocks.extend(others.blocks);
        self.blocks.sort_by_key(|(at, _)| *at);
    }

    /// Checks that `disk` has the files now.
    pub fn check(&self, disk: &Section) -> Result<(), Failure> {
        let mut targets = self.targets.iter();
        targets
            .try_for_each(|target| check_files(&disk.part(target.start, target.len), &target.files))
    }

    /// The paths on the board with their modes and owners, as manifests have them.
    pub(super) fn described(&self) -> Vec<Value> {
        let files = self.targets.iter().flat_map(|target| target.files.values());
        let described = files.map(|put| {
            let (user, group) = put.owner;
            json!({ "path": put.path, "mode": format!("{:04o}", put.mode), "user": user, "group": group })
        });
        described.collect()
    }
}

/// What is to be done for `puts` and the passphrase of `wifi` on `disk`.
pub(super) fn plan(
    disk: &Section,
    mut puts: Vec<Put>,
    wifi: Option<&Wifi>,
) -> Result<Vec<Partition>, Failure> {
    let read = |error: Error| error.fail("read the image");
    let layout = Layout::read(disk).map_err(read)?;
    let card = Card {
        installed: layout.installed().map_err(read)?,
        layout,
    };
    if let Some(wifi) = wifi {
        puts.push(card.file_of(wifi)?);
    }
    put::check(&puts)?;
    let mut by_partition: BTreeMap<u32, Vec<(String, Put)>> = BTreeMap::new();
    for put in puts {
        let (number, path) = card.place(&put.path)?;
        card.check_lasting(&put.path)?;
        by_partition.entry(number).or_default().push((path, put));
    }
    let plans = by_partition.into_iter().map(|(number, files)| {
        let report = card
            .layout
            .partitions
            .iter()
            .find(|report| report.partition.number == number);
        let volume = card
            .layout
            .volumes
            .iter()
            .find(|volume| volume.number == number);
        let (Some(report), Some(volume)) = (report, volume) else {
            let text = format!("partition {number} has no file system that files can be put into");
            return Err(Failure::usage(text));
        };
        let (start, size) = (report.partition.start, report.partition.size);
        Partition::new(start, disk.part(start, size), &volume.fs, files)
    });
    plans.collect()
}

/// A disk and the NixOS on it.
struct Card {
    layout: Layout,
    installed: Option<Installed>,
}

impl Card {
    fn file_of(&self, wifi: &Wifi) -> Result<Put, Failure> {
        let installed = self.installed.as_ref();
        let installed = installed
            .ok_or_else(|| Failure::usage("the image has no NixOS that reads a passphrase"))?;
        wifi.file(&self.layout.volumes, &installed.system)
    }

    /// The number of the partition on which NixOS has `path`, and the path there.
    fn place(&self, path: &str) -> Result<(u32, String), Failure> {
        let refused =
            |why: &str| Failure::usage(format!("{path} cannot be put onto the card: {why}"));
        let mounts = self
            .installed
            .iter()
            .flat_map(|installed| &installed.mounts);
        let above = mounts.filter(|(dir, _)| is_below(path, dir));
        let found = above.max_by_key(|(dir, _)| dir.len());
        let (dir, number) = match found {
            Some((dir, Location::Card(number))) => (dir.as_str(), Some(*number)),
            Some((dir, Location::Memory)) => {
                return Err(refused(&format!(
                    "NixOS has a file system in memory at {dir}"
                )));
            }
            Some((dir, _)) if dir != "/" => {
                return Err(refused(&format!(
                    "the file system that NixOS has at {dir} is not on it, or not by a name that says so"
                )));
            }
            Some(_) | None if is_below(path, FIRMWARE.1) => {
                let number = self.firmware().ok_or_else(|| {
                    let (label, dir) = FIRMWARE;
                    refused(&format!("the image has no partition {label} for {dir}"))
                })?;
                (FIRMWARE.1, Some(number))
            }
            Some(_) | None => ("/", self.root()),
        };
        let number = number.ok_or_else(|| refused("no partition is known to have it; the image has no NixOS that starts from an ext4 partition"))?;
        let rest = path.strip_prefix(dir.trim_end_matches('/')).unwrap_or(path);
        Ok((number, rest.to_owned()))
    }

    fn root(&self) -> Option<u32> {
        let has_store = |volume: &&Volume| matches!(volume.fs.find("/nix/store"), Ok(Some(_)));
        let volume = self.layout.volumes.iter().find(has_store);
        volume.map(|volume| volume.number)
    }

    fn firmware(&self) -> Option<u32> {
        let mut all = self.layout.partitions.iter();
        let found = all.find(|report| {
            let label = report
                .file_system
                .as_ref()
                .and_then(|fs| fs.label.as_deref());
            label == Some(FIRMWARE.0)
        });
        found.map(|report| report.partition.number)
    }

    /// Refuses a path that NixOS makes itself at each start.
    fn check_lasting(&self, path: &str) -> Result<(), Failure> {
        let only_listed = self
            .installed
            .as_ref()
            .is_some_and(|installed| installed.takes_only_listed_keys);
        if path.ends_with("/.ssh/authorized_keys") && only_listed {
            let text = format!("the SSH server of the image does not read {path}");
            return Err(Failure::usage(text).hint("build the image with --ssh-key, or with services.openssh.authorizedKeysInHomedir = true;"));
        }
        let (Some(installed), Some(rest)) = (&self.installed, path.strip_prefix("/etc/")) else {
            return Ok(());
        };
        let system = &installed.system;
        let host_keys = &installed.host_keys;
        if is_host_key(path) && !host_keys.is_empty() && !host_keys.iter().any(|key| key == path) {
            let text = format!("the SSH server of the image does not look for its key at {path}");
            let places = host_keys.join(", ");
            return Err(Failure::usage(text).hint(format!(
                "it looks at {places}: --put FILE:PATH:0600 puts a key there"
            )));
        }
        let refused =
            |why: String| Failure::usage(format!("{path} would not stay on the card: {why}"));
        for volume in &self.layout.volumes {
            if matches!(
                volume.fs.find(&format!("{system}/etc-metadata-image")),
                Ok(Some(_))
            ) {
                return Err(refused(
                    "NixOS mounts its own /etc (system.etc.overlay.enable)".to_owned(),
                ));
            }
            let mut dir = format!("{system}/etc");
            let mut shown = "/etc".to_owned();
            for name in rest.split('/') {
                let entries = match volume.fs.list(&dir) {
                    Err(error) if error.is_fatal() => return Err(error.fail("read the image")),
                    entries => entries.unwrap_or_default(),
                };
                shown = format!("{shown}/{name}");
                match entries
                    .iter()
                    .find(|entry| entry.name == name)
                    .map(|entry| entry.kind)
                {
                    None => break,
                    Some(EntryKind::Directory) => dir = format!("{dir}/{name}"),
                    Some(_) => {
                        let why = format!(
                            "NixOS makes {shown} at each start, because its configuration has it (environment.etc)"
                        );
                        return Err(refused(why));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether the private key of an SSH server is at `path` by its name.
fn is_host_key(path: &str) -> bool {
    let name = path.strip_prefix("/etc/ssh/ssh_host_");
    name.is_some_and(|name| name.ends_with("_key"))
}

/// The directories above `path`, the first one first.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
    ends.filter_map(|at| path.get(..at))
}

impl Partition {
    fn new(
        start: u64,
        section: Section,
        fs: &FileSystem,
        puts: Vec<(String, Put)>,
    ) -> Result<Self, Failure> {
        let read = |error: Error| error.fail("read the image");
        let mut plan = Self {
            start,
            section,
            files: BTreeMap::new(),
            dirs: BTreeSet::new(),
            replaced: BTreeSet::new(),
            is_fat: matches!(fs, FileSystem::Fat(_)),
            skeleton: Blocks::default(),
        };
        if plan.is_fat {
            let names: Vec<_> = puts
                .iter()
                .map(|(_, put)| put.path.to_lowercase())
                .collect();
            let checked = put::check_distinct(names.iter().map(String::as_str));
            checked.map_err(|failure| {
                failure.hint("a FAT file system does not tell capital letters from small ones")
            })?;
        }
        let mut touched = BTreeSet::from(["/".to_owned()]);
        for (path, put) in puts {
            plan.add(&path, &put, fs)?;
            touched.extend(parents(&path).map(str::to_owned));
            touched.insert(path.clone());
            plan.files.insert(path, put);
        }
        let ranges = fs.ranges_for(&touched.into_iter().collect::<Vec<_>>());
        let ranges = ranges.map_err(read)?;
        let room = fs.room().map_err(read)?;
        plan.check_room(room)?;
        // In a FAT, all that is written is known before.
        let unit = if plan.is_fat { SECTOR } else { room.unit };
        plan.skeleton = Blocks::read(&plan.section, &ranges, unit).map_err(read)?;
        Ok(plan)
    }

    /// Looks at what is on the way to `path`.
    fn add(&mut self, path: &str, put: &Put, fs: &FileSystem) -> Result<(), Failure> {
        let shown = &put.path;
        let refused =
            |why: String| Failure::usage(format!("{shown} cannot be put onto the card: {why}"));
        if self.is_fat
            && path.split('/').any(|name| {
                !name.is_ascii() || name.contains(NOT_IN_FAT) || name.ends_with(['.', ' '])
            })
        {
            return Err(refused(
                "a FAT file system has no such name, or the programs that write it do not write it"
                    .to_owned(),
            ));
        }
        let find = |path: &str| {
            let found = fs
                .permissions(path)
                .map_err(|error| error.fail("read the image"));
            found.map(|found| found.map(|found| found.kind))
        };
        let link = |path: &str| {
            refused(format!(
                "{path} is a symbolic link, which NixOS makes and would replace"
            ))
        };
        for dir in parents(path) {
            match find(dir)? {
                None => drop(self.dirs.insert(dir.to_owned())),
                Some(EntryKind::Directory) => {}
                Some(EntryKind::Link) => return Err(link(dir)),
                Some(EntryKind::File | EntryKind::Special) => {
                    return Err(refused(format!("{dir} is no directory")));
                }
            }
        }
        match find(path)? {
            None => {}
            Some(EntryKind::File) => drop(self.replaced.insert(path.to_owned())),
            Some(EntryKind::Link) => return Err(link(path)),
            Some(EntryKind::Directory) => {
                return Err(refused("that is a directory there".to_owned()));
            }
            Some(EntryKind::Special) => return Err(refused("that is a device there".to_owned())),
        }
        Ok(())
    }

    /// Refuses files for which there is no room. What they replace is not counted, and each may need a block more for its name.
    fn check_room(&self, room: Room) -> Result<(), Failure> {
        let content = self.files.values().map(|put| put.content.len() as u64);
        let content: u64 = content
            .map(|len| len.div_ceil(room.unit).saturating_add(1))
            .sum();
        let dirs = self.dirs.len() as u64;
        let units = content.saturating_add(dirs.saturating_mul(2));
        let added = (self.files.len() as u64).saturating_add(dirs);
        if room.files.is_some_and(|free| free < added) {
            return Err(Failure::usage(format!(
                "the file system has no room for {added} more files"
            )));
        }
        if units <= room.units {
            return Ok(());
        }
        let bytes = |units: u64| human_bytes(units.saturating_mul(room.unit));
        let text = format!(
            "the files need {} on the card, and its file system has {} free",
            bytes(units),
            bytes(room.units)
        );
        Err(Failure::usage(text).hint("an image grows to the size of its card at the first start only; add room to it in the configuration (sdImage.rootVolumeSize, sdImage.firmwareSize)"))
    }

    /// The commands for `debugfs`.
    pub(super) fn commands(&self) -> String {
        let mut commands = String::new();
        let mut add = |words: &[&str]| {
            commands.push_str(&words.join(" "));
            commands.push('\n');
        };
        let quoted = |path: &str| format!("\"{path}\"");
        for dir in &self.dirs {
            add(&["mkdir", &quoted(dir)]);
            add(&["sif", &quoted(dir), "mode", "040755"]);
        }
        for (number, (path, put)) in self.files.iter().enumerate() {
            let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
            // It takes what is above a file at the root for the current directory.
            add(&["cd", &quoted(&format!("{dir}/"))]);
            if self.replaced.contains(path) {
                add(&["rm", &quoted(path)]);
            }
            add(&["write", &number.to_string(), &quoted(name)]);
            add(&[
                "sif",
                &quoted(path),
                "mode",
                &format!("010{:04o}", put.mode),
            ]);
            add(&["sif", &quoted(path), "uid", &put.owner.0.to_string()]);
            add(&["sif", &quoted(path), "gid", &put.owner.1.to_string()]);
        }
        commands
    }

    /// What changed on the disk: `after` is the partition as the programs left it. Its files are checked before.
    pub(super) fn compare(self, after: &Blocks) -> Result<Changes, Failure> {
        let changed = Arc::new(after.changed_since(&self.skeleton));
        let (start, len, unit) = (self.start, self.section.len(), after.unit);
        let overlay = Overlay {
            section: self.section.clone(),
            unit,
            changed: Arc::clone(&changed),
        };
        // The section that it reads has the cancellation of the run.
        let after = Section::whole(overlay, len, &Cancel::new());
        check_files(&after, &self.files)?;
        check_others(&self.section, &after, &self.dirs, &self.files)?;
        let blocks = changed.iter().map(|(number, block)| {
            let at = start.saturating_add(number.saturating_mul(unit));
            (at, block.clone())
        });
        Ok(Changes {
            blocks: blocks.collect(),
            targets: Vec::from([Target {
                start,
                len,
                files: self.files,
            }]),
        })
    }
}

/// Checks that the directories with new `dirs` and `files` have nothing else that is new, changed or gone.
fn check_others(
    before: &Section,
    after: &Section,
    dirs: &BTreeSet<String>,
    files: &BTreeMap<String, Put>,
) -> Result<(), Failure> {
    let (before, after) = (opened(before)?, opened(after)?);
    let is_fat = matches!(before, FileSystem::Fat(_));
    let new: Vec<&str> = dirs
        .iter()
        .chain(files.keys())
        .map(String::as_str)
        .collect();
    let above = new.iter().flat_map(|path| parents(path)).chain([""]);
    for dir in above
        .filter(|dir| !dirs.contains(*dir))
        .collect::<BTreeSet<_>>()
    {
        let is_new = |entry: &Identity| {
            let split = new.iter().filter_map(|path| path.rsplit_once('/'));
            let mut names = split.filter(|(above, _)| *above == dir);
            names.any(|(_, name)| {
                let name = name.as_bytes();
                name == entry.name || is_fat && name.eq_ignore_ascii_case(&entry.name)
            })
        };
        let others = |fs: &FileSystem| {
            let mut all = fs.identities(dir).map_err(not_read_back)?;
            all.retain(|entry| !is_new(entry));
            Ok::<_, Failure>(all)
        };
        if others(&before)? != others(&after)? {
            let text = format!(
                "the programs that write file systems changed more in {dir}/ than they were asked to"
            );
            return Err(Failure::environment(text));
        }
    }
    Ok(())
}

fn not_read_back(error: Error) -> Failure {
    error.fail("read back what was put onto the card")
}

fn opened(section: &Section) -> Result<FileSystem, Failure> {
    let fs = FileSystem::detect(section).map_err(not_read_back)?;
    fs.ok_or_else(|| Failure::environment("the file system cannot be read any more"))
}

/// Checks that the file system in `section` has `files`, with their content, modes and owners.
fn check_files(section: &Section, files: &BTreeMap<String, Put>) -> Result<(), Failure> {
    let fs = opened(section)?;
    for (path, put) in files {
        let wrong =
            |what: &str| Failure::environment(format!("{} was not written: {what}", put.path));
        let found = fs.permissions(path).map_err(not_read_back)?;
        let found = found.ok_or_else(|| wrong("it is not there"))?;
        let is_same = found.mode == put.mode && found.owner == put.owner;
        if found.kind != EntryKind::File || !is_same && matches!(fs, FileSystem::Ext(_)) {
            return Err(wrong("its type, mode or owner is another one"));
        }
        let mut rest = put.content.as_slice();
        fs.copy(path, &mut |piece| {
            match rest.strip_prefix(piece) {
                Some(after) => rest = after,
                None => return Err(Error::Damaged("its content is another one".to_owned())),
            }
            Ok(true)
        })
        .map_err(not_read_back)?;
        if !rest.is_empty() {
            return Err(wrong("a part of its content is missing"));
        }
    }
    Ok(())
}

/// A partition with changed blocks.
struct Overlay {
    section: Section,
    unit: u64,
    changed: Arc<BTreeMap<u64, Vec<u8>>>,
}

impl ReadAt for Overlay {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let unit = self.unit;
        let into = at % unit;
        let rest = unit
            .min(self.section.len().saturating_sub(at - into))
            .saturating_sub(into);
        let length = buffer.len().min(to_usize(rest));
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        let changed = self.changed.get(&(at / unit));
        if let Some(mut block) = changed.and_then(|block| block.get(to_usize(into)..)) {
            return io::Read::read(&mut block, buffer);
        }
        let read = self.section.read(at, buffer);
        read.map_err(io::Error::other)?;
        Ok(length)
    }
}
