//! What an invocation has used since its begin: for reports that say what they cost themselves.

use chrono::{DateTime, Utc};
use rules::used::Used;

use crate::Aws;
use crate::config::Clients;

/// Counts from a begin on.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    began_at: DateTime<Utc>,
    calls_before: u64,
}

impl Meter {
    /// From now on.
    pub fn begin(aws: &Aws) -> Self {
        Self {
            began_at: aws.now(),
            calls_before: aws.calls_so_far(),
        }
    }

    /// What was used until now.
    pub fn read(self, aws: &Aws, clients: &Clients) -> Used {
        let time = aws.now() - self.began_at;
        Used {
            milliseconds: u64::try_from(time.num_milliseconds()).unwrap_or(0),
            memory_mb: clients.memory_mb,
            calls: aws.calls_so_far().saturating_sub(self.calls_before),
        }
    }
}
