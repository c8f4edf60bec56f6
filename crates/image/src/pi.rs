//! What the firmware of a Raspberry Pi starts from an image, by `config.txt` with its conditional filters and includes
//! (<https://www.raspberrypi.com/documentation/computers/config_txt.html>). No crate reads its filters.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::boards::{firmware_volume, judge_board};
use super::boot::Volume;
use super::device_tree::MAX_TREE_BYTES;
use super::disk::Section;
use super::error::Error;
use super::files::{EntryKind, FileSystem};
use super::report::Layout;
use super::tree_parameters::parameters;
use crate::board::{Board, PiModel};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::text::alternatives;

/// The characters of a line that the firmware reads.
const MAX_LINE_CHARS: usize = 98;
/// How deep files include each other at most.
const MAX_INCLUDES: usize = 8;
/// Lines of all files that are read, in case they include each other.
const MAX_LINES: usize = 20_000;
/// The filters for models that the firmware knows.
const MODELS: [&str; 20] = [
    "pi0", "pi0w", "pi02", "pi1", "pi2", "pi3", "pi3+", "pi4", "pi400", "pi5", "pi500", "pi500+",
    "cm0", "cm1", "cm3", "cm3+", "cm4", "cm4s", "cm5", "cm5l",
];
/// Settings that add to each other; of all others the last one counts.
const REPEATED: [&str; 5] = [
    "dtoverlay",
    "dtparam",
    "device_tree_overlay",
    "device_tree_param",
    "gpio",
];

/// A setting that holds on a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PiSetting {
    /// The name.
    pub(super) name: String,
    /// The value; of `initramfs`, the file and where it goes.
    pub(super) value: String,
}

impl fmt::Display for PiSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.name == "initramfs" { ' ' } else { '=' };
        write!(f, "{}{sign}{}", self.name, self.value)
    }
}

/// What `config.txt` and the files that it includes set on one board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ConfigTxt {
    /// The settings that hold, in their order.
    pub(super) settings: Vec<PiSetting>,
    /// Lines that the firmware does not understand.
    pub(super) problems: Vec<String>,
}

/// Reads a file of the firmware partition; `None` when there is none.
type Load<'a> = &'a mut dyn FnMut(&str) -> Result<Option<String>, Error>;

impl ConfigTxt {
    /// What holds on `model`; nothing when there is no `config.txt`.
    pub(super) fn read(model: &PiModel, load: Load<'_>) -> Result<Self, Error> {
        let mut reader = Reader {
            model,
            load,
            conditions: BTreeMap::new(),
            lines: 0,
            config: Self::default(),
        };
        reader.file("config.txt", 0)?;
        Ok(reader.config)
    }

