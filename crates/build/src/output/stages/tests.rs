use super::*;

mod stages {
    use std::fs::File;

    use super::*;
    use crate::output::stages::ImageForm;
    use sdbuild_core::compression::CompressionOptions;

    fn input<'a>(
        file: &'a File,
        form: ImageForm,
        compression: Compression,
        cancel: &'a Cancel,
    ) -> StageInput<'a> {
        StageInput {
            size: 20 << 20,
            compression,
            max_raw_bytes: 1 << 30,
            writer: ImageWriter { file, form },
            cancel,
            on_progress: &|_| {},
        }
    }

    fn zstd() -> ImageForm {
        let options = CompressionOptions {
            format: Compression::Zstd,
            level: None,
        };
        ImageForm::Compressed {
            options,
            raw_size: Some(20 << 20),
        }
    }

    /// Returns zeros, then fails.
    struct Failing(usize);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the engine is gone"));
            }
            let n = buffer.len().min(self.0);
            buffer[..n].fill(0);
            self.0 -= n;
            Ok(n)
        }
    }

    #[test]
    fn failing_source_is_the_cause_of_later_errors() {
        let (file, cancel) = (tempfile::tempfile().unwrap(), Cancel::new());
        for form in [ImageForm::Raw, zstd()] {
            let input = input(&file, form, Compression::None, &cancel);
            let error = run_stages(Failing(9 << 20), &input).unwrap_err();
            assert!(matches!(error, StageError::Source(_)), "{error:?}");
        }
        // Cut off in the middle of a frame: the decoder fails as well, but as a consequence.
        let input = input(&file, ImageForm::AsBuilt, Compression::Zstd, &cancel);
        let frame = zstd::encode_all(vec![7; 100_000].as_slice(), 1).unwrap();
        let error = run_stages(frame[..12].chain(Failing(0)), &input).unwrap_err();
        assert!(matches!(error, StageError::Source(_)), "{error:?}");
    }

    #[test]
    fn source_that_ends_early_is_the_cause() {
        let (file, cancel) = (tempfile::tempfile().unwrap(), Cancel::new());
        let frame = zstd::encode_all(vec![7; 100_000].as_slice(), 1).unwrap();
        for (form, compression, bytes) in [
            (ImageForm::Raw, Compression::None, vec![1; 12]),
            (zstd(), Compression::None, vec![1; 12]),
            (ImageForm::AsBuilt, Compression::Zstd, frame[..12].to_vec()),
        ] {
            let input = input(&file, form, compression, &cancel);
            let error = run_stages(bytes.as_slice(), &input).unwrap_err();
            assert!(matches!(error, StageError::WrongSize(12)), "{error:?}");
        }
    }

    #[test]
    fn unwritable_file_ends_all_stages() {
        let (file, cancel) = (File::open("/dev/null").unwrap(), Cancel::new());
        let image = vec![1; 20 << 20];
        for form in [ImageForm::Raw, zstd()] {
            let input = input(&file, form, Compression::None, &cancel);
            let error = run_stages(image.as_slice(), &input).unwrap_err();
            assert!(matches!(error, StageError::Target(_)), "{error:?}");
        }
    }

    #[test]
    fn decompressing_too_much_is_stopped() {
        let (file, cancel) = (tempfile::tempfile().unwrap(), Cancel::new());
        let bomb = zstd::encode_all(io::repeat(0).take(50 << 20), 1).unwrap();
        let input = StageInput {
            size: bomb.len() as u64,
            max_raw_bytes: 10 << 20,
            ..input(&file, ImageForm::Raw, Compression::Zstd, &cancel)
        };
        let error = run_stages(bomb.as_slice(), &input).unwrap_err();
        assert!(matches!(error, StageError::TooLarge), "{error:?}");
        assert!(file.metadata().unwrap().len() <= 12 << 20);
    }

    #[test]
    fn cancellation_ends_it_between_two_pieces() {
        let (file, cancel) = (tempfile::tempfile().unwrap(), Cancel::new());
        let token = cancel.clone();
        let stop = move |done| {
            if done > 3 << 20 {
                token.received(2);
            }
        };
        let input = StageInput {
            on_progress: &stop,
            ..input(&file, zstd(), Compression::None, &cancel)
        };
        let mut endless = io::repeat(5);
        let error = run_stages(&mut endless, &input).unwrap_err();
        assert!(matches!(error, StageError::Cancelled), "{error:?}");
    }
}

mod head_tail {
    use super::*;

    #[test]
    fn only_start_and_end_can_be_read() {
        let mut head_tail = HeadTail::default();
        for n in 0..5u8 {
            head_tail.push(&Bytes::from(vec![n; PIECE_BYTES]));
        }
        head_tail.push(&Bytes::from_static(&[9; 700]));
        let (piece, mut buffer) = (PIECE_BYTES as u64, [0; 512]);
        let mut at = |at| head_tail.read_at(&mut buffer, at).map(|n| (n, buffer[0]));
        assert_eq!(at(0).unwrap(), (512, 0));
        assert!(at(piece).is_err());
        assert_eq!(at(4 * piece + 600).unwrap(), (512, 4));
        assert_eq!(at(5 * piece + 600).unwrap(), (100, 9));
        assert_eq!(head_tail.len(), 5 * piece + 700);
    }

    #[test]
    fn partition_table_is_found() {
        let mut sector = vec![0u8; PIECE_BYTES];
        sector[510..512].copy_from_slice(&[0x55, 0xaa]);
        sector[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0, 0]);
        let mut head_tail = HeadTail::default();
        head_tail.push(&Bytes::from(sector));
        let table = head_tail.table(&Cancel::new()).unwrap();
        assert_eq!(table.partitions[0].start, 8 * 512);
    }
}
