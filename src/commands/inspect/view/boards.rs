//! What `inspect` shows of the boards: those that the image has all for, and what the others lack.

use sdbuild_image::boards::BoardReport;

/// Boards that have little to lack: an image for no real one has all for them.
const GENERAL: [&str; 3] = ["other", "virt", "pc"];

/// Lines with their labels. Only those that are verbose say what several boards lack, if there are boards that lack nothing, besides the general ones.
pub(super) fn lines(reports: &[BoardReport], is_verbose: bool) -> Vec<(String, String)> {
    if reports.is_empty() {
        return Vec::new();
    }
    let complete = reports.iter().filter(|report| report.complete);
    let complete: Vec<&str> = complete.map(|report| report.board).collect();
    let mut lines = vec![(
        "boards".to_owned(),
        match complete.as_slice() {
            [] => "no board has everything it needs to boot".to_owned(),
            names => format!(
                "everything needed to boot is there for {}",
                names.join(", ")
            ),
        },
    )];
    let gaps = by_missing(reports);
    let is_for_a_board = complete.iter().any(|board| !GENERAL.contains(board));
    if gaps.len() > 1 && is_for_a_board && !is_verbose {
        let boards = gaps.iter().flat_map(|(boards, _)| boards.iter().copied());
        let boards: Vec<&str> = boards.collect();
        let text = format!(
            "not for {}; `inspect -v` says what each lacks",
            boards.join(", ")
        );
        lines.push((String::new(), text));
    } else {
        lines.extend(gaps.into_iter().map(|(boards, missing)| {
            let text = format!("not for {}: the image lacks {missing}", boards.join(", "));
            (String::new(), text)
        }));
    }
    for report in reports
        .iter()
        .filter(|report| report.complete || report.config_txt.is_some())
    {
        let notes = report
            .notes
            .iter()
            .map(|note| format!("{}: {note}", report.board));
        lines.extend(notes.map(|note| ("note".to_owned(), note)));
    }
    lines.extend(config_txt(reports));
    lines
}

/// What is missing, and the boards that all lack it.
fn by_missing(reports: &[BoardReport]) -> Vec<(Vec<&'static str>, String)> {
    let incomplete = reports.iter().filter(|report| !report.complete);
    grouped(incomplete.map(|report| (report.board, report.missing.join("; "))))
}

/// What `config.txt` sets, once for the boards on which that is the same.
fn config_txt(reports: &[BoardReport]) -> Vec<(String, String)> {
    let settings = |report: &BoardReport| {
        let settings = report.config_txt.as_ref().filter(|all| !all.is_empty());
        Some((report.board, settings?.join(", ")))
    };
    let groups = grouped(reports.iter().filter_map(settings)).into_iter();
    groups
        .map(|(boards, settings)| {
            let text = format!("{}: {settings}", boards.join(", "));
            ("config.txt".to_owned(), text)
        })
        .collect()
}

/// Each text once, with the boards that have it.
fn grouped(
    texts: impl Iterator<Item = (&'static str, String)>,
) -> Vec<(Vec<&'static str>, String)> {
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for (board, text) in texts {
        match groups.iter_mut().find(|(_, other)| *other == text) {
            Some((boards, _)) => boards.push(board),
            None => groups.push((vec![board], text)),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(board: &'static str, missing: &[&str], config: Option<&str>) -> BoardReport {
        BoardReport {
            board,
            title: board,
            complete: missing.is_empty(),
            missing: missing.iter().map(|&text| text.to_owned()).collect(),
            notes: vec!["a note".to_owned()],
            config_txt: config.map(|text| vec![text.to_owned()]),
        }
    }

    #[test]
    fn boards_with_the_same_gap_share_a_line() {
        let all = [
            report("rpi3", &[], Some("kernel=a")),
            report("rpi4", &["start4.elf", "a tree"], Some("kernel=b")),
            report("rpi02", &[], Some("kernel=a")),
            report("rock64", &["U-Boot"], None),
            report("pine64", &["U-Boot"], None),
        ];
        let shown = |reports: &[BoardReport], is_verbose| -> Vec<String> {
            let shown = lines(reports, is_verbose);
            let shown = shown.iter().map(|(label, text)| format!("{label}|{text}"));
            shown.collect()
        };
        assert_eq!(
            shown(&all, true),
            [
                "boards|everything needed to boot is there for rpi3, rpi02",
                "|not for rpi4: the image lacks start4.elf; a tree",
                "|not for rock64, pine64: the image lacks U-Boot",
                "note|rpi3: a note",
                "note|rpi4: a note",
                "note|rpi02: a note",
                "config.txt|rpi3, rpi02: kernel=a",
                "config.txt|rpi4: kernel=b",
            ]
        );
        let short = shown(&all, false);
        let line = "|not for rpi4, rock64, pine64; `inspect -v` says what each lacks";
        assert_eq!((short.len(), short[1].as_str()), (7, line));
        // One line is short enough, and whose image is for no board wants to know.
        let one_gap = shown(&all[2..], false);
        assert_eq!(
            one_gap[1],
            "|not for rock64, pine64: the image lacks U-Boot"
        );
        let none = [all[1].clone(), all[3].clone()];
        assert_eq!(
            shown(&none, false)[2],
            "|not for rock64: the image lacks U-Boot"
        );
        let general = [report("virt", &[], None), all[1].clone(), all[3].clone()];
        let shown = shown(&general, false);
        assert_eq!(shown[2], "|not for rock64: the image lacks U-Boot");
        assert!(lines(&[], false).is_empty());
    }
}