    /// The value of a setting.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.settings.iter().find(|setting| setting.name == name);
        found.map(|setting| setting.value.as_str())
    }

    /// Whether a setting is a number other than zero; `None` when it is not set.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?.trim();
        Some(value.parse::<i64>() != Ok(0))
    }

    /// The names of the files of which the firmware starts the first one that there is.
    fn kernels<'a>(&'a self, model: &'a PiModel) -> Vec<&'a str> {
        match self.get("kernel") {
            Some(name) => vec![name],
            None => model.kernels.to_vec(),
        }
    }

    /// What is missing on `model` if there is none of them.
    fn missing_kernel(&self, model: &PiModel) -> String {
        let names = alternatives(&self.kernels(model));
        match self.get("kernel") {
            Some(_) => format!("{names}, which config.txt names as the kernel"),
            None => format!("a kernel (config.txt names none, and there is no {names})"),
        }
    }

    /// The lines that change the firmware's device tree.
    pub(super) fn tree_changes(&self) -> Vec<String> {
        let changes = |setting: &&PiSetting| {
            ["dtoverlay", "dtparam"].contains(&setting.name.as_str()) && !setting.value.is_empty()
        };
        let changes = self.settings.iter().filter(changes);
        changes.map(ToString::to_string).collect()
    }

    fn set(&mut self, name: &str, value: &str) {
        if !REPEATED.contains(&name) {
            self.settings.retain(|setting| setting.name != name);
        }
        self.settings.push(PiSetting {
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
}

/// What holds on `model` by the text of `config.txt` alone.
fn config_of(text: &str, model: &PiModel) -> ConfigTxt {
    let mut load = |name: &str| Ok((name == "config.txt").then(|| text.to_owned()));
    // Nothing is read that could fail.
    ConfigTxt::read(model, &mut load).unwrap_or_default()
}

/// What the start of `model` lacks by the text of `config.txt`, if none of the kernels that the firmware would start exists: the same rule
/// for a configuration as [`inspect`](crate::examine) has for an image.
pub fn missing_kernel(
    text: &str,
    model: &PiModel,
    exists: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let config = config_of(text, model);
    let is_there = config.kernels(model).into_iter().any(exists);
    (!is_there).then(|| config.missing_kernel(model))
}

/// The lines in the text of `config.txt` that are without effect on `model`, because U-Boot loads another device tree than the firmware's.
pub fn ineffective_overlays(text: &str, model: &PiModel) -> Vec<String> {
    config_of(text, model).tree_changes()
}

/// A kind of filter. One replaces an earlier one of its kind; those of different kinds must all hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FilterKind {
    Model,
    Serial,
    Monitor,
    Pin,
    Boot,
    None,
}

struct Reader<'a> {
    model: &'a PiModel,
    load: Load<'a>,
    conditions: BTreeMap<FilterKind, bool>,
    lines: usize,
    config: ConfigTxt,
}

impl Reader<'_> {
    /// Reads a file. Filters go on behind an included file, as if its text stood there.
    fn file(&mut self, name: &str, depth: usize) -> Result<(), Error> {
        let Some(text) = (self.load)(name)? else {
            if depth > 0 {
                self.problem(name, "there is no such file to include");
            }
            return Ok(());
        };
        for (at, line) in text.lines().enumerate() {
            self.lines += 1;
            if self.lines > MAX_LINES {
                return Ok(());
            }
            let place = format!("{name}, line {}", at + 1);
            self.line(line, &place, depth)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, place: &str, depth: usize) -> Result<(), Error> {
        let whole = line.trim();
        if whole.is_empty() || whole.starts_with('#') {
            return Ok(());
        }
        let line: String = whole.chars().take(MAX_LINE_CHARS).collect();
        if line.len() < whole.len() && self.holds() {
            let what = format!("the firmware reads only {MAX_LINE_CHARS} characters of a line");
            self.problem(place, &what);
        }
        if let Some(filter) = line.strip_prefix('[') {
            self.filter(filter.split(']').next().unwrap_or_default(), place);
        } else if self.holds() {
            self.setting(&line, place, depth)?;
        }
        Ok(())
    }

    fn setting(&mut self, line: &str, place: &str, depth: usize) -> Result<(), Error> {
        if let Some((name, value)) = line.split_once('=') {
            if name.contains(' ') || value.starts_with(' ') {
                self.problem(
                    place,
                    "the firmware does not read a setting with spaces around `=`",
                );
            } else {
                self.config.set(name, value.trim());
            }
            return Ok(());
        }
        match line.split_once(' ') {
            Some(("include", name)) if depth < MAX_INCLUDES => self.file(name.trim(), depth + 1)?,
            Some(("include", _)) => self.problem(place, "the files include each other"),
            Some(("initramfs", value)) => self.config.set("initramfs", value.trim()),
            Some(_) | None => self.problem(place, &format!("`{line}` is not a setting")),
        }
        Ok(())
    }

    fn holds(&self) -> bool {
        self.conditions.values().all(|holds| *holds)
    }

    fn filter(&mut self, filter: &str, place: &str) {
        let (kind, holds) = match filter {
            "all" => return self.conditions.clear(),
            "none" => (FilterKind::None, false),
            "tryboot" => (FilterKind::Boot, false),
            model if MODELS.contains(&model) => {
                (FilterKind::Model, self.model.filters.contains(&model))
            }
            other => match other.split_once(['=', ':']) {
                Some(("board-type", number)) => (FilterKind::Model, self.is_board_type(number)),
                // The card is in the only slot, and its first partition is the firmware's.
                Some(("partition" | "boot_partition", number)) => (FilterKind::Boot, number == "1"),
                Some(("EDID", _)) => (FilterKind::Monitor, false),
                Some(("HDMI", _)) => (FilterKind::Monitor, true),
                Some((pin, _)) if pin.starts_with("gpio") => (FilterKind::Pin, false),
                _ if other.starts_with("bootvar") => (FilterKind::Boot, false),
                _ if other.starts_with("0x") => (FilterKind::Serial, false),
                _ => {
                    self.problem(place, &format!("unknown section [{other}]"));
                    (FilterKind::Model, false)
                }
            },
        };
        self.conditions.insert(kind, holds);
    }

    fn is_board_type(&self, number: &str) -> bool {
        let digits = number.trim_start_matches("0x");
        u32::from_str_radix(digits, 16).is_ok_and(|number| number == self.model.board_type)
    }

    fn problem(&mut self, place: &str, what: &str) {
        self.config.problems.push(format!("{place}: {what}"));
    }
}

