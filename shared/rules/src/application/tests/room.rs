//! Whether an application may have waited for a core node: what EMR's list of instances tells of its first minutes.

use super::*;
use crate::cluster::Market;

#[test]
fn an_application_waits_where_no_core_node_was_there_for_its_first_container() {
    let node = |role, ready: i64, ended: Option<i64>| Instance {
        instance_id: "i-1".into(),
        pool_id: "if-1".into(),
        role: Some(role),
        instance_type: "r5.xlarge".into(),
        market: Market::Spot,
        state: "RUNNING".into(),
        private_dns_name: HOST.into(),
        created_at: Some(at(-300)),
        ready_at: Some(at(ready)),
        ended_at: ended.map(at),
        reason: None,
        units: 4,
    };
    let task = || node(Role::Task, -100, None);
    let waits = |core: Instance| may_have_waited_for_room(&step(), &[task(), core]);
    assert!(!waits(node(Role::Core, -100, None)));
    assert!(!waits(node(Role::Core, 30, None)));
    assert!(
        waits(node(Role::Core, 31, None)),
        "it came when the minute was half over"
    );
    assert!(
        waits(node(Role::Core, -100, Some(119))),
        "it may have been gone a minute before"
    );
    assert!(!waits(node(Role::Core, -100, Some(120))));
    let cores = [node(Role::Core, -100, Some(20)), node(Role::Core, -100, None)];
    assert!(!may_have_waited_for_room(&step(), &cores), "one of two is enough");
    assert!(
        !may_have_waited_for_room(&step(), &[node(Role::Master, -100, None)]),
        "it never had one"
    );
    let short = Step {
        ended_at: Some(at(90)),
        ..step()
    };
    let ended_with_it = [node(Role::Core, -100, Some(95))];
    assert!(
        !may_have_waited_for_room(&short, &ended_with_it),
        "the cluster ended with its step"
    );
    let runs_still = Step {
        ended_at: None,
        ..step()
    };
    let gone = |ended: i64| may_have_waited_for_room(&runs_still, &[node(Role::Core, -100, Some(ended))]);
    assert!(gone(119) && !gone(120), "a step that has not ended is as another");
    let not_begun = Step {
        started_at: None,
        ..step()
    };
    assert!(!may_have_waited_for_room(&not_begun, &[node(Role::Core, 31, None)]));
}
