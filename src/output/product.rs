//! Nix's list of products, `nix-support/hydra-build-products`: which file of the result is the
//! image. Pure, and strict: it was written by whatever ran in the builder.

use crate::common::compression::Compression;
use crate::common::failure::{Class, Failure};
use crate::common::image_format::ImageFormat;

/// The list below the result's path.
pub const LIST: &str = "nix-support/hydra-build-products";
/// A list is a few lines; this is many times what any has.
pub const LONGEST_LIST: u64 = 64 * 1024;
/// The longest name that file systems take, 255, without the longest ending of a sidecar.
const LONGEST_NAME: usize = 230;
/// Directories between the result and the image; it is one.
const DEEPEST: usize = 8;
const ENDINGS: [(&str, Compression); 4] = [
    (".img", Compression::None),
    (".img.zst", Compression::Zstd),
    (".img.xz", Compression::Xz),
    (".img.gz", Compression::Gzip),
];

/// Where the image lies in the builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The directories below the result and the file, one by one.
    pub components: Vec<String>,
    /// The image's name when it is not compressed, `….img`: safe beside the user's other files.
    pub name: String,
    /// How the build compressed it.
    pub packed: Compression,
}

impl Product {
    /// The name that the build gave it.
    pub(super) fn packed_name(&self) -> &str {
        self.components.last().map_or("", String::as_str)
    }
}

/// The one `file TYPE PATH` of `list` with the type of `format`, where PATH lies below `out_path`.
pub fn parse(list: &str, out_path: &str, format: &ImageFormat) -> Result<Product, Failure> {
    let kind = format.product_type;
    let images: Vec<&str> = list
        .lines()
        .filter_map(|line| image_path(line, kind))
        .collect();
    let path = match images.as_slice() {
        [path] => *path,
        [] => {
            return Err(refuse(format!(
                "the build made no image: {LIST} names no `file {kind}`"
            ))
            .hint(format!("import {} in the configuration", format.module)));
        }
        [one, two, ..] => {
            return Err(refuse(format!(
                "the build made several images: {LIST} names {one} and {two}"
            )));
        }
    };
    let below = path
        .strip_prefix(out_path)
        .and_then(|rest| rest.strip_prefix('/'));
    let below =
        below.ok_or_else(|| refuse(format!("the image {path:?} does not lie in {out_path}")))?;
    let components: Vec<String> = below.split('/').map(str::to_owned).collect();
    if components
        .iter()
        .any(|part| matches!(part.as_str(), "" | "." | ".."))
    {
        return Err(refuse(format!(
            "the path of the image, {path:?}, leads astray"
        )));
    }
    if components.len() > DEEPEST {
        return Err(refuse(format!("the image {path:?} lies too deep")));
    }
    let (name, packed) = image_name(components.last().map_or("", String::as_str))?;
    Ok(Product {
        components,
        name,
        packed,
    })
}

/// The path of a line `file KIND PATH`; quotes around it are part of the format.
fn image_path<'a>(line: &'a str, kind: &str) -> Option<&'a str> {
    let rest = line
        .strip_prefix("file")?
        .strip_prefix([' ', '\t'])?
        .trim_start();
    let path = rest.strip_prefix(kind)?.strip_prefix([' ', '\t'])?.trim();
    let unquoted = path.strip_prefix('"').and_then(|p| p.strip_suffix('"'));
    Some(unquoted.unwrap_or(path))
}

/// The uncompressed image's name, which means nothing to a shell, a terminal or a program's flags, and
/// the compression of what is called `name`.
fn image_name(name: &str) -> Result<(String, Compression), Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+._=?@,~-".contains(c);
    if name.len() > LONGEST_NAME {
        return Err(refuse(format!(
            "the image's name has {} characters",
            name.len()
        )));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(plain) {
        return Err(refuse(format!("the image's name {name:?} is not a plain file name"))
            .hint("set image.baseName (sdImage.imageBaseName before 25.05) to letters, digits, dots and dashes"));
    }
    let stem = |(ending, packed): &(&str, Compression)| {
        let stem = name.strip_suffix(ending)?;
        Some((format!("{stem}.img"), *packed))
    };
    let found = ENDINGS.iter().find_map(stem);
    found.filter(|(name, _)| name != ".img").ok_or_else(|| {
        refuse(format!(
            "the image {name:?} ends in none of .img, .img.zst, .img.xz and .img.gz"
        ))
    })
}

