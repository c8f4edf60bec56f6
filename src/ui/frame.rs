//! The live view of a terminal as lines: the phase, and what is built and fetched now. Pure.

use std::time::Duration;

use console::{measure_text_width, truncate_str};

use crate::ui::sanitize::sanitize;
use crate::ui::state::{Activity, Kind, State};
use crate::ui::words;

/// Lines that the view takes at most, however high the terminal is.
const MOST_LINES: usize = 12;
/// One picture of the wheel that shows that we are alive.
pub(super) const TURN: Duration = Duration::from_millis(125);
const WHEEL: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Width and height of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The view of `state` as it is `at`; empty between two phases. No line is as wide as the terminal, and
/// all together take half of its height at most.
pub(super) fn frame(state: &State, at: Duration, size: Size) -> Vec<String> {
    let Some((phase, since)) = state.phase() else {
        return Vec::new();
    };
    let turn = usize::try_from(at.as_millis() / TURN.as_millis()).unwrap_or(0);
    let wheel = WHEEL.get(turn % WHEEL.len()).copied().unwrap_or(' ');
    let how_far = state.how_far().map(|text| format!(": {text}"));
    let head = format!(
        "{wheel} {}{}",
        words::phase(phase),
        how_far.unwrap_or_default()
    );
    let elapsed = |since| words::seconds(at.saturating_sub(since));
    let mut lines = vec![line(&head, &elapsed(since), size.columns)];
    let room = (size.rows / 2).clamp(1, MOST_LINES) - 1;
    let all = state.active().count();
    let shown = if all > room {
        room.saturating_sub(1)
    } else {
        all
    };
    for activity in of_kind(state, Kind::Build)
        .chain(of_kind(state, Kind::Fetch))
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

fn of_kind(state: &State, kind: Kind) -> impl Iterator<Item = &Activity> {
    let active = state.active().map(|(_, activity)| activity);
    active.filter(move |activity| activity.kind == kind)
}

/// What an activity is at: its name, the builder's phase, its last line or how much it has moved.
pub(super) fn doing(activity: &Activity) -> String {
    let Activity {
        kind,
        name,
        phase,
        last,
        moved,
        ..
    } = activity;
    let downloads = *kind == Kind::Fetch || moved.is_some() && phase.is_none() && last.is_none();
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

/// `text`, cut to leave room for `right` at the right edge; less than `columns` wide.
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
    fn nothing_is_shown_between_phases() {
        assert!(shown(&State::default(), 80, 24).is_empty());
    }

    #[test]
    fn every_activity_has_a_line_with_its_time() {
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
    fn what_has_no_room_is_counted() {
        let events: Vec<_> = (0..40).map(|id| began(id, "p")).collect();
        let lines = shown(&building(&events), 40, 15);
        assert_eq!(lines.len(), 7);
        assert_eq!(lines.last().unwrap(), "  and 35 more");
        assert_eq!(shown(&building(&events), 80, 2).len(), 1);
        assert_eq!(shown(&building(&events), 80, 1000).len(), MOST_LINES);
    }

    #[test]
    fn no_line_reaches_the_edge_and_none_drives_the_terminal() {
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
