//! Files that Apache Arrow wrote (`data/write.py`), whole, cut short and with bytes changed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use proptest::prelude::*;
use rows::{Damage, FOOTER_BYTES_MAX, Format, Told};

/// Each file, and its rows.
const FILES: [(&str, u64, &[u8]); 9] = [
    ("plain.parquet", 1_234, include_bytes!("data/plain.parquet")),
    (
        "nested.snappy.parquet",
        77,
        include_bytes!("data/nested.snappy.parquet"),
    ),
    ("empty.parquet", 0, include_bytes!("data/empty.parquet")),
    ("plain.orc", 1_234, include_bytes!("data/plain.orc")),
    ("zlib.orc", 1_234, include_bytes!("data/zlib.orc")),
    ("snappy.orc", 1_234, include_bytes!("data/snappy.orc")),
    ("lz4.orc", 1_234, include_bytes!("data/lz4.orc")),
    ("zstd.orc", 1_234, include_bytes!("data/zstd.orc")),
    ("empty.orc", 0, include_bytes!("data/empty.orc")),
];

#[test]
fn a_footer_tells_as_many_rows_as_were_written() {
    for (name, rows, bytes) in FILES {
        assert_eq!(Format::of(name).unwrap().rows(bytes), Ok(Told::Rows(rows)), "{name}");
    }
}

#[test]
fn a_tail_that_is_too_short_says_how_much_is_needed_and_that_is_enough() {
    for (name, rows, bytes) in FILES {
        let format = Format::of(name).unwrap();
        // Longer than any postscript, and shorter than these footers.
        let short = 30.min(bytes.len());
        match format.rows(&bytes[bytes.len() - short..]) {
            Ok(Told::Needs(needed)) => {
                let needed = usize::try_from(needed).unwrap();
                assert!(needed > short && needed <= bytes.len(), "{name}: {needed}");
                assert_eq!(
                    format.rows(&bytes[bytes.len() - needed..]),
                    Ok(Told::Rows(rows)),
                    "{name}"
                );
                let less = format.rows(&bytes[bytes.len() - needed + 1..]);
                assert_eq!(less, Ok(Told::Needs(needed as u64)), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_file_of_another_kind_is_refused() {
    assert_eq!(Format::Parquet.rows(FILES[3].2), Err(Damage::NotThis("Parquet")));
    assert_eq!(Format::Orc.rows(FILES[0].2), Err(Damage::NotThis("ORC")));
    assert_eq!(Format::Parquet.rows(b""), Err(Damage::NotThis("Parquet")));
    assert_eq!(Format::Orc.rows(b""), Err(Damage::NotThis("ORC")));
    assert_eq!(Format::Parquet.rows(b"\x08\0\0\0PARE"), Err(Damage::Encrypted));
    let large = [0xff, 0xff, 0xff, 0xff, b'P', b'A', b'R', b'1'];
    assert_eq!(Format::Parquet.rows(&large), Err(Damage::TooLarge(u64::from(u32::MAX))));
    let ended = |length: u64| [&u32::try_from(length).unwrap().to_le_bytes()[..], b"PAR1"].concat();
    let largest = Format::Parquet.rows(&ended(FOOTER_BYTES_MAX));
    assert_eq!(largest, Ok(Told::Needs(FOOTER_BYTES_MAX + 8)));
    let larger = Format::Parquet.rows(&ended(FOOTER_BYTES_MAX + 1));
    assert_eq!(larger, Err(Damage::TooLarge(FOOTER_BYTES_MAX + 1)));
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), parquet in any::<bool>()) {
        let (format, end) = if parquet { (Format::Parquet, &b"PAR1"[..]) } else { (Format::Orc, &b"ORC"[..]) };
        drop(format.rows(&bytes));
        // And with an end that makes it look further.
        let mut ended = bytes.clone();
        if parquet {
            ended.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            ended.extend(end);
        } else {
            ended.extend(end);
            ended.push(u8::try_from(ended.len().min(255)).unwrap());
        }
        drop(format.rows(&ended));
    }

    #[test]
    fn a_changed_byte_is_an_error_or_a_number_and_never_a_panic(
        which in 0..FILES.len(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let (name, _, bytes) = FILES[which];
        let mut changed = bytes.to_vec();
        let at = at.index(changed.len());
        changed[at] = byte;
        drop(Format::of(name).unwrap().rows(&changed));
    }
}
