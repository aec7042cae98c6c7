//! Lines of text, packed or not.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// The lines of a text, up to so many of its bytes, unpacked; `None`: it has more. A last line may go without its end.
///
/// A row of CSV that has line breaks in quotes counts as several, and a header as one: compared with another run of the same
/// job that makes no difference.
pub fn lines(text: impl Read, gzip: bool, bytes_max: u64) -> io::Result<Option<u64>> {
    if gzip {
        counted(MultiGzDecoder::new(text), bytes_max)
    } else {
        counted(text, bytes_max)
    }
}

fn counted(text: impl Read, bytes_max: u64) -> io::Result<Option<u64>> {
    let mut text = text.take(bytes_max.saturating_add(1));
    let mut buffer = vec![0; 64 * 1024];
    let (mut lines, mut bytes, mut last) = (0, 0, b'\n');
    loop {
        let read = match text.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => &buffer[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        bytes += read.len() as u64;
        lines += memchr::memchr_iter(b'\n', read).count() as u64;
        last = read[read.len() - 1];
    }
    Ok((bytes <= bytes_max).then_some(lines + u64::from(last != b'\n')))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_are_counted_packed_and_not_and_the_last_needs_no_end() {
        for (text, expected) in [("", 0), ("a\n", 1), ("a\nb", 2), ("\n\n", 2)] {
            assert_eq!(lines(text.as_bytes(), false, 100).unwrap(), Some(expected), "{text:?}");
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text.as_bytes()).unwrap();
            let packed = packed.finish().unwrap();
            // Two members one after the other are one text.
            let twice = [packed.clone(), packed].concat();
            let doubled = lines([text, text].concat().as_bytes(), false, 100).unwrap();
            assert_eq!(lines(twice.as_slice(), true, 100).unwrap(), doubled, "{text:?}");
        }
    }

    /// <https://doc.rust-lang.org/std/io/trait.Read.html#errors>
    #[test]
    fn a_read_that_was_interrupted_is_tried_again_and_another_error_is_told() {
        struct Fails(io::ErrorKind);
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                match std::mem::replace(&mut self.0, io::ErrorKind::Other) {
                    io::ErrorKind::Other => Ok(0),
                    kind => Err(kind.into()),
                }
            }
        }
        let text = |kind| b"a\n".chain(Fails(kind)).chain(&b"b\n"[..]);
        let interrupted = text(io::ErrorKind::Interrupted);
        assert_eq!(lines(interrupted, false, 100).unwrap(), Some(2));
        let reset = lines(text(io::ErrorKind::ConnectionReset), false, 100);
        assert_eq!(reset.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn what_is_longer_than_the_cap_is_not_counted() {
        assert_eq!(lines(&b"abc\n"[..], false, 4).unwrap(), Some(1));
        assert_eq!(lines(&b"abc\nd"[..], false, 4).unwrap(), None);
        assert!(lines(&b"no gzip"[..], true, 100).is_err());
    }
}
