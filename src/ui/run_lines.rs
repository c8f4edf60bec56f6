//! The lines about a run that stay on the screen: its header, the phases that ended, and the image. Pure.

use std::time::Duration;

use console::measure_text_width;

use crate::common::event::{ImageDone, Phase, RunSummary};
use crate::ui::colour::Paint;
use crate::ui::frame::{NAME_COLUMNS, line};
use crate::ui::layout::NARROW;
use crate::ui::sanitize::sanitize_line;
use crate::ui::words;

/// What separates the parts of a line.
const SEPARATOR: &str = " · ";
/// A phase that took less has no line on a terminal.
const MIN_SHOWN: Duration = Duration::from_millis(100);
/// The same for cleaning up, which is not part of the work.
const MIN_CLEAN_UP_SHOWN: Duration = Duration::from_secs(1);

/// The form of the lines.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// For a terminal of this many columns.
    Columns(usize),
    /// For a log or a program: no columns, no marks.
    Plain,
}

/// The first line: the version, `sd-card.nix → aarch64-linux`, `Docker 28.5 on this machine` and `nixpkgs 26.05`, broken
/// between these parts.
pub(super) fn header(run: &RunSummary, form: Form, paint: Paint) -> Vec<String> {
    let [configuration, system, engine, nixpkgs] =
        [&run.configuration, &run.system, &run.engine, &run.nixpkgs]
            .map(|text| sanitize_line(text));
    let name = format!("sdbuild {}", env!("CARGO_PKG_VERSION"));
    let columns = match form {
        Form::Columns(columns) => columns.saturating_sub(1),
        Form::Plain => usize::MAX,
    };
    let mut lines = vec![paint.strong(&name)];
    for part in [
        format!("{configuration} → {system}"),
        engine,
        format!("nixpkgs {nixpkgs}"),
    ] {
        match lines.last_mut() {
            Some(last) if measure_text_width(last) + 3 + measure_text_width(&part) <= columns => {
                last.push_str(SEPARATOR);
                last.push_str(&part);
            }
            Some(_) | None => lines.push(format!("  {part}")),
        }
    }
    if matches!(form, Form::Columns(_)) {
        lines.push(String::new());
    }
    lines
}

/// The line about a phase that succeeded; `None` if it took no time, unless `all` phases are shown, and for
/// [`Phase::Measure`], whose result follows.
pub(super) fn succeeded(
    phase: Phase,
    took: Duration,
    outcome: Option<&str>,
    all: bool,
    form: Form,
    paint: Paint,
) -> Option<String> {
    if phase == Phase::Measure && !all {
        return None;
    }
    let (name, time) = (words::phase(phase), words::duration(took));
    let outcome = outcome.map(sanitize_line);
    let Form::Columns(columns) = form else {
        let outcome = outcome.map(|text| format!(" ({text})")).unwrap_or_default();
        return Some(format!("{name}: done in {time}{outcome}"));
    };
    let outcome = outcome.unwrap_or_default();
    let text = columned(
        &paint.good("✓"),
        name,
        &paint.faint(&outcome),
        columns,
        paint,
    );
    let min = if phase == Phase::Release {
        MIN_CLEAN_UP_SHOWN
    } else {
        MIN_SHOWN
    };
    // That a card was read back has to be seen, however little time it took.
    let all = all || phase == Phase::Verify;
    (all || took >= min).then(|| line(&text, &time, columns))
}

/// The line about a phase that failed.
pub(super) fn failed(phase: Phase, took: Duration, form: Form, paint: Paint) -> String {
    let (name, time) = (words::phase(phase), words::duration(took));
    match form {
        Form::Columns(columns) => {
            let text = columned(&paint.bad("✗"), name, "failed", columns, paint);
            line(&text, &time, columns)
        }
        Form::Plain => format!("{name}: failed after {time}"),
    }
}

fn columned(mark: &str, name: &str, text: &str, columns: usize, paint: Paint) -> String {
    let wide = if columns < NARROW { 0 } else { NAME_COLUMNS };
    let name = paint.strong(&format!("{name:<wide$}"));
    format!(" {mark} {name}  {text}").trim_end().to_owned()
}

