//! The files that a Raspberry Pi's firmware would load from an image before it starts a kernel.

use std::fs::File;

use super::boards::{firmware_volume, judge_board};
use super::boot::{BootReport, Volume};
use super::disk::Section;
use super::error::Error;
use super::pi_boot::PiBoot;
use super::report::Layout;
use crate::board::{Board, PiModel};
use sdbuild_core::cancel::Cancel;

/// Bytes of one file that are loaded: a board has little more memory for a kernel.
const MAX_FILE_BYTES: usize = 256 << 20;

/// The files, and what is wrong with the image for the board.
#[derive(Debug, Default)]
pub struct PiStart {
    /// The kernel, which usually is U-Boot.
    pub kernel: Option<Vec<u8>>,
    /// The device tree.
    pub device_tree: Option<Vec<u8>>,
    /// The initial RAM disk, if `config.txt` names one.
    pub initrd: Option<Vec<u8>>,
    /// The command line of a kernel.
    pub command_line: Option<String>,
    /// Whether U-Boot loads another device tree, by its boot menu.
    pub has_tree_in_menu: bool,
    /// What the board's boot needs and the image lacks.
    pub missing: Vec<String>,
    /// Possible mistakes in `config.txt`, for users.
    pub notes: Vec<String>,
}

/// The files for `board` on the raw image `file`; `None` for a board that is not a Raspberry Pi.
pub fn pi_start(
    file: File,
    board: &'static Board,
    cancel: &Cancel,
) -> Result<Option<PiStart>, Error> {
    let Some(model) = board.raspberry_pi() else {
        return Ok(None);
    };
    let size = file.metadata()?.len();
    let disk = Section::whole(file, size, cancel);
    let layout = Layout::read(&disk)?;
    let boot = BootReport::find(&layout.volumes)?;
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
        start.load(volume, model)?;
    }
    Ok(Some(start))
}

impl PiStart {
    fn load(&mut self, volume: &Volume, model: &PiModel) -> Result<(), Error> {
        let boot = PiBoot::find(&volume.fs, model)?;
        let read = |path: &Option<String>| match path {
            Some(path) => volume.fs.start_of(path, MAX_FILE_BYTES),
            None => Ok(None),
        };
        self.kernel = read(&boot.kernel)?;
        self.device_tree = read(&boot.device_tree)?;
        self.initrd = read(&boot.initrd)?;
        self.command_line = boot.command_line;
        Ok(())
    }
}
