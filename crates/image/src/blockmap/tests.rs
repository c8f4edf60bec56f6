use proptest::prelude::*;

use super::*;

fn build(bytes: &[u8]) -> BlockMap {
    let mut builder = Builder::new();
    builder.push(bytes);
    builder.finish()
}

/// An image of `blocks` zero blocks with data in the blocks `data`.
fn image(blocks: usize, data: &[usize]) -> Vec<u8> {
    let mut bytes = vec![0; blocks * 4096];
    for block in data {
        bytes[block * 4096 + 4095] = 7;
    }
    bytes
}

fn spans(map: &BlockMap) -> Vec<(u64, u64)> {
    map.ranges.iter().map(|r| (r.first, r.last)).collect()
}

fn check_bytes(map: &BlockMap, bytes: &[u8]) -> Result<(), Mismatch> {
    let mut checker = Checker::new(map.clone());
    bytes
        .chunks(5000)
        .try_for_each(|piece| checker.push(piece))?;
    checker.finish().map(drop)
}

#[test]
fn only_long_gaps_of_zero_blocks_are_unmapped() {
    let bytes = image(100, &[3, 4, 20, 37, 99]);
    let map = build(&bytes);
    // 5 to 19 are 15 zero blocks, 21 to 36 are 16.
    assert_eq!(spans(&map), [(3, 20), (37, 37), (99, 99)]);
    assert_eq!((map.mapped_blocks(), map.blocks()), (20, 100));
    let of_range = Sha256Hash::of(&bytes[3 * 4096..21 * 4096]);
    assert_eq!(map.ranges[0].sha256, of_range);
    assert!(build(&image(5, &[])).ranges.is_empty());
    assert_eq!(build(&[]).image_size, 0);
}

#[test]
fn long_ranges_are_split() {
    let bytes = vec![1; 4096 * 5000];
    let map = build(&bytes);
    assert_eq!(spans(&map), [(0, 2047), (2048, 4095), (4096, 4999)]);
    check_bytes(&map, &bytes).unwrap();
    // a gap that would make a range too long ends it
    let map = build(&image(2060, &(0..2040).chain([2050]).collect::<Vec<_>>()));
    assert_eq!(spans(&map), [(0, 2039), (2050, 2050)]);
}

#[test]
fn last_block_may_be_incomplete() {
    let mut bytes = image(2, &[0]);
    bytes.extend([0, 1, 2]);
    let map = build(&bytes);
    assert_eq!((map.image_size, map.blocks()), (8195, 3));
    assert_eq!(spans(&map), [(0, 2)]);
    assert_eq!(map.mapped_bytes(), 8195);
    check_bytes(&map, &bytes).unwrap();
    assert_eq!(BlockMap::parse(&map.to_xml()).unwrap(), map);
}

#[test]
fn first_difference_is_reported() {
    let bytes = image(100, &[3, 50]);
    let map = build(&bytes);
    let mut other = bytes.clone();
    other[50 * 4096] = 1;
    let (start, end) = (50 * 4096, 51 * 4096);
    assert_eq!(
        check_bytes(&map, &other),
        Err(Mismatch::Range { start, end })
    );
    let mut other = bytes.clone();
    other[10 * 4096] = 1;
    assert!(matches!(check_bytes(&map, &other), Err(Mismatch::NotBlank(at)) if at <= 10 * 4096));
    let length = bytes.len() as u64;
    assert_eq!(
        check_bytes(&map, &bytes[1..]),
        Err(Mismatch::Range {
            start: 3 * 4096,
            end: 4 * 4096
        })
    );
    assert_eq!(
        check_bytes(&map, &bytes[..bytes.len() - 1]),
        Err(Mismatch::Length(length - 1, length))
    );
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(
        check_bytes(&map, &longer),
        Err(Mismatch::Length(length + 1, length))
    );
}

/// Parsers that compare each attribute of a tag with all others, or copy the namespaces of a tag for each one inside, took hours.
#[test]
fn tags_that_are_costly_for_others_are_refused_at_once() {
    use std::fmt::Write as _;
    let refused = |count: u32, write: &dyn Fn(&mut String, u32)| {
        let mut text = String::from("<bmap version=\"2.0\">");
        (0..count).for_each(|n| write(&mut text, n));
        BlockMap::parse(&text).unwrap_err().to_string()
    };
    let attributes = refused(1, &|text, _| {
        text.push_str("<a");
        (0..300_000).for_each(|n| write!(text, " a{n}=\"\"").unwrap());
        text.push_str("/></bmap>");
    });
    assert_eq!(attributes, "it has no ChecksumType");
    let nested = refused(300_000, &|text, n| {
        write!(text, "<a xmlns:n{n}=\"u\">").unwrap();
    });
    assert!(nested.starts_with("it is not XML"), "{nested}");
}