/// Bytes of a text file of the firmware that are read.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// What the firmware starts on one board.
#[derive(Clone, Debug, Default)]
pub(super) struct PiBoot {
    /// What `config.txt` sets there.
    pub(super) config: ConfigTxt,
    /// The path of the kernel: U-Boot, or Linux itself.
    pub(super) kernel: Option<String>,
    /// The path of the device tree.
    pub(super) device_tree: Option<String>,
    /// The path of the initial RAM disk that is loaded with a kernel.
    pub(super) initrd: Option<String>,
    /// The command line for a kernel.
    command_line: Option<String>,
    /// What the start needs and the image lacks, for a board.
    pub(super) missing: Vec<String>,
    /// The same for the firmware itself, which a machine of QEMU's does not need.
    pub(super) missing_firmware: Vec<String>,
    /// What is without effect, or has another one than it seems.
    pub(super) notes: Vec<String>,
}

impl PiBoot {
    /// What the firmware on `fs` starts on `model`.
    pub(super) fn find(fs: &FileSystem, model: &PiModel) -> Result<Self, Error> {
        let mut load = |name: &str| text(fs, name);
        let config = ConfigTxt::read(model, &mut load)?;
        let mut boot = Self {
            config,
            ..Self::default()
        };
        let prefix = boot.prefix(fs, model)?;
        boot.add_kernel(fs, model, &prefix)?;
        boot.add_device_tree(fs, model, &prefix)?;
        boot.add_overlays(fs, &prefix)?;
        boot.add_stub_and_initrd(fs, &prefix)?;
        boot.add_firmware(fs, model)?;
        let name = boot.config.get("cmdline").unwrap_or("cmdline.txt");
        boot.command_line = text(fs, &prefixed(&prefix, name))?
            .map(|text| text.lines().next().unwrap_or_default().to_owned());
        Ok(boot)
    }

    /// `os_prefix`, which the firmware ignores unless kernel and device tree are found with it.
    fn prefix(&self, fs: &FileSystem, model: &PiModel) -> Result<String, Error> {
        let upstream = self.config.flag("upstream_kernel") == Some(true);
        let default = if upstream { "upstream/" } else { "" };
        let prefix = self.config.get("os_prefix").unwrap_or(default);
        let kernel = first(fs, prefix, &self.config.kernels(model))?;
        let tree = first(fs, prefix, &self.device_trees(model))?;
        Ok(match (kernel, tree) {
            (Some(_), Some(_)) => prefix.to_owned(),
            _ => String::new(),
        })
    }

    fn device_trees<'a>(&'a self, model: &'a PiModel) -> Vec<&'a str> {
        let [downstream, upstream] = model.device_trees;
        match self.config.get("device_tree") {
            Some(name) => vec![name],
            None if self.config.flag("upstream_kernel") == Some(true) => vec![upstream, downstream],
            None => vec![downstream],
        }
    }

