//! Failures of KVM while a machine runs: QEMU writes a message and stops the machine, but does not end.

use crate::common::failure::Failure;

/// What QEMU writes to standard error before it stops a machine: `kvm_cpu_exec` in `accel/kvm/kvm-all.c`, and
/// `kvm_arch_handle_exit` in `target/i386/kvm/kvm.c`.
const MESSAGES: [&str; 3] = [
    "KVM internal error",
    "KVM: entry failed, hardware error",
    "error: kvm run failed",
];
/// Bytes that are kept of what came before, because a message may come in two parts.
const KEPT_BYTES: usize = 64;

/// The warning when a machine starts again.
pub(super) const WARNING: &str = "KVM fails on this machine, so the image starts again without it, which is slow. \
                                  `sdbuild boot --no-kvm` does not try KVM";

/// Looks for these messages in QEMU's standard error.
#[derive(Debug, Default)]
pub(super) struct KvmWatch {
    end: Vec<u8>,
}

impl KvmWatch {
    /// Whether `bytes`, the next of QEMU's standard error, end such a message.
    pub(super) fn sees_failure(&mut self, bytes: &[u8]) -> bool {
        self.end.extend(bytes);
        let text = String::from_utf8_lossy(&self.end);
        let found = MESSAGES.iter().any(|message| text.contains(message));
        let surplus = self.end.len().saturating_sub(KEPT_BYTES);
        self.end.drain(..surplus);
        found
    }
}

/// The failure of a machine that was in use when KVM failed.
pub(super) fn failure() -> Failure {
    Failure::environment("KVM fails on this machine, and QEMU stopped the booted machine")
        .hint("`sdbuild boot --no-kvm` boots without KVM, which is slow")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_found_wherever_it_is_cut() {
        for message in MESSAGES {
            let text = format!(
                "{}qemu-system-x86_64: {message} 0x80000021\n",
                "x".repeat(100)
            );
            for cut in 0..=text.len() {
                let (start, end) = text.split_at(cut);
                let mut watch = KvmWatch::default();
                let found =
                    watch.sees_failure(start.as_bytes()) | watch.sees_failure(end.as_bytes());
                assert!(found, "{message} cut at {cut}");
            }
        }
        let mut watch = KvmWatch::default();
        assert!(!watch.sees_failure(b"qemu-system-x86_64: warning: KVM is not available\n"));
    }
}
