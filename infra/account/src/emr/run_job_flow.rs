//! RunJobFlow: from a request to a new cluster.
//!
//! Separate because it is the one place where a cluster's configuration is read and checked.
//!
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::{ApiError, Ctx, UPPER};
use crate::instance_type;
use crate::yarn::Yarn;

use super::agenda::Agenda;
use super::cluster::{Cluster, ClusterState, Reason, Whims};
use super::input::{self, count, items, text, validation};
use super::lifecycle::classification;
use super::placement;
use super::pool::{Collection, Pool, PoolState, Role, TypeOption, Units};
use super::release;
use super::step::{Step, StepState};

/// Reads a request and makes its cluster, which has not started yet.
pub(super) fn read(ctx: &mut Ctx, request: &Value) -> Result<Cluster, ApiError> {
    let name = text(request, "Name")?.to_owned();
    release::check(request)?;
    if request["AutoTerminationPolicy"].is_object() {
        return Err(ApiError::not_offered("emr", "RunJobFlow with AutoTerminationPolicy"));
    }
    let instances = &request["Instances"];
    let (collection, pools) = pools(ctx, instances)?;
    check_roles(&pools, collection)?;
    // "Amazon EMR automatically enables termination protection for all clusters that have multiple primary nodes, and
    // overrides any auto-termination settings".
    //= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-ha-launch.html
    let primary = pools.iter().find(|pool| pool.role == Role::Master);
    let has_several = primary.is_some_and(|pool| pool.target.total() > 1);
    let spark_defaults = configured(request, &pools, "spark-defaults");
    let id = ctx.id("j-", UPPER, 13);
    let zone = placement::zone(ctx, instances)?;
    let step_concurrency = concurrency(request)?.unwrap_or(1);
    let mut steps = Vec::new();
    for config in items(&request["Steps"]) {
        steps.push(step(ctx, config, step_concurrency)?);
    }
    Ok(Cluster {
        yarn: Yarn::new(&id, ctx.now),
        id,
        name,
        state: ClusterState::Starting,
        reason: Reason::default(),
        created_at: ctx.now,
        ready_at: None,
        ended_at: None,
        tags: input::tags(&request["Tags"])?,
        collection,
        pools,
        instances: Vec::new(),
        steps,
        step_concurrency,
        managed_scaling: request
            .get("ManagedScalingPolicy")
            .filter(|policy| policy.is_object())
            .cloned(),
        termination_protected: has_several || instances["TerminationProtected"] == true,
        availability_zone: zone,
        keep_alive: has_several || instances["KeepJobFlowAliveWhenNoSteps"] == true,
        runs_outside: false,
        spark_defaults,
        request: request.clone(),
        agenda: Agenda::default(),
        objects: Vec::new(),
        idle: None,
        whims: Whims::default(),
    })
}

/// The fleets or groups that a request asks for.
fn pools(ctx: &mut Ctx, instances: &Value) -> Result<(Collection, Vec<Pool>), ApiError> {
    let fleets: Vec<_> = items(&instances["InstanceFleets"]).cloned().collect();
    let groups = groups(instances);
    let collection = match (fleets.is_empty(), groups.is_empty()) {
        (false, true) => Collection::Fleet,
        (true, false) => Collection::Group,
        (false, false) => {
            return Err(validation(
                "Instance fleets and instance groups are mutually exclusive.",
            ));
        }
        (true, true) => {
            return Err(validation(
                "The request has neither instance fleets nor instance groups.",
            ));
        }
    };
    let pools: Result<Vec<_>, _> = match collection {
        Collection::Fleet => fleets.iter().map(|config| fleet(ctx, config)).collect(),
        Collection::Group => groups.iter().map(|config| group(ctx, config)).collect(),
    };
    Ok((collection, pools?))
}

