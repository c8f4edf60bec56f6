//! The known name that a mistyped one may mean: [`nearest`] for the few names of settings, flags and files, [`similar_names`] for the
//! names of a configuration, of which there can be thousands.

use std::collections::BTreeSet;

use crate::text::alternatives;

/// Below this similarity (Jaro-Winkler) a name is not suggested. clap's limit for flags, 0.7, finds `root` similar to `foo`.
const MIN_SIMILARITY: f64 = 0.75;

/// The name in `known` that is most similar to `unknown`; `None` when none is similar.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(unknown, name), name));
    let (similarity, name) = similarity.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (similarity > MIN_SIMILARITY).then_some(name)
}

/// The names in `known`, which are in lower case, that begin with `unknown`, if it has at least two letters: `rpi4 or rpi5`; otherwise
/// the most similar one.
pub fn meant<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
) -> Option<String> {
    let known = known.into_iter();
    let start = unknown.to_lowercase();
    let longer = |name: &&str| start.chars().count() > 1 && name.starts_with(&start);
    let longer: Vec<_> = known.clone().filter(longer).collect();
    if longer.is_empty() {
        nearest(unknown, known).map(str::to_owned)
    } else {
        Some(alternatives(&longer))
    }
}

/// How many letters of `unknown` and `known` differ; two that are exchanged count once, and upper case is no difference. With it, the
/// letters of the longer of both.
fn distance(unknown: &str, known: &str) -> (usize, usize) {
    let letters = unknown.chars().count().max(known.chars().count());
    let distance = strsim::osa_distance(&unknown.to_lowercase(), &known.to_lowercase());
    (distance, letters)
}

/// Names that [`similar_names`] proposes.
const MAX_PROPOSED: usize = 3;

/// The names that differ from `unknown` by the fewest letters, at most three: `btop, htop or top`; `None` when none has at most two other
/// letters, and at most a third.
pub fn similar_names<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let others = known.into_iter().filter(|name| *name != unknown);
    let others = others.map(|name| (distance(unknown, name), name));
    let similar = others.filter(|((wrong, letters), _)| *wrong <= 2.min(letters / 3));
    let similar: BTreeSet<(usize, &str)> =
        similar.map(|((wrong, _), name)| (wrong, name)).collect();
    let fewest = similar.first()?.0;
    let nearest = similar
        .into_iter()
        .take_while(|(wrong, _)| *wrong == fewest);
    let nearest: Vec<&str> = nearest.map(|(_, name)| name).take(MAX_PROPOSED).collect();
    Some(alternatives(&nearest))
}

/// Whether `unknown` is `known` with one letter that is wrong, missing or too much, or two that are exchanged; in short words that
/// says nothing, and a long one may have two such letters.
pub fn is_slip(unknown: &str, known: &str) -> bool {
    let (distance, letters) = distance(unknown, known);
    let may_differ = match letters {
        0..4 => 0,
        4..16 => 1,
        _ => 2,
    };
    distance <= may_differ
}

#[cfg(test)]
mod tests {
    use super::is_slip;
    use super::meant;
    use super::nearest;
    use super::similar_names;

    #[test]
    fn names_with_the_fewest_wrong_letters_are_proposed() {
        let known = ["htop", "btop", "http", "top", "htop"];
        let similar = |unknown| similar_names(unknown, known);
        assert_eq!(similar("htpo").as_deref(), Some("htop"));
        assert_eq!(similar("xtop").as_deref(), Some("btop, htop or top"));
        assert_eq!(similar("htopxx").as_deref(), Some("htop"));
        assert_eq!(similar("vi"), None);
        assert_eq!(similar_names("C", ["c", "d"]).as_deref(), Some("c"));
        assert_eq!(similar_names("ref", ["ref"]), None);
        assert_eq!(similar(""), None);
        let many = ["web1", "web2", "web3", "web4"];
        assert_eq!(
            similar_names("web0", many).as_deref(),
            Some("web1, web2 or web3")
        );
    }

    #[test]
    fn a_slip_changes_one_letter() {
        assert!(is_slip("Berln", "Berlin") && is_slip("en-us", "en_US"));
        assert!(is_slip("ebrlin", "Berlin") && is_slip("pkg", "pkgs"));
        assert!(!is_slip("Brln", "Berlin") && !is_slip("y", "yo"));
        assert!(is_slip(
            "PasswordAuthentification",
            "PasswordAuthentication"
        ));
        assert!(!is_slip("WantsMounts", "WantedMounts"));
    }

    #[test]
    fn only_similar_names_are_suggested() {
        let known = ["output", "nixpkgs", "builder-image"];
        assert_eq!(nearest("outptu", known), Some("output"));
        assert_eq!(nearest("builder_image", known), Some("builder-image"));
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(nearest("x", []), None);
        assert_eq!(meant("outptu", known).as_deref(), Some("output"));
        let boards = ["rpi4", "rpi5", "virt"];
        assert_eq!(meant("rpi", boards).as_deref(), Some("rpi4 or rpi5"));
        assert_eq!(meant("RPI", boards).as_deref(), Some("rpi4 or rpi5"));
        assert_eq!(meant("r", boards).as_deref(), nearest("r", boards));
    }
}
