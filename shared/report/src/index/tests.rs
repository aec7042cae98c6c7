//! Which drills there are, and how the page keeps them.

use chrono::TimeDelta;

use super::*;

pub(in crate::index) fn index(entries: &[Entry]) -> Index {
    let mut index = Index::default();
    for entry in entries {
        assert!(index.add(entry.clone()));
    }
    index
}

fn render(entries: &[Entry]) -> String {
    index(entries).to_html().unwrap()
}

pub(in crate::index) fn entry(job: &str, day: i64, verdict: Verdict) -> Entry {
    Entry {
        job: job.into(),
        cluster: "nightly".into(),
        started_at: DateTime::from_timestamp(1_795_000_000, 0).map(|at| at + TimeDelta::days(day)),
        verdict,
        run_seconds: Some(500),
        interrupted: 3,
        findings: vec!["Shuffle files went with their nodes.".into()],
        href: format!("{job}/{day}/report.html"),
    }
}

#[test]
fn the_worst_job_is_first_by_its_latest_drill() {
    let entries = [
        entry("mended", 1, Verdict::Failed),
        entry("mended", 2, Verdict::Survived),
        entry("broken", 1, Verdict::Survived),
        entry("broken", 2, Verdict::Failed),
        entry("unknown", 2, Verdict::Inconclusive),
    ];
    let html = render(&entries);
    let at = |words: &str| html.find(words).unwrap_or_else(|| panic!("{words} is missing"));
    assert!(at("<h2>broken") < at("<h2>unknown") && at("<h2>unknown") < at("<h2>mended"));
    assert!(html.contains("worse than before") && html.contains("better than before"));
    let shown_nothing = [
        entry("a", 1, Verdict::Failed),
        entry("a", 2, Verdict::Survived),
        entry("a", 3, Verdict::Inconclusive),
    ];
    assert!(!render(&shown_nothing).contains("than before"));
    assert!(html.contains("2 drills: 1 survived, 1 failed"));
    assert!(html.contains("5 drills of 3 jobs"));
}

