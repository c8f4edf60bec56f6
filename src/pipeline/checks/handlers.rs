//! Existing handlers of the kernel for programs of the image.

use crate::pipeline::binfmt_table;
use crate::pipeline::checks::check::{Check, Verdict};
use crate::pipeline::checks::machine::Machine;
use crate::pipeline::emulation::{Emulation, on_one_line};
use sdbuild_core::system::Architecture;
use sdbuild_engine::binfmt::{Entry, Owner, classify};

/// Its entries are told apart from the table as a whole.
const TOPIC: &str = "binfmt entries";

/// Existing handlers for the same programs. The kernel tries the newest first.
pub(super) fn existing(machine: &Machine<'_>) -> Option<Check> {
    let shared = matches!(
        machine.emulation,
        None | Some(Emulation::Register | Emulation::Host)
    );
    if !shared || !machine.is_this_kernel() {
        return None;
    }
    let architecture = machine.request.target.system.architecture();
    // What is in a table that cannot be read is not known.
    let entries = binfmt_table::local_entries().ok()?;
    if machine.emulation != Some(Emulation::Host) {
        return foreign_handlers(&entries, architecture);
    }
    // Another mount namespace may have it mounted.
    if !binfmt_table::is_mounted() {
        return None;
    }
    let check = usable_handlers(&entries, architecture);
    let facts = machine.engine?.facts;
    let request = machine.request;
    match Emulation::Host.last_resort(request.target.emulation, request.target.system, facts) {
        Some(failure) if check.verdict == Verdict::Bad => Some(Check {
            text: format!("{}; {}", on_one_line(&failure), check.text),
            remedies: [failure.hints, check.remedies].concat(),
            ..check
        }),
        _ => Some(check),
    }
}

fn foreign_handlers(entries: &[Entry], architecture: Architecture) -> Option<Check> {
    let foreign = |entry: &&Entry| entry.runs(architecture) && classify(entry) == Owner::Foreign;
    let names = names(entries.iter().filter(foreign));
    let text = format!(
        "{names} (registered by another program) is left alone; a build's own entry takes precedence"
    );
    (!names.is_empty()).then(|| Check::good(TOPIC, text))
}

/// Whether there is a handler to use; that of another run counts too.
fn usable_handlers(entries: &[Entry], architecture: Architecture) -> Check {
    let names = names(entries.iter().filter(|entry| entry.runs(architecture)));
    if names.is_empty() {
        let name = architecture.kernel_name();
        let text =
            format!("binfmt_misc has no entry for {name} programs, and this build needs one");
        return Check::bad(TOPIC, text).remedy(
            "install `qemu-user-static`, or leave --emulation at auto where the engine can have another",
        );
    }
    Check::good(TOPIC, format!("{names} will be used"))
}

fn names<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    let names: Vec<&str> = entries.map(|entry| entry.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_engine::binfmt::parse;

    #[test]
    fn foreign_handlers_are_named_and_a_missing_one_is_bad() {
        let text = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: F\noffset 0\n\
            magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
        let foreign = parse("qemu-aarch64", text);
        let ours = parse("sdbuild-aarch64-0123456789ab", text);
        let other = parse(
            "python3.11",
            "enabled\ninterpreter /x\nflags: \noffset 0\nmagic a70d0d0a\n",
        );
        let arm = Architecture::Aarch64;
        assert_eq!(foreign_handlers(std::slice::from_ref(&other), arm), None);
        let found = foreign_handlers(&[foreign.clone(), other.clone()], arm).unwrap();
        assert!(
            found
                .text
                .starts_with("qemu-aarch64 (registered by another program)"),
            "{found:?}"
        );
        let none = usable_handlers(&[other], arm);
        assert_eq!(none.verdict, Verdict::Bad);
        assert!(
            none.text.starts_with("binfmt_misc has no entry for"),
            "{none:?}"
        );
        for usable in [foreign, ours] {
            let usable = [usable];
            assert_eq!(usable_handlers(&usable, arm).verdict, Verdict::Good);
            let check = usable_handlers(&usable, Architecture::X86_64);
            assert_eq!(check.verdict, Verdict::Bad, "{check:?}");
        }
    }
}
