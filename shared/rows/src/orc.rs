//! The tail of an ORC file: a footer, maybe packed, a postscript that says how, and the postscript's length.
//!
//! <https://orc.apache.org/specification/ORCv1/>

use std::io::Read;

use crate::FOOTER_BYTES_MAX;
use crate::footer::{Bytes, Damage, Told};

/// Fields of the postscript: the footer's length, and how it is packed.
const FOOTER_LENGTH: u64 = 1;
const COMPRESSION: u64 = 2;
/// Of the footer: all rows.
const NUMBER_OF_ROWS: u64 = 6;
/// The kinds of packing.
const NONE: u64 = 0;
const ZLIB: u64 = 1;
const SNAPPY: u64 = 2;
const LZ4: u64 = 4;
const ZSTD: u64 = 5;

pub(crate) fn rows(tail: &[u8]) -> Result<Told, Damage> {
    let not_this = Damage::NotThis("ORC");
    let (length, rest) = tail.split_last().ok_or(not_this.clone())?;
    let from = rest.len().checked_sub(usize::from(*length)).ok_or(not_this.clone())?;
    let (rest, postscript) = rest.split_at(from);
    // Its last field is the magic word.
    if !postscript.ends_with(b"ORC") {
        return Err(not_this);
    }
    let length =
        number_of(Bytes(postscript), FOOTER_LENGTH)?.ok_or(Damage::Broken("it does not say how long it is"))?;
    if length > FOOTER_BYTES_MAX {
        return Err(Damage::TooLarge(length));
    }
    let Some(from) = rest.len().checked_sub(usize::try_from(length).unwrap_or(usize::MAX)) else {
        let needed = length + tail.len() as u64 - rest.len() as u64;
        return Ok(Told::Needs(needed));
    };
    let packing = number_of(Bytes(postscript), COMPRESSION)?.unwrap_or(NONE);
    let footer = unpacked(&rest[from..], packing)?;
    let rows = number_of(Bytes(&footer), NUMBER_OF_ROWS)?;
    // A number that is 0 need not be written.
    Ok(Told::Rows(rows.unwrap_or(0)))
}

/// A number among the fields of a message of Protocol Buffers.
///
/// <https://protobuf.dev/programming-guides/encoding/>
fn number_of(mut message: Bytes<'_>, wanted: u64) -> Result<Option<u64>, Damage> {
    let mut found = None;
    while !message.0.is_empty() {
        let key = message.number()?;
        match key & 7 {
            0 => {
                let number = message.number()?;
                if key >> 3 == wanted {
                    found = Some(number);
                }
            }
            1 => drop(message.take(8)?),
            2 => {
                let length = message.number()?;
                message.take(length)?;
            }
            5 => drop(message.take(4)?),
            _ => return Err(Damage::Broken("a field of no known type")),
        }
    }
    Ok(found)
}

/// Chunk by chunk: three bytes tell a chunk's length, and whether it is as it was.
fn unpacked(footer: &[u8], packing: u64) -> Result<Vec<u8>, Damage> {
    if packing == NONE {
        return Ok(footer.to_vec());
    }
    let most = usize::try_from(FOOTER_BYTES_MAX).unwrap_or(usize::MAX);
    let mut bytes = Bytes(footer);
    let mut whole = Vec::new();
    while !bytes.0.is_empty() {
        let header = bytes.take(3)?;
        let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let chunk = bytes.take(u64::from(header >> 1))?;
        let room = most - whole.len();
        if header & 1 == 1 {
            whole.extend_from_slice(chunk);
        } else {
            whole.extend(chunk_of(chunk, packing, room)?);
        }
        if whole.len() > most {
            return Err(Damage::TooLarge(whole.len() as u64));
        }
    }
    Ok(whole)
}

