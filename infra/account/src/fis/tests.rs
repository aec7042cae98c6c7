//! FIS on a simulated EC2, in virtual time: whom experiments hit, how they end, what the API refuses.
//!
//! Separate because it drives two services together, more than fits beside the rules.

use chrono::TimeDelta;

use super::*;
use crate::api::BusEvent;
use crate::ec2::{Launch, Market, State};
use crate::journal::Journal;

mod api;

const ALARM: &str = "arn:aws:cloudwatch:us-sim-1:000000000000:alarm:too-many";

struct World {
    fis: Fis,
    ec2: Ec2,
    now: Time,
    rng: fastrand::Rng,
    journal: Journal,
    events: Vec<BusEvent>,
}

impl World {
    /// A cluster of `task` Spot Instances and one On-Demand Instance, all running.
    fn new(task: usize) -> Self {
        let (fis, ec2, rng) = (Fis::new(), Ec2::new(), fastrand::Rng::with_seed(11));
        let now = Time::UNIX_EPOCH + TimeDelta::days(20_000);
        let mut world = Self {
            fis,
            ec2,
            now,
            rng,
            journal: Journal::default(),
            events: Vec::new(),
        };
        for i in 0..=task {
            let market = if i == 0 { Market::OnDemand } else { Market::Spot };
            world.with(|_, ec2, ctx| {
                let tags = BTreeMap::from([("role".to_owned(), "TASK".to_owned())]);
                let instance_type = "r5.xlarge".to_owned();
                ec2.launch(
                    ctx,
                    Launch {
                        instance_type,
                        market,
                        availability_zone: String::new(),
                        tags,
                    },
                )
                .unwrap();
            });
        }
        world.wait(60);
        world
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Fis, &mut Ec2, &mut Ctx) -> T) -> T {
        let mut ctx = Ctx {
            now: self.now,
            rng: &mut self.rng,
            journal: &mut self.journal,
            events: &mut self.events,
        };
        act(&mut self.fis, &mut self.ec2, &mut ctx)
    }

    /// Does what is due, each at its time, up to `seconds` from now.
    fn wait(&mut self, seconds: i64) {
        let end = self.now + TimeDelta::seconds(seconds);
        while let Some(at) = self
            .ec2
            .due()
            .into_iter()
            .chain(self.fis.due())
            .min()
            .filter(|at| *at <= end)
        {
            self.now = self.now.max(at);
            self.with(|fis, ec2, ctx| {
                ec2.advance(ctx);
                fis.advance(ctx, ec2);
            });
        }
        self.now = end;
    }

    fn call(&mut self, operation: &str, input: Value) -> Result<Value, ApiError> {
        self.with(|fis, ec2, ctx| fis.call(ctx, ec2, operation, &input))
    }

    fn template(&mut self, input: Value) -> String {
        self.with(|fis, _, ctx| fis.create_template(ctx, &input)).unwrap()
    }

    /// Starts an experiment of a new template and returns its id.
    fn start(&mut self, input: Value) -> String {
        let id = self.template(input);
        self.start_again(&id)
    }

    fn start_again(&mut self, template_id: &str) -> String {
        let answer = self
            .call("StartExperiment", json!({"experimentTemplateId": template_id}))
            .unwrap();
        answer["experiment"]["id"].as_str().unwrap().to_owned()
    }

    fn spot(&self, at: usize) -> String {
        self.ec2
            .instances()
            .filter(|it| it.market == Market::Spot)
            .nth(at)
            .unwrap()
            .instance_id
            .clone()
    }

    fn experiment(&self, id: &str) -> &Experiment {
        self.fis.experiment(id).unwrap()
    }

    /// The end of an experiment: its status and error code.
    fn end(&mut self, id: &str) -> (Status, String) {
        self.wait(60);
        let state = &self.experiment(id).state;
        (
            state.status,
            state.failure.as_ref().map(|it| it.code.clone()).unwrap_or_default(),
        )
    }
}

fn running_task_nodes(mode: &str) -> Value {
    json!({
        "resourceType": "aws:ec2:spot-instance", "resourceTags": {"role": "TASK"},
        "filters": [{"path": "State.Name", "values": ["running"]}], "selectionMode": mode,
    })
}

fn these(ids: &[String]) -> Value {
    let arns: Vec<String> = ids.iter().map(|it| target::instance_arn(it)).collect();
    json!({"resourceType": "aws:ec2:spot-instance", "resourceArns": arns, "selectionMode": "ALL"})
}

fn template(target: Value) -> Value {
    json!({
        "description": "Interrupt", "roleArn": "arn:aws:iam::000000000000:role/fis",
        "stopConditions": [{"source": "none"}], "targets": {"Victims": target},
        "actions": {"interrupt": {
            "actionId": "aws:ec2:send-spot-instance-interruptions",
            "parameters": {"durationBeforeInterruption": "PT2M"}, "targets": {"SpotInstances": "Victims"},
        }},
    })
}

/// The template with one value changed, at a JSON pointer whose last part may be new.
fn changed(target: Value, pointer: &str, value: Value) -> Value {
    let mut changed = template(target);
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    changed.pointer_mut(parent).unwrap()[last] = value;
    changed
}

