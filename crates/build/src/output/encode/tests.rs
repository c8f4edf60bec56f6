use std::io::Read as _;

use super::*;
use proptest::prelude::*;
use sdbuild_image::decoder;

fn compressed(options: CompressionOptions, workers: u32, pieces: &[&[u8]]) -> Vec<u8> {
    let size = pieces.iter().map(|piece| piece.len() as u64).sum();
    let mut encoder = encoder(options, Some(size), workers, Vec::new()).unwrap();
    for piece in pieces {
        encoder.write_all(piece).unwrap();
    }
    encoder.finish().unwrap()
}

fn all() -> impl Iterator<Item = CompressionOptions> {
    [
        (Compression::None, None),
        (Compression::Zstd, None),
        (Compression::Zstd, Some(12)),
        (Compression::Xz, Some(0)),
        (Compression::Gzip, None),
        (Compression::Gzip, Some(1)),
    ]
    .into_iter()
    .map(|(format, level)| CompressionOptions { format, level })
}

#[test]
fn zstd_frame_has_its_size_and_a_wrong_one_fails() {
    let options = CompressionOptions {
        format: Compression::Zstd,
        level: None,
    };
    let frame = compressed(options, 1, &[&vec![7; 100_000]]);
    let size = zstd::zstd_safe::get_frame_content_size(&frame).unwrap();
    assert_eq!(size, Some(100_000));
    let mut encoder = encoder(options, Some(3), 1, Vec::new()).unwrap();
    let result = encoder.write_all(b"four").and_then(|()| encoder.finish());
    assert!(result.is_err());
}

/// Several jobs of zstd, blocks of xz and of gzip.
#[test]
fn output_does_not_depend_on_the_number_of_workers() {
    let byte = |at: u32| (at.wrapping_mul(at) >> 13).to_le_bytes()[0];
    let raw: Vec<u8> = (0..14 << 20).map(byte).collect();
    for options in all() {
        let alone = compressed(options, 1, &[&raw]);
        for workers in [0, 3] {
            let several = compressed(options, workers, &[&raw]);
            assert!(alone == several, "{options:?} with {workers}");
        }
    }
}

#[test]
fn dropped_compressor_leaves_an_incomplete_file() {
    let raw = vec![7; 3 << 20];
    for options in all().filter(|options| options.format != Compression::None) {
        let mut file = Vec::new();
        let mut encoder = encoder(options, Some(raw.len() as u64), 2, &mut file).unwrap();
        encoder.write_all(&raw).unwrap();
        drop(encoder);
        let mut back = Vec::new();
        let mut decoder = decoder(options.format, &file[..]).unwrap();
        let is_whole = decoder.read_to_end(&mut back).is_ok() && back == raw;
        assert!(!is_whole, "{options:?}");
    }
}

#[test]
fn workers_that_need_much_memory_are_few() {
    let cores = core_count();
    for (format, level, max, beside_decoder) in [
        (Compression::Zstd, None, 4, 4),
        (Compression::Zstd, Some(9), 4, 4),
        (Compression::Zstd, Some(10), 2, 1),
        (Compression::Zstd, Some(19), 2, 1),
        (Compression::Xz, Some(0), 2, 1),
        (Compression::Xz, None, 2, 1),
        (Compression::Gzip, None, cores, cores),
    ] {
        let options = CompressionOptions { format, level };
        let counts = [false, true].map(|decompressing| worker_count(options, decompressing));
        let expected = [max, beside_decoder].map(|count| cores.min(count));
        assert_eq!(counts, expected, "{options:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn decompressed_output_is_the_input(
        parts in proptest::collection::vec((any::<u8>(), 0usize..300_000), 0..12),
    ) {
        let pieces: Vec<Vec<u8>> = parts.iter().map(|(byte, n)| vec![*byte; *n]).collect();
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        for options in all() {
            let mut out = Vec::new();
            let compressed = compressed(options, 2, &pieces);
            decoder(options.format, compressed.as_slice()).unwrap().read_to_end(&mut out).unwrap();
            prop_assert!(out == pieces.concat(), "{options:?}");
        }
    }
}
