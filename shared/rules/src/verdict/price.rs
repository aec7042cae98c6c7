//! What an interruption cost a job that ended well, and what of it cannot be known. What came before the first loss is
//! no price of it, nor is what the application did of its own accord.

use chrono::{DateTime, Utc};
use spark_log::SparkRun;

use super::{BEGAN_AGAIN, Facts};
use crate::application::{Application, Run, moment};
use crate::bearing::Bearing;
use crate::cause::{self, Blame, Traces};
use crate::hit::InterruptionFacts;
use crate::replacement::Replacement;

/// Prices, and what is not known, each a sentence.
pub(super) fn of(facts: &Facts<'_>, run: &Run) -> (Vec<String>, Vec<String>) {
    let mut prices = Vec::new();
    let mut unknown = Vec::new();
    let inside: Vec<&InterruptionFacts> = facts.interruptions.iter().filter(|one| one.loss.is_inside()).collect();
    for one in &inside {
        let id = &one.interrupted.instance_id;
        match &one.replacement {
            Replacement::NotReplaced { why } => prices.push(format!("{id} was not replaced: {why}.")),
            Replacement::Unknown { why } => unknown.push(format!("whether {id} was replaced is not known: {why}.")),
            Replacement::Replaced { .. } | Replacement::NotExpected { .. } => {}
        }
    }
    let counted = inside.iter().filter(|one| one.loss.bearing == Bearing::Counts);
    let first_loss = counted.filter_map(|one| one.interrupted.terminated_at).min();
    if let (Some(application), Some(first_loss)) = (facts.application, first_loss) {
        prices.extend(began_again(facts, run, application, first_loss));
        prices.extend(failed_jobs(facts, run, application, first_loss));
    }
    let withheld = facts.withheld.iter();
    unknown.extend(withheld.map(|why| format!("what it cost the application is not known: {why}.")));
    let unseen = facts.output_unseen.iter();
    unknown
        .extend(unseen.map(|place| format!("whether the output is whole is not known: {place} could not be listed.")));
    prices.extend(facts.output_lacks.map(|lacks| format!("The output lacks {lacks}.")));
    (prices, unknown)
}

/// YARN began the application anew after a loss, and no log shows that the attempt before had failed by itself.
fn began_again(
    facts: &Facts<'_>,
    run: &Run,
    application: Application<'_>,
    first_loss: DateTime<Utc>,
) -> Option<String> {
    let made = application.attempts_made();
    let (last, earlier) = application.attempts.split_last()?;
    if made < 2 || moment(last.started_at_ms).is_some_and(|began| began < first_loss) {
        return None;
    }
    let by_itself = earlier
        .last()
        .is_some_and(|attempt| attempt.ended_at_ms.is_some() && blame(facts, run, attempt) == Blame::Itself);
    (!by_itself).then(|| format!("{BEGAN_AGAIN}: YARN made {made} attempts."))
}

/// Spark jobs that failed after the first loss inside an application that ended well, unless their tasks show that they
/// failed by themselves. Those that Spark cancelled did not fail.
fn failed_jobs(
    facts: &Facts<'_>,
    run: &Run,
    application: Application<'_>,
    first_loss: DateTime<Utc>,
) -> Option<String> {
    let last = application.last()?;
    let failed = last
        .jobs
        .iter()
        .filter(|job| job.succeeded == Some(false) && !job.cancelled)
        .filter(|job| moment(job.completed_at_ms).is_none_or(|at| at >= first_loss))
        .count();
    (failed > 0 && (last.failed_tasks.is_empty() || blame(facts, run, last) != Blame::Itself))
        .then(|| "A Spark job inside the application failed, though the step completed.".to_owned())
}

fn blame(facts: &Facts<'_>, run: &Run, attempt: &SparkRun) -> Blame {
    let traces = Traces {
        run,
        application: Some(Application {
            attempts: std::slice::from_ref(attempt),
        }),
        interruptions: facts.interruptions,
        diagnostics: None,
    };
    cause::trace(&traces).blame
}
