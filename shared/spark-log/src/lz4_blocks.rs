//! lz4 as Spark writes it: lz4-java's `LZ4BlockOutputStream`, which is not the lz4 frame format.
//!
//! Separate because its 21-byte headers, its checksum and its way to go on after a broken block are its own.
//!
//! Format: <https://github.com/lz4/lz4-java/blob/1.8.0/src/java/net/jpountz/lz4/LZ4BlockOutputStream.java>

use super::codec::{Fault, Input, Spill};

const MAGIC: &[u8] = b"LZ4Block";
const HEADER_BYTES: usize = 21;
const STORED: u8 = 0x10;
const COMPRESSED: u8 = 0x20;
/// A header's low nibble is the block size's exponent less this.
const LEVEL_BASE: u32 = 10;
const SEED: u32 = 0x9747_b28c;
/// lz4-java keeps 28 bits of the checksum.
const CHECKSUM_MASK: u32 = 0x0fff_ffff;

/// Decoder of a sequence of blocks.
#[derive(Debug, Default)]
pub(super) struct Lz4Blocks {
    spill: Spill,
}

impl Lz4Blocks {
    /// See [`Decoder::decode`](super::codec::Decoder::decode).
    pub(super) fn decode(&mut self, input: &mut Input<'_>, out: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let count = self.spill.drain_into(out);
            if count > 0 {
                return Ok(count);
            }
            if !input.fill(HEADER_BYTES) {
                return if input.available().is_empty() {
                    Ok(0)
                } else {
                    Err(cut())
                };
            }
            let Some(header) = Header::parse(input.available()) else {
                input.consume(1);
                return Err(Fault::at("broken lz4 blocks", input.seek(MAGIC)));
            };
            if header.decoded_bytes == 0 {
                input.consume(HEADER_BYTES);
                continue;
            }
            if !input.fill(HEADER_BYTES + header.stored_bytes) {
                // Nothing of a cut block can be trusted, but a whole one may follow if its length is what is broken.
                input.consume(1);
                let found = input.seek(MAGIC);
                return Err(if found {
                    Fault::at("broken lz4 blocks", true)
                } else {
                    cut()
                });
            }
            if let Some((count, stored_bytes)) = decode_pair(&header, input.available(), out) {
                input.consume(stored_bytes);
                return Ok(count);
            }
            let stored = &input.available()[HEADER_BYTES..HEADER_BYTES + header.stored_bytes];
            let decoded = self
                .spill
                .decode(header.decoded_bytes, out, |room| header.decode(stored, room));
            input.consume(HEADER_BYTES + header.stored_bytes);
            return decoded.map_err(|()| Fault::at("broken lz4 blocks", true));
        }
    }
}

/// Decodes this block and the next in one go, if both are at hand, alike, whole, and fit: the checksum waits for its own
/// last result at every step, and two of them wait together. `None`: one at a time, which also tells what is broken.
fn decode_pair(first: &Header, input: &[u8], out: &mut [u8]) -> Option<(usize, usize)> {
    let (stored, rest) = input.get(HEADER_BYTES..)?.split_at_checked(first.stored_bytes)?;
    let second = Header::parse(rest).filter(|second| second.decoded_bytes == first.decoded_bytes)?;
    let stored_next = rest.get(HEADER_BYTES..HEADER_BYTES + second.stored_bytes)?;
    let room = out.get_mut(..first.decoded_bytes * 2)?;
    let (room, room_next) = room.split_at_mut(first.decoded_bytes);
    first.expand(stored, room).ok()?;
    second.expand(stored_next, room_next).ok()?;
    let checksums = xxh32([&*room, &*room_next], SEED).map(|checksum| checksum & CHECKSUM_MASK);
    (checksums == [first.checksum, second.checksum]).then_some((
        first.decoded_bytes * 2,
        HEADER_BYTES * 2 + first.stored_bytes + second.stored_bytes,
    ))
}

fn cut() -> Fault {
    Fault::last("lz4 blocks cut at the end of a file")
}