    fn add_kernel(&mut self, fs: &FileSystem, model: &PiModel, prefix: &str) -> Result<(), Error> {
        self.kernel = first(fs, prefix, &self.config.kernels(model))?;
        if self.kernel.is_none() {
            self.missing.push(self.config.missing_kernel(model));
        }
        // A kernel with the name of a 64-bit one is started as one.
        let by_name = self
            .config
            .kernels(model)
            .iter()
            .any(|name| model.kernels.contains(name));
        let is_64_bit = self
            .config
            .flag("arm_64bit")
            .unwrap_or(model.is_64_bit || by_name);
        if !is_64_bit {
            self.missing.push("arm_64bit=1 in config.txt".to_owned());
        }
        Ok(())
    }

    fn add_device_tree(
        &mut self,
        fs: &FileSystem,
        model: &PiModel,
        prefix: &str,
    ) -> Result<(), Error> {
        self.device_tree = first(fs, prefix, &self.device_trees(model))?;
        if self.device_tree.is_none() {
            let names = alternatives(&self.device_trees(model));
            self.missing.push(format!("the device tree {names}"));
        }
        Ok(())
    }

    /// Adds notes about overlays that are missing, and about parameters that an overlay takes although the board's device tree has them too
    /// (<https://www.raspberrypi.com/documentation/computers/configuration.html>, "Device Trees, overlays, and parameters").
    fn add_overlays(&mut self, fs: &FileSystem, prefix: &str) -> Result<(), Error> {
        let dir = self.config.get("overlay_prefix").unwrap_or("overlays/");
        let bytes = |path: &str| -> Result<Option<Vec<u8>>, Error> {
            fs.start_of(&prefixed(prefix, path), MAX_TREE_BYTES)
        };
        // By it the firmware takes another file for some names.
        let map = bytes(&format!("{dir}overlay_map.dtb"))?.unwrap_or_default();
        let is_mapped = |name: &str| map.windows(name.len()).any(|part| part == name.as_bytes());
        let tree = match &self.device_tree {
            Some(path) => fs.start_of(path, MAX_TREE_BYTES)?.unwrap_or_default(),
            None => Vec::new(),
        };
        let of_board = parameters(&tree);
        let mut overlay = ("", BTreeSet::new());
        for PiSetting { name, value } in &self.config.settings {
            if name == "dtoverlay" {
                let named = value.split([',', ':']).next().unwrap_or_default().trim();
                let found = match named {
                    "" => None,
                    _ => bytes(&format!("{dir}{named}.dtbo"))?,
                };
                if found.is_none() && !named.is_empty() && !is_mapped(named) {
                    let text =
                        format!("dtoverlay={named} has no effect: there is no {dir}{named}.dtbo");
                    self.notes.push(text);
                }
                overlay = (
                    named,
                    found.map(|bytes| parameters(&bytes)).unwrap_or_default(),
                );
            } else if name == "dtparam" {
                let keys = value
                    .split(',')
                    .map(|one| one.split('=').next().unwrap_or_default());
                let taken = |key: &&str| {
                    [&of_board, &overlay.1]
                        .iter()
                        .all(|all| all.contains(key.as_bytes()))
                };
                self.notes.extend(keys.filter(taken).map(|key| {
                    let overlay = overlay.0;
                    format!(
                        "dtparam={key} applies to dtoverlay={overlay} above it, which has a parameter of that name too: \
                         for the board's own, write it in front of that line, or a line `dtoverlay=` between them"
                    )
                }));
            }
        }
        Ok(())
    }

