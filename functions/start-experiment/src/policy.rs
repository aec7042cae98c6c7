//! May this cluster be drilled, and what does the stack's FIS template ask for? Asked before the wait, and again right
//! before each experiment: tags, levers and templates change.

use shared::Error;
use shared::aws::{ACTION, ExperimentTemplate, Lever, RESOURCE_TYPE};
use shared::cluster::Cluster;
use shared::config::Clusters;
use shared::victim::Selection;

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

impl Policy {
    /// Reads the policy. The inner error is a refusal, in words.
    pub(crate) async fn read(work: &Work<'_>) -> Result<Result<Self, String>, Error> {
        let cluster = match may_be_drilled(work).await? {
            Ok(cluster) => cluster,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let id = &work.config.experiment_template_id;
        let Some(template) = work.aws.experiment_template(id).await? else {
            return Ok(Err(format!("there is no FIS experiment template {id}")));
        };
        Ok(check(&template, work.config.victims.0).map(|selection| Self {
            template,
            selection,
            cluster,
        }))
    }
}

/// Is the cluster up and opted in, and does nobody hold the lever?
async fn may_be_drilled(work: &Work<'_>) -> Result<Result<Cluster, String>, Error> {
    let id = &work.drill.cluster_id;
    let Some(cluster) = work.aws.cluster(id).await? else {
        return Ok(Err(format!("EMR knows no cluster {id}")));
    };
    if !cluster.is_up() {
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