fn refuse(text: impl std::fmt::Display) -> Failure {
    Failure::message(Class::Build, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::image_format::SD_IMAGE;
    use proptest::prelude::*;

    const OUT: &str = "/nix/store/abc-nixos.img";

    fn refused(list: &str) -> String {
        let failure = parse(list, OUT, &SD_IMAGE).unwrap_err();
        assert_eq!(failure.class, Class::Build);
        failure.to_string()
    }

    #[test]
    fn the_one_image_is_found() {
        let list = format!(
            "doc manual {OUT}/doc\nfile sd-image {OUT}/sd-image/nixos-26.05-aarch64-linux.img.zst\nfile json {OUT}/x.json\n"
        );
        let product = parse(&list, OUT, &SD_IMAGE).unwrap();
        assert_eq!(
            product.components,
            ["sd-image", "nixos-26.05-aarch64-linux.img.zst"]
        );
        assert_eq!(product.name, "nixos-26.05-aarch64-linux.img");
        assert_eq!(product.packed, Compression::Zstd);
        assert_eq!(
            parse(
                &format!("file\tsd-image  \"{OUT}/a.img\"\n"),
                OUT,
                &SD_IMAGE
            )
            .unwrap()
            .name,
            "a.img"
        );
    }

    #[test]
    fn none_and_two_are_told_apart() {
        assert!(refused("").contains("made no image"));
        assert!(refused("files sd-image /x\nfile sd-images /x\nfile iso /x").contains("names no"));
        assert!(
            refused(&format!(
                "file sd-image {OUT}/a.img\nfile sd-image {OUT}/b.img"
            ))
            .contains("several images")
        );
    }

    #[test]
    fn paths_are_confined() {
        for path in [
            "/etc/passwd",
            "/nix/store/abc-nixos.imgx/a.img",
            "../a.img",
            "a.img",
            "",
        ] {
            assert!(
                refused(&format!("file sd-image {path}")).contains("does not lie in"),
                "{path}"
            );
        }
        for path in ["../x.img", "a/../../x.img", "a//x.img", "./x.img", "", "a/"] {
            assert!(
                refused(&format!("file sd-image {OUT}/{path}")).contains("leads astray"),
                "{path}"
            );
        }
        assert!(
            refused(&format!("file sd-image {OUT}/{}x.img", "a/".repeat(20))).contains("too deep")
        );
    }

    #[test]
    fn names_are_plain() {
        for name in [
            "-rf.img",
            ".img",
            ".x.img",
            "a b.img",
            "a\u{1b}[2J.img",
            "ä.img",
            "a\\b.img",
            "$(x).img",
            "a\rb.img",
        ] {
            assert!(
                refused(&format!("file sd-image {OUT}/{name}")).contains("not a plain file name"),
                "{name:?}"
            );
        }
        assert!(
            refused(&format!("file sd-image {OUT}/{}.img", "a".repeat(252)))
                .contains("256 characters")
        );
        for name in ["a.iso", "img", "a.img.bz2", "a"] {
            assert!(
                refused(&format!("file sd-image {OUT}/{name}")).contains("none of .img"),
                "{name}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_confined(list in "(?s)(file sd-image )?(/nix/store/abc-nixos.img)?(/.{0,20}){0,3}(.img)?\n?") {
            if let Ok(product) = parse(&list, OUT, &SD_IMAGE) {
                prop_assert!(!product.components.iter().any(|c| c.is_empty() || c == "." || c == ".."));
                prop_assert!(product.name.strip_suffix(".img").is_some_and(|stem| !stem.is_empty()));
                prop_assert!(!product.name.starts_with(['-', '.']) && !product.name.contains(['/', '\0', ' ']));
            }
        }
    }
}