    fn add_stub_and_initrd(&mut self, fs: &FileSystem, prefix: &str) -> Result<(), Error> {
        let initrd = self
            .config
            .get("initramfs")
            .or(self.config.get("ramfsfile"));
        let initrd = initrd
            .and_then(|value| value.split_whitespace().next())
            .map(str::to_owned);
        if let Some(name) = &initrd {
            self.initrd = first(fs, prefix, &[name])?;
            if self.initrd.is_none() {
                self.missing
                    .push(format!("{name}, which config.txt names as initramfs"));
            }
        }
        if let Some(name) = self.config.get("armstub").map(str::to_owned)
            && first(fs, prefix, &[&name])?.is_none()
        {
            self.missing
                .push(format!("{name}, which config.txt names as armstub"));
        }
        Ok(())
    }

    /// Adds the files of the firmware itself that are missing.
    fn add_firmware(&mut self, fs: &FileSystem, model: &PiModel) -> Result<(), Error> {
        let camera = self.config.flag("start_x") == Some(true);
        for name in model.firmware {
            let own = match *name {
                name if name.starts_with("start") => self.config.get("start_file"),
                name if name.starts_with("fixup") => self.config.get("fixup_file"),
                _ => None,
            };
            let with_camera = camera && *name != "bootcode.bin";
            let name = match own {
                Some(own) => own.to_owned(),
                None if with_camera => with_x(name),
                None => (*name).to_owned(),
            };
            if first(fs, "", &[&name])?.is_none() {
                self.missing_firmware.push(name);
            }
        }
        Ok(())
    }
}

/// The firmware with the drivers of the camera: `start_x.elf` for `start.elf`, `start4x.elf` for `start4.elf`.
fn with_x(name: &str) -> String {
    let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
    let x = if stem.ends_with('4') { "x" } else { "_x" };
    format!("{stem}{x}.{extension}")
}

fn prefixed(prefix: &str, name: &str) -> String {
    match name.strip_prefix('/') {
        Some(name) => format!("/{name}"),
        None => format!("/{prefix}{name}"),
    }
}

