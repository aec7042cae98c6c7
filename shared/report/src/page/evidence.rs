//! How we know: each witness, and what it says.

use std::collections::BTreeMap;

use rules::drill::DrillState;
use rules::interruption::LossWitness;

use super::digest::Digest;
use super::figures::rows;
use crate::words::{capital, in_words, list, number, plural};
use crate::{OutputNamedBy, Text};

/// Sentences of the chain at most; the whole is in the JSON.
const CHAIN_MAX: usize = 3;

/// What each witness says, a sentence each.
pub(super) fn sentences(digest: &Digest<'_>) -> Vec<Text> {
    let report = digest.report;
    let mut said: Vec<String> = Vec::new();
    let ended = report
        .step
        .ended_at
        .map(|at| at.format(" at %H:%M:%S").to_string())
        .unwrap_or_default();
    said.push(format!("EMR: step {}{ended}.", report.step.state));
    said.extend(experiments(digest));
    said.extend(losses(digest));
    said.extend(spark(digest));
    if let Some(output) = &report.output {
        let marker = if output.has_success_marker {
            "a _SUCCESS of this run"
        } else {
            "no _SUCCESS of this run"
        };
        said.push(format!(
            "S3: {marker}, {}, {}{} bytes in {}{}.",
            plural(output.objects_of_run, "object"),
            output
                .rows
                .map(|count| format!("{}, ", rows(count)))
                .unwrap_or_default(),
            number(output.bytes),
            output.location,
            if output.named_by == OutputNamedBy::LastArgument {
                ", a guess by the last argument"
            } else {
                ""
            }
        ));
    }
    if let Some(failure) = &report.judgement.failure {
        let chain = failure.chain.iter().take(CHAIN_MAX);
        said.extend(chain.cloned());
        let more = failure.chain.len().saturating_sub(CHAIN_MAX);
        if more > 0 {
            said.push(format!("{} more of it in {}.", capital(&in_words(more)), digest.json()));
        }
    } else {
        said.extend(
            report
                .judgement
                .reasons
                .iter()
                .skip(1)
                .filter(|one| is_news(one))
                .take(CHAIN_MAX)
                .map(|one| capital(one)),
        );
    }
    if let (Some(state), Some(reason)) = (&report.cluster.state, &report.cluster.reason)
        && state.starts_with("TERMINAT")
    {
        said.push(format!("EMR: the cluster is {state}: {reason}"));
    }
    said.into_iter().map(Text::from).collect()
}

/// What the other sentences do not say already.
fn is_news(reason: &str) -> bool {
    !reason.starts_with("With them went")
        && !reason.starts_with("The step ended as")
        && !reason.contains("was not replaced")
}

fn experiments(digest: &Digest<'_>) -> Vec<String> {
    let drill = &digest.report.drill;
    if drill.experiments.is_empty() {
        let state = match drill.state {
            None => "start-experiment never saw the step",
            Some(DrillState::GaveUp) => "start-experiment gave up",
            Some(DrillState::Refused) => "start-experiment refused",
            Some(_) => "no experiment is on record",
        };
        let why = drill.reason.as_deref().filter(|reason| *reason != state);
        return vec![match why {
            Some(why) => format!("Ledger: {state}: {}.", why.trim_end_matches('.')),
            None => format!("Ledger: {state}."),
        }];
    }
    let one = |experiment: &crate::ExperimentFacts| {
        let id = experiment.experiment_id.as_deref().unwrap_or("without an id");
        let status = experiment.status.as_deref().unwrap_or("of unknown status");
        let resolved = match (experiment.resolved.len(), experiment.resolved_are_victims) {
            (0, _) => "it resolved no instance".to_owned(),
            (1, true) => "the instance that it resolved is the one chosen".to_owned(),
            (some, true) => format!("the {some} instances that it resolved are those chosen"),
            (_, false) => "it resolved instances that were not chosen".to_owned(),
        };
        let preview = if experiment.preview {
            ", a preview that interrupts nobody"
        } else {
            ""
        };
        let reason = experiment.reason.as_deref().filter(|_| status != "completed");
        let reason = reason
            .map(|reason| format!(" ({})", reason.trim_end_matches('.')))
            .unwrap_or_default();
        format!("FIS: experiment {id} {status}{reason}{preview}; {resolved}.")
    };
    drill.experiments.iter().map(one).collect()
}

