//! What FIS is asked for is what the stack's template says, and nothing is asked while the safety lever is on its way.

use account::wire::Service;
use aws::Lever;
use serde_json::json;

use crate::staging::*;

#[test]
fn an_experiment_has_the_stop_condition_and_the_log_of_the_stacks_template() {
    in_a_world(1, &[], no_faults(), async |world| {
        let stacks = world.lock().account.fis.templates().next().unwrap().definition.clone();
        assert!(
            stacks.log_configuration.is_some() && !stacks.stop_conditions.is_empty(),
            "{stacks:?}"
        );
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| !notices(state).is_empty()).await;
        let state = world.lock();
        let asked = &state.account.fis.experiments().next().unwrap().definition;
        assert_eq!(asked.log_configuration, stacks.log_configuration);
        assert_eq!(asked.stop_conditions, stacks.stop_conditions);
        assert_eq!(asked.role_arn, stacks.role_arn);
    });
}

/// While experiments are being halted, the lever is `engaging`:
/// <https://docs.aws.amazon.com/fis/latest/APIReference/API_SafetyLeverState.html>
#[test]
fn a_lever_that_is_being_engaged_is_engaged() {
    in_a_world(1, &[], no_faults(), async |world| {
        let cluster_id = cluster_up(&world, workshop("c", 32)).await;
        run_step(&world, &cluster_id, spark(&[OUT])).await;
        until(&world, |state| !notices(state).is_empty()).await;
        let state = json!({"status": "engaged", "reason": "freeze"});
        call(
            &world,
            Service::Fis,
            "UpdateSafetyLeverState",
            json!({"id": "default", "state": state}),
        );
        let shown = call(&world, Service::Fis, "GetSafetyLever", json!({"id": "default"}));
        assert_eq!(
            shown["safetyLever"]["state"]["status"], "engaging",
            "the story shows nothing: {shown}"
        );
        assert_eq!(
            aws(&world).safety_lever().await.unwrap(),
            Lever::Engaged("freeze".into())
        );
    });
}
