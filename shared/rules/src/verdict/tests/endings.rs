//! How an application ended, by each of its witnesses.

use super::*;

const DOUBT: &str = "the step does not wait";

fn doubted(change: impl Fn(&mut Case)) -> Judgement {
    let mut case = Case::new();
    case.doubt = Some(DOUBT);
    change(&mut case);
    case.judge()
}

#[test]
fn a_step_of_which_emr_does_not_say_when_it_ran_shows_nothing() {
    let judgement = judge(&Facts {
        step: &step("COMPLETED"),
        completed_doubt: None,
        run: None,
        interruptions: &[],
        application: None,
        final_status: None,
        diagnostics: None,
        output_lacks: None,
        output_unseen: None,
        withheld: None,
        no_experiment: None,
    });
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert_eq!(judgement.sentence, "EMR does not say when the step ran.");
}

/// Its values: <https://hadoop.apache.org/docs/stable/hadoop-yarn/hadoop-yarn-site/ResourceManagerRest.html>, `finalStatus`
#[test]
fn yarns_final_status_tells_the_end_where_completed_does_not() {
    let by = |status| {
        doubted(|case| {
            case.logs.clear();
            case.final_status = Some(status);
        })
    };
    let succeeded = by("SUCCEEDED");
    assert_eq!(succeeded.verdict, Verdict::Survived);
    let how = "YARN's final status of the application is SUCCEEDED.";
    assert_eq!(succeeded.reasons[0], how);
    assert!(by("FAILED").failure.is_some());
    for status in ["KILLED", "UNDEFINED"] {
        let judgement = by(status);
        assert_eq!(judgement.verdict, Verdict::Inconclusive, "{status}");
        assert!(judgement.failure.is_none(), "{status}");
    }
    assert!(by("UNDEFINED").sentence.contains("no event log says"));
    assert!(!by("KILLED").sentence.contains("no event log says"));
}

#[test]
fn an_event_log_tells_of_a_failure_by_its_exit_code_or_its_last_job_and_never_of_a_success() {
    let has_failed = |exit_code: Option<i32>, jobs: Vec<Job>| {
        let judgement = doubted(|case| {
            case.logs[0].exit_code = exit_code;
            case.logs[0].jobs.clone_from(&jobs);
        });
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
        judgement.failure.is_some()
    };
    let failed = |completed| job(1, false, Some("disk full"), completed);
    let cancelled = Job {
        cancelled: true,
        ..failed(960)
    };
    assert!(has_failed(None, vec![failed(960), job(0, true, None, 900)]));
    assert!(
        !has_failed(None, vec![failed(900), job(2, true, None, 960)]),
        "it went on"
    );
    assert!(
        !has_failed(None, vec![cancelled]),
        "a program may cancel what it does not need"
    );
    assert!(!has_failed(None, Vec::new()));
    assert!(has_failed(Some(1), vec![job(0, true, None, 960)]));
    assert!(!has_failed(Some(0), vec![job(0, true, None, 960)]));
}

#[test]
fn where_a_log_does_not_reach_to_the_end_or_says_nothing_of_it_that_is_told() {
    assert_eq!(
        doubted(|_| ()).sentence,
        format!("Nothing is shown: {DOUBT}, and an event log does not say whether its program ended well.")
    );
    assert_eq!(
        doubted(|case| case.logs[0].ended_at_ms = None).sentence,
        format!("Nothing is shown: {DOUBT}, and the application's event log breaks off before its end.")
    );
}

#[test]
fn a_step_that_was_stopped_failed_only_if_the_primary_node_went_while_it_ran() {
    let has_failed = |role: Role, gone: i64| {
        let mut case = Case::new();
        case.step.state = "CANCELLED".into();
        case.logs.clear();
        case.interrupted = vec![(interrupted(Some(gone)), replaced(gone))];
        case.interrupted[0].0.role = Some(role);
        case.judge().failure.is_some()
    };
    assert!(has_failed(Role::Master, 400));
    assert!(!has_failed(Role::Master, 1005), "the cluster's end came later");
    assert!(!has_failed(Role::Core, 400));
}
