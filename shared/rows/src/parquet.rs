//! The footer of a Parquet file: `FileMetaData` in Thrift's compact protocol, its length, and `PAR1`.
//!
//! <https://parquet.apache.org/docs/file-format/>,
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>,
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

use crate::FOOTER_BYTES_MAX;
use crate::footer::{Bytes, Damage, Told};

/// `FileMetaData.num_rows`.
const NUM_ROWS: i64 = 3;
/// Structures inside of structures at most.
const DEPTH_MAX: usize = 32;

pub(crate) fn rows(tail: &[u8]) -> Result<Told, Damage> {
    let Some((rest, end)) = tail.split_last_chunk::<8>() else {
        return Err(Damage::NotThis("Parquet"));
    };
    let [length @ .., _, _, _, _] = end;
    match &end[4..] {
        b"PAR1" => {}
        b"PARE" => return Err(Damage::Encrypted),
        _ => return Err(Damage::NotThis("Parquet")),
    }
    let length = u64::from(u32::from_le_bytes(*length));
    if length > FOOTER_BYTES_MAX {
        return Err(Damage::TooLarge(length));
    }
    let Some(from) = rest.len().checked_sub(usize::try_from(length).unwrap_or(usize::MAX)) else {
        return Ok(Told::Needs(length + 8));
    };
    num_rows(Bytes(&rest[from..])).map(Told::Rows)
}

fn num_rows(mut metadata: Bytes<'_>) -> Result<u64, Damage> {
    let mut id = 0;
    while let Some(kind) = field(&mut metadata, &mut id)? {
        if id == NUM_ROWS && kind == Kind::Number {
            return u64::try_from(zigzag(metadata.number()?)).map_err(|_| Damage::Broken("it has less than no rows"));
        }
        skip(&mut metadata, kind, 0)?;
    }
    Err(Damage::Broken("it does not say how many rows"))
}

/// What stands in a field, as far as its length goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The field's own header has it.
    Bool,
    Byte,
    /// Of 16, 32 or 64 bits.
    Number,
    Double,
    Binary,
    /// Or a set.
    List,
    Map,
    Struct,
}

impl Kind {
    fn of(code: u8) -> Result<Self, Damage> {
        Ok(match code {
            1 | 2 => Self::Bool,
            3 => Self::Byte,
            4..=6 => Self::Number,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            _ => return Err(Damage::Broken("a field of no known type")),
        })
    }
}

/// The next field's type, and its id; `None`: the structure ends.
fn field(bytes: &mut Bytes<'_>, id: &mut i64) -> Result<Option<Kind>, Damage> {
    let header = bytes.byte()?;
    if header == 0 {
        return Ok(None);
    }
    *id = match header >> 4 {
        0 => zigzag(bytes.number()?),
        step => id.saturating_add(i64::from(step)),
    };
    Kind::of(header & 0x0f).map(Some)
}

fn zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn skip(bytes: &mut Bytes<'_>, kind: Kind, depth: usize) -> Result<(), Damage> {
    if depth > DEPTH_MAX {
        return Err(Damage::Broken("structures in structures without end"));
    }
    match kind {
        Kind::Bool => {}
        Kind::Byte => drop(bytes.byte()?),
        Kind::Number => drop(bytes.number()?),
        Kind::Double => drop(bytes.take(8)?),
        Kind::Binary => {
            let length = bytes.number()?;
            bytes.take(length)?;
        }
        Kind::List => {
            let header = bytes.byte()?;
            let count = match header >> 4 {
                15 => bytes.number()?,
                count => u64::from(count),
            };
            let kind = Kind::of(header & 0x0f)?;
            elements(bytes, &[kind], count, depth)?;
        }
        Kind::Map => {
            let count = bytes.number()?;
            if count > 0 {
                let kinds = bytes.byte()?;
                elements(bytes, &[Kind::of(kinds >> 4)?, Kind::of(kinds & 0x0f)?], count, depth)?;
            }
        }
        Kind::Struct => {
            let mut id = 0;
            while let Some(kind) = field(bytes, &mut id)? {
                skip(bytes, kind, depth + 1)?;
            }
        }
    }
    Ok(())
}

/// Each element takes a byte at least, so a count that lies ends with the bytes.
fn elements(bytes: &mut Bytes<'_>, kinds: &[Kind], count: u64, depth: usize) -> Result<(), Damage> {
    for _ in 0..count {
        for kind in kinds {
            match kind {
                // In a list a truth value has a byte of its own.
                Kind::Bool => drop(bytes.byte()?),
                kind => skip(bytes, *kind, depth + 1)?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// <https://protobuf.dev/programming-guides/encoding/#signed-ints>
    #[test]
    fn numbers_below_zero_are_between_those_above() {
        let numbers = [0, 1, 2, 3, u64::MAX - 1, u64::MAX].map(zigzag);
        assert_eq!(numbers, [0, -1, 1, -2, i64::MAX, i64::MIN]);
    }
}
