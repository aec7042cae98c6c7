//! Whatever a file ends with, its footer tells rows, asks for more bytes than there are, or is damaged; and lines are counted
//! up to what was allowed. Seeds: `shared/rows/tests/data`, each behind one byte.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rows::{FOOTER_BYTES_MAX, Format, Told, lines};

const BYTES_MAX: u64 = 4_000;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    let format = match kind % 4 {
        0 => Format::Parquet,
        1 => Format::Orc,
        2 => Format::Text { gzip: false },
        _ => Format::Text { gzip: true },
    };
    if let Format::Text { gzip } = format {
        if let Ok(Some(lines)) = lines(bytes, gzip, BYTES_MAX) {
            assert!(lines <= BYTES_MAX);
        }
        return;
    }
    if let Ok(Told::Needs(more)) = format.rows(bytes) {
        assert!(
            more > bytes.len() as u64 && more <= 2 * FOOTER_BYTES_MAX,
            "{more} of {}",
            bytes.len()
        );
    }
});
