//! The end of a run: waits for it and checks how it ended.

use std::time::Duration;

use super::fault_kinds::{Expectation, Fault, HANG_LIMIT, expected};
use super::invariants::OutputDir;
use super::live_run::End;
use super::run::Run;
use super::terminal;

impl Run<'_> {
    /// Waits for the end and checks it.
    pub fn end(&mut self) -> Option<(End, Duration)> {
        let mut ended = self.live.wait(HANG_LIMIT);
        if matches!(self.setup.kind.fault, Fault::Terminal | Fault::CtrlZ) {
            ended = self.end_on_the_terminal();
        }
        self.note("the run", &self.live.stderr());
        self.ids.extend(self.live.runs());
        let Some((end, at)) = ended else {
            self.violation("sdbuild hangs");
            return None;
        };
        self.end = Some(end);
        let after = at.saturating_sub(self.injected_at);
        let expectation = expected(self.setup.kind.fault, &self.setup.variant, self.phase);
        self.check_end(end, after, &expectation);
        self.end_of_others();
        Some((end, after))
    }

    /// Reads the exit code from the file to which the shell on the terminal writes it.
    fn end_on_the_terminal(&self) -> Option<(End, Duration)> {
        let in_a_shell = self.setup.kind.fault == Fault::CtrlZ;
        while self.live.age() < self.injected_at + HANG_LIMIT {
            let at = self.live.age();
            if let Some(code) = terminal::code(&self.setup.user, in_a_shell) {
                return Some((End::Code(code), at));
            }
            if self.live.processes().is_empty() {
                // The shell ended before it could write the exit code.
                return Some((End::Code(129), at));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    fn check_end(&mut self, end: End, after: Duration, expectation: &Expectation) {
        // The run ended before the fault could be injected.
        let early = self.live.ended().is_some_and(|(_, at)| at < self.moment);
        if !(expectation.end.contains(&end) || early && end == End::Code(0)) {
            self.violation(&format!(
                "it ended with {end:?}, expected one of {:?}",
                expectation.end
            ));
        }
        if after > expectation.within {
            self.violation(&format!(
                "it took {after:?} to end, the limit is {:?}",
                expectation.within
            ));
        }
        let stderr = self.live.stderr();
        let silent = matches!(self.setup.kind.fault, Fault::Stream(1) | Fault::Terminal);
        if let End::Code(code) = end
            && code != 0
            && !silent
        {
            let interrupted = code == 5 && stderr.contains("interrupted");
            if !stderr.contains("error: ") && !interrupted {
                self.violation("no error message");
            }
            if !stderr.to_lowercase().contains(expectation.mentions) {
                self.violation(&format!("the error does not contain `{}`", expectation.mentions));
            }
        }
        if stderr.contains("panicked") {
            self.violation("it panicked");
        }
        self.check_required_output(&stderr, end);
    }

    fn check_required_output(&mut self, stderr: &str, end: End) {
        if let Some(words) = self.required_words
            && !stderr.contains(words)
        {
            self.violation(&format!("standard error does not contain `{words}`"));
        }
        let stdout = terminal::stdout(&self.setup.user);
        if self.setup.variant == "stderr only"
            && end == End::Code(0)
            && !stdout.contains(self.setup.image)
        {
            self.violation("the image's path is not on standard output");
        }
        let mirror = matches!(
            self.setup.kind.fault,
            Fault::MirrorStalls | Fault::MirrorWrong | Fault::MirrorCuts
        );
        let fetched = end == End::Code(0);
        if mirror && fetched && !stderr.contains("127.0.0.1") {
            self.violation("the failing mirror is not reported");
        }
    }

    pub fn end_of_others(&mut self) {
        let mut others = std::mem::take(&mut self.others);
        let count = others.len();
        for (nth, (user, live)) in others.iter_mut().enumerate() {
            let end = live.wait(HANG_LIMIT).map(|(end, _)| end);
            let killed = self.killed && nth + 1 == count;
            let as_expected = end == Some(End::Code(0)) || killed && end == Some(End::Signal(9));
            if !as_expected {
                self.violation(&format!("build {} at the same time: {end:?}", nth + 2));
            }
            self.note("a build at the same time", &live.stderr());
            self.ids.extend(live.runs());
            let dir = OutputDir {
                out: &user.out(),
                image: self.setup.image,
                seed: self.setup.seed,
                succeeded: end == Some(End::Code(0)),
                replaces: false,
                orderly: !killed,
            };
            let found = dir.check();
            self.violations.extend(found);
        }
        self.others = others;
    }
}
