//! The output of a successful build: the store path of the result, and its derivation. Pure.

use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::hash::Sha256Hash;

/// The store path and its derivation from the builder's output, a line each. A build failure when `lines` are something else.
pub fn result(lines: &[String]) -> Result<(String, String), Failure> {
    match lines {
        [line, deriver] if is_store_path(line) && is_derivation(deriver) => {
            Ok((line.clone(), deriver.clone()))
        }
        lines => Err(Failure::message(
            Class::Build,
            format!(
                "the builder printed {} lines instead of a store path and its derivation",
                lines.len()
            ),
        )
        .hint("the attribute must be a single derivation with a single output")),
    }
}

/// Whether `text` is the store path of a derivation.
pub fn is_derivation(text: &str) -> bool {
    let stem = text.strip_suffix(".drv");
    stem.is_some_and(is_store_path)
}

/// Whether `text` is a store path: `/nix/store/`, a hash of 32 characters, a dash, a name of at most 211 characters.
pub fn is_store_path(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("/nix/store/") else {
        return false;
    };
    let Some((hash, name)) = rest.split_once('-') else {
        return false;
    };
    let is_hash_char = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    let is_name_char = |b: u8| b.is_ascii_alphanumeric() || b"+._?=-".contains(&b);
    hash.len() == 32
        && hash.bytes().all(is_hash_char)
        && (1..=211).contains(&name.len())
        && name.bytes().all(is_name_char)
}

/// The digits of Nix's base 32.
const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
/// Bytes of the hash in a store path.
const HASH_BYTES: usize = 20;

/// The name in the store of files with this SHA-256 of their NAR, as the source of a flake: `HASH-source`.
pub fn source_name(nar: Sha256Hash) -> String {
    let fingerprint = format!("source:sha256:{nar}:/nix/store:source");
    let mut folded = [0_u8; HASH_BYTES];
    let digest = <[u8; 32]>::from(Sha256Hash::of(fingerprint.as_bytes()));
    for (at, byte) in digest.into_iter().enumerate() {
        if let Some(place) = folded.get_mut(at % HASH_BYTES) {
            *place ^= byte;
        }
    }
    // Five bits a digit, the last ones first.
    let bit = |at: usize| folded.get(at / 8).map_or(0, |byte| byte >> (at % 8) & 1);
    let digits = (0..HASH_BYTES * 8 / 5).rev().map(|digit| {
        let value = (0..5).fold(0, |value, n| value | usize::from(bit(digit * 5 + n)) << n);
        DIGITS.get(value).map_or('0', |digit| char::from(*digit))
    });
    digits.chain("-source".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_source_is_that_of_nix() {
        let nar = "fd809b1fe76609b624dcaef9690439ee8166197f076de07d643f45b392b41796";
        assert_eq!(
            source_name(nar.parse().unwrap()),
            "pzp24q1yi6vq572lnzs5ha2a8xnsrkxf-source"
        );
    }

    #[test]
    fn a_result_is_one_store_path_and_its_derivation() {
        let good = format!("/nix/store/{}-nixos.img", "a".repeat(32));
        let derivation = format!("{good}.drv");
        let of = |lines: &[&String]| result(&lines.iter().copied().cloned().collect::<Vec<_>>());
        let both = (good.clone(), derivation.clone());
        assert_eq!(of(&[&good, &derivation]).unwrap(), both);
        for lines in [
            vec![],
            vec![good.clone()],
            vec![good.clone(), good.clone()],
            vec![format!("{good}/../x")],
        ] {
            assert_eq!(result(&lines).unwrap_err().class, Class::Build);
        }
        for bad in [
            "",
            "/nix/store/a-b",
            "/etc/passwd",
            &good.to_uppercase(),
            &format!("{good}\n"),
        ] {
            assert!(!is_store_path(bad), "{bad}");
        }
        assert!(!is_store_path(&format!(
            "/nix/store/{}-{}",
            "a".repeat(32),
            "x".repeat(212)
        )));
    }
}