/// The properties of one classification: the cluster's, and over them those of its primary node, which is where steps
/// are submitted and the resource manager runs.
//= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-configure-apps.html
pub(super) fn configured(request: &Value, pools: &[Pool], name: &str) -> BTreeMap<String, String> {
    let mut properties = classification(&request["Configurations"], name);
    let primary = pools.iter().find(|pool| pool.role == Role::Master);
    if let Some(option) = primary.and_then(|pool| pool.types.first()) {
        properties.extend(classification(&option.config["Configurations"], name));
    }
    properties
}

/// The instance groups of a request, also of the short form with one type for the primary node and one for the others.
fn groups(instances: &Value) -> Vec<Value> {
    let mut groups: Vec<_> = items(&instances["InstanceGroups"]).cloned().collect();
    let (master, core) = (&instances["MasterInstanceType"], &instances["SlaveInstanceType"]);
    if groups.is_empty() && master.is_string() {
        groups.push(json!({"InstanceRole": "MASTER", "InstanceType": master, "InstanceCount": 1}));
        let cores = instances["InstanceCount"].as_u64().unwrap_or(1).saturating_sub(1);
        if cores > 0 {
            let core = if core.is_string() { core } else { master };
            groups.push(json!({"InstanceRole": "CORE", "InstanceType": core, "InstanceCount": cores}));
        }
    }
    groups
}

fn fleet(ctx: &mut Ctx, config: &Value) -> Result<Pool, ApiError> {
    let role = role(text(config, "InstanceFleetType")?)?;
    let mut types = Vec::new();
    for option in items(&config["InstanceTypeConfigs"]) {
        types.push(TypeOption {
            instance_type: known_type(option)?,
            weight: count(option, "WeightedCapacity")?.unwrap_or(1).max(1),
            config: option.clone(),
        });
    }
    let target = Units {
        on_demand: count(config, "TargetOnDemandCapacity")?.unwrap_or(0),
        spot: count(config, "TargetSpotCapacity")?.unwrap_or(0),
    };
    if types.is_empty() {
        return Err(validation(format!(
            "The {} instance fleet has no instance type.",
            role.as_str()
        )));
    }
    //= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-ha-launch.html
    let is_three = (target.on_demand, target.spot) == (3, 0) && types.iter().all(|option| option.weight == 1);
    if role == Role::Master && target.total() != 1 && !is_three {
        return Err(validation(
            "A master instance fleet has exactly one On-Demand or one Spot unit, or three On-Demand units.",
        ));
    }
    Ok(pool(ctx, "if-", Collection::Fleet, role, target, types, config))
}

fn group(ctx: &mut Ctx, config: &Value) -> Result<Pool, ApiError> {
    let role = role(text(config, "InstanceRole")?)?;
    let instances = count(config, "InstanceCount")?.unwrap_or(0);
    let target = match config["Market"].as_str() {
        None | Some("ON_DEMAND") => Units {
            on_demand: instances,
            spot: 0,
        },
        Some("SPOT") => Units {
            on_demand: 0,
            spot: instances,
        },
        Some(other) => return Err(validation(format!("Market '{other}' is not ON_DEMAND or SPOT."))),
    };
    if role == Role::Master && instances == 0 {
        return Err(validation("A master instance group has at least one instance."));
    }
    //= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-ha-launch.html
    if role == Role::Master && !matches!(instances, 1 | 3) {
        return Err(validation(
            "Master instance group must have exactly 3 instances for HA clusters.",
        ));
    }
    if config["AutoScalingPolicy"].is_object() {
        return Err(ApiError::not_offered("emr", "an instance group with AutoScalingPolicy"));
    }
    let types = vec![TypeOption {
        instance_type: known_type(config)?,
        weight: 1,
        config: config.clone(),
    }];
    Ok(pool(ctx, "ig-", Collection::Group, role, target, types, config))
}

