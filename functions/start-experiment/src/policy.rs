//! May this step and this cluster be drilled, and what does the stack's FIS template ask for? Asked right before each
//! experiment: tags, levers and templates change.

use aws::config::{Clusters, ReportOn};
use aws::{ACTION, ExperimentTemplate, Lever, RESOURCE_TYPE};
use aws::{Aws, Error};
use rules::cluster::Cluster;
use rules::step::{Launch, Step};
use rules::victim::Selection;

use crate::work::Work;

/// What FIS is to do, and to how many.
#[derive(Clone)]
pub(crate) struct Terms {
    /// The stack's template.
    pub template: ExperimentTemplate,
    /// How many victims.
    pub selection: Selection,
}

/// What may be done to which cluster.
pub(crate) struct Policy {
    /// What FIS is to do.
    pub terms: Terms,
    /// The cluster, as it was found when the policy was read.
    pub cluster: Cluster,
}

/// What there is to read.
pub(crate) enum Reading {
    /// This may be done.
    May(Box<Policy>),
    /// The cluster is not up yet, in words.
    NotYet(String),
    /// It may not be done, in words.
    Refused(String),
}

impl Policy {
    /// Reads the policy as it is now, but for terms that were read just now.
    pub(crate) async fn read(work: &Work<'_>, terms: Option<Terms>) -> Result<Reading, Error> {
        let cluster = match may_be_drilled(work).await? {
            Ok(cluster) if cluster.is_starting() => {
                return Ok(Reading::NotYet(format!("cluster {} is {}", cluster.id, cluster.state)));
            }
            Ok(cluster) => cluster,
            Err(refusal) => return Ok(Reading::Refused(refusal)),
        };
        let terms = match terms {
            Some(terms) => Ok(terms),
            None => Terms::read(work).await?,
        };
        Ok(match terms {
            Ok(terms) => Reading::May(Box::new(Self { terms, cluster })),
            Err(refusal) => Reading::Refused(refusal),
        })
    }
}

impl Terms {
    /// Reads the terms as they are now; or why there can be no experiment.
    pub(crate) async fn read(work: &Work<'_>) -> Result<Result<Self, String>, Error> {
        if let Lever::Engaged(reason) = work.aws.safety_lever().await? {
            return Ok(Err(format!("the account's FIS safety lever is engaged: {reason}")));
        }
        let id = &work.config.experiment_template_id;
        let Some(template) = work.aws.experiment_template(id).await? else {
            return Ok(Err(format!("there is no FIS experiment template {id}")));
        };
        let selection = check(
            &template.id,
            &template.action_ids,
            &template.targets,
            work.config.victims.0,
        );
        Ok(selection.map(|selection| Self { template, selection }))
    }
}

/// Why nobody waits for a drill of the cluster, as far as EC2 can tell; EMR's word is asked right before the experiment.
pub(crate) async fn not_opted_in_by_ec2(work: &Work<'_>) -> Result<Option<String>, Error> {
    let (config, id) = (work.config, &work.drill.cluster_id);
    // Where only those are watched that are opted in, somebody has looked already.
    if config.clusters != Clusters::Tagged || config.report_on != ReportOn::All {
        return Ok(None);
    }
    let tags = work.aws.cluster_tags(id).await?;
    Ok((!tags.is_some_and(|tags| Clusters::opts_in(&tags))).then(|| not_opted_in(id)))
}

/// Why a step is none to drill, if it is none. What is known costs no call; of what may be anything the cluster's tags
/// decide.
pub(crate) async fn no_drill_for(aws: &Aws, cluster_id: &str, step: &Step) -> Result<Option<String>, Error> {
    let (id, runs) = (&step.id, step.runs());
    match step.launch() {
        Launch::Direct | Launch::Wrapped => Ok(None),
        Launch::Other => Ok(Some(format!("step {id} is not a Spark step: it runs {runs}"))),
        Launch::Unknown => {
            let cluster = aws.cluster(cluster_id).await?;
            let is_opted_in = cluster.is_some_and(|cluster| Clusters::opts_in_all_steps(&cluster.tags));
            Ok((!is_opted_in).then(|| {
                format!(
                    "step {id} is not known to be a Spark step: it runs {runs}; the cluster's tag {}={} has such steps \
                     drilled too",
                    Clusters::STEPS_TAG_KEY,
                    Clusters::STEPS_TAG_VALUE
                )
            }))
        }
    }
}

