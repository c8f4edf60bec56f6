//! The known name that a mistyped one may mean.

/// Below this similarity (Jaro-Winkler) a name is not suggested; clap uses the same limit for flags.
const MIN_SIMILARITY: f64 = 0.7;

/// The name in `known` that is most similar to `unknown`; `None` when none is similar.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(unknown, name), name));
    let (similarity, name) = similarity.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (similarity > MIN_SIMILARITY).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_similar_names_are_suggested() {
        let known = ["output", "nixpkgs", "builder-image"];
        assert_eq!(nearest("outptu", known), Some("output"));
        assert_eq!(nearest("builder_image", known), Some("builder-image"));
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
