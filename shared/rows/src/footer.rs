//! What the readers of footers say, and the number that both of their encodings are made of.

/// What the last bytes of a file tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// So many rows.
    Rows(u64),
    /// So many of the last bytes are needed to tell.
    Needs(u64),
}

/// Why a footer tells nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The format has none.
    #[error("it has no footer")]
    NoFooter,
    /// The file is of another kind than its name says, or cut short.
    #[error("it does not end as {0} does")]
    NotThis(&'static str),
    /// Its footer is encrypted.
    #[error("its footer is encrypted")]
    Encrypted,
    /// The footer is larger than is read.
    #[error("its footer has {0} bytes")]
    TooLarge(u64),
    /// The footer is not what it should be.
    #[error("its footer is damaged: {0}")]
    Broken(&'static str),
    /// The footer is packed in a way that is not read.
    #[error("its footer is packed in a way that is not read ({0})")]
    Packed(u64),
}

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn byte(&mut self) -> Result<u8, Damage> {
        let (first, rest) = self.0.split_first().ok_or(Damage::Broken("it breaks off"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], Damage> {
        let count = usize::try_from(count).map_err(|_| Damage::Broken("it breaks off"))?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damage::Broken("it breaks off"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number of variable length, seven bits a byte, the lowest first: Protocol Buffers' and Thrift's.
    pub(crate) fn number(&mut self) -> Result<u64, Damage> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damage::Broken("a number does not end"))
    }
}
