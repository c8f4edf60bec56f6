//! How far a boot came, for the user who waits.

use std::time::{Duration, Instant};

use crate::boot::diagnosis;
use crate::boot::login::is_refusal;
use crate::common::event::{Events, Phase};

/// What a boot is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// A login over SSH.
    Login,
    /// The prompt of a login on the console.
    Prompt,
}

impl Awaited {
    /// What is waited for, and how long, for users.
    fn until(self, limit: Duration) -> String {
        let what = match self {
            Self::Login => "until a login over SSH succeeds",
            Self::Prompt => "until the console asks for a login",
        };
        format!("{what}, {} s at most", limit.as_secs())
    }
}

/// Reports each part of the boot as soon as the console shows it.
#[derive(Debug)]
pub(super) struct BootProgress<'a> {
    events: &'a Events,
    awaited: Awaited,
    /// What the boot is waited for, and how long.
    until: String,
    /// The number of the last part that was shown.
    reached: Option<usize>,
    /// When the console first asked for a login.
    prompt: Option<Instant>,
    /// Whether the SSH server refused the key when it was last tried.
    is_refused: bool,
}

impl<'a> BootProgress<'a> {
    /// Reports that the machine was started, and what is waited for, within this limit.
    pub(super) fn new(events: &'a Events, awaited: Awaited, limit: Duration) -> Self {
        let until = awaited.until(limit);
        events.detail(Phase::Boot, until.clone());
        Self {
            events,
            awaited,
            until,
            reached: None,
            prompt: None,
            is_refused: false,
        }
    }

    /// The machine starts once more: every part is new again.
    pub(super) fn begin_again(&mut self) {
        (self.reached, self.prompt, self.is_refused) = (None, None, false);
        let text = self.until.clone();
        self.events.detail(Phase::Boot, text);
    }

    /// How long the console has been asking for a login.
    pub(super) fn since_prompt(&self) -> Option<Duration> {
        self.prompt.map(|prompt| prompt.elapsed())
    }

    /// Looks at the `error` of the last login that was tried: a server that refuses the key may get it while it starts.
    pub(super) fn look_at_login(&mut self, error: Option<&str>) {
        let is_refused = error.is_some_and(is_refusal);
        if is_refused && !self.is_refused {
            let text = format!(
                "the SSH server refuses the key, trying again · {}",
                self.until
            );
            self.events.detail(Phase::Boot, text);
        }
        self.is_refused = is_refused;
    }

    /// Looks at lines of the console. A boot loader that starts again, and what the kernel repeats, are nothing new.
    pub(super) fn look<'b>(&mut self, lines: impl IntoIterator<Item = &'b String>) {
        let parts = lines.into_iter().filter_map(|line| {
            if diagnosis::is_prompt(line) {
                self.prompt.get_or_insert_with(Instant::now);
            }
            diagnosis::part(line)
        });
        let Some((number, what)) = parts.max() else {
            return;
        };
        if self.reached.is_none_or(|reached| reached < number) {
            self.reached = Some(number);
            // Otherwise it looks as if the machine were ready.
            let is_early = self.awaited == Awaited::Login && self.prompt.is_some();
            let more = if is_early {
                ", SSH does not answer yet"
            } else {
                ""
            };
            let text = format!("{what}{more} · {}", self.until);
            self.events.detail(Phase::Boot, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::common::event::Event;

    const LIMIT: Duration = Duration::from_secs(180);
    const UNTIL_LOGIN: &str = "until a login over SSH succeeds, 180 s at most";

    /// What is emitted, and the events for it.
    fn recorded() -> (Arc<Mutex<Vec<Event>>>, Events) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let events = Events::new(move |event| sink.lock().unwrap().push(event));
        (told, events)
    }

    fn texts(told: &[Event]) -> Vec<&str> {
        let texts = told.iter().filter_map(|event| {
            let Event::Detail(Phase::Boot, text) = event else {
                return None;
            };
            Some(text.as_str())
        });
        texts.collect()
    }

    #[test]
    fn the_firmware_of_a_pc_is_a_part_of_its_boot() {
        let (told, events) = recorded();
        let mut progress = BootProgress::new(&events, Awaited::Prompt, LIMIT);
        progress.look(&[include_str!("diagnosis/pc.txt").to_owned()]);
        let until = "until the console asks for a login, 180 s at most";
        let firmware = format!("the firmware is looking for a system · {until}");
        assert_eq!(texts(&told.lock().unwrap()), [until, &firmware]);
    }

    #[test]
    fn a_server_that_refuses_the_key_is_told_once() {
        let (told, events) = recorded();
        let mut progress = BootProgress::new(&events, Awaited::Login, LIMIT);
        progress.look_at_login(None);
        progress.look_at_login(Some("Connection refused"));
        for _ in 0..2 {
            progress.look_at_login(Some("root@127.0.0.1: Permission denied (publickey)."));
        }
        let refused = format!("the SSH server refuses the key, trying again · {UNTIL_LOGIN}");
        assert_eq!(texts(&told.lock().unwrap()), [UNTIL_LOGIN, &refused]);
    }

    #[test]
    fn each_part_of_a_boot_is_reported_once_and_in_order() {
        let (told, events) = recorded();
        let mut progress = BootProgress::new(&events, Awaited::Login, LIMIT);
        let console = include_str!("diagnosis/login.txt");
        for line in console.lines().map(str::to_owned) {
            progress.look([&line]);
            progress.look([&line]);
        }
        assert!(progress.since_prompt().is_some());
        progress.begin_again();
        assert_eq!(progress.since_prompt(), None);
        let told = told.lock().unwrap();
        let parts = texts(&told).into_iter();
        let parts = parts.map(|text| text.strip_suffix(UNTIL_LOGIN).unwrap());
        assert_eq!(
            parts.collect::<Vec<_>>(),
            [
                "",
                "U-Boot is looking for a system · ",
                "U-Boot has started the kernel · ",
                "the kernel starts · ",
                "stage 1 looks for the root file system · ",
                "the system starts · ",
                "the console asks for a login, SSH does not answer yet · ",
                "",
            ]
        );
    }
}
