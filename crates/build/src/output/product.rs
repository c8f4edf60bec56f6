//! Nix's list of products, `nix-support/hydra-build-products`: which file of the result is the image. Untrusted:
//! whatever ran in the builder wrote it. Pure.

use crate::output::copy::unusable_result;
use sdbuild_core::compression::Compression;
use sdbuild_core::failure::Failure;
use sdbuild_image::image_format::{Format, Maker, extension_of};

/// The path of the list below the result.
pub(super) const PRODUCTS: &str = "nix-support/hydra-build-products";
/// The longest list in bytes; one has a few lines.
pub(super) const MAX_PRODUCTS_BYTES: u64 = 64 * 1024;
/// The longest name of an image: file systems allow 255 bytes, and the longest suffix of a sidecar is added to it.
const MAX_NAME_BYTES: usize = 230;
/// The most components of the path from the result to the image; it has two.
const MAX_COMPONENTS: usize = 8;

/// The image in the builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Product {
    /// The path of the image below the result; empty if it has members.
    pub components: Vec<String>,
    /// The files of which the image is put together, if it is an archive that no derivation makes.
    pub members: Vec<Member>,
    /// The name of the image that is not compressed, `….img`: a plain file name.
    pub raw_name: String,
    /// Compression that the build applied.
    pub compression: Compression,
}

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name: a plain file name.
    pub name: String,
    /// Its path below `/nix/store`.
    pub components: Vec<String>,
}

/// A file in the builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Its name in the archive.
    pub(super) name: String,
    /// Its path.
    pub(super) path: String,
    /// The length of the directory that it must be below, at the start of its path.
    pub(super) top: usize,
}

/// The directory of all results.
pub(super) const STORE: &str = "/nix/store";
/// The most members of an archive; one has three.
const MAX_MEMBERS: usize = 16;

impl Product {
    /// The files of the image in the builder, whose result is `out_path`.
    pub(super) fn sources(&self, out_path: &str) -> Vec<Source> {
        let of = |name: &str, top: &str, components: &[String]| Source {
            name: name.to_owned(),
            path: format!("{top}/{}", components.join("/")),
            top: top.len(),
        };
        if self.members.is_empty() {
            return vec![of(self.file_name(), out_path, &self.components)];
        }
        let members = self.members.iter();
        members
            .map(|member| of(&member.name, STORE, &member.components))
            .collect()
    }

    /// The name of the image in the result.
    pub(super) fn file_name(&self) -> &str {
        self.components.last().map_or("", String::as_str)
    }
}

/// Finds the one line `file TYPE PATH` of `list` that has a type of `format`. Its path must be below `out_path`.
pub(super) fn parse(list: &str, out_path: &str, format: &Format) -> Result<Product, Failure> {
    if format.row().maker == Maker::Archive {
        return parse_members(list, out_path, format);
    }
    at(image_path(list, format)?, out_path, format)
}

/// The image of `format` with the absolute path `path`, which must be below `out_path`.
pub(super) fn at(path: &str, out_path: &str, format: &Format) -> Result<Product, Failure> {
    let components = components(path, out_path)?;
    let name = components.last().map_or("", String::as_str);
    let (raw_name, compression) = parse_name(name, format)?;
    Ok(Product {
        components,
        members: Vec::new(),
        raw_name,
        compression,
    })
}

/// The archive of the files in all lines `file member/NAME PATH` of `list`. It is called as the result is.
fn parse_members(list: &str, out_path: &str, format: &Format) -> Result<Product, Failure> {
    let member = |line: &str| {
        let (name, path) = line.strip_prefix("file member/")?.split_once(' ')?;
        Some((name.to_owned(), path.to_owned()))
    };
    let members = list.lines().filter_map(member).map(|(name, path)| {
        check_plain(&name)?;
        let components = components(&path, STORE)?;
        Ok(Member { name, components })
    });
    let members: Vec<Member> = members.collect::<Result<_, Failure>>()?;
    if members.is_empty() || members.len() > MAX_MEMBERS {
        return Err(unusable_result(format!(
            "{PRODUCTS} names {} files for the archive, which has 1 to {MAX_MEMBERS}",
            members.len()
        )));
    }
    let name = out_path.rsplit_once('/').map_or("", |(_, name)| name);
    let name = name.split_once('-').map_or("", |(_, name)| name);
    let (raw_name, compression) = parse_name(name, format)?;
    Ok(Product {
        components: Vec::new(),
        members,
        raw_name,
        compression,
    })
}

