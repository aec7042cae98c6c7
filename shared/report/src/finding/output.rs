//! Weaknesses of what the job wrote.

use super::{Seen, Weakness};
use crate::words::{number, plural};
use crate::{Output, OutputNamedBy};

fn ended_well<'a>(seen: &Seen<'a>) -> Option<&'a Output> {
    let output = seen.report.output.as_ref()?;
    (seen.report.step.has_completed() && output.named_by != OutputNamedBy::LastArgument).then_some(output)
}

pub(super) fn without_marker(seen: &Seen<'_>) -> Option<Weakness> {
    let output = ended_well(seen)?;
    (!output.has_success_marker && output.no_marker_because.is_none()).then_some(())?;
    Some(Weakness {
        what: "The output has no _SUCCESS marker of this run.".into(),
        evidence: format!(
            "{} holds {} objects of this run, and no marker that is as young.",
            output.location,
            number(output.objects_of_run as u64)
        ),
        advice: "Do not let anybody read it before somebody has looked. If the job never writes a marker, say so by \
                 spark.spotDrill.output or name another place."
            .into(),
        page: Some("https://spark.apache.org/docs/latest/cloud-integration.html"),
        ..Weakness::default()
    })
}

pub(super) fn differs(seen: &Seen<'_>) -> Option<Weakness> {
    let output = ended_well(seen)?;
    let baseline = output.baseline.as_ref()?;
    if let (Some(here), Some(there)) = (output.rows, baseline.rows) {
        return (here != there).then(|| other_rows(output, here, there, &baseline.location));
    }
    (output.bytes != baseline.bytes && output.objects_of_run > 0).then_some(())?;
    Some(Weakness {
        what: "The output is not as large as the baseline's.".into(),
        evidence: format!(
            "{} bytes in {} objects here, {} bytes in {} objects in {}.",
            number(output.bytes),
            number(output.objects as u64),
            number(baseline.bytes),
            number(baseline.objects as u64),
            baseline.location
        ),
        advice: "Compare the rows of the two. Tasks that ran again may have appended rows twice, if the job does not write through Spark's \
                 committers; other input explains it, too."
            .into(),
        page: Some("https://spark.apache.org/docs/latest/cloud-integration.html"),
        ..Weakness::default()
    })
}

/// A run that writes beside what lies there appends: repeated, it writes its rows once more. Tables commit by themselves.
pub(super) fn appends(seen: &Seen<'_>) -> Option<Weakness> {
    let output = ended_well(seen)?;
    (output.objects_beside > 0 && output.objects_of_run > 0 && output.no_marker_because.is_none()).then_some(())?;
    let attempts = seen.report.spark.as_ref().map_or(1, |spark| spark.attempts);
    let again = if attempts > 1 {
        format!(" The application began {attempts} times: what an earlier attempt had committed is there as well.")
    } else {
        String::new()
    };
    Some(Weakness {
        what: "The output is appended to: what runs again writes its rows twice.".into(),
        evidence: format!(
            "The run wrote {} beside {} that are older, in the same folders of {}.{again}",
            plural(output.objects_of_run, "object"),
            number(output.objects_beside as u64),
            output.location
        ),
        advice: "A step that is tried again, or an application that begins again, adds its rows to those that are there. Let each run \
                 write into a folder of its own, or overwrite the partitions that it writes; or use a table format whose commits are \
                 all or nothing."
            .into(),
        settings: vec!["spark.sql.sources.partitionOverwriteMode=dynamic".into()],
        page: Some("https://spark.apache.org/docs/latest/sql-data-sources-load-save-functions.html#save-modes"),
        ..Weakness::default()
    })
}

/// Bytes may differ where rows do not: by order, by packing, by how they are spread over files.
fn other_rows(output: &Output, here: u64, there: u64, baseline: &str) -> Weakness {
    let (more, by) = if here > there {
        ("more", here - there)
    } else {
        ("less", there - here)
    };
    Weakness {
        what: "The output has other rows than the baseline.".into(),
        evidence: format!(
            "{} rows in {} here, {} in {baseline}: {} {more}.",
            number(here),
            output.location,
            number(there),
            number(by)
        ),
        advice: "If the input was the same, rows were lost, or written twice by what ran again: do not let anybody read this output \
                 before somebody has looked. Write through Spark's committers, and never by append where a run may be repeated."
            .into(),
        page: Some("https://spark.apache.org/docs/latest/cloud-integration.html"),
        ..Weakness::default()
    }
}
