//! lzf as Spark writes it: compress-lzf's chunks of at most 64 KiB, stored or compressed.
//!
//! Separate, and decoded by hand: the format is a page long and no maintained crate reads it.
//!
//! Format: <https://github.com/ning/compress/blob/compress-lzf-1.1.2/src/main/java/com/ning/compress/lzf/LZFChunk.java>

use super::codec::{Fault, Input, Spill};

const MAGIC: &[u8] = b"ZV";
const STORED: u8 = 0;
const COMPRESSED: u8 = 1;
const STORED_HEADER_BYTES: usize = 5;
const COMPRESSED_HEADER_BYTES: usize = 7;

/// Decoder of a sequence of chunks.
#[derive(Debug, Default)]
pub(super) struct LzfChunks {
    spill: Spill,
}

impl LzfChunks {
    /// See [`Decoder::decode`](super::codec::Decoder::decode).
    pub(super) fn decode(&mut self, input: &mut Input<'_>, out: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let count = self.spill.drain_into(out);
            if count > 0 {
                return Ok(count);
            }
            if !input.fill(STORED_HEADER_BYTES) {
                return if input.available().is_empty() {
                    Ok(0)
                } else {
                    Err(cut())
                };
            }
            let head = input.available();
            let (header_bytes, compressed) = match (head.starts_with(MAGIC), head[2]) {
                (true, STORED) => (STORED_HEADER_BYTES, false),
                (true, COMPRESSED) => (COMPRESSED_HEADER_BYTES, true),
                _ => {
                    input.consume(1);
                    return Err(Fault::at("broken lzf chunks", input.seek(MAGIC)));
                }
            };
            let stored_bytes = usize::from(u16::from_be_bytes([head[3], head[4]]));
            if !input.fill(header_bytes + stored_bytes) {
                return Err(cut());
            }
            let (header, rest) = input.available().split_at(header_bytes);
            let stored = &rest[..stored_bytes];
            let decoded = if compressed {
                let decoded_bytes = usize::from(u16::from_be_bytes([header[5], header[6]]));
                self.spill
                    .decode(decoded_bytes, out, |room| expand(stored, room).ok_or(()))
            } else {
                self.spill.decode(stored_bytes, out, |room| {
                    room.copy_from_slice(stored);
                    Ok(())
                })
            };
            match decoded {
                Ok(count) => {
                    input.consume(header_bytes + stored_bytes);
                    if count > 0 {
                        return Ok(count);
                    }
                }
                Err(()) => {
                    // The length may be what is broken, so the search for the next chunk starts inside this one.
                    input.consume(MAGIC.len());
                    return Err(Fault::at("broken lzf chunks", input.seek(MAGIC)));
                }
            }
        }
    }
}

fn cut() -> Fault {
    Fault::last("lzf chunks cut at the end of a file")
}

