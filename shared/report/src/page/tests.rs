//! What the page says and holds, of reports made by hand from the workshop's.

mod told;

use chrono::TimeDelta;
use rules::verdict::Verdict;

use super::digest::Digest;
use super::{figures, headline};
use crate::sample::workshop;
use crate::{EarlierRun, Report};

/// A crowd of interrupted instances, with executors on them.
fn crowd(count: usize) -> Report {
    let mut report = workshop();
    let (one, row) = (
        report.interruptions[0].clone(),
        report.spark.as_ref().unwrap().executors[1].clone(),
    );
    report.interruptions.clear();
    let executors = &mut report.spark.as_mut().unwrap().executors;
    executors.clear();
    for number in 0..count {
        let (mut one, mut row) = (one.clone(), row.clone());
        one.interrupted.instance_id = format!("i-{number:017x}");
        row.id = number.to_string();
        row.instance_id = Some(one.interrupted.instance_id.clone());
        executors.push(row);
        report.interruptions.push(one);
    }
    report
}

#[test]
fn the_first_sentence_has_the_numbers() {
    let report = workshop();
    let head = headline::write(&Digest::new(&report));
    assert_eq!(
        head.sentence.as_str(),
        "The job lost 3 Spot instances, 12 of its 64 units of task capacity, and still completed. All capacity was back \
         4 min 18 s after the notice. Repeated work took 56 s of the run’s 9 min 1 s."
    );
    let figures = figures::six(&Digest::new(&report));
    let said: Vec<String> = figures
        .iter()
        .map(|one| format!("{}: {} {}", one.title, one.value, one.of))
        .collect();
    assert_eq!(
        said,
        [
            "Run time lost: 56 s of 9 min 1 s",
            "Task time lost: 14 min of 6 h",
            "Capacity lost: 12 of 64 units",
            "Against a usual run: not known ",
            "Output: 136 files ",
            "Price of the drill: 0.10 USD at most",
        ]
    );
}

#[test]
fn tasks_that_ran_again_are_counted_where_they_were_lost() {
    // 26 tasks ran again, of which Spark's own counter of resubmitted tasks knows nothing.
    let report = workshop();
    assert_eq!(report.spark.as_ref().unwrap().tasks.resubmitted, 0);
    let figures = figures::six(&Digest::new(&report));
    assert_eq!(figures[1].note.as_str(), "4 %: 26 tasks ran again");
    assert!(!report.to_html().unwrap().contains("had to run again though"));
}

#[test]
fn text_from_outside_cannot_leave_its_place() {
    const HOSTILE: &str = "</style><script>alert(1)</script>\"'><img src=x onerror=y>\u{202e}\u{0}{{ 7*7 }}";
    let mut report = workshop();
    report.step.name = HOSTILE.into();
    report.step.id = HOSTILE.into();
    report.cluster.id = HOSTILE.into();
    report.cluster.name = Some(HOSTILE.into());
    report.cluster.state = Some("TERMINATED".into());
    report.cluster.reason = Some(HOSTILE.into());
    report.cluster.release_label = Some(HOSTILE.into());
    report.schema = HOSTILE.into();
    report.judgement.verdict = Verdict::Inconclusive;
    report.judgement.sentence = HOSTILE.into();
    report.judgement.reasons = vec![HOSTILE.into(); 3];
    report.drill.experiments[0].experiment_id = Some(HOSTILE.into());
    report.drill.experiments[0].reason = Some(HOSTILE.into());
    report.drill.experiments[0].resolved = vec![HOSTILE.into(), format!("a:b:c:{HOSTILE}:{HOSTILE}:e")];
    report.interruptions[0].interrupted.instance_id = HOSTILE.into();
    report.interruptions[0].interrupted.instance_type = Some(HOSTILE.into());
    report.interruptions[0].interrupted.spot_status = Some(HOSTILE.into());
    report.interruptions[0].loss.held = vec![HOSTILE.into()];
    report.output.as_mut().unwrap().location = HOSTILE.into();
    let mut found = report.findings[0].clone();
    (found.id, found.page) = (HOSTILE.into(), Some("javascript:alert(1)".into()));
    report.findings.push(found);
    let spark = report.spark.as_mut().unwrap();
    spark.version = Some(HOSTILE.into());
    spark.event_log = HOSTILE.into();
    spark.stages[0].name = HOSTILE.into();
    spark.stages[1].failure_reason = Some(HOSTILE.into());
    spark.settings.insert(HOSTILE.into(), HOSTILE.into());
    spark.executors[1].id = HOSTILE.into();
    let html = report.to_html().unwrap();
    assert!(html.contains("alert(1)"), "the hostile text is there, as text");
    for bad in ["<script", "<img", "javascript:", "\u{202e}", "\u{0}", "\"'>"] {
        assert!(!html.contains(bad), "{bad:?} stands in the page");
    }
}

#[test]
fn nothing_in_the_page_is_from_elsewhere() {
    let html = workshop().to_html().unwrap();
    assert!(html.contains("default-src 'none'"));
    for bad in ["<script", "src=", "@import", "url(", "<link", "<iframe", " on"] {
        let found = html
            .match_indices(bad)
            .filter(|(at, _)| bad != " on" || html[at + 3..].starts_with("click"));
        assert_eq!(found.count(), 0, "{bad}");
    }
}

