//! An experiment: what it is to do, how far it is, and whom it hit.
//!
//! Separate because it is what the rest of the simulation and the tests read; how it moves on is in `lifecycle`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::{ACCOUNT, Ctx, Time};
use crate::fis::arn;
use crate::fis::target::{SPOT_INSTANCE, instance_arn};
use crate::fis::template::{Definition, epoch_seconds};

//= https://docs.aws.amazon.com/fis/latest/APIReference/API_ExperimentState.html
/// Where an experiment is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Accepted.
    Pending,
    /// Its targets are being resolved.
    Initiating,
    /// Its actions are being done.
    Running,
    /// All its actions are done, or skipped.
    Completed,
    /// Its actions are being stopped.
    Stopping,
    /// It was stopped.
    Stopped,
    /// It could not do what it was to do.
    Failed,
    /// It was never begun.
    Cancelled,
}

impl Status {
    /// FIS's name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Initiating => "initiating",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it has not ended, and counts against the quota.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Initiating | Self::Running | Self::Stopping)
    }
}

//= https://docs.aws.amazon.com/fis/latest/userguide/troubleshooting.html
/// Why an experiment failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `InvalidTarget`, `QuotaExceededFailure`, `InternalFailure`, …
    pub code: String,
    /// For people; AWS says that it may change.
    pub reason: String,
    /// The part of the template that failed. The form of it is not documented: here a path into the template.
    pub location: String,
}

impl Failure {
    pub(super) fn new(code: &str, reason: &str, location: &str) -> Self {
        Self {
            code: code.to_owned(),
            reason: reason.to_owned(),
            location: location.to_owned(),
        }
    }
}

/// An experiment's state, as FIS shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentState {
    /// Where it is in its life.
    pub status: Status,
    /// A sentence that goes with it.
    pub reason: String,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl ExperimentState {
    fn show(&self) -> Value {
        let mut shown = json!({"status": self.status.name(), "reason": self.reason});
        if let Some(Failure { code, location, .. }) = &self.failure {
            shown["error"] = json!({"accountId": ACCOUNT, "code": code, "location": location});
        }
        shown
    }
}

//= https://docs.aws.amazon.com/fis/latest/APIReference/API_ExperimentActionState.html
/// Where an action of an experiment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionStatus {
    /// Not yet begun.
    Pending,
    /// Being done.
    Running,
    /// Done.
    Completed,
    /// Left out: a preview, or nobody to do it to.
    Skipped,
    /// Being stopped with its experiment.
    Stopping,
    /// Stopped with its experiment.
    Stopped,
    /// Not begun, as its experiment ended first.
    Cancelled,
    /// It could not be done.
    Failed,
}

impl ActionStatus {
    /// FIS's name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Skipped => "skipped",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// How far one action of an experiment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRun {
    /// Where it is.
    pub status: ActionStatus,
    /// A sentence that goes with it.
    pub reason: String,
    /// When it was begun.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// When it will be done, unless it is stopped.
    pub(super) done_at: Option<Time>,
}

/// One experiment, from its start to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// `EXP` and 15 letters and digits.
    pub id: String,
    /// The template that it was started from, which may be deleted since.
    pub template_id: String,
    /// The token that it was started with.
    pub client_token: String,
    /// Its own tags.
    pub tags: BTreeMap<String, String>,
    /// A preview: its targets are resolved and its actions left out.
    pub skips_actions: bool,
    /// Where it is.
    pub state: ExperimentState,
    /// When StartExperiment was called.
    pub created_at: Time,
    /// When it left the state pending.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// The ids of the instances that each target resolved to, by the target's name.
    pub resolved: BTreeMap<String, Vec<String>>,
    /// The instances whose interruption EC2 accepted from this experiment, in order.
    pub interrupted: Vec<String>,
    /// How far its actions are, by name.
    pub actions: BTreeMap<String, ActionRun>,
    /// The template as it was at the start.
    pub definition: Definition,
    /// When it next does something.
    pub(super) next_at: Option<Time>,
    /// The failure that awaits it.
    pub(super) destined: Option<Failure>,
    /// An instance that its first target resolves besides those that it names.
    pub(super) stray: Option<String>,
    /// What its role allows, if that is asked.
    pub(super) allowed: Option<Vec<Value>>,
}