/// Expands one compressed chunk to exactly `out`.
fn expand(stored: &[u8], out: &mut [u8]) -> Option<()> {
    let (mut from, mut to) = (0, 0);
    // Every turn takes at least one stored byte.
    while let Some(control) = stored.get(from).copied().map(usize::from) {
        from += 1;
        if control < 32 {
            let length = control + 1;
            out.get_mut(to..to + length)?
                .copy_from_slice(stored.get(from..from + length)?);
            from += length;
            to += length;
            continue;
        }
        let mut length = control >> 5;
        if length == 7 {
            length += usize::from(*stored.get(from)?);
            from += 1;
        }
        length += 2;
        let distance = ((control & 0x1f) << 8) + usize::from(*stored.get(from)?) + 1;
        from += 1;
        let source = to.checked_sub(distance)?;
        if to + length > out.len() {
            return None;
        }
        if distance >= length {
            out.copy_within(source..source + length, to);
        } else {
            // The copy repeats what it has just written.
            for index in 0..length {
                out[to + index] = out[source + index];
            }
        }
        to += length;
    }
    (to == out.len()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::super::codec::{Codec, tests::decoded};
    use super::*;

    fn chunk(stored: &[u8], decoded_bytes: Option<u16>) -> Vec<u8> {
        let length = (stored.len() as u16).to_be_bytes();
        match decoded_bytes.map(u16::to_be_bytes) {
            Some(decoded) => [b"ZV\x01", &length[..], &decoded, stored].concat(),
            None => [b"ZV\0", &length[..], stored].concat(),
        }
    }

    /// A control byte below 32 is that many bytes and one more, as they are. Above, its upper three bits are a length less 2,
    /// to which the next byte is added if all three are set; its lower five and one more byte are how far back, less 1.
    #[test]
    fn a_chunk_is_expanded_as_the_format_has_it() {
        let bytes: Vec<u8> = (0..=255).chain(0..=63).collect();
        let literals: Vec<u8> = bytes.chunks(32).flat_map(|part| [&[31], part].concat()).collect();
        let of_all = |reference: &[u8]| [&literals, reference].concat();
        for (stored, expected) in [
            (b"\x02abc".to_vec(), b"abc".to_vec()),
            (b"\0a\x20\0".to_vec(), b"aaaa".to_vec()),
            (b"\x02abc\x40\x02\0d".to_vec(), b"abcabcad".to_vec()),
            (b"\x01ab\xe0\x03\x01".to_vec(), b"ab".repeat(7)),
            // From 320 bytes back, and from 257.
            (of_all(b"\x41\x3f"), [&bytes, &bytes[..4]].concat()),
            (of_all(b"\xe1\x01\0"), [&bytes, &bytes[63..73]].concat()),
        ] {
            let mut out = vec![0; expected.len()];
            assert_eq!(expand(&stored, &mut out), Some(()), "{stored:?}");
            assert_eq!(out, expected, "{stored:?}");
        }
        for (stored, decoded_bytes) in [
            (&b"\x02abc"[..], 2),
            (b"\x02abc", 4),
            (b"\x02ab", 3),
            (b"\0a\x20\0", 3),
            (b"\0a\x20\0", 5),
            (b"\0a\x20\x01", 4),
            (b"\0a\x20", 4),
            (b"\0a\xe0", 10),
            (b"\x20\0", 3),
        ] {
            assert_eq!(expand(stored, &mut vec![0; decoded_bytes]), None, "{stored:?}");
        }
    }

    #[test]
    fn chunks_packed_and_stored_are_one_text_whatever_pieces_they_come_in() {
        let stored = [
            chunk(b"as it is ", None),
            chunk(b"", None),
            chunk(b"\0a\xe0\xb0\0", Some(186)),
            chunk(b"", Some(0)),
            chunk(&[b'b'; 200], None),
        ];
        let expected = [b"as it is ", &[b'a'; 186][..], &[b'b'; 200]].concat();
        for piece in [1, 8, 10_000] {
            assert_eq!(
                decoded(Codec::Lzf, &stored.concat(), piece),
                (expected.clone(), vec![]),
                "{piece}"
            );
        }
    }

    #[test]
    fn a_broken_chunk_is_passed_over_and_a_file_that_is_cut_ends_there() {
        let (first, last) = (chunk(b"first", None), chunk(b"last", None));
        for broken in [
            b"xx\0\0\x01a".to_vec(),
            b"ZV\x02\0\x01a".to_vec(),
            chunk(b"\0ab", Some(2)),
            chunk(b"\0a", Some(2)),
        ] {
            let bytes = [&first[..], &broken, &last].concat();
            for piece in [1, 10_000] {
                let expected = (b"firstlast".to_vec(), vec!["broken lzf chunks"]);
                assert_eq!(decoded(Codec::Lzf, &bytes, piece), expected, "{broken:?}");
            }
        }
        let whole = [&first[..], &last].concat();
        for length in first.len() + 1..whole.len() {
            let cut = decoded(Codec::Lzf, &whole[..length], 10_000);
            assert_eq!(
                cut,
                (b"first".to_vec(), vec!["lzf chunks cut at the end of a file"]),
                "{length}"
            );
        }
    }
}