#[test]
fn a_hundred_instances_are_a_page_and_a_thousand_are_grouped() {
    let hundred = crowd(100).to_html().unwrap();
    assert!(hundred.len() <= 300_000, "{} bytes", hundred.len());
    let thousand = crowd(1_000).to_html().unwrap();
    assert!(thousand.len() <= 300_000, "{} bytes", thousand.len());
    assert!(thousand.contains("1,000 instances"), "one lane for all of a wave");
    assert!(
        thousand.contains("The first 100 of 1,000"),
        "and the table says what it leaves out"
    );
    assert!(thousand.matches("class=\"lane").count() < 20);
}

/// The samples that the README leads to, and those of stories that say something else, of which only what stands on the page
/// is kept. What a page says was read when it was written; `SAMPLES=write` renews them.
const SAMPLES: [(&str, &str); 7] = [
    ("workshop", "html"),
    ("driver-on-victim", "html"),
    ("cancelled-step", "body.html"),
    ("no-event-log", "body.html"),
    ("no-replacement", "body.html"),
    ("short-job", "body.html"),
    ("waves", "body.html"),
];

#[test]
fn the_sample_pages_are_what_their_reports_make() {
    for (name, ending) in SAMPLES {
        let file = |ending: &str| format!("{}/samples/{name}.{ending}", env!("CARGO_MANIFEST_DIR"));
        let report: Report = serde_json::from_slice(&std::fs::read(file("json")).unwrap()).unwrap();
        assert_eq!(
            report.findings,
            crate::finding::find(&report),
            "{name}: run its drill anew"
        );
        let html = report.to_html().unwrap();
        let begin = if ending == "html" {
            0
        } else {
            html.find("<body").unwrap()
        };
        sample::assert_kept(file(ending), &html[begin..]);
    }
}

#[test]
fn an_interim_page_leads_to_its_own_facts() {
    let mut report = workshop();
    assert!(report.to_html().unwrap().contains("href=\"report.json\""));
    report.interim = true;
    assert!(report.to_html().unwrap().contains("href=\"interim.json\""));
}

#[test]
fn every_picture_has_its_words() {
    let html = workshop().to_html().unwrap();
    let lanes = html.matches("<li class=\"lane").count();
    assert!(lanes > 5);
    assert_eq!(
        html.matches("<span class=\"vh\">").count() - html.matches("Why<span class=\"vh\">").count(),
        lanes
    );
    assert!(html.contains(
        "Warned at 1:34, its executors had left at 2:51, gone at 3:35, replaced by i-0e3771a67175e5100 at 5:19."
    ));
}

#[test]
fn earlier_runs_are_strips_against_the_usual_time() {
    let mut report = workshop();
    assert!(!report.to_html().unwrap().contains("Every run of this job"));
    let run = |verdict, seconds, interrupted, days| EarlierRun {
        cluster_id: "j-1".into(),
        step_id: "s-1".into(),
        started_at: report.step.started_at.map(|at| at - TimeDelta::days(days)),
        verdict,
        run_seconds: Some(seconds),
        interrupted,
    };
    report.earlier_runs = vec![run(Verdict::Degraded, 600, 2, 1), run(Verdict::Inconclusive, 440, 0, 2)];
    report.cost.median_undisturbed_seconds = Some(440);
    report.cost.undisturbed_runs = 1;
    report.cost.slowdown_percent = Some(22);
    let html = report.to_html().unwrap();
    assert!(html.contains("Every run of this job") && html.contains("7:20 usual"));
    assert!(html.contains("+22 %") && html.contains("+36 %") && html.contains("undisturbed"));
}

#[test]
fn a_report_without_anything_but_its_verdict_is_still_a_page() {
    let mut report = workshop();
    report.judgement.verdict = Verdict::Inconclusive;
    report.step.started_at = None;
    report.step.ended_at = None;
    (
        report.run,
        report.run_seconds,
        report.spark,
        report.capacity,
        report.output,
    ) = (None, None, None, None, None);
    report.interruptions.clear();
    report.drill.experiments.clear();
    report.findings.clear();
    let html = report.to_html().unwrap();
    assert!(!html.contains("What happened</h2>"), "there is no axis to draw on");
    assert!(html.contains("no event log was read"));
}

#[test]
fn when_and_where_it_ran_is_told_as_far_as_it_is_known() {
    let mut report = workshop();
    let place = |report: &Report| -> Vec<String> { super::place(report).iter().map(|one| one.to_string()).collect() };
    let where_ = ["us-sim-1, account 000000000000", "emr-5.36.2"];
    let told = place(&report);
    assert_eq!(told[0], "20 Nov 2026, 14:03–14:12 UTC");
    assert_eq!(told[1..3], where_);
    // Past midnight the day is told again.
    report.step.ended_at = report.step.started_at.map(|at| at + TimeDelta::hours(10));
    assert_eq!(place(&report)[0], "20 Nov 2026, 14:03 UTC to 21 Nov 2026, 00:03 UTC");
    report.step.ended_at = None;
    assert_eq!(place(&report)[0], "since 20 Nov 2026, 14:03 UTC");
    report.step.started_at = None;
    report.drill.experiments.clear();
    assert_eq!(place(&report)[0], "emr-5.36.2");
}
