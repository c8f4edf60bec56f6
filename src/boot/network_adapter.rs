//! The network adapter of a board's model: a USB device that is plugged in when the kernel starts. QEMU's USB controller
//! reports a device once: U-Boot would take the report of one that is there earlier, and Linux would find an empty port.

use crate::boot::diagnosis;
use crate::boot::machine::RunningMachine;
use crate::common::failure::Failure;

/// How often the adapter is plugged in: once, and again when Linux cannot address it.
const MAX_PLUGS: u32 = 4;

/// What is to be done with the adapter, by the lines of the console.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Plug,
    Replug,
}

/// The state of the adapter during one boot.
#[derive(Debug)]
pub(super) struct NetworkAdapter {
    is_plugged: bool,
    plugs_left: u32,
}

impl NetworkAdapter {
    /// An adapter that is plugged in once the kernel has started; with `is_needed` false there is none to plug in.
    pub(super) fn new(is_needed: bool) -> Self {
        Self {
            is_plugged: false,
            plugs_left: if is_needed { MAX_PLUGS } else { 0 },
        }
    }

    /// Plugs the adapter in, or out and in again, when new lines of the console ask for it.
    pub(super) async fn look(
        &mut self,
        lines: &[String],
        machine: &mut RunningMachine,
    ) -> Result<(), Failure> {
        match self.step(lines) {
            Some(Step::Plug) => machine.plug_network().await,
            Some(Step::Replug) => machine.replug_network().await,
            None => Ok(()),
        }
    }

    fn step(&mut self, lines: &[String]) -> Option<Step> {
        let (is_sign, step): (fn(&str) -> bool, _) = if self.is_plugged {
            (diagnosis::is_usb_failure, Step::Replug)
        } else {
            (diagnosis::is_kernel_start, Step::Plug)
        };
        if self.plugs_left == 0 || !lines.iter().any(|line| is_sign(line)) {
            return None;
        }
        self.is_plugged = true;
        self.plugs_left -= 1;
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]";
    const FAILURE: &str = "[   13.906337] usb usb1-port1: unable to enumerate USB device";

    fn step(adapter: &mut NetworkAdapter, line: &str) -> Option<Step> {
        adapter.step(&[line.to_owned()])
    }

    #[test]
    fn adapter_is_plugged_in_when_the_kernel_starts() {
        let mut adapter = NetworkAdapter::new(true);
        assert_eq!(step(&mut adapter, "U-Boot 2025.01"), None);
        assert_eq!(step(&mut adapter, START), Some(Step::Plug));
        assert_eq!(step(&mut adapter, START), None);
    }

    #[test]
    fn adapter_is_plugged_in_again_when_linux_fails() {
        let mut adapter = NetworkAdapter::new(true);
        assert_eq!(step(&mut adapter, FAILURE), None, "not plugged in yet");
        step(&mut adapter, START);
        for _ in 1..MAX_PLUGS {
            assert_eq!(step(&mut adapter, FAILURE), Some(Step::Replug));
        }
        assert_eq!(step(&mut adapter, FAILURE), None);
    }

    #[test]
    fn machine_that_has_its_network_gets_no_adapter() {
        let mut adapter = NetworkAdapter::new(false);
        assert_eq!(step(&mut adapter, START), None);
    }
}
