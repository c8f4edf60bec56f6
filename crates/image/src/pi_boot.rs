//! What the firmware of a Raspberry Pi starts from an image, by the image's `config.txt`.

use super::config_txt::ConfigTxt;
use super::entry::EntryKind;
use super::error::Error;
use super::files::FileSystem;
use crate::board::PiModel;
use sdbuild_core::text::alternatives;

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
    pub(super) command_line: Option<String>,
    /// What the start needs and the image lacks, for a board.
    pub(super) missing: Vec<String>,
    /// The same for the firmware itself, which a machine of QEMU's does not need.
    pub(super) missing_firmware: Vec<String>,
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
        let kernel = first(fs, prefix, &self.kernels(model))?;
        let tree = first(fs, prefix, &self.device_trees(model))?;
        Ok(match (kernel, tree) {
            (Some(_), Some(_)) => prefix.to_owned(),
            _ => String::new(),
        })
    }

    fn kernels<'a>(&'a self, model: &'a PiModel) -> Vec<&'a str> {
        match self.config.get("kernel") {
            Some(name) => vec![name],
            None => model.kernels.to_vec(),
        }
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
        self.kernel = first(fs, prefix, &self.kernels(model))?;
        if self.kernel.is_none() {
            let names = alternatives(&self.kernels(model));
            self.missing.push(match self.config.get("kernel") {
                Some(_) => format!("{names}, which config.txt names as the kernel"),
                None => format!("a kernel (config.txt names none, and there is no {names})"),
            });
        }
        // A kernel with the name of a 64-bit one is started as one.
        let by_name = self
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

#[cfg(test)]
mod tests {
    use super::with_x;

    #[test]
    fn firmware_with_the_camera_has_an_x() {
        assert_eq!(with_x("start.elf"), "start_x.elf");
        assert_eq!(with_x("fixup4.dat"), "fixup4x.dat");
    }
}