fn losses(digest: &Digest<'_>) -> Vec<String> {
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut witnesses: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &digest.report.interruptions {
        if let Some(code) = &one.interrupted.spot_status {
            *codes.entry(code).or_default() += 1;
        }
        let witness = match one.interrupted.terminated_told_by {
            Some(LossWitness::Ec2) => "EC2’s Spot status",
            Some(LossWitness::Notice) => "EC2’s notice, which EMR found kept",
            Some(LossWitness::Yarn) => "YARN, as Spark’s driver heard it",
            Some(LossWitness::Emr) => "EMR",
            None => continue,
        };
        *witnesses.entry(witness).or_default() += 1;
    }
    let codes: Vec<String> = codes.iter().map(|(code, count)| format!("{code} ({count})")).collect();
    let witnesses: Vec<String> = witnesses
        .iter()
        .map(|(who, count)| format!("{who} ({count})"))
        .collect();
    let mut said = Vec::new();
    if !codes.is_empty() {
        said.push(format!("EC2: Spot requests ended as {}.", list(&codes, 5)));
    }
    if !witnesses.is_empty() {
        said.push(format!(
            "The moment of the loss is the earliest witness’s: {}.",
            list(&witnesses, 4)
        ));
    }
    said
}

fn spark(digest: &Digest<'_>) -> Option<String> {
    let spark = digest.report.spark.as_ref()?;
    let reading = &spark.reading;
    let whole = match (reading.complete, reading.in_progress) {
        (true, _) => "read to its end",
        (false, true) => "which breaks off",
        (false, false) => "read with gaps",
    };
    let jobs = match (spark.jobs_succeeded, spark.jobs_failed.len()) {
        (done, 0) => format!("{} succeeded", plural(done, "job")),
        (done, failed) => format!("{} succeeded, {failed} failed", plural(done, "job")),
    };
    let mut executors: Vec<String> = spark
        .executors
        .iter()
        .filter(|row| row.on_interrupted)
        .map(|row| row.id.clone())
        .collect();
    // Spark numbers them.
    executors.sort_by_key(|id| (id.len(), id.clone()));
    let sat = match executors.len() {
        0 => "no executor sat on an interrupted instance".to_owned(),
        1 => format!("executor {} sat on an interrupted instance", executors[0]),
        _ => format!("executors {} sat on interrupted instances", list(&executors, 6)),
    };
    let attempt = match spark.attempts {
        1 => String::new(),
        some => format!(" of attempt {some}"),
    };
    Some(format!("Spark’s event log{attempt}, {whole}: {jobs}; {sat}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Report;
    use crate::sample::workshop;

    fn said(report: &Report) -> String {
        let sentences = sentences(&Digest::new(report));
        sentences.iter().map(|one| format!("{one}\n")).collect()
    }

    #[test]
    fn of_a_chain_three_links_are_told_and_how_many_more_there_are() {
        let mut report = workshop();
        let mut told = |links: usize| {
            report.judgement.failure = Some(rules::cause::Failure {
                blame: rules::cause::Blame::Interruption,
                words: None,
                chain: (1..=links).map(|link| format!("Link {link}.")).collect(),
            });
            said(&report)
        };
        assert!(told(3).ends_with("Link 1.\nLink 2.\nLink 3.\n"));
        assert!(told(4).ends_with("Link 3.\nOne more of it in report.json.\n"));
    }

    #[test]
    fn a_reason_is_told_that_no_other_sentence_has_told() {
        let mut report = workshop();
        let reasons = [
            "the first one stands in the headline",
            "With them went executor 7 on i-1.",
            "The step ended as FAILED.",
            "i-1 was not replaced: none came.",
            "a second one",
        ];
        report.judgement.reasons = reasons.map(String::from).into();
        let told = said(&report);
        assert!(told.ends_with(".\nA second one\n"), "{told}");
        for told_already in &reasons[..4] {
            assert!(!told.contains(told_already), "{told}");
        }
    }

    #[test]
    fn a_cluster_is_told_of_if_it_ended() {
        let mut report = workshop();
        let mut told = |state: &str| {
            (report.cluster.state, report.cluster.reason) =
                (Some(state.into()), Some("a bootstrap action failed".into()));
            said(&report).contains(&format!("EMR: the cluster is {state}: a bootstrap action failed\n"))
        };
        assert!(!told("WAITING") && !told("RUNNING"));
        assert!(told("TERMINATING") && told("TERMINATED") && told("TERMINATED_WITH_ERRORS"));
    }

    #[test]
    fn rows_are_told_where_they_were_counted() {
        let mut report = workshop();
        let mut told = |rows| {
            report.output.as_mut().unwrap().rows = rows;
            said(&report)
        };
        assert!(told(None).contains("136 objects, 2,176 bytes in"));
        assert!(told(Some(1)).contains("136 objects, 1 row, 2,176 bytes in"));
        assert!(told(Some(1_000)).contains("136 objects, 1,000 rows, 2,176 bytes in"));
    }

    #[test]
    fn why_there_was_no_experiment_is_told_once() {
        let mut report = workshop();
        report.drill.experiments.clear();
        let mut told = |state, reason: Option<&str>| {
            (report.drill.state, report.drill.reason) = (state, reason.map(String::from));
            experiments(&Digest::new(&report)).join(" ")
        };
        assert_eq!(told(None, None), "Ledger: start-experiment never saw the step.");
        assert_eq!(
            told(Some(DrillState::GaveUp), Some("no instance was there.")),
            "Ledger: start-experiment gave up: no instance was there."
        );
        assert_eq!(
            told(Some(DrillState::Refused), Some("start-experiment refused")),
            "Ledger: start-experiment refused."
        );
    }

    #[test]
    fn an_experiment_is_told_with_the_reason_unless_it_is_that_it_completed() {
        let mut report = workshop();
        let id = report.drill.experiments[0].experiment_id.clone().unwrap();
        let mut told = |status: &str, resolved: usize, are_victims| {
            let one = &mut report.drill.experiments[0];
            (one.status, one.reason) = (Some(status.into()), Some("so it is.".into()));
            one.resolved = vec!["arn:aws:ec2:us-sim-1:0:instance/i-1".into(); resolved];
            one.resolved_are_victims = are_victims;
            experiments(&Digest::new(&report)).join(" ")
        };
        assert_eq!(
            told("completed", 0, true),
            format!("FIS: experiment {id} completed; it resolved no instance.")
        );
        let chosen = "the instance that it resolved is the one chosen";
        assert_eq!(
            told("stopped", 1, true),
            format!("FIS: experiment {id} stopped (so it is); {chosen}.")
        );
        assert!(told("stopped", 2, true).ends_with("; the 2 instances that it resolved are those chosen."));
        assert!(told("stopped", 1, false).ends_with("; it resolved instances that were not chosen."));
    }

    #[test]
    fn executors_are_told_in_the_order_of_their_numbers() {
        let mut report = workshop();
        let spark = report.spark.as_mut().unwrap();
        let row = spark.executors[0].clone();
        let mut told = |ids: &[&str]| {
            let spark = report.spark.as_mut().unwrap();
            let rows = ids.iter().map(|id| crate::ExecutorRow {
                id: (*id).into(),
                on_interrupted: *id != "3",
                ..row.clone()
            });
            spark.executors = rows.collect();
            super::spark(&Digest::new(&report)).unwrap()
        };
        assert!(told(&["3"]).ends_with("1 job succeeded; no executor sat on an interrupted instance."));
        assert!(told(&["3", "11"]).ends_with("; executor 11 sat on an interrupted instance."));
        assert!(told(&["11", "2", "9"]).ends_with("; executors 2, 9 and 11 sat on interrupted instances."));
    }
}