/// The path of the first of `names` that exists.
fn first(fs: &FileSystem, prefix: &str, names: &[&str]) -> Result<Option<String>, Error> {
    for name in names {
        let path = prefixed(prefix, name);
        if !name.is_empty() && fs.find(&path)? == Some(EntryKind::File) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The text of a file in the root directory, or below it.
fn text(fs: &FileSystem, name: &str) -> Result<Option<String>, Error> {
    let start = fs.start_of(&prefixed("", name), MAX_TEXT_BYTES)?;
    Ok(start.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Bytes of one file that are loaded: a board has little more memory for a kernel.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The files, and what is wrong with the image for the board.
#[derive(Debug, Default)]
pub struct PiStart {
    /// The kernel, which usually is U-Boot.
    pub kernel: Option<File>,
    /// The device tree.
    pub device_tree: Option<Vec<u8>>,
    /// The initial RAM disk, if `config.txt` names one.
    pub initrd: Option<File>,
    /// The command line of a kernel.
    pub command_line: Option<String>,
    /// Whether U-Boot loads another device tree, by its boot menu.
    pub has_tree_in_menu: bool,
    /// What the board's boot needs and the image lacks.
    pub missing: Vec<String>,
    /// Possible mistakes in `config.txt`, for users.
    pub notes: Vec<String>,
}

/// The files for `board` on the raw image `file`, without names in the directory `scratch`; `None` for a board that is not a
/// Raspberry Pi.
pub fn pi_start(
    file: File,
    board: &'static Board,
    scratch: &Path,
    cancel: &Cancel,
) -> Result<Option<PiStart>, Error> {
    let Some(model) = board.raspberry_pi() else {
        return Ok(None);
    };
    let size = file.metadata()?.len();
    let disk = Section::whole(file, size, cancel);
    let layout = Layout::read(&disk)?;
    let boot = layout.boot()?;
    let report = judge_board(layout.parts(&disk, &boot), board)?;
    let mut start = PiStart {
        missing: report.missing,
        notes: report.notes,
        has_tree_in_menu: boot
            .menu
            .as_ref()
            .is_some_and(|menu| menu.device_tree.is_some() || menu.device_trees.is_some()),
        ..PiStart::default()
    };
    if let Some(volume) = firmware_volume(&layout.volumes) {
        start.load(volume, model, scratch)?;
    }
    Ok(Some(start))
}

impl PiStart {
    fn load(&mut self, volume: &Volume, model: &PiModel, scratch: &Path) -> Result<(), Error> {
        let boot = PiBoot::find(&volume.fs, model)?;
        let copied = |path: &Option<String>| match path {
            Some(path) => unnamed_copy(&volume.fs, path, scratch),
            None => Ok(None),
        };
        self.kernel = copied(&boot.kernel)?;
        self.initrd = copied(&boot.initrd)?;
        self.device_tree = match &boot.device_tree {
            Some(path) => volume.fs.start_of(path, MAX_TREE_BYTES)?,
            None => None,
        };
        self.command_line = boot.command_line;
        Ok(())
    }
}

/// The file at `path`, as one without a name in the directory `scratch`; `None` if it is no file.
fn unnamed_copy(fs: &FileSystem, path: &str, scratch: &Path) -> Result<Option<File>, Error> {
    if fs.find(path)? != Some(EntryKind::File) {
        return Ok(None);
    }
    let mut copy = tempfile::tempfile_in(scratch)?;
    let mut left = MAX_FILE_BYTES;
    fs.copy(path, &mut |piece| {
        copy.write_all(piece)?;
        left = left.saturating_sub(piece.len() as u64);
        Ok(left > 0)
    })?;
    Ok(Some(copy))
}

#[cfg(test)]
mod tests {
    mod config_txt {
        use super::super::*;
        use crate::board::BoardName;

        /// What `files` (names and texts) set on `board`.
        fn read(board: &str, files: &[(&str, &str)]) -> ConfigTxt {
            let BoardName(board) = board.parse().unwrap();
            let mut load = |name: &str| {
                let file = files.iter().find(|(other, _)| *other == name);
                Ok(file.map(|(_, text)| (*text).to_owned()))
            };
            ConfigTxt::read(board.raspberry_pi().unwrap(), &mut load).unwrap()
        }

        fn lines(board: &str, text: &str) -> Vec<String> {
            let config = read(board, &[("config.txt", text)]);
            assert_eq!(config.problems, [""; 0]);
            config.settings.iter().map(ToString::to_string).collect()
        }

        /// The sections of nixpkgs' sd-image-aarch64.nix.
        const NIXPKGS: &str = "[pi3]\nkernel=u-boot-rpi3.bin\n\n[pi02]\nkernel=u-boot-rpi3.bin\n\n\
        [pi4]\nkernel=u-boot-rpi4.bin\nenable_gic=1\narmstub=armstub8-gic.bin\n\n# comment\narm_boost=1\n\n\
        [cm4]\notg_mode=1\n\n[all]\narm_64bit=1\nenable_uart=1\n";

        #[test]
        fn each_board_sees_its_own_sections() {
            let all = ["arm_64bit=1", "enable_uart=1"];
            let kernel = ["kernel=u-boot-rpi3.bin"];
            assert_eq!(lines("rpi3", NIXPKGS), [&kernel[..], &all].concat());
            assert_eq!(lines("rpi02", NIXPKGS), [&kernel[..], &all].concat());
            assert_eq!(lines("rpi5", NIXPKGS), all);
            let four = [
                "kernel=u-boot-rpi4.bin",
                "enable_gic=1",
                "armstub=armstub8-gic.bin",
                "arm_boost=1",
            ];
            assert_eq!(lines("rpi4", NIXPKGS), [&four[..], &all].concat());
        }

        #[test]
        fn filters_of_one_kind_replace_each_other() {
            let text = "[pi4]\n[pi3]\na=1\n[gpio4=1]\nb=1\n[pi3]\nc=1\n[all]\nd=1\n[none]\ne=1\n[all]\nf=1\n\
            [board-type=0x8]\ng=1\n[board-type=0x11]\nh=1\n[EDID=X]\n[all]\n[partition=1]\ni=1\n[0x1234]\nj=1\n";
            assert_eq!(lines("rpi3", text), ["a=1", "d=1", "f=1", "g=1", "i=1"]);
        }

        #[test]
        fn last_value_counts_and_overlays_add_up() {
            let text =
                "kernel=a\ndtoverlay=x\nkernel=b\ndtoverlay=y\ninitramfs i.img followkernel\n";
            let expected = [
                "dtoverlay=x",
                "kernel=b",
                "dtoverlay=y",
                "initramfs i.img followkernel",
            ];
            assert_eq!(lines("rpi4", text), expected);
        }

        #[test]
        fn included_files_stand_in_their_place() {
            let files = [
                (
                    "config.txt",
                    "[pi4]\ninclude more.txt\nb=2\n[all]\ninclude none.txt\n",
                ),
                ("more.txt", "a=1\n[pi3]\n"),
            ];
            let config = read("rpi4", &files);
            assert_eq!(config.get("a"), Some("1"));
            assert_eq!(config.get("b"), None);
            assert_eq!(
                config.problems,
                ["none.txt: there is no such file to include"]
            );
            let circle = read("rpi4", &[("config.txt", "include config.txt\n")]);
            assert!(circle.problems.concat().contains("include each other"));
        }

        #[test]
        fn what_the_firmware_does_not_read_is_a_problem() {
            let text = "[pi6]\na=1\n[all]\nkernel = x\nwhat\nb=0\n";
            let config = read("rpi4", &[("config.txt", text)]);
            assert_eq!(
                config.problems,
                [
                    "config.txt, line 1: unknown section [pi6]",
                    "config.txt, line 4: the firmware does not read a setting with spaces around `=`",
                    "config.txt, line 5: `what` is not a setting",
                ]
            );
            assert_eq!((config.flag("b"), config.flag("a")), (Some(false), None));
            let long = format!("cmdline={}", "x".repeat(200));
            let config = read("rpi4", &[("config.txt", &long)]);
            assert_eq!(config.get("cmdline").unwrap().len(), 90);
            assert_eq!(config.problems.len(), 1);
        }

        #[test]
        fn a_kernel_that_is_named_must_be_there() {
            let lacks = |board: &str, text: &str, files: &[&str]| {
                let BoardName(board) = board.parse().unwrap();
                let exists = |name: &str| files.contains(&name);
                missing_kernel(text, board.raspberry_pi().unwrap(), &exists)
            };
            let named = lacks("rpi3", NIXPKGS, &["u-boot-rpi4.bin"]).unwrap();
            assert_eq!(
                named,
                "u-boot-rpi3.bin, which config.txt names as the kernel"
            );
            assert_eq!(lacks("rpi4", NIXPKGS, &["u-boot-rpi4.bin"]), None);
            assert!(
                lacks("rpi5", NIXPKGS, &["u-boot-rpi4.bin"])
                    .unwrap()
                    .contains("names none")
            );
            assert_eq!(lacks("rpi5", NIXPKGS, &["kernel8.img"]), None);
        }

        #[test]
        fn overlays_are_those_of_the_board_with_a_name() {
            let BoardName(board) = "rpi4".parse().unwrap();
            let text = "[pi5]\ndtoverlay=a\n[all]\ndtoverlay=b,c=1\ndtoverlay=\ndtparam=spi=on\nkernel=k\n";
            let lines = ineffective_overlays(text, board.raspberry_pi().unwrap());
            assert_eq!(lines, ["dtoverlay=b,c=1", "dtparam=spi=on"]);
        }

        proptest::proptest! {
            #[test]
            fn any_text_is_accepted(text in "(?s)(.|include config.txt\n|\\[){0,60}") {
                let config = read("rpi3", &[("config.txt", &text)]);
                config.flag("kernel");
            }
        }
    }

    mod pi_boot {
        use super::super::with_x;

        #[test]
        fn firmware_with_the_camera_has_an_x() {
            assert_eq!(with_x("start.elf"), "start_x.elf");
            assert_eq!(with_x("fixup4.dat"), "fixup4x.dat");
        }
    }
}