impl Experiment {
    /// An experiment that has just been asked for.
    #[expect(
        clippy::too_many_arguments,
        reason = "called once, and each is a fact of the experiment"
    )]
    pub(super) fn new(
        ctx: &mut Ctx,
        id: String,
        template_id: String,
        client_token: String,
        tags: BTreeMap<String, String>,
        skips_actions: bool,
        definition: Definition,
        destined: Option<Failure>,
    ) -> Self {
        let pending = ActionRun {
            status: ActionStatus::Pending,
            reason: "Action is pending.".to_owned(),
            started_at: None,
            ended_at: None,
            done_at: None,
        };
        let reason = "Experiment is pending.".to_owned();
        ctx.transition("fis", &id, "experiment pending", json!({"template": template_id}));
        Self {
            id,
            template_id,
            client_token,
            tags,
            skips_actions,
            state: ExperimentState {
                status: Status::Pending,
                reason,
                failure: None,
            },
            created_at: ctx.now,
            started_at: None,
            ended_at: None,
            resolved: BTreeMap::new(),
            interrupted: Vec::new(),
            actions: definition
                .actions
                .keys()
                .map(|name| (name.clone(), pending.clone()))
                .collect(),
            definition,
            next_at: None,
            destined,
            stray: None,
            allowed: None,
        }
    }

    /// The experiment's ARN.
    pub fn arn(&self) -> String {
        arn(&format!("experiment/{}", self.id))
    }

    /// The experiment as GetExperiment shows it.
    pub(super) fn show(&self) -> Value {
        let mut shown = serde_json::to_value(&self.definition).expect("a definition came from JSON");
        let fields = shown.as_object_mut().expect("a definition is an object");
        fields.remove("description");
        for (name, run) in &self.actions {
            let action = &mut shown["actions"][name];
            action["state"] = json!({"status": run.status.name(), "reason": run.reason});
            set_time(action, "startTime", run.started_at);
            set_time(action, "endTime", run.ended_at);
        }
        if let (Value::Object(shown), Value::Object(summary)) = (&mut shown, self.summary()) {
            shown.extend(summary);
        }
        shown["targetAccountConfigurationsCount"] = 0.into();
        set_time(&mut shown, "startTime", self.started_at);
        set_time(&mut shown, "endTime", self.ended_at);
        shown
    }

    /// The experiment as an item of ListExperiments.
    pub(super) fn summary(&self) -> Value {
        let options = &self.definition.experiment_options;
        json!({
            "id": self.id, "arn": self.arn(), "experimentTemplateId": self.template_id, "state": self.state.show(),
            "creationTime": epoch_seconds(self.created_at), "tags": self.tags,
            "experimentOptions": {
                "accountTargeting": options.account_targeting,
                "emptyTargetResolutionMode": options.empty_target_resolution_mode,
                "actionsMode": if self.skips_actions { "skip-all" } else { "run-all" },
            },
        })
    }

    //= https://docs.aws.amazon.com/fis/latest/APIReference/API_ListExperimentResolvedTargets.html
    /// The resolved targets, each as ListExperimentResolvedTargets shows it, with a key to page by.
    pub(super) fn resolved_targets(&self) -> impl Iterator<Item = (String, Value)> {
        self.resolved.iter().flat_map(|(name, ids)| {
            ids.iter().map(move |id| {
                let shown = json!({
                    "resourceType": SPOT_INSTANCE, "targetName": name, "targetInformation": {"arn": instance_arn(id)},
                });
                (format!("{name}/{id}"), shown)
            })
        })
    }
}

fn set_time(shown: &mut Value, name: &str, time: Option<Time>) {
    if let Some(time) = time {
        shown[name] = epoch_seconds(time);
    }
}
