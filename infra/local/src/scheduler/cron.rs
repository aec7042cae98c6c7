//! AWS's cron expressions: minutes, hours, day of the month, month, day of the week, year.
//!
//! Separate because AWS's dialect differs from Unix's: weeks start on Sunday with 1, and one of the two days is `?`.
//! Of its wildcards, `W` and `#` are not simulated and say so.
//= https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html

use std::collections::BTreeSet;

use chrono::{Datelike as _, Days, NaiveDate, NaiveTime};

use crate::api::Time;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The last year that an expression may name.
const YEAR_MAX: u32 = 2199;

/// A parsed cron expression, in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    days: Which,
    months: BTreeSet<u32>,
    years: BTreeSet<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    OfMonth(BTreeSet<u32>),
    LastOfMonth,
    OfWeek(BTreeSet<u32>),
}

impl Cron {
    pub(super) fn parse(inner: &str) -> Result<Self, String> {
        let fields: Vec<&str> = inner.split_whitespace().collect();
        let [minutes, hours, day_of_month, months, day_of_week, years] = fields[..] else {
            return Err(format!("expected six fields, found {}", fields.len()));
        };
        let days = match (day_of_month, day_of_week) {
            ("?", day) if day != "?" => Which::OfWeek(field("day of the week", day, 1, 7, &WEEKDAYS)?),
            ("L", "?") => Which::LastOfMonth,
            (day, "?") if day != "?" => Which::OfMonth(field("day of the month", day, 1, 31, &[])?),
            _ => return Err("one of day of the month and day of the week must be ?".to_owned()),
        };
        Ok(Self {
            minutes: field("minutes", minutes, 0, 59, &[])?,
            hours: field("hours", hours, 0, 23, &[])?,
            days,
            months: field("month", months, 1, 12, &MONTHS)?,
            years: field("year", years, 1970, YEAR_MAX, &[])?,
        })
    }

    /// The first allowed minute after `after`.
    pub(super) fn next_after(&self, after: Time) -> Option<Time> {
        let mut day = after.date_naive();
        let last_year = i32::try_from(*self.years.last()?).ok()?;
        while day.year() <= last_year {
            if self.allows(day) {
                let times = self
                    .hours
                    .iter()
                    .flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
                let times = times.filter_map(|(hour, minute)| NaiveTime::from_hms_opt(hour, minute, 0));
                if let Some(time) = times
                    .map(|time| day.and_time(time).and_utc())
                    .find(|time| *time > after)
                {
                    return Some(time);
                }
            }
            day = day.checked_add_days(Days::new(1))?;
        }
        None
    }

    fn allows(&self, day: NaiveDate) -> bool {
        let year = u32::try_from(day.year()).unwrap_or(0);
        let of_days = match &self.days {
            Which::OfMonth(days) => days.contains(&day.day()),
            Which::OfWeek(days) => days.contains(&day.weekday().number_from_sunday()),
            Which::LastOfMonth => day.succ_opt().is_some_and(|next| next.day() == 1),
        };
        of_days && self.years.contains(&year) && self.months.contains(&day.month())
    }
}

/// The numbers that a field allows: `*`, and lists of values, ranges and steps.
fn field(name: &str, text: &str, min: u32, max: u32, names: &[&str]) -> Result<BTreeSet<u32>, String> {
    let wrong = |part: &str| format!("{part:?} is wrong for {name}, which are from {min} to {max}");
    let value = |text: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = named
            .and_then(|index| u32::try_from(index).ok())
            .map(|index| index + min);
        number
            .or_else(|| text.parse().ok())
            .filter(|number| (min..=max).contains(number))
            .ok_or_else(|| wrong(text))
    };
    let mut numbers = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                step.parse().ok().filter(|step| *step > 0).ok_or_else(|| wrong(part))?,
            ),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (min, max),
            Some((first, last)) => (value(first)?, value(last)?),
            None if part.contains('/') => (value(range)?, max),
            None => (value(range)?, value(range)?),
        };
        if first > last {
            return Err(wrong(part));
        }
        numbers.extend((first..=last).step_by(step));
    }
    Ok(numbers)
}
