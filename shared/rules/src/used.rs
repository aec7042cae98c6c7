//! What an invocation of one of the functions has used: Lambda's time and calls of AWS.
//!
//! Separate because the ledger keeps it of one function, and the report says it of two.

use serde::{Deserialize, Serialize};

/// What an invocation has used so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// How long it has run, in milliseconds.
    pub milliseconds: u64,
    /// The memory that Lambda gives it, in MB. `None`: it runs elsewhere.
    pub memory_mb: Option<u32>,
    /// Calls of AWS.
    pub calls: u64,
}

impl Used {
    /// What Lambda bills for the time, in GB-seconds. <https://aws.amazon.com/lambda/pricing/>
    pub fn gb_seconds(&self) -> Option<f64> {
        let seconds = std::time::Duration::from_millis(self.milliseconds).as_secs_f64();
        Some(seconds * f64::from(self.memory_mb?) / 1_024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_a_gigabyte_for_two_minutes_is_thirty_gb_seconds() {
        let used = Used {
            milliseconds: 120_000,
            memory_mb: Some(256),
            calls: 30,
        };
        assert_eq!(used.gb_seconds(), Some(30.0));
        let elsewhere = Used {
            memory_mb: None,
            ..used
        };
        assert_eq!(elsewhere.gb_seconds(), None);
    }
}