#[test]
fn an_experiment_is_completed_half_a_minute_after_its_start_and_interrupts_three() {
    let mut world = World::new(8);
    let start = world.now;
    let id = world.start(template(running_task_nodes("COUNT(3)")));
    world.wait(400);
    let experiment = world.experiment(&id);
    assert_eq!(experiment.state.status, Status::Completed);
    let seconds = (experiment.ended_at.unwrap() - start).num_seconds();
    assert!((20..=40).contains(&seconds), "{seconds}");
    assert_eq!(experiment.interrupted.len(), 3);
    assert_eq!(experiment.interrupted, experiment.resolved["Victims"]);
    let gone: Vec<_> = world
        .ec2
        .instances()
        .filter(|it| it.state == State::Terminated)
        .collect();
    assert_eq!(gone.len(), 3);
    for victim in gone {
        assert!(experiment.interrupted.contains(&victim.instance_id));
        let cause = &victim.interruption.as_ref().unwrap().cause;
        assert_eq!(*cause, crate::ec2::Cause::Experiment(id.clone()));
    }
    let mut states = Vec::new();
    for event in world
        .events
        .iter()
        .filter(|it| it.detail_type == "FIS Experiment State Change")
    {
        assert_eq!(event.resources, [experiment.arn()]);
        states.push(event.detail["new-state"]["status"].as_str().unwrap());
    }
    assert_eq!(states, ["initiating", "running", "completed"]);
    let targets = world
        .call("ListExperimentResolvedTargets", json!({"experimentId": id}))
        .unwrap();
    assert_eq!(targets["resolvedTargets"].as_array().unwrap().len(), 3);
    let shown = world.call("GetExperiment", json!({"id": id})).unwrap()["experiment"].take();
    assert_eq!(shown["actions"]["interrupt"]["state"]["status"], "completed");
    assert!(
        shown["startTime"].as_f64() > shown["creationTime"].as_f64() && shown["endTime"].is_f64(),
        "{shown}"
    );
}

