//! What the reader of one line is told.

use super::*;

/// One more that took something of the application: it went at 500 from [`OTHER_HOST`].
fn second(cause: Cause, replacement: Replacement) -> (Interrupted, Replacement) {
    let one = Interrupted {
        instance_id: "i-9".into(),
        private_dns_name: Some(OTHER_HOST.into()),
        cause,
        ..interrupted(Some(500))
    };
    (one, replacement)
}

fn excused(excuse: Excuse) -> Replacement {
    Replacement::NotExpected {
        excuse,
        why: "it was not".into(),
    }
}

#[test]
fn a_verdicts_word_is_read_as_that_verdict() {
    for (verdict, word) in [
        (Verdict::Survived, "survived"),
        (Verdict::Degraded, "degraded"),
        (Verdict::Failed, "failed"),
        (Verdict::Inconclusive, "inconclusive"),
    ] {
        assert_eq!(verdict.word(), word);
        assert_eq!(Verdict::parse(word), Some(verdict));
    }
    assert_eq!(Verdict::parse("Survived"), None);
}

#[test]
fn who_went_is_counted_by_whose_doing_it_was() {
    let sentence = |causes: &[Cause]| {
        let mut case = Case::new();
        for cause in causes {
            case.interrupted.push(second(cause.clone(), replaced(500)));
        }
        case.judge().sentence
    };
    let plain =
        "The job survived: 1 instance went while it ran (by this drill's experiment), and all capacity was replaced.";
    assert_eq!(sentence(&[]), plain);
    let ours = Cause::Experiment {
        experiment_id: "EXP1".into(),
    };
    assert!(sentence(&[ours]).contains("2 instances went while it ran (by this drill's experiment)"));
    let all = sentence(&[
        Cause::OtherExperiment,
        Cause::Natural,
        Cause::Natural,
        Cause::Natural,
        Cause::Unknown,
        Cause::Unknown,
    ]);
    let whose = "(1 by this drill's experiment, 1 by another experiment, 3 by EC2 itself, 2 by an unknown cause)";
    assert!(all.contains(whose), "{all}");
}

#[test]
fn what_became_of_the_capacity_is_said_of_all_that_went() {
    let sentence = |first: Replacement, other: Replacement| {
        let mut case = Case::new();
        case.interrupted = vec![(interrupted(Some(400)), first), second(Cause::Natural, other)];
        case.judge().sentence
    };
    let ended = || excused(Excuse::JobEnded);
    let lowered = || excused(Excuse::TargetLowered);
    for (first, other, said) in [
        (replaced(400), replaced(500), "all capacity was replaced."),
        (ended(), ended(), "it ended before a replacement could be there."),
        (ended(), lowered(), "no replacement was expected."),
        (
            replaced(400),
            ended(),
            "1 of them were replaced, while for the others no replacement was expected.",
        ),
    ] {
        let sentence = sentence(first, other);
        assert!(sentence.ends_with(&format!(", and {said}")), "{sentence}");
    }
}

#[test]
fn what_went_with_them_is_named_where_a_log_tells() {
    let mut case = Case::new();
    case.logs[0].driver_host = Some(HOST.into());
    case.interrupted.push(second(Cause::Natural, replaced(500)));
    let told = [
        "EMR says that the step completed.",
        "With them went the driver and executor 1 on i-7; executor 2 on i-9.",
    ];
    assert_eq!(case.judge().reasons, told);
    case.logs.clear();
    let unknown = "What of the application was on them is not known: no event log tells.";
    assert_eq!(case.judge().reasons[1], unknown);
}

#[test]
fn what_went_is_named_of_twelve_and_of_the_others_counted() {
    let told = |count: usize| {
        let mut case = Case::new();
        case.interrupted = vec![(interrupted(Some(400)), replaced(400)); count];
        case.judge().reasons.remove(1)
    };
    let twelve = ["executor 1 on i-7"; 12].join("; ");
    assert_eq!(told(12), format!("With them went {twelve}."));
    assert_eq!(told(14), format!("With them went {twelve}; what was on 2 more."));
}

