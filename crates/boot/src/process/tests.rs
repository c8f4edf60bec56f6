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