/// The head of one block.
struct Header {
    method: u8,
    stored_bytes: usize,
    decoded_bytes: usize,
    checksum: u32,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (token, rest) = rest.split_first()?;
        let integer = |index: usize| -> Option<u32> {
            Some(u32::from_le_bytes(rest.get(index * 4..index * 4 + 4)?.try_into().ok()?))
        };
        let header = Self {
            method: token & 0xf0,
            stored_bytes: usize::try_from(integer(0)?).ok()?,
            decoded_bytes: usize::try_from(integer(1)?).ok()?,
            checksum: integer(2)?,
        };
        let block_bytes = 1_usize << (LEVEL_BASE + u32::from(token & 0x0f));
        let plausible = header.decoded_bytes <= block_bytes
            && match header.method {
                STORED => header.stored_bytes == header.decoded_bytes,
                COMPRESSED => header.stored_bytes <= header.decoded_bytes,
                _ => false,
            }
            && (header.decoded_bytes == 0) == (header.stored_bytes == 0);
        plausible.then_some(header)
    }

    fn decode(&self, stored: &[u8], out: &mut [u8]) -> Result<(), ()> {
        self.expand(stored, out)?;
        if xxh32([&*out], SEED)[0] & CHECKSUM_MASK == self.checksum {
            Ok(())
        } else {
            Err(())
        }
    }

    /// Decodes without a look at the checksum.
    fn expand(&self, stored: &[u8], out: &mut [u8]) -> Result<(), ()> {
        if self.method == STORED {
            out.copy_from_slice(stored);
        } else if lz4_flex::block::decompress_into(stored, out).ok() != Some(out.len()) {
            return Err(());
        }
        Ok(())
    }
}

const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];

/// xxHash, 32 bits, of texts of one length, side by side:
/// <https://github.com/Cyan4973/xxHash/blob/v0.8.2/doc/xxhash_spec.md#xxh32-algorithm-description>
fn xxh32<const TEXTS: usize>(texts: [&[u8]; TEXTS], seed: u32) -> [u32; TEXTS] {
    let halves = texts.map(<[u8]>::as_chunks::<16>);
    let mut lanes = [[
        seed.wrapping_add(PRIMES[0]).wrapping_add(PRIMES[1]),
        seed.wrapping_add(PRIMES[1]),
        seed,
        seed.wrapping_sub(PRIMES[0]),
    ]; TEXTS];
    let stripes = halves.iter().map(|(stripes, _)| stripes.len()).min().unwrap_or(0);
    let sources = halves.map(|(source, _)| &source[..stripes]);
    for index in 0..stripes {
        for (lanes, source) in lanes.iter_mut().zip(&sources) {
            for (lane, word) in lanes.iter_mut().zip(source[index].as_chunks::<4>().0) {
                *lane = lane
                    .wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIMES[1]))
                    .rotate_left(13)
                    .wrapping_mul(PRIMES[0]);
            }
        }
    }
    std::array::from_fn(|text| {
        let [a, b, c, d] = lanes[text];
        let begun = if stripes == 0 {
            seed.wrapping_add(PRIMES[4])
        } else {
            a.rotate_left(1)
                .wrapping_add(b.rotate_left(7))
                .wrapping_add(c.rotate_left(12))
                .wrapping_add(d.rotate_left(18))
        };
        // The algorithm takes the length modulo 2^32.
        finish(begun.wrapping_add(texts[text].len() as u32), halves[text].1)
    })
}

