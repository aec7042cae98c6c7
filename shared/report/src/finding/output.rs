//! Weaknesses of what the job wrote.

use super::{Seen, Weakness};
use crate::words::number;
use crate::{Output, OutputNamedBy};

fn ended_well<'a>(seen: &Seen<'a>) -> Option<&'a Output> {
    let output = seen.report.output.as_ref()?;
    (seen.report.step.state == "COMPLETED" && output.named_by != OutputNamedBy::LastArgument).then_some(output)
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