/// The components of `path` below `top`.
fn components(path: &str, top: &str) -> Result<Vec<String>, Failure> {
    let below = path
        .strip_prefix(top)
        .and_then(|rest| rest.strip_prefix('/'))
        .ok_or_else(|| unusable_result(format!("the image {path:?} is not below {top}")))?;
    let components: Vec<String> = below.split('/').map(str::to_owned).collect();
    let is_special = |component: &String| matches!(component.as_str(), "" | "." | "..");
    if components.iter().any(is_special) {
        return Err(unusable_result(format!(
            "the path of the image, {path:?}, has a component that is empty, `.` or `..`"
        )));
    }
    if components.len() > MAX_COMPONENTS {
        return Err(unusable_result(format!(
            "the path of the image, {path:?}, has more than {MAX_COMPONENTS} components"
        )));
    }
    Ok(components)
}

/// The path of the one image in `list`.
fn image_path<'a>(list: &'a str, format: &Format) -> Result<&'a str, Failure> {
    let types = format.row().product_types;
    let mut images = list.lines().filter_map(|line| path_in_line(line, types));
    match (images.next(), images.next()) {
        (Some(path), None) => Ok(path),
        (None, _) => Err(unusable_result(format!(
            "the build made no image: {PRODUCTS} names no `file {}`",
            types.first().unwrap_or(&"…")
        ))
        .hint(match format.row().module {
            Some(module) => format!("import (modulesPath + \"{module}\") in the configuration"),
            None => {
                "sdbuild accepts only a build that makes one file and lists it there".to_owned()
            }
        })),
        (Some(one), Some(two)) => Err(unusable_result(format!(
            "the build made several images: {PRODUCTS} names {one} and {two}"
        ))),
    }
}

/// The path in a line `file TYPE PATH` with one of `types`, which are all if there are none; quotes around it are part of the
/// format.
fn path_in_line<'a>(line: &'a str, types: &[&str]) -> Option<&'a str> {
    let rest = line
        .strip_prefix("file")?
        .strip_prefix([' ', '\t'])?
        .trim_start();
    let (product_type, path) = rest.split_once([' ', '\t'])?;
    if !types.is_empty() && !types.contains(&product_type) {
        return None;
    }
    let path = path.trim();
    let unquoted = path.strip_prefix('"').and_then(|p| p.strip_suffix('"'));
    Some(unquoted.unwrap_or(path))
}

/// Refuses a name that is not safe in a shell, on a terminal and as an argument of a program.
fn check_plain(name: &str) -> Result<(), Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+._=?@,~-".contains(c);
    if name.len() > MAX_NAME_BYTES {
        return Err(unusable_result(format!(
            "the image's name has {} characters",
            name.len()
        )));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(is_plain) {
        return Err(unusable_result(format!("the image's name {name:?} is not a plain file name"))
            .hint("set image.baseName (sdImage.imageBaseName before 25.05) to letters, digits, dots and dashes"));
    }
    Ok(())
}

