//! Which place may be emptied, and when: what lies among the results, and nobody is writing to.
//!
//! Separate because it deletes people's data, and nothing else here does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws::invocation::Invocation;
use aws::{Aws, Error, STEP_IDS_MAX};
use chrono::TimeDelta;
use rules::ledger::ActiveStep;
use rules::place::{self, Place};
use rules::s3_location::S3Location;
use rules::step::Step;

use crate::{Config, Request};

/// Steps that EMR is asked for at most, one by one, because the ledger says that they stand in the way.
const NOTED_MAX: usize = 40;
/// The time between two calls to EMR where the ledger does not know what steps write to: half of what `ListSteps` gets
/// back. <https://docs.aws.amazon.com/general/latest/gr/emr.html#limits_emr>
const PAUSE: Duration = Duration::from_secs(4);
/// What emptying a place and adding a step need of Lambda's time.
const RESERVE: TimeDelta = TimeDelta::seconds(60);

/// The place to empty, if it may be emptied.
pub(crate) fn allowed(config: &Config, request: &Request) -> Result<Option<S3Location>, Error> {
    let Some(results) = &request.results else {
        return Ok(None);
    };
    let place: S3Location = results
        .parse()
        .map_err(|words| Error::Refused(format!("emptying the results: {words}")))?;
    if config.results_locations.iter().any(|location| location.holds(&place)) {
        return Ok(Some(place));
    }
    let allowed: Vec<String> = config.results_locations.iter().map(S3Location::to_string).collect();
    Err(Error::Refused(format!(
        "emptying {place}: only what lies in {} may be emptied",
        allowed.join(", ")
    )))
}

/// Empties the results' place, unless a step that is active names it, a place above it, or one below it: on this
/// cluster, of which EMR tells all steps, or on another, of which the ledger does. What takes long comes first, so that
/// the other looks are seconds old when the first object is deleted.
pub(crate) async fn empty(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    results: &S3Location,
    cluster_id: &str,
) -> Result<usize, Error> {
    let place = Place::from(results);
    let names_it = |places: &BTreeSet<Place>| places.iter().any(|one| one.overlaps(&place));
    let mut asked = BTreeSet::new();
    let noted = loop {
        let noted = aws.active_steps(&config.table_name).await?;
        // An older version's notes say only whether the step is watched.
        let is_read = |step: &ActiveStep| step.watched && !step.unread;
        let (noted, unread): (Vec<ActiveStep>, Vec<ActiveStep>) = noted.into_iter().partition(is_read);
        let is_new = |step: &ActiveStep| asked.insert((step.cluster_id.clone(), step.step_id.clone()));
        let others = unread.into_iter().filter(|step| step.cluster_id != cluster_id);
        let unread: Vec<ActiveStep> = others.filter(is_new).collect();
        if unread.is_empty() {
            break noted;
        }
        if let Some((cluster_id, writer)) = unread_writer(aws, config, invocation, unread, names_it).await? {
            return Err(in_the_way(results, &writer, &cluster_id));
        }
    };
    let active = aws.active_steps_of(cluster_id).await?;
    if let Some(writer) = active.iter().find(|step| names_it(&place::named_in(step.words()))) {
        return Err(in_the_way(results, writer, "this cluster"));
    }
    let noted: Vec<ActiveStep> = noted.into_iter().filter(|step| names_it(&step.places)).collect();
    if noted.len() > NOTED_MAX {
        return Err(Error::Refused(format!(
            "emptying {results}: {} steps that were active when they were last seen name that place, more than are asked \
             for; nothing was deleted or added",
            noted.len()
        )));
    }
    for one in noted {
        // An item may outlive its step: whoever deletes it may have died. EMR knows.
        match aws.step(&one.cluster_id, &one.step_id).await? {
            Some(writer) if !writer.is_over() => return Err(in_the_way(results, &writer, &one.cluster_id)),
            _ => {
                aws.forget_active(&config.table_name, &one.cluster_id, &one.step_id)
                    .await?;
            }
        }
    }
    aws.empty(results).await
}

/// Of steps that nobody watches, and of those that have just begun, the ledger does not know the places: EMR is asked for
/// them, ten of a cluster a call, with pauses. The first that has not ended and names the place, with its cluster.
async fn unread_writer(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    unread: Vec<ActiveStep>,
    names_it: impl Fn(&BTreeSet<Place>) -> bool,
) -> Result<Option<(String, Step)>, Error> {
    let mut by_cluster: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for step in unread {
        by_cluster.entry(step.cluster_id).or_default().push(step.step_id);
    }
    for (cluster_id, ids) in &by_cluster {
        for ids in ids.chunks(STEP_IDS_MAX) {
            if invocation.time_left(aws.now(), RESERVE) <= TimeDelta::zero() {
                return Err(Error::Refused(format!(
                    "emptying the results: steps run on {} clusters that are not opted in, more than EMR can be asked for \
                     what they write to; nothing was deleted or added",
                    by_cluster.len()
                )));
            }
            let steps = match aws.steps_by_id(cluster_id, ids).await {
                Ok(steps) => steps,
                Err(error) if error.is_code("InvalidRequestException") => Vec::new(),
                Err(error) => return Err(error),
            };
            for step in steps {
                if step.is_over() {
                    aws.forget_active(&config.table_name, cluster_id, &step.id).await?;
                } else if names_it(&place::named_in(step.words())) {
                    return Ok(Some((cluster_id.clone(), step)));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(None)
}

fn in_the_way(results: &S3Location, writer: &Step, cluster: &str) -> Error {
    Error::Refused(format!(
        "emptying {results}: step {} ({}) of {cluster}, which is {}, names that place, one above it or one below it; \
         nothing was deleted or added",
        writer.id, writer.name, writer.state
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    fn config() -> Config {
        Config::try_parse_from([
            "submit-step",
            "--table-name",
            "t",
            "--results-locations",
            "s3://bucket/results/,s3://bucket/more/",
        ])
        .unwrap()
    }

    fn request(results: &str) -> Request {
        serde_json::from_value(json!({"cluster_name": "c", "results": results, "step": {"name": "s", "args": []}}))
            .unwrap()
    }

    #[test]
    fn only_what_lies_in_an_allowed_place_is_emptied() {
        assert!(allowed(&config(), &request("s3://bucket/results/today/")).is_ok());
        for bad in [
            "s3://bucket/",
            "s3://bucket",
            "s3://other/results/",
            "s3://bucket/results-of-others/",
            "",
        ] {
            assert!(allowed(&config(), &request(bad)).is_err(), "{bad}");
        }
    }
}