/// A chunk as it was; no more than `room` and a byte of it.
fn chunk_of(chunk: &[u8], packing: u64, room: usize) -> Result<Vec<u8>, Damage> {
    let broken = Damage::Broken("it cannot be unpacked");
    let room = room + 1;
    let limited = |reader: &mut dyn Read| {
        let mut out = Vec::new();
        let read = reader.take(room as u64).read_to_end(&mut out);
        read.map(|_| out).map_err(|_| broken.clone())
    };
    match packing {
        ZLIB => limited(&mut flate2::read::DeflateDecoder::new(chunk)),
        ZSTD => limited(&mut zstd::stream::read::Decoder::new(chunk).map_err(|_| broken.clone())?),
        SNAPPY => {
            let length = snap::raw::decompress_len(chunk).map_err(|_| broken.clone())?;
            if length > room {
                return Err(Damage::TooLarge(length as u64));
            }
            let unpacked = snap::raw::Decoder::new().decompress_vec(chunk);
            unpacked.map_err(|_| broken)
        }
        // How long it was is not said; ORC's chunks are 256 KiB unless somebody sets them larger.
        LZ4 => {
            let unpacked = lz4_flex::block::decompress(chunk, room.min(4 << 20));
            unpacked.map_err(|_| broken)
        }
        other => Err(Damage::Packed(other)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn fields_of_other_types_are_passed_over() {
        // Field 1 of eight bytes, 2 of as many as it says, 3 of four, and 4, a number.
        let message = [
            &[9, 1, 2, 3, 4, 5, 6, 7, 8][..],
            &[18, 2, 9, 9],
            &[29, 1, 2, 3, 4],
            &[32, 150, 1],
        ]
        .concat();
        assert_eq!(number_of(Bytes(&message), 4).ok(), Some(Some(150)));
        assert_eq!(number_of(Bytes(&message), 1).ok(), Some(None));
        assert!(number_of(Bytes(&[11, 1]), 1).is_err());
    }

    #[test]
    fn a_chunk_is_unpacked_into_the_room_that_is_left_and_a_byte_more() {
        let packed = |length: usize, packing: u64| {
            let bytes = vec![7; length];
            match packing {
                ZLIB => {
                    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                    encoder.write_all(&bytes).and_then(|()| encoder.finish()).ok()
                }
                ZSTD => zstd::encode_all(bytes.as_slice(), 1).ok(),
                SNAPPY => snap::raw::Encoder::new().compress_vec(&bytes).ok(),
                _ => Some(lz4_flex::block::compress(&bytes)),
            }
            .expect("it can be packed")
        };
        let unpacked = |length, packing| chunk_of(&packed(length, packing), packing, 10).map(|bytes| bytes.len());
        for packing in [ZLIB, ZSTD, SNAPPY, LZ4] {
            for length in [1, 10, 11] {
                assert_eq!(unpacked(length, packing).ok(), Some(length), "{packing}");
            }
        }
        // A stream is cut; what says its length, or is one block, is refused.
        assert_eq!((unpacked(99, ZLIB).ok(), unpacked(99, ZSTD).ok()), (Some(11), Some(11)));
        assert!(matches!(unpacked(99, SNAPPY), Err(Damage::TooLarge(99))));
        assert!(unpacked(99, LZ4).is_err());
    }

    /// A file's end: a postscript that names a footer of this length, and how it is packed.
    /// <https://orc.apache.org/specification/ORCv1/#postscript>
    fn postscript(length: u64, packing: u8) -> Vec<u8> {
        let mut postscript = vec![1 << 3];
        let mut left = length;
        while left > 0x7f {
            postscript.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        // The magic word is field 8000.
        postscript.extend([left as u8, 2 << 3, packing, 0x82, 0xf4, 3, 3]);
        postscript.extend(b"ORC");
        postscript.push(postscript.len() as u8);
        postscript
    }

    #[test]
    fn the_largest_footer_is_asked_for_and_a_larger_one_refused() {
        let largest = postscript(FOOTER_BYTES_MAX, 0);
        let needed = FOOTER_BYTES_MAX + largest.len() as u64;
        assert_eq!(rows(&largest), Ok(Told::Needs(needed)));
        let larger = rows(&postscript(FOOTER_BYTES_MAX + 1, 0));
        assert_eq!(larger, Err(Damage::TooLarge(FOOTER_BYTES_MAX + 1)));
    }

    #[test]
    fn a_footer_is_read_as_its_postscript_says_that_it_is_packed() {
        let file = |footer: &[u8], packing| [footer, &postscript(footer.len() as u64, packing)].concat();
        // Field 6, seven rows; in a chunk of two bytes as they were; in one that is packed.
        let plain = [6 << 3, 7];
        assert_eq!(rows(&file(&plain, 0)), Ok(Told::Rows(7)));
        assert_eq!(rows(&file(&[5, 0, 0, 6 << 3, 7], 1)), Ok(Told::Rows(7)));
        let packed = lz4_flex::block::compress(&plain);
        let chunk = [&[(packed.len() << 1) as u8, 0, 0][..], &packed].concat();
        assert_eq!(rows(&file(&chunk, 4)), Ok(Told::Rows(7)));
        // LZO and Brotli.
        for kind in [3, 6] {
            assert_eq!(rows(&file(&chunk, kind)), Err(Damage::Packed(kind.into())));
        }
        // Without a field 6 it has none, and without a length nobody knows where it begins.
        assert_eq!(rows(&file(&[1 << 3, 3], 0)), Ok(Told::Rows(0)));
        let lengthless = rows(b"\x82\xf4\x03\x03ORC\x07");
        assert_eq!(lengthless, Err(Damage::Broken("it does not say how long it is")));
    }

    #[test]
    fn what_a_chunk_unpacks_to_is_cut_a_byte_beyond_what_a_footer_may_have() {
        let first = usize::try_from(FOOTER_BYTES_MAX).unwrap() - 5;
        // In chunks, since three bytes tell a length below eight million.
        let mut footer = Vec::new();
        for length in [first / 2, first - first / 2] {
            footer.extend(&((length as u32) << 1 | 1).to_le_bytes()[..3]);
            footer.resize(footer.len() + length, 0);
        }
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        let packed = encoder.write_all(&[7; 99]).and_then(|()| encoder.finish()).unwrap();
        footer.extend([(packed.len() << 1) as u8, 0, 0]);
        footer.extend(packed);
        assert_eq!(unpacked(&footer, ZLIB), Err(Damage::TooLarge(FOOTER_BYTES_MAX + 1)));
    }

    #[test]
    fn a_footer_that_unpacks_to_more_than_one_may_have_is_refused() {
        let chunk_bytes = usize::try_from(FOOTER_BYTES_MAX).unwrap_or(usize::MAX) / 4;
        let chunk = |length: usize| {
            let header = (u32::try_from(length).unwrap_or(0) << 1 | 1).to_le_bytes();
            [&header[..3], &vec![0; length]].concat()
        };
        let four = chunk(chunk_bytes).repeat(4);
        assert_eq!(
            unpacked(&four, ZLIB).ok().map(|bytes| bytes.len()),
            Some(4 * chunk_bytes)
        );
        let more = [four, chunk(5)].concat();
        assert!(matches!(unpacked(&more, ZLIB), Err(Damage::TooLarge(length)) if length == FOOTER_BYTES_MAX + 5));
    }
}