/// The name of the image that is not compressed, and the compression of the image called `name`. The name is safe in a shell,
/// on a terminal and as an argument of a program.
fn parse_name(name: &str, format: &Format) -> Result<(String, Compression), Failure> {
    check_plain(name)?;
    let extensions = format.row().extensions;
    match extension_of(name, extensions.iter().copied()) {
        Some((_, compression)) => {
            let raw_name = name.strip_suffix(compression.suffix()).unwrap_or(name);
            Ok((raw_name.to_owned(), compression))
        }
        None => Err(unusable_result(format!(
            "the name of the image, {name:?}, does not end in .{}, alone or with .zst, .xz or .gz",
            extensions.join(" or .")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sdbuild_core::failure::Class;
    use sdbuild_image::image_format::SD_CARD;

    const SD_IMAGE: Format = Format::of(&SD_CARD);
    const OUT: &str = "/nix/store/abc-nixos.img";

    fn refused(list: &str) -> String {
        let failure = parse(list, OUT, &SD_IMAGE).unwrap_err();
        assert_eq!(failure.class, Class::Build);
        failure.to_string()
    }

    #[test]
    fn the_only_image_is_found() {
        let list = format!(
            "doc manual {OUT}/doc\nfile sd-image {OUT}/sd-image/nixos-26.05-aarch64-linux.img.zst\nfile json {OUT}/x.json\n"
        );
        let product = parse(&list, OUT, &SD_IMAGE).unwrap();
        assert_eq!(
            product.components,
            ["sd-image", "nixos-26.05-aarch64-linux.img.zst"]
        );
        assert_eq!(product.raw_name, "nixos-26.05-aarch64-linux.img");
        assert_eq!(product.compression, Compression::Zstd);
        assert_eq!(
            parse(
                &format!("file\tsd-image  \"{OUT}/a.img\"\n"),
                OUT,
                &SD_IMAGE
            )
            .unwrap()
            .raw_name,
            "a.img"
        );
    }

    #[test]
    fn files_of_an_archive_are_in_the_store_and_have_plain_names() {
        const RESULT: &str = "/nix/store/abc-nixos-pi.tar";
        let kexec = "kexec".parse().unwrap();
        let list =
            "file member/bzImage /nix/store/k-linux/bzImage\nfile member/run /nix/store/r-run\n";
        let product = parse(list, RESULT, &kexec).unwrap();
        assert_eq!(product.raw_name, "nixos-pi.tar");
        let sources = product.sources(RESULT);
        let of: Vec<_> = sources.iter().map(|one| (&*one.name, &*one.path)).collect();
        let expected = [
            ("bzImage", "/nix/store/k-linux/bzImage"),
            ("run", "/nix/store/r-run"),
        ];
        assert_eq!(of, expected);
        for wrong in [
            "",
            "file member/a /etc/shadow",
            "file member/a /nix/store/../../etc/shadow",
            "file member/a/b /nix/store/x",
            "file member/.. /nix/store/x",
            "file member/ /nix/store/x",
        ] {
            assert!(parse(wrong, RESULT, &kexec).is_err(), "{wrong}");
        }
        let many = list.repeat(9);
        assert!(parse(&many, RESULT, &kexec).is_err());
    }

    #[test]
    fn no_image_and_two_images_are_refused() {
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
                refused(&format!("file sd-image {path}")).contains("is not below"),
                "{path}"
            );
        }
        for path in ["../x.img", "a/../../x.img", "a//x.img", "./x.img", "", "a/"] {
            assert!(
                refused(&format!("file sd-image {OUT}/{path}")).contains("`.` or `..`"),
                "{path}"
            );
        }
        assert!(
            refused(&format!("file sd-image {OUT}/{}x.img", "a/".repeat(20)))
                .contains("more than 8 components")
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
                refused(&format!("file sd-image {OUT}/{name}")).contains("does not end in .img"),
                "{name}"
            );
        }
    }

    proptest! {
        #[test]
        fn accepted_paths_are_confined(list in "(?s)(file sd-image )?(/nix/store/abc-nixos.img)?(/.{0,20}){0,3}(.img)?\n?") {
            if let Ok(product) = parse(&list, OUT, &SD_IMAGE) {
                prop_assert!(!product.components.iter().any(|c| c.is_empty() || c == "." || c == ".."));
                prop_assert!(product.raw_name.strip_suffix(".img").is_some_and(|stem| !stem.is_empty()));
                prop_assert!(!product.raw_name.starts_with(['-', '.']) && !product.raw_name.contains(['/', '\0', ' ']));
            }
        }
    }
}
