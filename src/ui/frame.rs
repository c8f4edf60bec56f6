//! Renders the live view as lines: the phase, and the builds and downloads in progress. Pure.

use std::time::Duration;

use console::{measure_text_width, truncate_str};

use crate::ui::sanitize::sanitize;
use crate::ui::state::{Activity, ActivityKind, State};
use crate::ui::words;

/// Maximum height of the live view in lines, on any terminal.
const MAX_LINES: usize = 12;
/// Time between two frames of the spinner.
pub(super) const SPINNER_INTERVAL: Duration = Duration::from_millis(125);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Width and height of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The live view of `state` at the time `at`; empty between two phases. Each line is narrower than the terminal, and
/// all lines together take at most half of its height.
pub(super) fn frame(state: &State, at: Duration, size: Size) -> Vec<String> {
    let Some((phase, since)) = state.phase() else {
        return Vec::new();
    };
    let tick = usize::try_from(at.as_millis() / SPINNER_INTERVAL.as_millis()).unwrap_or(0);
    let spinner = SPINNER.get(tick % SPINNER.len()).copied().unwrap_or(' ');
    let progress = state.progress().map(|text| format!(": {text}"));
    let head = format!(
        "{spinner} {}{}",
        words::phase(phase),
        progress.unwrap_or_default()
    );
    let elapsed = |since| words::seconds(at.saturating_sub(since));
    let mut lines = vec![line(&head, &elapsed(since), size.columns)];
    let room = (size.rows / 2).clamp(1, MAX_LINES) - 1;
    let all = state.active().count();
    let shown = if all > room {
        room.saturating_sub(1)
    } else {
        all
    };
    for activity in of_kind(state, ActivityKind::Build)
        .chain(of_kind(state, ActivityKind::Fetch))
        .take(shown)
    {
        let text = format!("  {}", doing(activity));
        lines.push(line(&text, &elapsed(activity.since), size.columns));
    }
    if all > shown && room > 0 {
        lines.push(line(
            &format!("  and {} more", all - shown),
            "",
            size.columns,
        ));
    }
    lines
}

fn of_kind(state: &State, kind: ActivityKind) -> impl Iterator<Item = &Activity> {
    let active = state.active().map(|(_, activity)| activity);
    active.filter(move |activity| activity.kind == kind)
}

/// One line about an activity: its name, the builder's phase, and the last log line or the bytes downloaded.
pub(super) fn doing(activity: &Activity) -> String {
    let Activity {
        kind,
        name,
        phase,
        last,
        moved,
        ..
    } = activity;
    let downloads =
        *kind == ActivityKind::Fetch || moved.is_some() && phase.is_none() && last.is_none();
    let verb = if downloads { "fetching" } else { "building" };
    let phase = phase.as_ref().map(|phase| format!(" ({phase})"));
    let at = match (moved, last) {
        (Some((done, 0)), _) if downloads => words::human_bytes(*done),
        (Some((done, all)), _) if downloads => {
            format!(
                "{} of {}",
                words::human_bytes(*done),
                words::human_bytes(*all)
            )
        }
        (_, Some(last)) => last.split_whitespace().collect::<Vec<_>>().join(" "),
        _ => String::new(),
    };
    let colon = if at.is_empty() { "" } else { ": " };
    format!("{verb} {name}{}{colon}{at}", phase.unwrap_or_default())
}

/// A line narrower than `columns`: `text`, truncated, and `right` aligned at the right edge.
fn line(text: &str, right: &str, columns: usize) -> String {
    let text = sanitize(text).replace('\n', " ");
    let wide = columns.saturating_sub(1);
    if wide == 0 {
        return String::new();
    }
    let rest = wide.saturating_sub(right.len() + 1);
    if right.is_empty() || rest < 16 {
        return truncate_str(&text, wide, "…").into_owned();
    }
    let text = truncate_str(&text, rest, "…");
    let gap = rest.saturating_sub(measure_text_width(&text)) + 1;
    format!("{text}{:gap$}{right}", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::event::{Event, NixEvent, Phase};

    fn building(events: &[NixEvent]) -> State {
        let mut state = State::default();
        state.apply(&Event::Started(Phase::Build), Duration::ZERO);
        for event in events {
            state.apply(&Event::Nix(event.clone()), Duration::from_secs(60));
        }
        state
    }

    fn began(id: u64, name: &str) -> NixEvent {
        let derivation = format!("/nix/store/{}-{name}.drv", "a".repeat(32));
        NixEvent::BuildStarted { id, derivation }
    }

    fn shown(state: &State, columns: usize, rows: usize) -> Vec<String> {
        frame(state, Duration::from_secs(62), Size { columns, rows })
    }

    #[test]
    fn view_is_empty_between_phases() {
        assert!(shown(&State::default(), 80, 24).is_empty());
    }

    #[test]
    fn each_activity_has_a_line_with_its_time() {
        let line = "  gcc   -c\ta.c".to_owned();
        let state = building(&[
            began(1, "kernel"),
            NixEvent::FetchStarted {
                id: 2,
                path: "/nix/store/x".into(),
            },
            NixEvent::Moved {
                id: 2,
                done: 1_000_000,
                expected: 2_000_000,
            },
            NixEvent::BuildPhase {
                id: 1,
                phase: "buildPhase".into(),
            },
            NixEvent::BuildLine { id: 1, line },
            NixEvent::Built {
                done: 3,
                expected: 62,
            },
            began(3, "b.deb"),
            NixEvent::Moved {
                id: 3,
                done: 1_000_000,
                expected: 0,
            },
        ]);
        assert_eq!(
            shown(&state, 60, 24),
            [
                "⠦ build with Nix: built 3/62                     1 min 02 s",
                "  building kernel (buildPhase): gcc -c a.c              2 s",
                "  fetching b.deb: 1.0 MB                                2 s",
                "  fetching x: 1.0 MB of 2.0 MB                          2 s",
            ]
        );
    }

    #[test]
    fn activities_without_room_are_counted() {
        let events: Vec<_> = (0..40).map(|id| began(id, "p")).collect();
        let lines = shown(&building(&events), 40, 15);
        assert_eq!(lines.len(), 7);
        assert_eq!(lines.last().unwrap(), "  and 35 more");
        assert_eq!(shown(&building(&events), 80, 2).len(), 1);
        assert_eq!(shown(&building(&events), 80, 1000).len(), MAX_LINES);
    }

    #[test]
    fn lines_fit_the_width_and_hold_no_control_characters() {
        let line = "\u{1b}[2J漢字漢字 wide ".repeat(40);
        let state = building(&[
            began(1, &"n".repeat(100)),
            NixEvent::BuildLine { id: 1, line },
        ]);
        for columns in 0..100 {
            for line in shown(&state, columns, 24) {
                assert!(
                    measure_text_width(&line) <= columns.saturating_sub(1),
                    "{columns}: {line}"
                );
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }
}
