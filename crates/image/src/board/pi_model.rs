//! Differences between Raspberry Pis at boot.

/// How the firmware of a Raspberry Pi starts, by
/// <https://www.raspberrypi.com/documentation/computers/config_txt.html>.
#[derive(Debug)]
pub struct PiModel {
    /// The conditional filters of `config.txt` that hold on it.
    pub filters: &'static [&'static str],
    /// Its type in the revision code, for the filter `[board-type=…]`.
    pub board_type: u32,
    /// Whether the kernel runs in 64-bit mode without `arm_64bit=1`.
    pub is_64_bit: bool,
    /// The 64-bit kernels that are looked for without `kernel=`.
    pub kernels: &'static [&'static str],
    /// Its device trees: the name in Raspberry Pi's kernel, then the one in Linux's.
    pub device_trees: [&'static str; 2],
    /// The files of the firmware itself; none where it is in an EEPROM.
    pub firmware: &'static [&'static str],
    /// Whether the image of nixpkgs' `sd-image-aarch64.nix` boots on it.
    pub in_nixpkgs: bool,
}
