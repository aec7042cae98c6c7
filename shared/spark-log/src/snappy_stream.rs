//! snappy as Spark writes it: snappy-java's `SnappyOutputStream`, a header and then raw blocks with their lengths.
//!
//! Separate because its blocks carry no mark to search for: a broken block is passed over by its length.
//!
//! Format: <https://github.com/xerial/snappy-java/blob/v1.1.10.5/src/main/java/org/xerial/snappy/SnappyOutputStream.java>

use super::codec::{Fault, Input, Spill};

const MAGIC: &[u8] = &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, then version and least compatible version.
const HEADER_BYTES: usize = 16;
/// Far above `spark.io.compression.snappy.blockSize` (32 KiB unless set).
const BLOCK_BYTES_MAX: usize = 32 << 20;

/// Decoder of a stream of blocks.
#[derive(Debug, Default)]
pub(super) struct SnappyStream {
    spill: Spill,
}

impl SnappyStream {
    /// See [`Decoder::decode`](super::codec::Decoder::decode).
    pub(super) fn decode(&mut self, input: &mut Input<'_>, out: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let count = self.spill.drain_into(out);
            if count > 0 {
                return Ok(count);
            }
            if !input.fill(4) {
                return if input.available().is_empty() {
                    Ok(0)
                } else {
                    Err(cut())
                };
            }
            // Streams may follow each other: a header is where a length would be, and no length begins like it.
            if input.available()[0] == MAGIC[0] && input.fill(HEADER_BYTES) && input.available().starts_with(MAGIC) {
                input.consume(HEADER_BYTES);
                continue;
            }
            let Some(stored_bytes) = length(input.available()) else {
                input.consume(1);
                return Err(Fault::at("broken snappy blocks", input.seek(MAGIC)));
            };
            if !input.fill(4 + stored_bytes) {
                input.consume(1);
                let found = input.seek(MAGIC);
                return Err(if found {
                    Fault::at("broken snappy blocks", true)
                } else {
                    cut()
                });
            }
            let stored = &input.available()[4..4 + stored_bytes];
            let decoded = self.decode_block(stored, out);
            input.consume(4 + stored_bytes);
            match decoded {
                Ok(0) => (),
                Ok(count) => return Ok(count),
                Err(()) => return Err(Fault::at("broken snappy blocks", true)),
            }
        }
    }

    fn decode_block(&mut self, stored: &[u8], out: &mut [u8]) -> Result<usize, ()> {
        let decoded_bytes = snap::raw::decompress_len(stored).map_err(|_| ())?;
        if decoded_bytes > BLOCK_BYTES_MAX {
            return Err(());
        }
        self.spill.decode(decoded_bytes, out, |room| {
            // It fills the room, or fails.
            let decoded = snap::raw::Decoder::new().decompress(stored, room);
            decoded.map(drop).map_err(drop)
        })
    }
}

fn cut() -> Fault {
    Fault::last("snappy blocks cut at the end of a file")
}

/// The length that starts a block, if it can be one.
fn length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    let length = usize::try_from(length).ok()?;
    (length > 0 && length <= BLOCK_BYTES_MAX).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::super::codec::{Codec, tests::decoded};
    use super::*;

    #[test]
    fn a_block_has_a_length_and_none_is_beyond_what_spark_writes() {
        for (bytes, expected) in [
            (&[0, 0, 0, 1][..], Some(1)),
            (&[0, 0, 1, 2, 99], Some(258)),
            (&[2, 0, 0, 0], Some(BLOCK_BYTES_MAX)),
            (&[2, 0, 0, 1], None),
            (&[0xff; 4], None),
            (&[0, 0, 0, 0], None),
            (&[0, 0, 1], None),
        ] {
            assert_eq!(length(bytes), expected, "{bytes:?}");
        }
    }

    const HEADER: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

    fn block(text: &[u8]) -> Vec<u8> {
        let packed = snap::raw::Encoder::new().compress_vec(text).unwrap();
        [&(packed.len() as u32).to_be_bytes(), &packed[..]].concat()
    }

    #[test]
    fn streams_one_after_the_other_are_one_text_whatever_pieces_they_come_in() {
        let stored = [
            HEADER,
            &block(&[b'a'; 500]),
            &block(b""),
            &block(b"bc"),
            HEADER,
            &block(b"de"),
        ]
        .concat();
        let expected = [&[b'a'; 500][..], b"bcde"].concat();
        for piece in [1, 5, 10_000] {
            assert_eq!(
                decoded(Codec::Snappy, &stored, piece),
                (expected.clone(), vec![]),
                "{piece}"
            );
        }
    }

    #[test]
    fn a_broken_block_is_passed_over_and_a_file_that_is_cut_ends_there() {
        let (first, last) = ([HEADER, &block(b"first")].concat(), block(b"last"));
        // What it holds is no snappy: by its length it is passed over. A length that none can be: up to the next header.
        for (broken, next) in [
            (&b"\0\0\0\x02\x09\xff"[..], &last[..]),
            (&[0; 30], &[HEADER, &last].concat()),
            (&[0x82; 30], &[HEADER, &last].concat()),
            (b"\x01\0\0\0abc", &[HEADER, &last].concat()),
        ] {
            for piece in [1, 10_000] {
                let expected = (b"firstlast".to_vec(), vec!["broken snappy blocks"]);
                let bytes = [&first[..], broken, next].concat();
                assert_eq!(decoded(Codec::Snappy, &bytes, piece), expected, "{broken:?}");
            }
        }
        let whole = [&first[..], &last].concat();
        for length in first.len() + 1..whole.len() {
            let cut = decoded(Codec::Snappy, &whole[..length], 10_000);
            assert_eq!(
                cut,
                (b"first".to_vec(), vec!["snappy blocks cut at the end of a file"]),
                "{length}"
            );
        }
    }

    #[test]
    fn a_block_that_says_it_is_larger_than_any_is_broken() {
        // 64 bytes as they are, and again and again a copy of the 64 before.
        let copies = b"\xfe\x40\0".repeat(BLOCK_BYTES_MAX / 64 - 1);
        let largest = [b"\x80\x80\x80\x10\xf0\x3f", &[b'x'; 64][..], &copies].concat();
        let mut larger = [&largest[..], b"\0y"].concat();
        larger[0] += 1;
        let mut room = vec![0; BLOCK_BYTES_MAX + 1];
        for (packed, expected) in [(largest, Ok(BLOCK_BYTES_MAX)), (larger, Err(()))] {
            assert_eq!(SnappyStream::default().decode_block(&packed, &mut room), expected);
        }
    }
}