#[test]
fn an_index_of_many_says_what_it_said() {
    use Verdict::{Degraded, Failed, Inconclusive, Survived};

    let verdicts = [Survived, Survived, Degraded, Survived, Failed, Inconclusive, Survived];
    let mut entries = Vec::new();
    for number in 0..90_usize {
        let mut one = entry(
            &format!("job-{}", number % 11),
            (number / 4) as i64,
            verdicts[number * number % 7],
        );
        one.started_at = one.started_at.map(|at| at + TimeDelta::minutes(7 * number as i64));
        one.run_seconds = (number % 13 > 0).then_some(300 + number as i64);
        one.interrupted = number % 5;
        one.findings = vec!["Shuffle files went with their nodes.".into(); number % 3];
        entries.push(one);
    }
    let html = render(&entries);
    let body = html.split_once("<body").map_or("", |(_, body)| body);
    sample::assert_kept(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/index.body.html"), body);
}

#[test]
fn the_same_drills_in_another_order_are_the_same_bytes() {
    let entries = [
        entry("a", 1, Verdict::Failed),
        entry("a", 2, Verdict::Survived),
        entry("b", 2, Verdict::Degraded),
    ];
    let mut turned = entries.to_vec();
    turned.reverse();
    assert_eq!(render(&entries), render(&turned));
}

#[test]
fn ten_thousand_drills_are_a_page_that_can_be_used_and_the_oldest_go_first() {
    let many = (0..10_000).rev().map(|number| {
        let job = format!("s3://jobs/job-{}.py", number % 200);
        entry(&job, 1 + number / 200, Verdict::Survived)
    });
    let mut index = Index {
        entries: many.collect(),
    };
    index.entries.sort_by(|one, other| key(one).cmp(&key(other)));
    let oldest = index.entries.last().unwrap().clone();
    assert!(index.add(entry("new", 99, Verdict::Failed)));
    assert!(!index.add(oldest), "it is too old to be kept");
    let html = index.to_html().unwrap();
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
    assert!(html.contains("10,000 drills of 201 jobs") && html.contains("9,500 older drills"));
    assert_eq!(Index::read(&html).unwrap().to_html().unwrap(), html);
}

#[test]
fn of_very_many_jobs_the_worst_are_shown() {
    let mut many: Vec<Entry> = (0..600)
        .map(|number| entry(&format!("job-{number:03}"), 1, Verdict::Survived))
        .collect();
    many.push(entry("the-worst", 1, Verdict::Failed));
    let html = render(&many);
    assert!(html.contains("<h2>the-worst</h2>") && !html.contains("<h2>job-599</h2>"));
    assert!(html.contains("101 more jobs are not shown, none of them worse than these."));
    assert!(html.contains("601 drills of 601 jobs"));
}

#[test]
fn five_hundred_jobs_and_drills_are_shown_and_one_more_is_counted() {
    let mut many: Vec<Entry> = (0..500)
        .map(|number| entry(&format!("job-{number:03}"), 1, Verdict::Survived))
        .collect();
    let html = render(&many);
    assert!(html.contains("<h2>job-499</h2>") && !html.contains("not shown") && !html.contains("not listed"));
    many.push(entry("job-500", 1, Verdict::Survived));
    let html = render(&many);
    assert!(html.contains("1 more job is not shown, which is no worse than these."));
    assert!(html.contains("1 older drill is not listed; its report stays where it is."));
}

#[test]
fn a_page_keeps_what_was_added_to_it() {
    let mut kept = index(&[
        entry("a", 1, Verdict::Failed),
        entry("b -- <b>-->", 2, Verdict::Survived),
    ]);
    let mut read = Index::read(&kept.to_html().unwrap()).unwrap();
    assert_eq!(read, kept);
    for index in [&mut read, &mut kept] {
        assert!(index.add(entry("a", 3, Verdict::Survived)));
    }
    let html = read.to_html().unwrap();
    assert_eq!(html, kept.to_html().unwrap());
    // What is said of an older drill than the latest no longer has its findings, and is no news for that.
    let mut again = Index::read(&html).unwrap();
    assert!(!again.add(entry("a", 1, Verdict::Failed)));
    assert!(!again.add(entry("a", 3, Verdict::Survived)));
    assert_eq!(Index::read("<!doctype html><p>Somebody else's page.</p>"), None);
}

#[test]
fn what_is_said_of_a_drill_now_takes_the_place_of_what_was_said() {
    let mut index = index(&[entry("a", 1, Verdict::Inconclusive)]);
    assert!(index.add(entry("a", 1, Verdict::Failed)));
    let html = index.to_html().unwrap();
    assert!(html.contains("1 drill of 1 job") && html.contains("1 drill: 1 failed"));
    let less = Entry {
        cluster: "j-A".into(),
        ..entry("a", 1, Verdict::Survived)
    };
    assert!(!index.add_missing(less.clone()), "a report's own entry knows more");
    assert!(index.add_missing(Entry {
        href: "j-A/s-A/report.html".into(),
        ..less
    }));
}

#[test]
fn a_reports_earlier_runs_are_drills_of_its_job() {
    let mut report = crate::sample::workshop();
    report.earlier_runs.push(crate::EarlierRun {
        cluster_id: "j-A".into(),
        step_id: "s-B".into(),
        started_at: report.step.started_at,
        verdict: Verdict::Degraded,
        run_seconds: Some(600),
        interrupted: 2,
    });
    let entries = Entry::of_earlier_runs(&report, |cluster, step| format!("{cluster}/{step}/report.html"));
    let [earlier] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!(
        (earlier.href.as_str(), earlier.verdict),
        ("j-A/s-B/report.html", Verdict::Degraded)
    );
    assert_eq!(earlier.job, job::of(&report.step));
}

#[test]
fn a_jobs_name_stays_text_and_a_link_stays_below() {
    let mut hostile = entry("<script>alert(1)</script>\u{202e}", 1, Verdict::Failed);
    hostile.href = "javascript:alert(1)".into();
    let html = render(&[hostile]);
    assert!(!html.contains("<script") && !html.contains('\u{202e}') && !html.contains("href=\"javascript:"));
}

#[test]
fn findings_stand_on_the_page_without_what_turns_the_text_around() {
    let mut hostile = entry("job", 1, Verdict::Degraded);
    hostile.findings = vec!["Shuffle \u{202e}files went.".into()];
    let page = render(&[hostile]);
    assert!(page.contains("files went.") && !page.contains('\u{202e}'));
}

#[test]
fn a_reports_entry_has_its_job_and_its_verdict() {
    let report = crate::sample::workshop();
    let entry = Entry::of(&report, "workshop/report.html".into());
    assert_eq!(
        (entry.verdict, entry.interrupted, entry.run_seconds),
        (Verdict::Survived, 3, Some(541))
    );
    assert_eq!(entry.job, job::of(&report.step));
}

#[test]
fn a_drill_is_read_back_as_it_was_added() {
    let mut report = crate::sample::workshop();
    let entry = Entry::of(&report, "workshop/report.html".into());
    // The step began at 14:03:45.125.
    let began = entry.started_at.map(|at| at.to_rfc3339());
    assert_eq!(began.as_deref(), Some("2026-11-20T14:03:45+00:00"));
    report.step.started_at = None;
    let unknown = Entry::of(&report, "unknown/report.html".into());
    assert_eq!(unknown.started_at, None);
    let kept = index(&[entry.clone(), unknown.clone()]);
    let mut read = Index::read(&kept.to_html().unwrap()).unwrap();
    assert!(
        !read.add(entry.clone()) && !read.add(unknown.clone()),
        "they are no news"
    );
    // One of which it is not known when it began is the oldest.
    let without = Entry {
        findings: Vec::new(),
        ..unknown
    };
    assert_eq!(read.entries, [entry, without]);
}

#[test]
fn drills_of_one_time_stand_by_their_names_in_whichever_order_they_came() {
    let [one, other] = ["a/report.html", "b/report.html"].map(|href| Entry {
        href: href.into(),
        ..entry("job", 1, Verdict::Survived)
    });
    let kept = [[&one, &other], [&other, &one]].map(|order| index(&order.map(Clone::clone)));
    assert_eq!(kept[0], kept[1]);
    assert_eq!(kept[0].entries[0].href, "a/report.html");
}

#[test]
fn each_text_of_a_drill_is_without_what_turns_it_around() {
    let turned = |text: &str| format!("{text}\u{202e}");
    let plain = entry("job", 1, Verdict::Degraded);
    let mut index = Index::default();
    assert!(index.add(Entry {
        job: turned(&plain.job),
        href: turned(&plain.href),
        cluster: turned(&plain.cluster),
        findings: plain.findings.iter().map(|text| turned(text)).collect(),
        ..plain.clone()
    }));
    assert_eq!(index.entries, [plain]);
}

#[test]
fn what_is_said_anew_of_a_drill_is_news_whatever_of_it_changed() {
    let known = entry("job", 1, Verdict::Survived);
    let changes: [fn(&mut Entry); 5] = [
        |one| one.verdict = Verdict::Degraded,
        |one| one.run_seconds = None,
        |one| one.interrupted = 4,
        |one| one.cluster = "weekly".into(),
        |one| one.findings = vec!["The driver ran on a Spot instance.".into()],
    ];
    for change in changes {
        let mut now = known.clone();
        change(&mut now);
        let mut index = index(std::slice::from_ref(&known));
        assert!(index.add(now.clone()) && !index.add(now.clone()));
        assert_eq!(index.entries, [now]);
    }
    // Known without findings, it is no news that it has some: those of an older drill were let go.
    let mut without = index(&[Entry {
        findings: Vec::new(),
        ..known.clone()
    }]);
    assert!(!without.add(known.clone()));
    assert!(without.add(Entry {
        verdict: Verdict::Failed,
        ..known
    }));
}

#[test]
fn a_drill_that_a_report_told_of_stays_where_less_is_known_and_another_is_added() {
    let mut index = index(&[entry("a", 1, Verdict::Failed)]);
    assert!(index.add_missing(entry("b", 2, Verdict::Survived)));
    assert!(!index.add_missing(entry("b", 2, Verdict::Degraded)));
    let verdicts: Vec<Verdict> = index.entries.iter().map(|one| one.verdict).collect();
    assert_eq!(verdicts, [Verdict::Survived, Verdict::Failed]);
}
