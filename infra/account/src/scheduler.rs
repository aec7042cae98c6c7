//! Simulated EventBridge Scheduler: when a schedule fires next, and with which input.
//!
//! Separate because an expression is easily wrong and no linter of templates reads it. Schedules run in UTC, and the
//! flexible window is off.
//= https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html

mod cron;

use chrono::{NaiveDateTime, SecondsFormat, TimeDelta};

use crate::api::{Ctx, HEX, Time};
use cron::Cron;

/// Why an expression is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expression:?} is not a schedule: {why}")]
pub struct Error {
    /// The whole expression.
    pub expression: String,
    /// What is wrong with it.
    pub why: String,
}

/// When a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// `rate(15 minutes)`: at every multiple of this since the schedule was made.
    Rate(TimeDelta),
    /// `cron(0 12 ? * MON-FRI *)`.
    Cron(Box<Cron>),
    /// `at(2027-01-31T12:00:00)`: once.
    At(Time),
}

impl Expression {
    /// Parses an expression.
    pub fn parse(expression: &str) -> Result<Self, Error> {
        let parsed = match expression
            .split_once('(')
            .and_then(|(kind, rest)| Some((kind, rest.strip_suffix(')')?)))
        {
            Some(("rate", inner)) => rate(inner).map(Self::Rate),
            Some(("cron", inner)) => Cron::parse(inner).map(|cron| Self::Cron(Box::new(cron))),
            Some(("at", inner)) => at(inner).map(Self::At),
            _ => Err("expected rate(…), cron(…) or at(…)".to_owned()),
        };
        parsed.map_err(|why| Error {
            expression: expression.to_owned(),
            why,
        })
    }

    /// The first time after `after` that a schedule made at `created_at` fires, if there is one.
    pub fn next_after(&self, created_at: Time, after: Time) -> Option<Time> {
        match self {
            Self::Rate(interval) => {
                let past = (after - created_at).num_seconds().max(-1);
                let periods = past.div_euclid(interval.num_seconds()) + 1;
                // A new schedule fires for the first time one interval after it was made.
                let periods = i32::try_from(periods.max(1)).ok()?;
                created_at.checked_add_signed(interval.checked_mul(periods)?)
            }
            Self::Cron(cron) => cron.next_after(after),
            Self::At(time) => Some(*time).filter(|time| *time > after),
        }
    }
}

fn rate(inner: &str) -> Result<TimeDelta, String> {
    let (value, unit) = inner.trim().split_once(' ').ok_or("expected rate(<number> <unit>)")?;
    let value: i64 = value.parse().map_err(|_| format!("{value:?} is not a whole number"))?;
    if value < 1 {
        return Err(format!("{value} is not positive"));
    }
    let seconds = match unit.trim() {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 60 * 60,
        "day" | "days" => 24 * 60 * 60,
        other => return Err(format!("the unit {other:?} is none of minute(s), hour(s), day(s)")),
    };
    value
        .checked_mul(seconds)
        .and_then(TimeDelta::try_seconds)
        .ok_or_else(|| format!("{value} is too much"))
}

fn at(inner: &str) -> Result<Time, String> {
    NaiveDateTime::parse_from_str(inner.trim(), "%Y-%m-%dT%H:%M:%S")
        .map(|time| time.and_utc())
        .map_err(|error| format!("expected at(yyyy-mm-ddThh:mm:ss): {error}"))
}

/// One invocation of a schedule's target, whose id stays the same over its retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// `<aws.scheduler.execution-id>`.
    pub id: String,
    /// `<aws.scheduler.schedule-arn>`.
    pub schedule_arn: String,
    /// `<aws.scheduler.scheduled-time>`.
    pub scheduled_at: Time,
}

impl Execution {
    /// A new execution of a schedule.
    pub fn new(ctx: &mut Ctx, schedule_arn: &str, scheduled_at: Time) -> Self {
        let mut part = |length: usize| ctx.id("", HEX, length);
        let id = format!("{}-{}-4{}-8{}-{}", part(8), part(4), part(3), part(3), part(12));
        Self {
            id,
            schedule_arn: schedule_arn.to_owned(),
            scheduled_at,
        }
    }