#[test]
fn why_no_interruption_counts_is_said_of_each() {
    let mut case = Case::new();
    case.interrupted.clear();
    assert_eq!(
        case.judge().sentence,
        "Nothing is shown: no instance was interrupted while the job ran (no interruption of this cluster's instances is on record)."
    );
    case.no_experiment = Some("the lever was engaged");
    assert!(
        case.judge()
            .sentence
            .ends_with("while the job ran (the lever was engaged).")
    );
    // With nothing there, before, after, due, and not gone: each has its own count.
    case.logs[0].executors.clear();
    let due = |noticed: i64| Interrupted {
        noticed_at: Some(at(noticed)),
        ..interrupted(None)
    };
    let gone = [Some(400), Some(10), Some(15), Some(990)].map(interrupted);
    let ones = gone.into_iter().chain([due(500), due(900), due(901)]);
    case.interrupted = ones.map(|one| (one, replaced(500))).collect();
    assert_eq!(
        case.judge().sentence,
        "Nothing is shown: 1 interrupted instance went while the job ran, with nothing of it on them, \
         2 interrupted instances had gone before the application began, \
         1 interrupted instance went when the job had ended, \
         1 interrupted instance had notice to go while the job ran, and nobody has seen whether they did, \
         2 interrupted instances had not gone when last looked at (by this drill's experiment)."
    );
}

#[test]
fn a_failure_is_quoted_by_the_error_that_spark_puts_behind_the_task() {
    let sentence = |words: &'static str| {
        let mut case = Case::new();
        case.step.state = "FAILED".into();
        case.logs.clear();
        case.diagnostics = Some(words);
        case.judge().sentence
    };
    let behind = "Job aborted due to stage failure: Lost task 0.3 in stage 1.0 (TID 7) (ip-10-0-0-9.ec2.internal executor 2): java.lang.ArithmeticException: / by zero\nDriver stacktrace:";
    assert_eq!(
        sentence(behind),
        "Nothing is shown: the job failed by itself, though 1 instance went while it ran (by this drill's experiment): java.lang.ArithmeticException: / by zero"
    );
    let nothing_behind = "Lost task 0.3 in stage 1.0 (TID 7) (h executor 2): ";
    assert!(sentence(nothing_behind).ends_with(&format!("): {nothing_behind}")));
    assert!(sentence("exit code 1\nat main").ends_with("): exit code 1"));
}

#[test]
fn a_failure_is_told_with_what_went_or_why_none_of_it_counts() {
    let judged = |gone: i64, diagnostics: Option<&'static str>| {
        let mut case = Case::new();
        case.step.state = "FAILED".into();
        case.step.failure = Some("Unknown Error".into());
        case.logs.clear();
        case.interrupted = vec![(interrupted(Some(gone)), replaced(gone))];
        case.diagnostics = diagnostics;
        case.judge()
    };
    let lost = Some("exitCode: -100");
    let by_loss = judged(400, lost);
    assert_eq!(
        by_loss.sentence,
        "The job failed because of the interruption; 1 instance went while it ran (by this drill's experiment): exitCode: -100"
    );
    assert_eq!(
        by_loss.reasons,
        [
            "The step ended as FAILED.",
            "EMR on the failure: Unknown Error",
            "Its log says that a node was lost.",
        ]
    );
    let not_told = "The job failed, and whether the interruption was the cause is not to be told; ";
    let told = |gone, diagnostics| judged(gone, diagnostics).sentence;
    assert_eq!(
        told(400, None),
        format!("{not_told}1 instance went while it ran (by this drill's experiment)")
    );
    let after = "1 interrupted instance went when the job had ended (by this drill's experiment)";
    assert_eq!(told(1005, lost), format!("{not_told}{after}: exitCode: -100"));
    assert_eq!(
        told(1005, None),
        format!("Nothing is shown: the job failed by itself, and {after}")
    );
}

#[test]
fn an_end_that_nobody_tells_or_that_somebody_made_is_said_so() {
    let mut case = Case::new();
    case.step.state = "CANCELLED".into();
    let stopped = case.judge();
    assert_eq!(
        stopped.sentence,
        "Nothing is shown: the step ended as CANCELLED; before that, 1 instance went while it ran (by this drill's experiment)."
    );
    assert_eq!(stopped.reasons, ["The step ended as CANCELLED."]);
    assert!(stopped.failure.is_none());
    let mut case = Case::new();
    case.doubt = Some("the step does not wait");
    case.logs.clear();
    let why = "the step does not wait, and no event log says how its application ended";
    let not_told = case.judge();
    assert_eq!(not_told.sentence, format!("Nothing is shown: {why}."));
    assert_eq!(
        not_told.reasons,
        ["1 instance went while it ran (by this drill's experiment)."]
    );
    case.interrupted.clear();
    assert_eq!(
        case.judge().reasons,
        [
            "The step ended as COMPLETED.".to_owned(),
            "COMPLETED would not be enough: the step does not wait.".to_owned(),
            format!("How the application ended is not known: {why}."),
        ]
    );
}
