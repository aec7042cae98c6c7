//! How many rows a file of a job's output has: by the footers of Parquet and ORC, of which the last bytes are enough, and by
//! the lines of text.
//!
//! A footer holds the number of all rows; nothing else of it is read. The readers take any bytes, in bounded memory, and
//! say what is wrong with them.

mod footer;
mod lines;
mod orc;
mod parquet;

pub use footer::{Damage, Told};
pub use lines::lines;

/// So many of the last bytes hold most footers.
pub const TAIL_BYTES: u64 = 64 * 1024;
/// A footer larger than this is not read.
pub const FOOTER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a file is, by its name as Spark writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Apache ORC.
    Orc,
    /// A row a line: text, CSV, JSON lines.
    Text {
        /// Packed by gzip.
        gzip: bool,
    },
}

impl Format {
    /// The format of a file of this name; `None`: its rows cannot be counted here.
    pub fn of(name: &str) -> Option<Self> {
        let name = name.rsplit('/').next()?;
        let (plain, gzip) = name.strip_suffix(".gz").map_or((name, false), |plain| (plain, true));
        match plain.rsplit_once('.') {
            Some((_, "parquet")) if !gzip => Some(Self::Parquet),
            Some((_, "orc")) if !gzip => Some(Self::Orc),
            Some((_, "csv" | "json" | "txt" | "tsv")) => Some(Self::Text { gzip }),
            // What saveAsTextFile writes: part-00000.
            None if plain.starts_with("part-") => Some(Self::Text { gzip }),
            _ => None,
        }
    }

    /// The rows of a file with these last bytes; for the formats that have a footer.
    pub fn rows(self, tail: &[u8]) -> Result<Told, Damage> {
        match self {
            Self::Parquet => parquet::rows(tail),
            Self::Orc => orc::rows(tail),
            Self::Text { .. } => Err(Damage::NoFooter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_says_what_it_is() {
        let text = |gzip| Some(Format::Text { gzip });
        for (name, format) in [
            ("out/part-00000-8a-c000.snappy.parquet", Some(Format::Parquet)),
            ("part-00000-8a-c000.zstd.orc", Some(Format::Orc)),
            ("part-00000-8a-c000.csv", text(false)),
            ("part-00000-8a-c000.csv.gz", text(true)),
            ("part-00000-8a-c000.json.gz", text(true)),
            ("resultsspot/part-00017", text(false)),
            ("resultsspot/part-00017.gz", text(true)),
            ("part-00000-8a-c000.avro", None),
            ("part-00000.parquet.gz", None),
            ("part-00000.orc.gz", None),
            ("part-00000.csv.bz2", None),
            ("manifest", None),
        ] {
            assert_eq!(Format::of(name), format, "{name}");
        }
    }
}
