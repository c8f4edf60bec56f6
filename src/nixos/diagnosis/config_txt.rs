//! Lines of `config.txt` of Raspberry Pi OS in a NixOS configuration. Pure.

use sdbuild_core::text::line_of;

/// Names of settings in `config.txt` of Raspberry Pi OS that are no names of Nix.
const CONFIG_TXT: [&str; 22] = [
    "arm_64bit",
    "arm_boost",
    "arm_freq",
    "auto_initramfs",
    "avoid_warnings",
    "boot_delay",
    "camera_auto_detect",
    "disable_fw_kms_setup",
    "disable_overscan",
    "disable_splash",
    "display_auto_detect",
    "dtoverlay",
    "dtparam",
    "enable_uart",
    "gpu_mem",
    "hdmi_force_hotplug",
    "hdmi_group",
    "hdmi_mode",
    "max_framebuffers",
    "otg_mode",
    "over_voltage",
    "usb_max_current_enable",
];

/// What to do about a line for which there is nothing in NixOS.
const REMOVE: &str = "Remove the line";

/// What is said of the setting `name`, if `config.txt` has it.
pub(super) fn of_setting(name: &str) -> Option<String> {
    let told = || {
        if name.starts_with("dt") {
            OF_CONFIG_TXT.to_owned()
        } else {
            format!("NixOS has no setting for {name}. {REMOVE}")
        }
    };
    CONFIG_TXT.contains(&name).then(told)
}

/// What is in place of device trees in `config.txt`.
pub(super) const OF_CONFIG_TXT: &str = "NixOS has no option for config.txt. Instead of dtparam= and dtoverlay=, use device trees \
 in hardware.deviceTree.overlays. The recipe \"GPIO, I2C, SPI\" in sdbuild's documentation shows how";

/// What to do about the line `number` of `text`, if that is of `config.txt` of Raspberry Pi OS, or a section that the next one is in.
pub(super) fn hint(text: &str, number: u64) -> Option<String> {
    let setting = |number| {
        let (name, value) = line_of(text, number)?.trim().split_once('=')?;
        let is_value = |c: char| c.is_ascii_alphanumeric() || "_-=,.:".contains(c);
        let value = value.trim_end_matches(';');
        let is_meant = !value.is_empty() && value.chars().all(is_value);
        of_setting(name).filter(|_| is_meant)
    };
    let line = line_of(text, number)?.trim();
    let is_section = line.starts_with('[') && line.ends_with(']');
    let below = || setting(number + 1).filter(|_| is_section);
    let told = setting(number).or_else(below)?;
    let last = (number + 1..).take_while(|line| setting(*line).is_some());
    Some(match last.last() {
        Some(last) => {
            let end = if told.ends_with(REMOVE) { "s" } else { "" };
            format!("lines {number} to {last} are of config.txt, not Nix. {told}{end}")
        }
        None => format!("line {number} is of config.txt, not Nix. {told}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_config_txt_are_recognised() {
        let text = "{\n  [all]\n  dtparam=audio=on\n  gpu_mem=16;\n  gpu_mem = x;\n  a=b\n}\n";
        for (line, is_meant) in [(2, true), (3, true), (4, true), (5, false), (6, false)] {
            assert_eq!(hint(text, line).is_some(), is_meant, "{line}");
        }
        for (line, told) in [
            (2, "device trees"),
            (3, "device trees"),
            (4, "NixOS has no setting for gpu_mem. Remove the line"),
        ] {
            let hint = hint(text, line).unwrap();
            assert!(hint.contains(told), "{hint}");
        }
        let several = hint(text, 3).unwrap();
        let begin = "lines 3 to 4 are of config.txt, not Nix. ";
        assert_eq!(several, format!("{begin}{OF_CONFIG_TXT}"));
    }
}
