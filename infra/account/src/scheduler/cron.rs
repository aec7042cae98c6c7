//! AWS's cron expressions: minutes, hours, day of the month, month, day of the week, year.
//!
//! Separate because AWS's dialect differs from Unix's: weeks start on Sunday with 1, one of the two days is `?`, and a
//! day can be said by `L`, `W` and `#`.
//= https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
//= https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cron-expressions.html

use std::collections::BTreeSet;

use chrono::{Datelike as _, Days, NaiveDate, NaiveTime, Weekday};

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
    /// `L`.
    LastOfMonth,
    /// `3W`: the weekday closest to the third.
    Weekday(u32),
    OfWeek(BTreeSet<u32>),
    /// `6L`: the month's last Friday.
    LastOfWeekday(u32),
    /// `3#2`: the month's second Tuesday.
    Nth(u32, u32),
}

impl Which {
    fn of_month(text: &str) -> Result<Self, String> {
        let name = "day of the month";
        match text.strip_suffix('W') {
            _ if text == "L" => Ok(Self::LastOfMonth),
            Some(day) => Ok(Self::Weekday(single(name, day, 1, 31, &[])?)),
            None => Ok(Self::OfMonth(field(name, text, 1, 31, &[])?)),
        }
    }

    /// "If you use a `#` character, you can define only one expression in the day-of-week field."
    fn of_week(text: &str) -> Result<Self, String> {
        let day = |text: &str| single("day of the week", text, 1, 7, &WEEKDAYS);
        match (text.split_once('#'), text.strip_suffix('L')) {
            (Some((weekday, nth)), _) => Ok(Self::Nth(
                day(weekday)?,
                single("the week of the month", nth, 1, 5, &[])?,
            )),
            // The last day of the week.
            (None, Some("")) => Ok(Self::OfWeek(BTreeSet::from([7]))),
            (None, Some(weekday)) => Ok(Self::LastOfWeekday(day(weekday)?)),
            (None, None) => Ok(Self::OfWeek(field("day of the week", text, 1, 7, &WEEKDAYS)?)),
        }
    }

    fn has(&self, day: NaiveDate) -> bool {
        let weekday = day.weekday().number_from_sunday();
        let of_month = u32::from(day.num_days_in_month());
        match self {
            Self::OfMonth(days) => days.contains(&day.day()),
            Self::LastOfMonth => day.day() == of_month,
            Self::Weekday(wanted) => day.with_day(*wanted).map(closest_weekday) == Some(day),
            Self::OfWeek(days) => days.contains(&weekday),
            Self::LastOfWeekday(wanted) => weekday == *wanted && day.day() + 7 > of_month,
            Self::Nth(wanted, nth) => weekday == *wanted && day.day().div_ceil(7) == *nth,
        }
    }
}

/// The day from Monday to Friday that is closest to this one. Assumed: in the same month, and none in a month that has no
/// such day.
fn closest_weekday(day: NaiveDate) -> NaiveDate {
    let is_last = day.day() == u32::from(day.num_days_in_month());
    let moved = match day.weekday() {
        Weekday::Sat if day.day() == 1 => day.checked_add_days(Days::new(2)),
        Weekday::Sat => day.pred_opt(),
        Weekday::Sun if is_last => day.checked_sub_days(Days::new(2)),
        Weekday::Sun => day.succ_opt(),
        _ => None,
    };
    moved.unwrap_or(day)
}

impl Cron {
    pub(super) fn parse(inner: &str) -> Result<Self, String> {
        let fields: Vec<&str> = inner.split_whitespace().collect();
        let [minutes, hours, day_of_month, months, day_of_week, years] = fields[..] else {
            return Err(format!("expected six fields, found {}", fields.len()));
        };
        let days = match (day_of_month, day_of_week) {
            ("?", day) if day != "?" => Which::of_week(day)?,
            (day, "?") if day != "?" => Which::of_month(day)?,
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
        self.days.has(day) && self.years.contains(&year) && self.months.contains(&day.month())
    }
}

/// One number, or its name.
fn single(name: &str, text: &str, min: u32, max: u32, names: &[&str]) -> Result<u32, String> {
    let numbers = field(name, text, min, max, names)?;
    match (numbers.first(), numbers.len()) {
        (Some(number), 1) if !text.contains([',', '-', '/', '*']) => Ok(*number),
        _ => Err(format!("{text:?} is wrong for {name}, which is one")),
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
