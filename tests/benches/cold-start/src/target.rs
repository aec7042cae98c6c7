//! What the functions should reach, and whether they did. Apart from the table because `--strict` asks for nothing else.

use crate::program::{BOTO3, HELLO, WARNED};
use crate::table::{Series, Size, find};

/// Start to first answered TLS call, in hello worlds.
const HELLO_WORLDS_MAX: f64 = 6.0;
/// How often boto3's time must hold it.
const BOTO3_PARTS_MIN: f64 = 100.0;
/// Of the first warning, beyond its calls, in milliseconds.
const BEYOND_CALLS_MAX: f64 = 1.0;
/// Memory, in MB of a million bytes.
const PEAK_RSS_MAX: f64 = 12.0;
/// A function's zip, in MB of a million bytes.
const ZIP_MAX: f64 = 3.5;

/// One figure beside what it should be.
#[derive(Debug, Clone)]
pub struct Target {
    /// Who, what, how much, and how much it should be.
    pub text: String,
    /// Is it reached?
    pub is_met: bool,
}

/// Every target that these measurements can judge.
pub fn judge(all: &[Series], sizes: &[Size]) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut at_most = |what: String, value: f64, limit: f64, unit: &str| {
        let is_met = value <= limit;
        let text = format!("{what}: {value:.2}{unit}, should be at most {limit}{unit}");
        targets.push(Target { text, is_met });
    };
    for series in all.iter().filter(|series| series.program.is_judged) {
        let share = series
            .megabytes
            .map_or("full CPU".to_owned(), |megabytes| format!("{megabytes} MB"));
        let who = format!("{}, {share}", series.program.name);
        let total = series.median(|sample| sample.to_first_call);
        let of = |name| find(all, name, series.megabytes).map(|other| other.median(|sample| sample.to_first_call));
        if let Some(hello) = of(HELLO) {
            let what = format!("{who}, start → first TLS call, in hello worlds");
            at_most(what, total / hello, HELLO_WORLDS_MAX, "");
        }
        if let Some(boto3) = of(BOTO3) {
            let what = format!("{who}, start → first TLS call, in hundredths of boto3's");
            at_most(what, total / boto3 * BOTO3_PARTS_MIN, 1.0, "");
        }
        if series.program.name == WARNED {
            let beyond = series.median(|sample| sample.first_beyond_calls);
            at_most(
                format!("{who}, first warning beyond its calls"),
                beyond,
                BEYOND_CALLS_MAX,
                " ms",
            );
        }
        let peak = series.median(|sample| sample.peak_rss);
        at_most(format!("{who}, peak RSS"), peak, PEAK_RSS_MAX, " MB");
    }
    for size in sizes.iter().filter(|size| size.is_judged) {
        at_most(format!("{}, zip", size.name), size.zip, ZIP_MAX, " MB");
    }
    targets
}
