use super::*;

impl QemuProcess {
    /// Starts `command` with `stdin`, and reads its output.
    pub(crate) fn piped(command: &mut Command, stdin: Stdio) -> io::Result<Self> {
        let command = command.stdin(stdin);
        Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// The same with the command that starts it without KVM.
    pub(crate) fn with_fallback(self, without_kvm: Command) -> Self {
        Self {
            without_kvm: Some(without_kvm),
            ..self
        }
    }
}

#[test]
fn every_message_is_found_wherever_it_is_cut() {
    for message in KVM_MESSAGES {
        let text = format!(
            "{}qemu-system-x86_64: {message} 0x80000021\n",
            "x".repeat(100)
        );
        for cut in 0..=text.len() {
            let (start, end) = text.split_at(cut);
            let mut watch = KvmWatch::default();
            let found = watch.sees_failure(start.as_bytes()) | watch.sees_failure(end.as_bytes());
            assert!(found, "{message} cut at {cut}");
        }
    }
    let mut watch = KvmWatch::default();
    assert!(!watch.sees_failure(b"qemu-system-x86_64: warning: KVM is not available\n"));
}
