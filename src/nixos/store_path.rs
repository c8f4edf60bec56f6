//! What `nix-build` prints when all went well: the path of its one result. Pure.

use crate::failure::{Class, Failure};

/// What `nix-build` printed: one store path, or something is very wrong.
pub(super) fn only_path(lines: &[String]) -> Result<String, Failure> {
    match lines {
        [line] if is_store_path(line) => Ok(line.clone()),
        lines => Err(Failure::message(
            Class::Build,
            format!(
                "nix-build printed {} lines instead of one store path",
                lines.len()
            ),
        )
        .hint("the attribute must be a single derivation with a single output")),
    }
}

/// `/nix/store/`, 32 characters of hash, a dash, a name of at most 211 characters.
fn is_store_path(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("/nix/store/") else {
        return false;
    };
    let Some((hash, name)) = rest.split_once('-') else {
        return false;
    };
    let lower = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+._?=-".contains(&b);
    hash.len() == 32
        && hash.bytes().all(lower)
        && (1..=211).contains(&name.len())
        && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_store_path_is_a_result() {
        let good = format!("/nix/store/{}-nixos.img", "a".repeat(32));
        assert_eq!(only_path(std::slice::from_ref(&good)).unwrap(), good);
        for lines in [
            vec![],
            vec![good.clone(), good.clone()],
            vec![format!("{good}/../x")],
        ] {
            assert_eq!(only_path(&lines).unwrap_err().class, Class::Build);
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