fn pool(
    ctx: &mut Ctx,
    prefix: &str,
    collection: Collection,
    role: Role,
    target: Units,
    types: Vec<TypeOption>,
    config: &Value,
) -> Pool {
    Pool {
        id: ctx.id(prefix, UPPER, 13),
        collection,
        name: config["Name"].as_str().unwrap_or(role.as_str()).to_owned(),
        role,
        state: PoolState::Provisioning,
        target,
        targets: vec![(ctx.now, target)],
        types,
        created_at: ctx.now,
        ready_at: None,
        ended_at: None,
        config: config.clone(),
        unreplaced: Units::default(),
        resized_at: None,
    }
}

fn role(name: &str) -> Result<Role, ApiError> {
    Role::parse(name).ok_or_else(|| validation(format!("Instance role '{name}' is not MASTER, CORE or TASK.")))
}

fn known_type(config: &Value) -> Result<String, ApiError> {
    let name = text(config, "InstanceType")?;
    match instance_type::lookup(name) {
        Some(_) => Ok(name.to_owned()),
        None => Err(validation(format!("Instance type '{name}' is not supported."))),
    }
}

fn check_roles(pools: &[Pool], collection: Collection) -> Result<(), ApiError> {
    let number = |role: Role| pools.iter().filter(|pool| pool.role == role).count();
    if number(Role::Master) != 1 {
        return Err(validation(
            "A cluster has exactly one MASTER instance fleet or instance group.",
        ));
    }
    if number(Role::Core) > 1 || (collection == Collection::Fleet && number(Role::Task) > 1) {
        return Err(validation(
            "A cluster has at most one CORE, and with instance fleets at most one TASK fleet.",
        ));
    }
    if number(Role::Task) > 0 && number(Role::Core) == 0 {
        return Err(validation("Clusters with task nodes must also define core nodes."));
    }
    Ok(())
}

/// `StepConcurrencyLevel`, if the request has one.
pub(super) fn concurrency(request: &Value) -> Result<Option<u32>, ApiError> {
    match count(request, "StepConcurrencyLevel")? {
        Some(level) if !(1..=256).contains(&level) => Err(validation("StepConcurrencyLevel is from 1 to 256.")),
        level => Ok(level),
    }
}

/// Reads one `StepConfig`. Assumed: without an action on failure it is CONTINUE.
///
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_StepConfig.html
pub(super) fn step(ctx: &mut Ctx, config: &Value, step_concurrency: u32) -> Result<Step, ApiError> {
    let action = config["ActionOnFailure"].as_str().unwrap_or("CONTINUE");
    if !["CONTINUE", "CANCEL_AND_WAIT", "TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW"].contains(&action) {
        return Err(validation(format!("ActionOnFailure '{action}' is not valid.")));
    }
    if step_concurrency > 1 && action != "CONTINUE" {
        let text = format!("ActionOnFailure '{action}' is not valid when StepConcurrencyLevel is greater than 1.");
        return Err(validation(text));
    }
    let jar = &config["HadoopJarStep"];
    Ok(Step {
        name: text(config, "Name")?.to_owned(),
        jar: text(jar, "Jar")?.to_owned(),
        args: items(&jar["Args"])
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        id: ctx.id("s-", UPPER, 13),
        action_on_failure: action.to_owned(),
        config: jar.clone(),
        own_logs: config["StepMonitoringConfiguration"]["S3MonitoringConfiguration"].clone(),
        state: StepState::Pending,
        created_at: ctx.now,
        started_at: None,
        cancel_requested_at: None,
        ended_at: None,
        submitted_at: None,
        application_id: None,
        failure: None,
        words: None,
        waits: false,
        hides_status: false,
        ending: false,
    })
}

/// Properties of a step: a list of pairs in the request, a map in the answer.
///
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_HadoopStepConfig.html
pub(super) fn step_properties(config: &Value) -> BTreeMap<String, Value> {
    items(&config["Properties"])
        .filter_map(|pair| Some((pair["Key"].as_str()?.to_owned(), pair["Value"].clone())))
        .collect()
}