/// Nobody watches the steps of the cluster, in words.
pub(crate) fn not_opted_in(cluster_id: &str) -> String {
    format!(
        "cluster {cluster_id} is not opted in: it has no tag {}={}",
        Clusters::TAG_KEY,
        Clusters::TAG_VALUE
    )
}

/// Is the cluster there and opted in, by EMR's word?
async fn may_be_drilled(work: &Work<'_>) -> Result<Result<Cluster, String>, Error> {
    let id = &work.drill.cluster_id;
    let Some(cluster) = work.aws.cluster(id).await? else {
        return Ok(Err(format!("EMR knows no cluster {id}")));
    };
    if cluster.is_going() {
        return Ok(Err(format!("cluster {id} is {}", cluster.state)));
    }
    if work.config.clusters == Clusters::Tagged && !Clusters::opts_in(&cluster.tags) {
        return Ok(Err(not_opted_in(id)));
    }
    Ok(Ok(cluster))
}

/// Does the template do what a drill does, and nothing else?
fn check(
    id: &str,
    action_ids: &[String],
    targets: &[(String, String)],
    victims: Option<u32>,
) -> Result<Selection, String> {
    if let Some(foreign) = action_ids.iter().find(|action| *action != ACTION) {
        return Err(format!(
            "FIS experiment template {id} has the action {foreign}; a drill takes only {ACTION}"
        ));
    }
    if action_ids.is_empty() {
        return Err(format!("FIS experiment template {id} has no action"));
    }
    if let Some((foreign, _)) = targets.iter().find(|(kind, _)| kind != RESOURCE_TYPE) {
        return Err(format!(
            "FIS experiment template {id} targets {foreign}; a drill targets only {RESOURCE_TYPE}"
        ));
    }
    let [(_, mode)] = targets else {
        return Err(format!(
            "FIS experiment template {id} has {} targets; a drill needs one",
            targets.len()
        ));
    };
    match (victims, Selection::parse(mode)) {
        (Some(count), _) => Ok(Selection::Count(count)),
        (None, Some(Selection::Count(0) | Selection::Percent(0)) | None) => Err(format!(
            "FIS experiment template {id} selects {mode:?}; a drill needs ALL, COUNT(n) or PERCENT(n)"
        )),
        (None, Some(selection)) => Ok(selection),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_does_anything_else_or_nothing_is_refused_by_what_it_has() {
        let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<String>>();
        let target = |kind: &str, mode: &str| (kind.to_owned(), mode.to_owned());
        let ours = [target(RESOURCE_TYPE, "COUNT(3)")];
        let told = |actions: &[&str], targets: &[(String, String)]| check("EXT1", &texts(actions), targets, None);
        assert_eq!(told(&[ACTION], &ours), Ok(Selection::Count(3)));
        assert_eq!(
            check("EXT1", &texts(&[ACTION]), &ours, Some(5)),
            Ok(Selection::Count(5))
        );
        for (actions, targets, has) in [
            (
                &[ACTION, "aws:ec2:terminate-instances"][..],
                &ours[..],
                "the action aws:ec2:terminate-instances",
            ),
            (&[], &ours, "no action"),
            (
                &[ACTION],
                &[target("aws:ec2:instance", "ALL")],
                "targets aws:ec2:instance",
            ),
            (
                &[ACTION],
                &[ours[0].clone(), target("aws:ec2:instance", "ALL")],
                "targets aws:ec2:instance",
            ),
            (&[ACTION], &[ours[0].clone(), ours[0].clone()], "2 targets"),
            (&[ACTION], &[], "0 targets"),
            (&[ACTION], &[target(RESOURCE_TYPE, "COUNT(0)")], "COUNT(0)"),
        ] {
            let refusal = told(actions, targets).unwrap_err();
            assert!(refusal.contains(has) && refusal.contains("EXT1"), "{has}: {refusal}");
        }
    }
}