    /// The target's input for one attempt, which counts from 1.
    //= https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    pub fn input(&self, input: &str, attempt: u32) -> String {
        input
            .replace("<aws.scheduler.execution-id>", &self.id)
            .replace("<aws.scheduler.schedule-arn>", &self.schedule_arn)
            .replace(
                "<aws.scheduler.scheduled-time>",
                &self.scheduled_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            )
            .replace("<aws.scheduler.attempt-number>", &attempt.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn next(expression: &str, after: &str) -> Option<String> {
        let expression = Expression::parse(expression).unwrap();
        let next = expression.next_after(time("2027-01-01T00:00:30Z"), time(after));
        next.map(|next| next.to_rfc3339_opts(SecondsFormat::Secs, true))
    }

    #[test]
    fn a_rate_counts_from_when_the_schedule_was_made() {
        let fires = |after| next("rate(15 minutes)", after).unwrap();
        assert_eq!(fires("2027-01-01T00:00:00Z"), "2027-01-01T00:15:30Z");
        assert_eq!(fires("2027-01-01T00:00:30Z"), "2027-01-01T00:15:30Z");
        assert_eq!(fires("2027-01-01T00:15:29Z"), "2027-01-01T00:15:30Z");
        assert_eq!(fires("2027-01-01T00:15:30Z"), "2027-01-01T00:30:30Z");
        assert_eq!(
            next("rate(1 day)", "2027-01-03T00:00:00Z").unwrap(),
            "2027-01-03T00:00:30Z"
        );
    }

    #[test]
    fn at_fires_once() {
        assert_eq!(
            next("at(2027-01-31T12:00:00)", "2027-01-01T00:00:00Z").unwrap(),
            "2027-01-31T12:00:00Z"
        );
        assert_eq!(next("at(2027-01-31T12:00:00)", "2027-01-31T12:00:00Z"), None);
    }

    #[test]
    fn a_cron_fires_at_the_next_time_that_all_its_fields_allow() {
        assert_eq!(
            next("cron(0 12 ? * MON-FRI *)", "2027-01-01T12:00:00Z").unwrap(),
            "2027-01-04T12:00:00Z"
        );
        assert_eq!(
            next("cron(15/20 10 * * ? 2027)", "2027-01-01T10:15:00Z").unwrap(),
            "2027-01-01T10:35:00Z"
        );
        assert_eq!(
            next("cron(0 0 29 2 ? *)", "2027-01-01T00:00:00Z").unwrap(),
            "2028-02-29T00:00:00Z"
        );
        assert_eq!(
            next("cron(30 3 L * ? *)", "2027-02-01T00:00:00Z").unwrap(),
            "2027-02-28T03:30:00Z"
        );
        assert_eq!(next("cron(0 0 1 1 ? 2020)", "2027-01-01T00:00:00Z"), None);
    }

    #[test]
    fn a_day_is_said_by_the_wildcards_of_awss_page() {
        let first = |days: &str, after: &str| next(&format!("cron(15 10 {days})"), after).unwrap();
        // "3W specifies the weekday closest to the third day of the month."
        assert_eq!(first("3W * ? *", "2027-01-01T00:00:00Z"), "2027-01-04T10:15:00Z");
        assert_eq!(first("2W * ? *", "2027-01-01T00:00:00Z"), "2027-01-01T10:15:00Z");
        assert_eq!(first("5W * ? *", "2027-01-01T00:00:00Z"), "2027-01-05T10:15:00Z");
        // The closest one within the month, which has no 31st in February.
        assert_eq!(first("1W * ? *", "2027-04-30T12:00:00Z"), "2027-05-03T10:15:00Z");
        assert_eq!(first("31W * ? *", "2027-01-30T00:00:00Z"), "2027-03-31T10:15:00Z");
        assert_eq!(first("28W 2 ? *", "2027-02-01T00:00:00Z"), "2027-02-26T10:15:00Z");
        // "3#2 would be the second Tuesday of the month."
        assert_eq!(first("? * 3#2 *", "2027-01-01T00:00:00Z"), "2027-01-12T10:15:00Z");
        assert_eq!(first("? * FRI#5 *", "2027-02-01T00:00:00Z"), "2027-04-30T10:15:00Z");
        // "The last Friday of each month", "the last day of the month or week".
        assert_eq!(first("? * 6L *", "2027-02-01T00:00:00Z"), "2027-02-26T10:15:00Z");
        assert_eq!(first("? * L *", "2027-01-01T00:00:00Z"), "2027-01-02T10:15:00Z");
        assert_eq!(first("L * ? *", "2028-02-01T00:00:00Z"), "2028-02-29T10:15:00Z");
    }

    #[test]
    fn wrong_expressions_say_what_is_wrong() {
        let why = |expression: &str| Expression::parse(expression).unwrap_err().to_string();
        assert!(why("rate(7 dais)").contains("the unit \"dais\" is none of minute(s), hour(s), day(s)"));
        assert!(why("rate(0 days)").contains("not positive"));
        assert!(why("rate(x days)").contains("not a whole number"));
        assert!(why("rate(5)").contains("expected rate("));
        assert!(why("rate(9223372036854775807 days)").contains("too much"));
        assert!(why("rate(5 minutes").contains("expected rate(…), cron(…) or at(…)"));
        assert!(why("every(5 minutes)").contains("expected rate(…), cron(…) or at(…)"));
        assert!(why("at(tomorrow)").contains("expected at("));
        assert!(why("cron(0 12 * *)").contains("six fields"));
        assert!(why("cron(0 25 * * ? *)").contains("hours"));
        assert!(why("cron(0 12 * * * *)").contains("one of"));
        assert!(why("cron(0 12 ? * FUNDAY *)").contains("day of the week"));
        assert!(why("cron(0/0 12 ? * MON *)").contains("minutes"));
        assert!(why("cron(0 12 ? * 3#1,6#3 *)").contains("week of the month"));
        for wrong in ["3#6", "3#0", "#2", "8#1", "LL", "1-5L", "*L"] {
            assert!(why(&format!("cron(0 12 ? * {wrong} *)")).contains("week"), "{wrong}");
        }
        for wrong in ["W", "32W", "1-5W", "*W", "LW"] {
            assert!(
                why(&format!("cron(0 12 {wrong} * ? *)")).contains("day of the month"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn an_executions_id_is_in_its_input_at_every_attempt() {
        let (mut journal, mut events) = (crate::journal::Journal::default(), Vec::new());
        let mut rng = fastrand::Rng::with_seed(7);
        let now = time("2027-01-01T00:00:00Z");
        let mut ctx = Ctx {
            now,
            rng: &mut rng,
            journal: &mut journal,
            events: &mut events,
        };
        let execution = Execution::new(&mut ctx, "arn:aws:scheduler:us-sim-1:000000000000:schedule/g/s", now);
        let input = r#"{"id":"<aws.scheduler.execution-id>","n":<aws.scheduler.attempt-number>}"#;
        let (first, second) = (execution.input(input, 1), execution.input(input, 2));
        assert_eq!(first, format!(r#"{{"id":"{}","n":1}}"#, execution.id));
        assert_eq!(second, format!(r#"{{"id":"{}","n":2}}"#, execution.id));
        assert_eq!(execution.id.len(), 36);
    }
}
