//! zstd as Spark writes it: many frames one after the other, a frame ended by each flush.
//!
//! Separate because a broken frame must not cost the frames after it: decoding goes on at the next frame's magic number.
//!
//! Format: <https://datatracker.ietf.org/doc/html/rfc8878#section-3>

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::codec::{Fault, Input};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Decoded bytes asked for at a time: what is lost before a broken block is less than this.
const PIECE_BYTES: usize = 128 << 10;

/// Decoder of a sequence of frames.
pub(super) struct ZstdFrames {
    decoder: Decoder<'static>,
    inside_frame: bool,
}

impl ZstdFrames {
    /// A decoder that refuses windows beyond the limit.
    pub(super) fn new(window_log_max: u32) -> Result<Self, Fault> {
        let mut decoder = Decoder::new().map_err(|_| Fault::last("zstd decoder not created"))?;
        decoder
            .set_parameter(DParameter::WindowLogMax(window_log_max))
            .map_err(|_| Fault::last("zstd window limit not accepted"))?;
        Ok(Self {
            decoder,
            inside_frame: false,
        })
    }

    /// See [`Decoder::decode`](super::codec::Decoder::decode).
    pub(super) fn decode(&mut self, input: &mut Input<'_>, out: &mut [u8]) -> Result<usize, Fault> {
        let room = out.len().min(PIECE_BYTES);
        loop {
            let mut source = InBuffer::around(input.available());
            let mut target = OutBuffer::around(&mut out[..room]);
            let outcome = self.decoder.run(&mut source, &mut target);
            let (taken, written) = (source.pos(), target.pos());
            match outcome {
                Ok(hint) => {
                    input.consume(taken);
                    // A frame's last byte is taken when all of it has been handed out.
                    if taken > 0 {
                        self.inside_frame = hint != 0;
                    }
                }
                Err(_) => {
                    self.inside_frame = false;
                    let reset = self.decoder.reinit().is_ok();
                    input.consume(taken + 1);
                    return Err(Fault::at("broken zstd frames", reset && input.seek(&MAGIC)));
                }
            }
            if written > 0 {
                return Ok(written);
            }
            if taken == 0 && !input.fill(input.available().len() + 1) {
                if std::mem::take(&mut self.inside_frame) || !input.available().is_empty() {
                    return Err(Fault::last("zstd frames cut at the end of a file"));
                }
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::{Codec, tests::decoded};

    fn frame(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 0).unwrap()
    }

    #[test]
    fn frames_are_one_text_whatever_pieces_they_come_in() {
        // One that may be passed over is of the format, too.
        let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        let (first, last) = ([b'a'; 500], [b'c'; 500]);
        let stored = [frame(&first), frame(b""), skippable, frame(b"b"), frame(&last)].concat();
        let expected = [&first[..], b"b", &last].concat();
        for piece in [1, 7, 10_000] {
            assert_eq!(
                decoded(Codec::Zstd, &stored, piece),
                (expected.clone(), vec![]),
                "{piece}"
            );
        }
    }

    #[test]
    fn a_frame_that_is_cut_is_said_to_be_wherever_that_is() {
        let (first, last) = (frame(b"first"), frame(b""));
        let whole = [&first[..], &last].concat();
        for piece in [1, 10_000] {
            assert_eq!(decoded(Codec::Zstd, &whole, piece), (b"first".to_vec(), vec![]));
            for length in first.len() + 1..whole.len() {
                let cut = decoded(Codec::Zstd, &whole[..length], piece);
                assert_eq!(
                    cut,
                    (b"first".to_vec(), vec!["zstd frames cut at the end of a file"]),
                    "{length}"
                );
            }
        }
    }
}
