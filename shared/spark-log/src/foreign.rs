//! Formats that a file may have instead of one of Spark's, told by their marks.
//!
//! Separate because these are refused by name, and not decoded: what to do about it differs from a broken log.

/// The mark a file begins with, and what is said of it.
const MARKS: [(&[u8], &str); 9] = [
    // What the History Server's `/applications/<id>/logs` gives:
    // https://spark.apache.org/docs/3.5.5/monitoring.html#rest-api
    (
        b"PK\x03\x04",
        "zip archives, which are not unpacked here: unpack them first",
    ),
    (b"PK\x05\x06", "zip archives with nothing in them"),
    (b"BZh", "bzip2 files, which are not unpacked here: unpack them first"),
    (
        b"\xfd7zXZ\0",
        "xz files, which are not unpacked here: unpack them first",
    ),
    (
        b"7z\xbc\xaf\x27\x1c",
        "7z archives, which are not unpacked here: unpack them first",
    ),
    // Spark writes blocks of its own, see `lz4_blocks`.
    (
        b"\x04\x22\x4d\x18",
        "files of the lz4 program, which are not unpacked here: unpack them first",
    ),
    // As above: Spark's snappy is another stream than that of
    // https://github.com/google/snappy/blob/main/framing_format.txt
    (
        b"\xff\x06\0\0sNaPpY",
        "files of snappy's framing format, which are not unpacked here: unpack them first",
    ),
    (b"PAR1", "Parquet files, which are no event logs"),
    (b"%PDF", "PDF files, which are no event logs"),
];

/// Where a tar archive has its mark, which is not at its start.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// Bytes of a file's start that are needed to tell.
pub(super) const HEAD_BYTES: usize = TAR.0 + TAR.1.len();

/// What the file is, in words, if it is one of these.
pub(super) fn sniff(head: &[u8]) -> Option<&'static str> {
    if head.get(TAR.0..HEAD_BYTES) == Some(TAR.1) && head[0] != b'{' {
        return Some("tar archives, which are not unpacked here: unpack them first");
    }
    let found = MARKS.iter().find(|(mark, _)| head.starts_with(mark));
    found.map(|(_, words)| *words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// POSIX's `ustar`: the mark stands behind a name, which ends with zeros.
    #[test]
    fn a_mark_tells_only_where_it_stands() {
        let mut tar = vec![b'a'; 600];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(sniff(&tar).unwrap().starts_with("tar archives"));
        assert_eq!(sniff(&tar[1..]), None);
        assert_eq!(sniff(&tar[..261]), None);
        // JSON in which that word stands there.
        tar[0] = b'{';
        assert_eq!(sniff(&tar), None);
        for (mark, words) in MARKS {
            assert_eq!(sniff(&[mark, b"more"].concat()), Some(words));
            assert_eq!(sniff(&[b" ", mark].concat()), None);
        }
        assert_eq!(sniff(b"{\"Event\":\"PAR1\"}"), None);
    }
}
