//! May this step and this cluster be drilled, and what does the stack's FIS template ask for? Asked before the wait, and
//! again right before each experiment: tags, levers and templates change.

use std::time::Duration;

use aws::config::Clusters;
use aws::{ACTION, ExperimentTemplate, Lever, RESOURCE_TYPE};
use aws::{Aws, Error};
use rules::cluster::Cluster;
use rules::step::{Launch, Step};
use rules::victim::Selection;

use crate::work::Work;

/// What may be done, and to how many.
pub(crate) struct Policy {
    /// The stack's template.
    pub template: ExperimentTemplate,
    /// How many victims.
    pub selection: Selection,
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

/// How often a cluster that is starting is looked at.
const STARTING_EVERY: Duration = Duration::from_secs(30);

impl Policy {
    /// Reads the policy once the cluster is up. A step's event can come while `DescribeCluster` still says
    /// BOOTSTRAPPING; that a cluster never comes up is seen at the limit of the wait for capacity.
    pub(crate) async fn read_when_up(work: &Work<'_>) -> Result<Reading, Error> {
        let now = work.aws.now();
        let limit = work.wait_limit(now, now);
        loop {
            match Self::read(work).await? {
                Reading::NotYet(_) if work.aws.now() < limit => tokio::time::sleep(STARTING_EVERY).await,
                reading => return Ok(reading),
            }
        }
    }

    /// Reads the policy as it is now.
    pub(crate) async fn read(work: &Work<'_>) -> Result<Reading, Error> {
        let cluster = match may_be_drilled(work).await? {
            Ok(cluster) if cluster.is_starting() => {
                return Ok(Reading::NotYet(format!("cluster {} is {}", cluster.id, cluster.state)));
            }
            Ok(cluster) => cluster,
            Err(refusal) => return Ok(Reading::Refused(refusal)),
        };
        let id = &work.config.experiment_template_id;
        let Some(template) = work.aws.experiment_template(id).await? else {
            return Ok(Reading::Refused(format!("there is no FIS experiment template {id}")));
        };
        Ok(match check(&template, work.config.victims.0) {
            Ok(selection) => Reading::May(Box::new(Self {
                template,
                selection,
                cluster,
            })),
            Err(refusal) => Reading::Refused(refusal),
        })
    }
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

/// Is the cluster there and opted in, and does nobody hold the lever?
async fn may_be_drilled(work: &Work<'_>) -> Result<Result<Cluster, String>, Error> {
    let id = &work.drill.cluster_id;
    let Some(cluster) = work.aws.cluster(id).await? else {
        return Ok(Err(format!("EMR knows no cluster {id}")));
    };
    if cluster.is_going() {
        return Ok(Err(format!("cluster {id} is {}", cluster.state)));
    }
    let tag = cluster.tags.get(Clusters::TAG_KEY).map(String::as_str);
    if work.config.clusters == Clusters::Tagged && tag != Some(Clusters::TAG_VALUE) {
        return Ok(Err(format!(
            "cluster {id} is not opted in: it has no tag {}={}",
            Clusters::TAG_KEY,
            Clusters::TAG_VALUE
        )));
    }
    match work.aws.safety_lever().await? {
        Lever::Disengaged => Ok(Ok(cluster)),
        Lever::Engaged(reason) => Ok(Err(format!("the account's FIS safety lever is engaged: {reason}"))),
    }
}

/// Does the template do what a drill does, and nothing else?
fn check(template: &ExperimentTemplate, victims: Option<u32>) -> Result<Selection, String> {
    let id = &template.id;
    if let Some(foreign) = template.action_ids.iter().find(|action| *action != ACTION) {
        return Err(format!(
            "FIS experiment template {id} has the action {foreign}; a drill takes only {ACTION}"
        ));
    }
    if template.action_ids.is_empty() {
        return Err(format!("FIS experiment template {id} has no action"));
    }
    if let Some((foreign, _)) = template.targets.iter().find(|(kind, _)| kind != RESOURCE_TYPE) {
        return Err(format!(
            "FIS experiment template {id} targets {foreign}; a drill targets only {RESOURCE_TYPE}"
        ));
    }
    let [(_, mode)] = template.targets.as_slice() else {
        return Err(format!(
            "FIS experiment template {id} has {} targets; a drill needs one",
            template.targets.len()
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
