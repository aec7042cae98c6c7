//! The page: one self-contained file without scripts, links or anything from elsewhere.
//!
//! Separate because it only says what [`Answer`] holds. Names of applications, stages and nodes come from outside: Askama
//! escapes what HTML gives a meaning to; control characters and those that turn the direction of text are left out here.

use askama::Template;

use crate::answer::{Answer, Month, Spread, Verdicts};
use crate::chart::Chart;

#[derive(Template)]
#[template(path = "what-if.html")]
struct Page<'a> {
    title: String,
    headline: String,
    so_what: String,
    tone: &'static str,
    figures: Vec<(&'static str, String, String)>,
    chart: Chart,
    fragile: Vec<[String; 4]>,
    spreads: Vec<SpreadRow>,
    remedies: Vec<RemedyRow>,
    month: Option<String>,
    facts: Vec<(&'static str, String)>,
    carries: Vec<String>,
    assumed: Vec<String>,
    schema: &'a str,
}

struct SpreadRow {
    label: String,
    from: f64,
    width: f64,
    middle: f64,
    words: String,
    failed: String,
}

struct RemedyRow {
    change: String,
    price: String,
    effect: String,
    failed: String,
    undisturbed: String,
    left: f64,
    width: f64,
    class: &'static str,
    sure: &'static str,
}

/// The answer's page.
///
/// # Errors
/// None that an answer can cause: writing to memory does not fail.
pub fn render(answer: &Answer) -> Result<String, askama::Error> {
    let name = answer
        .application
        .name
        .clone()
        .unwrap_or_else(|| "a Spark application".to_owned());
    let page = Page {
        title: format!("What if: {}", plain(&name)),
        headline: headline(answer),
        so_what: so_what(answer),
        tone: match answer.result.failed {
            failed if failed >= 0.05 => "failed",
            failed if failed > 0.0 => "degraded",
            _ => "survived",
        },
        figures: figures(answer),
        chart: Chart::of(answer),
        fragile: fragile(answer),
        spreads: spreads(answer),
        remedies: remedy_rows(answer),
        month: answer.month.as_ref().map(month_words),
        facts: facts(answer),
        carries: answer.carries.iter().map(|words| plain(words)).collect(),
        assumed: answer.assumed.iter().map(|words| plain(words)).collect(),
        schema: answer.schema,
    };
    page.render()
}

/// One sentence: what a hit does.
pub fn headline(answer: &Answer) -> String {
    let (added, failed) = (answer.result.added_seconds, answer.result.failed);
    let fails = match failed {
        0.0 => "none of the runs fails".to_owned(),
        failed => format!("{} of the runs fail", percent(failed)),
    };
    if answer.result.run_seconds.max == 0.0 {
        return format!("Every run fails: {}.", answer.question.hit);
    }
    format!(
        "If it loses {}, {fails}; half of the others take at least {} longer, one in ten at least {}.",
        answer.question.hit,
        time(added.p50.max(0.0)),
        time(added.p90.max(0.0)),
    )
}

fn so_what(answer: &Answer) -> String {
    let best = answer
        .remedies
        .first()
        .filter(|best| best.is_sure && best.until_done_seconds < 0.0);
    match best {
        Some(best) => format!(
            "What helps most, by the same {} runs: {} ({} earlier done, on average).",
            answer.question.runs,
            plain(&best.change),
            time(-best.until_done_seconds),
        ),
        None if answer.remedies.is_empty() => "What would help was not asked.".to_owned(),
        None => "None of the changes that were tried helps beyond chance.".to_owned(),
    }
}

/// A month in words.
pub fn month_words(month: &Month) -> String {
    let part = if month.on_demand_cost > 0.0 {
        1.0 - month.spot_cost / month.on_demand_cost
    } else {
        0.0
    };
    let saved = match part {
        more if more < 0.0 => format!("{} more", percent(-more)),
        less => format!("{} less", percent(less)),
    };
    format!(
        "A month of {} runs costs {:.2} on Spot and {:.2} on On-Demand ({saved}), lost work and runs done again \
         included, where {}; {} of the runs fail, one in ten takes at least {}.",
        month.runs,
        month.spot_cost,
        month.on_demand_cost,
        month.market,
        percent(month.result.failed),
        time(month.result.run_seconds.p90),
    )
}

/// The chances of the verdicts in words.
pub fn verdicts_words(verdicts: Verdicts) -> String {
    format!("survived {}, {}", percent(verdicts.survived), other_verdicts(verdicts))
}

fn other_verdicts(verdicts: Verdicts) -> String {
    format!(
        "degraded {}, failed {}, nothing shown {}",
        percent(verdicts.degraded),
        percent(verdicts.failed),
        percent(verdicts.inconclusive),
    )
}

fn figures(answer: &Answer) -> Vec<(&'static str, String, String)> {
    let result = &answer.result;
    vec![
        (
            "Undisturbed",
            time(answer.undisturbed_seconds),
            format!("the log says {}", time(answer.logged_seconds)),
        ),
        (
            "Half of the runs",
            time(result.run_seconds.p50),
            "or less, once hit".to_owned(),
        ),
        (
            "One run in a hundred",
            time(result.run_seconds.p99),
            "or more".to_owned(),
        ),
        (
            "Runs that fail",
            percent(result.failed),
            format!(
                "a stage given up: {}; the driver goes in {}",
                percent(result.stage_given_up),
                percent(result.driver_lost)
            ),
        ),
        (
            "A drill says survived",
            percent(result.verdicts.survived),
            other_verdicts(result.verdicts),
        ),
        (
            "Work thrown away",
            time(result.lost_task_hours.mean * 3_600.0),
            "task time of a run, the mean".to_owned(),
        ),
    ]
}

/// The moments at which a hit costs most.
fn fragile(answer: &Answer) -> Vec<[String; 4]> {
    let mut parts: Vec<_> = answer.curve.iter().collect();
    let cost = |part: &crate::answer::Part| part.failed * answer.undisturbed_seconds + part.added_seconds.mean;
    parts.sort_by(|one, other| cost(other).total_cmp(&cost(one)));
    let row = |part: &&crate::answer::Part| {
        [
            format!("{} to {}", time(part.from_seconds), time(part.to_seconds)),
            part.stage.as_deref().map_or_else(|| "between stages".to_owned(), plain),
            if part.failed < 1.0 {
                format!("+{}", time(part.added_seconds.p50.max(0.0)))
            } else {
                "none ends".to_owned()
            },
            percent(part.failed),
        ]
    };
    parts.iter().take(4).map(row).collect()
}

fn spreads(answer: &Answer) -> Vec<SpreadRow> {
    let all = answer.by_victims.iter().map(|row| &row.result);
    let most = all
        .map(|result| result.run_seconds.p99)
        .fold(answer.undisturbed_seconds, f64::max)
        .max(0.001);
    let share = |at: f64| at / most * 100.0;
    let row = |label: String, result: &Spread| {
        let run = result.run_seconds;
        SpreadRow {
            label,
            from: share(run.p5),
            width: share(run.p95 - run.p5).max(0.4),
            middle: share(run.p50),
            words: format!("{} · {} · {}", time(run.p50), time(run.p90), time(run.p99)),
            failed: percent(result.failed),
        }
    };
    let rows = answer.by_victims.iter().map(|it| match it.victims {
        1 => row("1 node".to_owned(), &it.result),
        count => row(format!("{count} nodes"), &it.result),
    });
    rows.collect()
}

fn remedy_rows(answer: &Answer) -> Vec<RemedyRow> {
    let most = answer
        .remedies
        .iter()
        .map(|it| it.until_done_seconds.abs())
        .fold(0.001, f64::max);
    let row = |effect: &crate::remedy::Effect| {
        let half = effect.until_done_seconds.abs() / most * 50.0;
        let helps = effect.until_done_seconds < 0.0;
        RemedyRow {
            change: plain(&effect.change),
            price: effect.price.clone(),
            effect: format!(
                "{} ± {}",
                signed(effect.until_done_seconds),
                time(effect.plus_minus_seconds)
            ),
            failed: format!("{:+.1} %", effect.failed * 100.0),
            undisturbed: signed(effect.undisturbed_seconds),
            left: if helps { 50.0 - half } else { 50.0 },
            width: half.max(0.3),
            class: match (effect.is_sure, helps) {
                (false, _) => "unsure",
                (true, true) => "helps",
                (true, false) => "harms",
            },
            sure: if effect.is_sure { "yes" } else { "no more than chance" },
        }
    };
    answer.remedies.iter().map(row).collect()
}

fn facts(answer: &Answer) -> Vec<(&'static str, String)> {
    let application = &answer.application;
    let question = &answer.question;
    let or_unknown = |text: &Option<String>| text.as_deref().map_or_else(|| "not said".to_owned(), plain);
    let off = (answer.replayed_seconds / answer.logged_seconds.max(0.001) - 1.0) * 100.0;
    vec![
        (
            "Application",
            format!(
                "{}, Spark {}",
                or_unknown(&application.id),
                or_unknown(&application.spark_version)
            ),
        ),
        (
            "What ran",
            format!(
                "{} jobs, {} stages, {} tasks on {} executors of {} nodes",
                application.jobs, application.stages, application.tasks, application.executors, application.nodes
            ),
        ),
        (
            "Played again as it was",
            format!(
                "{}, where the log says {} ({off:+.1} %)",
                time(answer.replayed_seconds),
                time(answer.logged_seconds)
            ),
        ),
        ("Hit", plain(&question.hit)),
        ("Told before", time(question.notice_seconds)),
        (
            "Replaced after",
            question.replaced_after_seconds.map_or_else(|| "never".to_owned(), time),
        ),
        ("Runs", format!("{}, seed {}", question.runs, question.seed)),
    ]
}

/// Seconds for people.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        // What would be rounded to the next unit is said in that.
        short if short < 59.95 => format!("{short:.1} s"),
        middle if middle < 3_599.5 => {
            let whole = middle.round() as u64;
            format!("{} min {:02} s", whole / 60, whole % 60)
        }
        long => {
            let minutes = (long / 60.0).round() as u64;
            format!("{} h {:02} min", minutes / 60, minutes % 60)
        }
    }
}

fn signed(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "−" } else { "+" };
    format!("{sign}{}", time(seconds.abs()))
}

/// A chance for people.
pub(crate) fn percent(chance: f64) -> String {
    format!("{:.1} %", chance * 100.0)
}

/// Words from outside without the characters that no escape stops.
fn plain(words: &str) -> String {
    let turns = |it: char| matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    words.chars().filter(|it| !it.is_control() && !turns(*it)).collect()
}

#[cfg(test)]
mod tests;