#[test]
fn a_preview_resolves_and_interrupts_nobody() {
    let mut world = World::new(4);
    let template_id = world.template(template(running_task_nodes("COUNT(2)")));
    let input = json!({"experimentTemplateId": template_id, "experimentOptions": {"actionsMode": "skip-all"}});
    let id = world.call("StartExperiment", input).unwrap()["experiment"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    world.wait(400);
    let experiment = world.experiment(&id);
    assert_eq!(experiment.state.status, Status::Completed);
    assert_eq!(
        (experiment.resolved["Victims"].len(), experiment.interrupted.len()),
        (2, 0)
    );
    assert_eq!(experiment.actions["interrupt"].status, ActionStatus::Skipped);
    assert!(world.ec2.instances().all(|it| it.state == State::Running));
}

#[test]
fn a_target_of_nobody_fails_or_is_skipped_as_the_template_says() {
    let mut world = World::new(3);
    let nobody = json!({
        "resourceType": "aws:ec2:spot-instance", "resourceTags": {"role": ""}, "selectionMode": "ALL",
    });
    let id = world.start(template(nobody.clone()));
    assert_eq!(world.end(&id), (Status::Failed, "InvalidTarget".to_owned()));
    assert_eq!(
        world.experiment(&id).state.reason,
        "Target resolution returned empty set."
    );
    let mut half = nobody.clone();
    half["resourceTags"] = json!({"role": "TASK", "app": "none"});
    let id = world.start(template(half));
    assert_eq!(world.end(&id).0, Status::Failed, "one tag of two was enough");
    let skip = changed(
        nobody,
        "/experimentOptions",
        json!({"emptyTargetResolutionMode": "skip"}),
    );
    let id = world.start(skip);
    assert_eq!(world.end(&id), (Status::Completed, String::new()));
    // Ten percent of three is nobody.
    let id = world.start(template(running_task_nodes("PERCENT(10)")));
    assert_eq!(world.end(&id), (Status::Failed, "InvalidTarget".to_owned()));
}

#[test]
fn more_than_five_victims_exceed_the_quota_of_an_action() {
    let mut world = World::new(6);
    let id = world.start(template(running_task_nodes("ALL")));
    assert_eq!(world.end(&id), (Status::Failed, "QuotaExceededFailure".to_owned()));
    assert!(world.ec2.instances().all(|it| it.interruption.is_none()));
}

#[test]
fn one_victim_that_is_gone_on_demand_or_unknown_saves_the_others() {
    let mut world = World::new(4);
    let (dead, alive) = (world.spot(0), world.spot(1));
    let on_demand = world.ec2.instances().next().unwrap().instance_id.clone();
    let doomed = dead.clone();
    world.with(|_, ec2, ctx| ec2.terminate(ctx, &doomed));
    for other in [dead, on_demand, "i-0123456789abcdef0".to_owned()] {
        let id = world.start(template(these(&[other, alive.clone()])));
        assert_eq!(world.end(&id), (Status::Failed, "InvalidTarget".to_owned()));
        assert!(world.experiment(&id).interrupted.is_empty());
    }
    let id = world.start(template(these(std::slice::from_ref(&alive))));
    assert_eq!(world.end(&id).0, Status::Completed);
    assert_eq!(world.experiment(&id).interrupted, [alive]);
}

#[test]
fn the_safety_lever_stops_what_runs_and_cancels_what_is_new() {
    let mut world = World::new(3);
    let template_id = world.template(template(running_task_nodes("COUNT(1)")));
    let running = world.start_again(&template_id);
    world.wait(10);
    let state = json!({"status": "engaged", "reason": "incident"});
    let answer = world
        .call("UpdateSafetyLeverState", json!({"id": "default", "state": state}))
        .unwrap();
    assert_eq!(answer["safetyLever"]["state"]["status"], "engaging");
    let new = world.start_again(&template_id);
    assert_eq!(world.end(&running).0, Status::Stopped);
    assert_eq!(world.end(&new).0, Status::Cancelled);
    assert!(world.experiment(&new).resolved.is_empty());
    assert_eq!(
        world.experiment(&running).actions["interrupt"].status,
        ActionStatus::Stopped
    );
    let answer = world.call("GetSafetyLever", json!({"id": "default"})).unwrap();
    assert_eq!(
        answer["safetyLever"]["state"],
        json!({"status": "engaged", "reason": "incident"})
    );
    world.fis.set_safety_lever(false, "over");
    let after = world.start_again(&template_id);
    assert_eq!(world.end(&after).0, Status::Completed);
}

#[test]
fn an_alarm_stops_only_the_experiments_that_name_it() {
    let mut world = World::new(3);
    let condition = json!([{"source": "aws:cloudwatch:alarm", "value": ALARM}]);
    let guarded = changed(running_task_nodes("COUNT(1)"), "/stopConditions", condition);
    let (guarded, other) = (
        world.template(guarded),
        world.template(template(running_task_nodes("COUNT(1)"))),
    );
    let (first, second) = (world.start_again(&guarded), world.start_again(&other));
    world.wait(10);
    world.fis.set_alarm(ALARM, true);
    assert_eq!(world.end(&first).0, Status::Stopped);
    assert_eq!(world.end(&second).0, Status::Completed);
    let late = world.start_again(&guarded);
    assert_eq!(world.end(&late).0, Status::Stopped);
    assert!(world.experiment(&late).interrupted.is_empty());
}

#[test]
fn a_failure_asked_for_hits_the_next_experiment_alone() {
    let mut world = World::new(3);
    let template_id = world.template(template(running_task_nodes("COUNT(1)")));
    world.fis.fail_next("InternalFailure", "Internal error.");
    let (first, second) = (world.start_again(&template_id), world.start_again(&template_id));
    assert_eq!(world.end(&first), (Status::Failed, "InternalFailure".to_owned()));
    assert_eq!(world.end(&second), (Status::Completed, String::new()));
    let shown = world.call("GetExperiment", json!({"id": first})).unwrap();
    assert_eq!(shown["experiment"]["state"]["error"]["code"], "InternalFailure");
    assert_eq!(
        shown["experiment"]["actions"]["interrupt"]["state"]["status"],
        "cancelled"
    );
}

#[test]
fn actions_run_in_their_order() {
    let mut world = World::new(4);
    let mut input = template(running_task_nodes("COUNT(1)"));
    input["actions"]["interrupt"]["startAfter"] = json!(["pause"]);
    input["actions"]["pause"] = json!({"actionId": "aws:fis:wait", "parameters": {"duration": "PT1M"}});
    let id = world.start(input);
    world.wait(200);
    let experiment = world.experiment(&id);
    assert_eq!(experiment.state.status, Status::Completed);
    let (pause, interrupt) = (&experiment.actions["pause"], &experiment.actions["interrupt"]);
    assert_eq!(
        pause.ended_at.unwrap() - pause.started_at.unwrap(),
        TimeDelta::minutes(1)
    );
    assert_eq!(interrupt.started_at, pause.ended_at);
}

#[test]
fn stopping_takes_no_interruption_back() {
    let mut world = World::new(3);
    let id = world.start(template(running_task_nodes("COUNT(2)")));
    world.wait(12);
    let answer = world.call("StopExperiment", json!({"id": id})).unwrap();
    assert_eq!(answer["experiment"]["state"]["status"], "stopping");
    assert_eq!(world.end(&id).0, Status::Stopped);
    world.wait(300);
    assert_eq!(
        world.ec2.instances().filter(|it| it.state == State::Terminated).count(),
        2
    );
    assert_eq!(
        world.call("StopExperiment", json!({"id": id})).unwrap_err().code,
        "ValidationException"
    );
}

#[test]
fn the_same_seed_chooses_the_same_victims() {
    let run = || {
        let mut world = World::new(16);
        let id = world.start(template(running_task_nodes("COUNT(3)")));
        world.wait(300);
        (world.experiment(&id).interrupted.clone(), world.events)
    };
    assert_eq!(run(), run());
}
