//! How we know: each witness, and what it says.

use std::collections::BTreeMap;

use rules::drill::DrillState;
use rules::interruption::LossWitness;

use super::digest::Digest;
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
                .map(|rows| format!("{}, ", plural(usize::try_from(rows).unwrap_or(usize::MAX), "row")))
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