#[test]
fn invalid_file_is_refused_with_the_reason() {
    let map = build(&image(100, &[3, 50]));
    let good = map.to_xml();
    let hash = "ab".repeat(32);
    let signed = |text: &str| {
        let at = text.find("<BmapFileChecksum> ").unwrap() + 19;
        let mut text = text.to_owned();
        text.replace_range(at..at + 64, &"0".repeat(64));
        let sum = Sha256Hash::of(text.as_bytes()).to_string();
        text.replace_range(at..at + 64, &sum);
        text
    };
    assert_eq!(BlockMap::parse(&signed(&good)).unwrap(), map);
    for (from, to, why) in [
        (" 3-3 ", " 3-4 ", "MappedBlocksCount is not 3"),
        (" 3-3 ", " 60-60 ", "out of order"),
        (" 50-50 ", " 100-100 ", "outside the image"),
        (" 50-50 ", " 50-49 ", "out of order"),
        (" 3-3 ", " +3-3 ", "an invalid range"),
        (" 3-3 ", " ", "an invalid range"),
        ("chksum=", "sha1=", "has no hash"),
        ("> 4096 <", "> 4095 <", "not a block size"),
        ("> 4096 <", "> 0 <", "not a block size"),
        (
            "> 409600 <",
            "> 99999999999999999999 <",
            "ImageSize is not a number",
        ),
        ("> 100 <", "> 101 <", "BlocksCount is not 100"),
        ("> sha256 <", "> md5 <", "not SHA-256"),
        (
            "version=\"2.0\"",
            "version=\"3.0\"",
            "not a block map of version 2",
        ),
        (
            "<BlockMap>",
            "<BlockMap/><BlockMap>",
            "BlockMap more than once",
        ),
        ("</bmap>", "", "not XML"),
        (
            "<bmap ",
            "<!DOCTYPE x [<!ENTITY a \"b\">]><bmap ",
            "not XML",
        ),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let error = BlockMap::parse(&signed(&text)).unwrap_err().to_string();
        assert!(error.contains(why), "{from} → {to}: {error}");
    }
    let error = BlockMap::parse(&good.replacen(" 3-3 ", " 4-4 ", 1)).unwrap_err();
    assert!(error.to_string().contains("checksum is wrong"), "{error}");
    let error =
        BlockMap::parse(&good.replacen("Checksum> ", &format!("Checksum> &#x61;{hash}"), 1));
    assert!(error.unwrap_err().to_string().contains("not XML"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// The map does not depend on the pieces, is the same after a round trip through a file, and matches the bytes.
    #[test]
    fn pieces_do_not_change_the_map(
        data in proptest::collection::btree_set(0usize..120, 0..30),
        cut in 1usize..20_000,
        short in 0usize..4096,
    ) {
        let bytes = image(120, &data.into_iter().collect::<Vec<_>>());
        let bytes = &bytes[..bytes.len() - short];
        let map = build(bytes);
        let mut builder = Builder::new();
        for piece in bytes.chunks(cut) {
            if is_blank(piece) { builder.blank(piece.len() as u64) } else { builder.push(piece) }
        }
        prop_assert_eq!(&builder.finish(), &map);
        prop_assert_eq!(&BlockMap::parse(&map.to_xml()).unwrap(), &map);
        prop_assert_eq!(check_bytes(&map, bytes), Ok(()));
        let mut checker = Checker::new(map);
        for piece in bytes.chunks(cut) {
            let fed = if is_blank(piece) { checker.blank(piece.len() as u64) } else { checker.push(piece) };
            prop_assert_eq!(fed, Ok(()));
        }
        prop_assert!(checker.finish().is_ok());
    }

    #[test]
    fn changed_file_is_refused(at in 0usize..900, with in ".{0,8}") {
        let mut text = build(&image(100, &[3, 50])).to_xml();
        if text.is_char_boundary(at) && at < text.len() {
            text.insert_str(at, &with);
            let map = BlockMap::parse(&text);
            prop_assert!(with.is_empty() == map.is_ok(), "{map:?}");
        }
    }
}
