//! The known name that a mistyped one may mean: [`nearest`] for the few names of settings, flags and files, [`similar_names`] for the
//! names of a configuration, of which there can be thousands.

use std::collections::BTreeSet;

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
        Some(longer.join(" or "))
    }
}

/// The names in `known` that differ from `unknown` by the fewest letters, at most two and not by half of them, each once, in
/// alphabetical order; two letters that are exchanged count once, and upper case is no difference.
fn most_similar<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let max = 2.min(unknown.chars().count().saturating_sub(1) / 2);
    let lower = unknown.to_lowercase();
    let others = known.into_iter().filter(|name| *name != unknown);
    let distances = others.map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name));
    let mut nearest = (max, BTreeSet::new());
    for (distance, name) in distances {
        if distance < nearest.0 {
            nearest = (distance, BTreeSet::new());
        }
        if distance == nearest.0 {
            nearest.1.insert(name);
        }
    }
    nearest.1
}

/// Names that [`similar_names`] proposes.
const MAX_PROPOSED: usize = 3;

/// The names that differ from `unknown` by the fewest letters, at most three: `htop or btop`; `None` when none is similar.
pub fn similar_names<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let similar = most_similar(unknown, known);
    let similar: Vec<_> = similar.into_iter().take(MAX_PROPOSED).collect();
    (!similar.is_empty()).then(|| similar.join(" or "))
}

/// The one of `names` that differs from `unknown` only in capitals and small letters.
pub fn with_other_capitals<'a>(
    unknown: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let mut names = names.into_iter();
    names.find(|name| name.eq_ignore_ascii_case(unknown))
}

/// Whether `unknown` may mean `known`: a few other letters, as for [`similar_names`], or the same word with something before or behind
/// it.
pub fn may_mean(unknown: &str, known: &str) -> bool {
    /// Letters of a word that says something.
    const MIN_LETTERS: usize = 4;
    let [short, long] = {
        let mut both = [unknown, known].map(str::to_lowercase);
        both.sort_by_key(String::len);
        both
    };
    let contains = short.len() >= MIN_LETTERS && long.contains(&short);
    contains || short == long || !most_similar(unknown, [known]).is_empty()
}

/// Whether `unknown` differs from `known` by one letter that is wrong, missing or too much, or by two that are exchanged; in
/// short words that says nothing.
pub fn is_slip(unknown: &str, known: &str) -> bool {
    /// Letters of the longer word, from which on one wrong letter leaves it recognisable.
    const MIN_LETTERS: usize = 4;
    let (unknown, known) = (unknown.to_lowercase(), known.to_lowercase());
    let letters = unknown.chars().count().max(known.chars().count());
    letters >= MIN_LETTERS && strsim::osa_distance(&unknown, &known) <= 1
}

/// Whether `unknown` differs from `known`, a name of many letters, by two that are wrong, missing or too much.
pub fn is_slip_of_long(unknown: &str, known: &str) -> bool {
    /// Letters from which on two wrong ones leave a name recognisable.
    const MIN_LETTERS: usize = 16;
    let (unknown, known) = (unknown.to_lowercase(), known.to_lowercase());
    known.chars().count() >= MIN_LETTERS && strsim::osa_distance(&unknown, &known) == 2
}

/// Whether the name `unknown` is `known` with one wrong letter, or two in a longer one, or the beginning of it or some of its
/// words. Dashes before a flag do not count.
pub fn is_typo(unknown: &str, known: &str) -> bool {
    let [unknown, known] = [unknown, known].map(|flag| flag.trim_start_matches('-'));
    let begins = |part: &str, whole: &str| part.len() > 1 && whole.starts_with(part);
    let ends = |part: &str, whole: &str| {
        let front = whole.strip_suffix(part);
        part.len() > 1 && front.is_some_and(|front| front.ends_with(['-', '_', '.']))
    };
    let is_part = |part: &str, whole: &str| begins(part, whole) || ends(part, whole);
    is_part(unknown, known)
        || is_part(known, unknown)
        || strsim::osa_distance(unknown, known) <= 2.min(known.len().max(3) / 3)
}

#[cfg(test)]
mod tests {
    use super::{is_slip, is_slip_of_long, is_typo, meant, nearest, similar_names};

    #[test]
    fn names_with_the_fewest_wrong_letters_are_proposed() {
        let known = ["htop", "btop", "http", "top", "htop"];
        let similar = |unknown| similar_names(unknown, known);
        assert_eq!(similar("htpo").as_deref(), Some("htop"));
        assert_eq!(similar("xtop").as_deref(), Some("btop or htop or top"));
        assert_eq!(similar("htopxx").as_deref(), Some("htop"));
        assert_eq!(similar("vi"), None);
        assert_eq!(similar_names("C", ["c", "d"]).as_deref(), Some("c"));
        assert_eq!(similar_names("ref", ["ref"]), None);
        assert_eq!(similar(""), None);
        let many = ["web1", "web2", "web3", "web4"];
        assert_eq!(
            similar_names("web0", many).as_deref(),
            Some("web1 or web2 or web3")
        );
    }

    #[test]
    fn a_typo_leaves_most_of_a_flag() {
        assert!(is_typo("--confg", "--config") && is_typo("--ye", "--yes"));
        assert!(is_typo("--hostnam", "--hostname") && is_typo("--ssh", "--ssh-key"));
        assert!(is_typo("--memmory", "--memory") && is_typo("--jbos", "--jobs"));
        for (other, flag) in [("rm", "firmware"), ("shell", "help"), ("keyboard", "board")] {
            assert!(!is_typo(other, flag), "{other}");
        }
        assert!(!is_typo("--bucket", "--quiet") && !is_typo("--x", "--yes"));
    }

    #[test]
    fn a_slip_changes_one_letter() {
        assert!(is_slip("Berln", "Berlin") && is_slip("en-us", "en_US"));
        assert!(is_slip("ebrlin", "Berlin") && is_slip("pkg", "pkgs"));
        assert!(!is_slip("Brln", "Berlin") && !is_slip("y", "yo"));
        assert!(is_slip_of_long(
            "PasswordAuthentification",
            "PasswordAuthentication"
        ));
        assert!(!is_slip_of_long("WantsMounts", "WantedMounts"));
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
