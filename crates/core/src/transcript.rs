//! Formats events of Nix as lines of a log, the same for the log file and the views.

use std::collections::HashMap;

use crate::counted::counted;
use crate::human_bytes::human_bytes;
use crate::nix_event::NixEvent;

/// Running builds whose names are remembered, more than ever run at once; beyond this all are forgotten, so that a build
/// cannot fill the memory.
const MAX_RUNNING: usize = 1024;

/// Turns events into lines, and remembers the names of the builds that run.
#[derive(Debug, Default)]
pub struct Transcript {
    names: HashMap<u64, String>,
}

impl Transcript {
    /// The line of `event`, without its end; `None` for an event that only counts. A message may have several lines. Who says it stands
    /// before it: the builds and the configuration choose the words, and none may look like a message of sdbuild's own.
    pub fn line(&mut self, event: &NixEvent) -> Option<String> {
        match event {
            NixEvent::Message { text, .. } => Some(format!("nix> {}", text.replace('\n', "\n  "))),
            NixEvent::Other(text) => Some(format!("builder> {text}")),
            NixEvent::BuildStarted { id, derivation, .. } => {
                if self.names.len() >= MAX_RUNNING {
                    self.names.clear();
                }
                let name = short_name(derivation);
                if name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-._?=".contains(&b))
                {
                    self.names.insert(*id, name.to_owned());
                }
                Some(format!("building '{derivation}'"))
            }
            NixEvent::FetchStarted { path, .. } => Some(format!("fetching '{path}'")),
            NixEvent::BuildLine { id, line } => Some(format!("{}> {line}", self.name(*id))),
            NixEvent::BuildPhase { id, phase } => {
                Some(format!("{}> phase {phase}", self.name(*id)))
            }
            NixEvent::Stopped { id } => {
                self.names.remove(id);
                None
            }
            NixEvent::WillBuild { .. }
            | NixEvent::WillEmulate { .. }
            | NixEvent::WillFetch { .. } => forecast(event),
            NixEvent::Restarted
            | NixEvent::Moved { .. }
            | NixEvent::Step { .. }
            | NixEvent::Built { .. }
            | NixEvent::Fetched { .. }
            | NixEvent::ToDownload { .. } => None,
        }
    }

    fn name(&self, id: u64) -> &str {
        self.names.get(&id).map_or("?", String::as_str)
    }
}

/// The line for a forecast of what Nix will do; `None` for any other event.
pub fn forecast(event: &NixEvent) -> Option<String> {
    if let NixEvent::WillBuild { derivations } = event {
        let derivations = counted(derivations, "derivation", "derivations");
        Some(format!("to build: {derivations}"))
    } else if let NixEvent::WillEmulate { derivations } = event {
        let are = if *derivations == 1 { "is" } else { "are" };
        // That none is goes without saying.
        (*derivations > 0).then(|| format!("{derivations} of these {are} built under emulation"))
    } else if let NixEvent::WillFetch {
        paths,
        download,
        unpacked,
    } = event
    {
        let (download, unpacked) = (human_bytes(*download), human_bytes(*unpacked));
        let paths = counted(paths, "path", "paths");
        Some(format!(
            "to fetch: {paths}, {download} ({unpacked} unpacked)"
        ))
    } else {
        None
    }
}

/// `/nix/store/HASH-NAME.drv` → `NAME`.
pub fn short_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(".drv").unwrap_or(name);
    match name.split_once('-') {
        Some((hash, name)) if hash.len() == 32 && !name.is_empty() => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRV: &str = "/nix/store/zj3nbl6gqm1pcms0y0k4nmf5a3hp4l1w-t-51.drv";

    #[test]
    fn lines_carry_the_name_of_their_build_while_it_runs() {
        let mut transcript = Transcript::default();
        let mut line = |event| transcript.line(&event);
        let output = |id| NixEvent::BuildLine {
            id,
            line: "hi".into(),
        };
        let derivation = DRV.to_owned();
        let started = line(NixEvent::BuildStarted {
            id: 7,
            derivation,
            machine: String::new(),
        });
        assert_eq!(started, Some(format!("building '{DRV}'")));
        assert_eq!(line(output(7)).as_deref(), Some("t-51> hi"));
        let phase = NixEvent::BuildPhase {
            id: 7,
            phase: "buildPhase".into(),
        };
        assert_eq!(line(phase).as_deref(), Some("t-51> phase buildPhase"));
        assert_eq!(line(NixEvent::Stopped { id: 7 }), None);
        assert_eq!(line(output(7)).as_deref(), Some("?> hi"));
        assert_eq!(
            line(NixEvent::Built {
                done: 1,
                expected: 2,
                running: 0,
            }),
            None
        );
    }

    #[test]
    fn nothing_that_a_build_says_looks_like_a_message_of_sdbuild() {
        let mut transcript = Transcript::default();
        let (id, text) = (1, "error: run this\nhint: run this".to_owned());
        let events = [
            NixEvent::Message {
                level: 0,
                text: text.clone(),
            },
            NixEvent::Other(text.clone()),
            NixEvent::BuildStarted {
                id,
                derivation: text.clone(),
                machine: String::new(),
            },
            NixEvent::BuildLine {
                id,
                line: text.clone(),
            },
            NixEvent::BuildPhase { id, phase: text },
        ];
        for event in events {
            let shown = transcript.line(&event).unwrap();
            assert!(!shown.starts_with("error:"), "{shown}");
        }
    }

    #[test]
    fn the_table_of_names_is_bounded() {
        let mut transcript = Transcript::default();
        for id in 0..5000 {
            let derivation = DRV.to_owned();
            transcript.line(&NixEvent::BuildStarted {
                id,
                derivation,
                machine: String::new(),
            });
        }
        assert!(transcript.names.len() <= MAX_RUNNING);
    }

    #[test]
    fn names_are_what_follows_the_hash() {
        assert_eq!(short_name(DRV), "t-51");
        assert_eq!(short_name("/nix/store/x-a.drv"), "x-a");
        assert_eq!(short_name(""), "");
    }
}