/// The lines about the image: its path and sizes, and how to go on.
pub(super) fn image(image: &ImageDone, form: Form, paint: Paint) -> Vec<String> {
    let path = sanitize_line(&image.shown);
    let mut facts = words::human_bytes(image.size);
    if image.raw_size != image.size {
        facts.extend([", ", &words::human_bytes(image.raw_size), " ", image.raw]);
    }
    if image.up_to_date {
        facts.extend([SEPARATOR, "up to date"]);
    }
    let facts = [facts, words::duration(image.took)].join(SEPARATOR);
    let Form::Columns(columns) = form else {
        let facts = format!("{facts}, SHA-256 {}", image.sha256);
        return vec![if image.path_follows {
            format!("image: {facts}")
        } else {
            format!("image: {path} ({facts})")
        }];
    };
    let fits = |text: &str| measure_text_width(text) < columns;
    let mark = paint.good("✓");
    let path = paint.strong(&path);
    let one = format!(" {mark} {path}{SEPARATOR}{facts}");
    let mut lines = vec![String::new()];
    if fits(&one) {
        lines.push(one);
    } else {
        lines.push(format!(" {mark} {path}"));
        let whole = format!("   {facts}");
        if fits(&whole) {
            lines.push(whole);
        } else {
            lines.extend(facts.split(SEPARATOR).map(|fact| format!("   {fact}")));
        }
    }
    let next = image.next.iter();
    let next: Vec<_> = next
        .map(|(command, to)| (sanitize_line(command), to))
        .collect();
    let wide = next
        .iter()
        .map(|(command, _)| command.len())
        .max()
        .unwrap_or(0);
    let labels = std::iter::once("next").chain(std::iter::repeat("    "));
    for (label, (command, purpose)) in labels.zip(&next) {
        let start = format!("   {}  ", paint.faint(label));
        let full = format!(
            "{start}{}   {purpose}",
            paint.active(&format!("{command:<wide$}"))
        );
        // A command must stay one line.
        lines.push(if fits(&full) {
            full
        } else {
            format!("{start}{}", paint.active(command))
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint(false);

    fn summary() -> RunSummary {
        RunSummary {
            configuration: "sd-card.nix".into(),
            system: "aarch64-linux".into(),
            engine: "Docker 28.5 on this machine".into(),
            nixpkgs: "26.05".into(),
        }
    }

    #[test]
    fn header_breaks_between_its_parts() {
        let header = |form| header(&summary(), form, PLAIN);
        let version = env!("CARGO_PKG_VERSION");
        let one = format!(
            "sdbuild {version} · sd-card.nix → aarch64-linux · Docker 28.5 on this machine · nixpkgs 26.05"
        );
        assert_eq!(header(Form::Plain), std::slice::from_ref(&one));
        assert_eq!(header(Form::Columns(120)), [one, String::new()]);
        assert_eq!(
            header(Form::Columns(40)),
            [
                format!("sdbuild {version}"),
                "  sd-card.nix → aarch64-linux".into(),
                "  Docker 28.5 on this machine".into(),
                "  nixpkgs 26.05".into(),
                String::new(),
            ]
        );
    }

    #[test]
    fn phase_without_duration_has_no_line_on_a_terminal() {
        let phase_shown = |phase, millis, all, form| {
            let took = Duration::from_millis(millis);
            succeeded(phase, took, Some("41 MB"), all, form, PLAIN)
        };
        let shown = |millis, all, form| phase_shown(Phase::Fetch, millis, all, form);
        let columns = Form::Columns(40);
        assert_eq!(shown(40, false, columns), None);
        assert!(shown(40, true, columns).is_some());
        assert!(phase_shown(Phase::Verify, 40, false, columns).is_some());
        assert_eq!(
            shown(3400, false, columns).unwrap(),
            " ✓ Downloads  41 MB               3.4 s"
        );
        assert_eq!(
            shown(40, false, Form::Plain).unwrap(),
            "Downloads: done in 0.0 s (41 MB)"
        );
    }

    #[test]
    fn measuring_is_shown_only_while_it_lasts() {
        let shown = |all, form| {
            let took = Duration::from_secs(40);
            succeeded(Phase::Measure, took, None, all, form, PLAIN)
        };
        assert_eq!(shown(false, Form::Columns(40)), None);
        assert_eq!(shown(false, Form::Plain), None);
        assert!(shown(true, Form::Plain).is_some());
    }

    fn done() -> ImageDone {
        ImageDone {
            path: "/pi/out/pi.img.zst".into(),
            shown: "out/pi.img.zst".into(),
            size: 1_100_000_000,
            raw_size: 3_400_000_000,
            raw: "on the card",
            sha256: "ab".into(),
            took: Duration::from_secs(401),
            up_to_date: false,
            path_follows: false,
            next: vec![
                ("sdbuild boot".into(), "see it start"),
                ("sdbuild flash".into(), "write it to a card"),
            ],
        }
    }

    #[test]
    fn image_that_is_no_card_is_unpacked() {
        let archive = ImageDone {
            raw: "unpacked",
            ..done()
        };
        let lines = image(&archive, Form::Plain, Paint(false));
        assert!(lines[0].contains("1.1 GB, 3.4 GB unpacked · "), "{lines:?}");
    }

    #[test]
    fn image_line_leaves_out_a_path_that_follows() {
        let path_follows = ImageDone {
            path_follows: true,
            ..done()
        };
        assert_eq!(
            image(&path_follows, Form::Plain, PLAIN),
            ["image: 1.1 GB, 3.4 GB on the card · 6 min 41 s, SHA-256 ab"]
        );
    }

    #[test]
    fn image_is_followed_by_commands_to_go_on_with() {
        let done = done();
        assert_eq!(
            image(&done, Form::Columns(80), PLAIN),
            [
                "",
                " ✓ out/pi.img.zst · 1.1 GB, 3.4 GB on the card · 6 min 41 s",
                "   next  sdbuild boot    see it start",
                "         sdbuild flash   write it to a card",
            ]
        );
        assert_eq!(
            image(&done, Form::Columns(40), PLAIN),
            [
                "",
                " ✓ out/pi.img.zst",
                "   1.1 GB, 3.4 GB on the card",
                "   6 min 41 s",
                "   next  sdbuild boot    see it start",
                "         sdbuild flash",
            ]
        );
        let same = ImageDone {
            up_to_date: true,
            ..done.clone()
        };
        let hostile = ImageDone {
            shown: "a\u{1b}[2J.img".into(),
            next: vec![("sdbuild boot 'a\u{1b}[2J.img'".into(), "see it start")],
            ..done.clone()
        };
        let lines = image(&hostile, Form::Columns(80), PLAIN);
        assert!(!lines.concat().contains('\u{1b}'), "{lines:?}");
        let line = image(&same, Form::Columns(80), PLAIN).remove(1);
        assert!(
            line.ends_with("3.4 GB on the card · up to date · 6 min 41 s"),
            "{line}"
        );
        assert_eq!(
            image(&done, Form::Plain, PLAIN),
            ["image: out/pi.img.zst (1.1 GB, 3.4 GB on the card · 6 min 41 s, SHA-256 ab)"]
        );
    }
}