/// The last bytes, fewer than 16, and the mixing of all.
fn finish(mut hash: u32, rest: &[u8]) -> u32 {
    let (words, tail) = rest.as_chunks::<4>();
    for word in words {
        let word = u32::from_le_bytes(*word).wrapping_mul(PRIMES[2]);
        hash = hash.wrapping_add(word).rotate_left(17).wrapping_mul(PRIMES[3]);
    }
    for byte in tail {
        hash = hash
            .wrapping_add(u32::from(*byte).wrapping_mul(PRIMES[4]))
            .rotate_left(11)
            .wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIMES[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIMES[2]);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::super::codec::{Codec, tests::decoded};
    use super::*;

    #[test]
    fn the_checksum_is_xxhash() {
        assert_eq!(xxh32([b""], 0), [0x02cc_5d05]);
        assert_eq!(xxh32([b"abc", b"abc"], 0), [0x32d1_53ff; 2]);
        let text = b"Nobody inspects the spammish repetition";
        assert_eq!(xxh32([text], 0), [0xe229_3b2f]);
        assert_eq!(xxh32([text, &[0; 39]], 0), [0xe229_3b2f, xxh32([&[0; 39]], 0)[0]]);
    }

    fn header(token: u8, stored_bytes: usize, decoded_bytes: usize, checksum: u32) -> Vec<u8> {
        let numbers = [stored_bytes as u32, decoded_bytes as u32, checksum].map(u32::to_le_bytes);
        [MAGIC, &[token], numbers.as_flattened()].concat()
    }

    /// A block as `LZ4BlockOutputStream` writes it for blocks of 1 KiB: packed only if that makes it smaller.
    fn block(text: &[u8]) -> Vec<u8> {
        let checksum = xxh32([text], SEED)[0] & 0x0fff_ffff;
        let packed = lz4_flex::block::compress(text);
        let (method, stored) = if packed.len() < text.len() {
            (0x20, &packed[..])
        } else {
            (0x10, text)
        };
        [header(method, stored.len(), text.len(), checksum), stored.to_vec()].concat()
    }

    /// What `refill` of lz4-java's `LZ4BlockInputStream` refuses.
    #[test]
    fn a_header_that_no_block_can_have_is_none() {
        for (token, stored_bytes, decoded_bytes, is_one) in [
            (0x20, 900, 1_024, true),
            (0x20, 900, 1_025, false),
            (0x25, 900, 32 << 10, true),
            (0x25, 900, (32 << 10) + 1, false),
            (0x2f, 900, 32 << 20, true),
            (0x10, 1_024, 1_024, true),
            (0x10, 1_023, 1_024, false),
            (0x30, 900, 1_024, false),
            (0x00, 900, 1_024, false),
            (0x20, 0, 1_024, false),
            (0x10, 0, 0, true),
            (0x10, 900, 0, false),
        ] {
            let header = Header::parse(&header(token, stored_bytes, decoded_bytes, 7));
            assert_eq!(header.is_some(), is_one, "{token:x} {stored_bytes} {decoded_bytes}");
        }
        assert!(Header::parse(b"LZ4Block\x20\0\0").is_none());
        assert!(Header::parse(&[b'x'; HEADER_BYTES]).is_none());
    }

    #[test]
    fn blocks_packed_and_stored_are_one_text_whatever_pieces_they_come_in() {
        let texts = [
            &[b'a'; 1_000][..],
            &[b'b'; 1_000],
            b"stored",
            b"as it is",
            &[b'c'; 90],
            b"",
            b"end",
        ];
        let stored: Vec<u8> = texts.iter().flat_map(|text| block(text)).collect();
        for piece in [1, 22, 100, 10_000] {
            assert_eq!(decoded(Codec::Lz4, &stored, piece), (texts.concat(), vec![]), "{piece}");
        }
    }

    #[test]
    fn a_broken_block_is_passed_over_and_a_file_that_is_cut_ends_there() {
        let (first, broken, last) = (block(&[b'a'; 70]), block(b"broken"), block(b"last one"));
        let damaged = |at: usize| {
            let mut block = broken.clone();
            block[at] ^= 0x40;
            [&first[..], &block, &last].concat()
        };
        let expected = ([&[b'a'; 70][..], b"last one"].concat(), vec!["broken lz4 blocks"]);
        // In its mark, its method, its length, its checksum, and in what it holds.
        for at in [0, 8, 9, 12, 17, 21, 26] {
            for piece in [1, 10_000] {
                assert_eq!(decoded(Codec::Lz4, &damaged(at), piece), expected, "{at}");
            }
        }
        let whole = [&first[..], &last].concat();
        for length in first.len() + 1..whole.len() {
            let cut = decoded(Codec::Lz4, &whole[..length], 10_000);
            assert_eq!(
                cut,
                (vec![b'a'; 70], vec!["lz4 blocks cut at the end of a file"]),
                "{length}"
            );
        }
    }

    #[test]
    fn two_blocks_alike_that_are_whole_and_fit_are_decoded_at_once() {
        let (one, two, stored) = (block(&[b'a'; 1_000]), block(&[b'b'; 1_000]), block(b"as it is"));
        let pair = |input: &[u8], room: usize| {
            let mut out = vec![0; room];
            let header = Header::parse(input).unwrap();
            let taken = decode_pair(&header, input, &mut out);
            taken.map(|(count, bytes)| (out[..count].to_vec(), bytes))
        };
        let (both, text) = ([&one[..], &two].concat(), [[b'a'; 1_000], [b'b'; 1_000]].concat());
        assert_eq!(pair(&both, 2_000), Some((text.clone(), both.len())));
        assert_eq!(pair(&[&both[..], &stored].concat(), 5_000), Some((text, both.len())));
        let as_it_is = [&stored[..], &stored].concat();
        assert_eq!(
            pair(&as_it_is, 16),
            Some((b"as it isas it is".to_vec(), as_it_is.len()))
        );
        let mut damaged = both.clone();
        damaged[one.len() + 17] ^= 1;
        assert_eq!(pair(&damaged, 2_000), None);
        assert_eq!(pair(&both, 1_999), None);
        assert_eq!(pair(&both[..both.len() - 1], 2_000), None);
        assert_eq!(pair(&[&one[..], &stored].concat(), 5_000), None);
        assert_eq!(pair(&[&stored[..], &one].concat(), 5_000), None);
    }
}
