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

    /// A file's end, with a footer of these fields.
    fn file(fields: &[&[u8]]) -> Vec<u8> {
        let footer = fields.concat();
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        [&footer, &length[..], b"PAR1"].concat()
    }

    /// Field 3 behind field 1, of 64 bits: seven rows.
    const SEVEN_ROWS: &[u8] = &[0x26, 14];

    /// Each type and its code:
    /// <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md#struct-encoding>
    #[test]
    fn what_is_in_front_of_the_rows_is_passed_over_whatever_its_type() {
        let text = |length: u8| [&[length][..], &vec![0xff; length.into()]].concat();
        for (what, code, value) in [
            ("true", 1, vec![]),
            ("false", 2, vec![]),
            ("a byte", 3, vec![0xff]),
            ("16 bits", 4, vec![0xff, 0xff, 3]),
            ("32 bits", 5, vec![0x80, 1]),
            ("64 bits", 6, vec![8]),
            ("a double", 7, vec![0xff; 8]),
            ("bytes", 8, text(5)),
            ("no bytes", 8, vec![0]),
            ("a list of three numbers", 9, vec![0x35, 0x80, 1, 7, 0xff, 1]),
            ("a list of fourteen bytes", 9, [vec![0xe3], vec![0xff; 14]].concat()),
            ("a list of sixteen bytes", 9, [vec![0xf3, 16], vec![0xff; 16]].concat()),
            ("a list of truth values", 9, vec![0x21, 1, 2]),
            ("an empty list", 9, vec![0x05]),
            ("a set of a text", 10, [vec![0x18], text(4)].concat()),
            ("an empty map", 11, vec![0]),
            (
                "a map of one number to a text",
                11,
                [vec![1, 0x68, 0x80, 1], text(3)].concat(),
            ),
            (
                "a map of two bytes to numbers",
                11,
                vec![2, 0x35, 0xff, 0x80, 1, 0xff, 1],
            ),
            ("a structure with rows of its own", 12, vec![0x36, 99, 0x18, 1, 0xff, 0]),
            ("a list of structures", 9, vec![0x2c, 0x16, 1, 0, 0x11, 0]),
        ] {
            let file = file(&[&[0x10 | code], &value, SEVEN_ROWS]);
            assert_eq!(rows(&file), Ok(Told::Rows(7)), "{what}");
        }
    }

    #[test]
    fn the_rows_are_field_three_if_that_is_a_number() {
        // Its id may be said whole.
        assert_eq!(rows(&file(&[&[0x06, 6, 14]])), Ok(Told::Rows(7)));
        for (what, fields) in [
            ("another field", &[0x26, 14, 0][..]),
            ("a field of no number", &[0x38, 0, 0]),
            ("none", &[0]),
        ] {
            let told = rows(&file(&[fields]));
            assert_eq!(told, Err(Damage::Broken("it does not say how many rows")), "{what}");
        }
        assert_eq!(
            rows(&file(&[&[0x36, 13]])),
            Err(Damage::Broken("it has less than no rows"))
        );
        for code in [13, 15] {
            let told = rows(&file(&[&[0x10 | code], SEVEN_ROWS]));
            assert_eq!(told, Err(Damage::Broken("a field of no known type")), "{code}");
        }
    }

    #[test]
    fn a_structure_holds_so_many_inside_of_each_other_and_so_does_a_list() {
        let structures = |inside: usize| [vec![0x1c_u8; 1 + inside], vec![0; 1 + inside]].concat();
        let lists = |inside: usize| [vec![0x19_u8; 1 + inside], vec![0x05]].concat();
        for nested in [&structures as &dyn Fn(usize) -> Vec<u8>, &lists] {
            assert_eq!(rows(&file(&[&nested(DEPTH_MAX), SEVEN_ROWS])), Ok(Told::Rows(7)));
            let told = rows(&file(&[&nested(DEPTH_MAX + 1), SEVEN_ROWS]));
            assert_eq!(told, Err(Damage::Broken("structures in structures without end")));
        }
    }
}
