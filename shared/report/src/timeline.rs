//! The picture: the drill's bars and levels over time, as coordinates for the page's SVG.

use chrono::{DateTime, Utc};
use rules::hit::InterruptionFacts;
use rules::replacement::Replacement;

use super::Report;

/// Width of the drawing's time axis, in the SVG's own units.
const WIDTH: f64 = 800.0;
/// Where the time axis begins: left of it stand the labels.
const LEFT: f64 = 170.0;
/// Height of a row.
const ROW: f64 = 22.0;
/// Height of a curve's band.
const BAND: f64 = 70.0;
/// Stage rows drawn at most; the table below the picture has all of them.
const STAGES_MAX: usize = 24;

/// A drawing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Timeline {
    /// Height of the whole, in the SVG's own units.
    pub height: f64,
    /// Right edge.
    pub width: f64,
    /// Where the time axis begins.
    pub left: f64,
    /// Bars with their labels.
    pub bars: Vec<Bar>,
    /// Curves with their labels.
    pub curves: Vec<Curve>,
    /// Ticks on the axis.
    pub ticks: Vec<Tick>,
    /// Labels at the left of rows.
    pub labels: Vec<Label>,
}

/// A bar.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    /// CSS class.
    pub class: &'static str,
    /// What it says when pointed at.
    pub title: String,
}

/// A curve of steps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    /// SVG path data.
    pub path: String,
    pub class: &'static str,
    /// Its greatest value, for the label.
    pub top: u32,
    /// Where the label of the greatest value stands.
    pub label_y: f64,
}

/// A tick.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub x: f64,
    pub label: String,
}

/// A label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Label {
    pub y: f64,
    pub text: String,
}

struct Scale {
    from: DateTime<Utc>,
    seconds: f64,
}

impl Scale {
    fn x(&self, at: DateTime<Utc>) -> f64 {
        let seconds = (at - self.from).num_milliseconds() as f64 / 1000.0;
        round(LEFT + (seconds / self.seconds).clamp(0.0, 1.0) * WIDTH)
    }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Draws a report; `None` when EMR does not say when the step ran.
pub(super) fn draw(report: &Report) -> Option<Timeline> {
    let from = report.step.started_at?;
    let until = report.observed_at.max(report.step.ended_at?);
    let seconds = ((until - from).num_milliseconds() as f64 / 1000.0).max(1.0);
    let scale = Scale { from, seconds };
    let mut drawing = Timeline {
        width: LEFT + WIDTH + 20.0,
        left: LEFT,
        ..Timeline::default()
    };
    let mut y = 8.0;
    let step = Span {
        from,
        until: report.step.ended_at,
        class: "step",
        title: report.step.state.clone(),
    };
    row(&mut drawing, &scale, &mut y, "step", vec![step]);
    for experiment in &report.drill.experiments {
        let title = format!(
            "{} {}",
            experiment.experiment_id.as_deref().unwrap_or("experiment"),
            experiment.status.as_deref().unwrap_or("")
        );
        if let Some(from) = experiment.started_at.or(experiment.asked_at) {
            let span = Span {
                from,
                until: experiment.ended_at,
                class: "experiment",
                title,
            };
            row(
                &mut drawing,
                &scale,
                &mut y,
                &format!("experiment {}", experiment.wave),
                vec![span],
            );
        }
    }
    for one in &report.interruptions {
        instance_row(&mut drawing, &scale, &mut y, one);
    }
    if let Some(capacity) = &report.capacity {
        let levels: Vec<(DateTime<Utc>, u32)> = capacity.levels.iter().map(|level| (level.at, level.units)).collect();
        curve(&mut drawing, &scale, &mut y, "task units", &levels, until, "capacity");
    }
    if let Some(spark) = &report.spark {
        curve(
            &mut drawing,
            &scale,
            &mut y,
            "executors",
            &spark.executors_over_time,
            until,
            "executors",
        );
        for stage in spark.stages.iter().take(STAGES_MAX) {
            stage_row(&mut drawing, &scale, &mut y, stage);
        }
    }
    drawing.ticks = ticks(&scale);
    drawing.height = y + 24.0;
    Some(drawing)
}

/// From notice to loss, and from loss to the replacement.
fn instance_row(drawing: &mut Timeline, scale: &Scale, y: &mut f64, one: &InterruptionFacts) {
    let interrupted = &one.interrupted;
    let mut spans: Vec<Span> = Vec::new();
    if let Some(from) = interrupted.noticed_at {
        let title = "noticed, not yet gone".into();
        spans.push(Span {
            from,
            until: interrupted.terminated_at,
            class: "noticed",
            title,
        });
    }
    match (interrupted.terminated_at, &one.replacement) {
        (Some(from), Replacement::Replaced { ready_at, by, .. }) => {
            let title = format!("gone; replaced by {}", by.join(", "));
            spans.push(Span {
                from,
                until: Some(*ready_at),
                class: "lost",
                title,
            });
        }
        (Some(from), Replacement::NotReplaced { .. }) => {
            spans.push(Span {
                from,
                until: None,
                class: "lost",
                title: "gone, not replaced".into(),
            });
        }
        _ => {}
    }
    row(drawing, scale, y, &interrupted.instance_id, spans);
}

fn stage_row(drawing: &mut Timeline, scale: &Scale, y: &mut f64, stage: &super::StageRow) {
    let Some(from) = stage.submitted_at else { return };
    let label = match stage.attempt {
        0 => format!("stage {}", stage.stage_id),
        again => format!("stage {}, attempt {again}", stage.stage_id),
    };
    let class = match (stage.status.as_str(), stage.attempt) {
        ("FAILED", _) => "stage-failed",
        (_, 0) => "stage",
        _ => "stage-again",
    };
    let title = format!("{} ({} tasks) {}", stage.name, stage.tasks, stage.status);
    row(
        drawing,
        scale,
        y,
        &label,
        vec![Span {
            from,
            until: stage.completed_at,
            class,
            title,
        }],
    );
}

/// What a bar stands for.
struct Span {
    from: DateTime<Utc>,
    /// `None`: to the end of the picture.
    until: Option<DateTime<Utc>>,
    class: &'static str,
    title: String,
}

fn row(drawing: &mut Timeline, scale: &Scale, y: &mut f64, label: &str, spans: Vec<Span>) {
    drawing.labels.push(Label {
        y: round(*y + ROW * 0.65),
        text: label.into(),
    });
    for Span {
        from,
        until,
        class,
        title,
    } in spans
    {
        let x = scale.x(from);
        let end = until.map_or(LEFT + WIDTH, |until| scale.x(until));
        let width = round((end - x).max(2.0));
        drawing.bars.push(Bar {
            x,
            y: *y + 3.0,
            width,
            height: ROW - 7.0,
            class,
            title,
        });
    }
    *y += ROW;
}

fn curve(
    drawing: &mut Timeline,
    scale: &Scale,
    y: &mut f64,
    label: &str,
    levels: &[(DateTime<Utc>, u32)],
    until: DateTime<Utc>,
    class: &'static str,
) {
    let top = levels.iter().map(|(_, value)| *value).max().unwrap_or(0);
    let height = |value: u32| round(*y + BAND - 6.0 - f64::from(value) / f64::from(top.max(1)) * (BAND - 16.0));
    let mut path = String::new();
    let mut last = None;
    for (at, value) in levels {
        let (x, level) = (scale.x(*at), height(*value));
        match last {
            None => path.push_str(&format!("M{x} {level}")),
            Some(_) => path.push_str(&format!("H{x}V{level}")),
        }
        last = Some(level);
    }
    if last.is_some() {
        path.push_str(&format!("H{}", scale.x(until)));
    }
    drawing.labels.push(Label {
        y: round(*y + BAND / 2.0),
        text: label.into(),
    });
    drawing.curves.push(Curve {
        path,
        class,
        top,
        label_y: height(top),
    });
    *y += BAND;
}

/// A tick a minute, or as many minutes as leave at most a dozen ticks.
fn ticks(scale: &Scale) -> Vec<Tick> {
    let minutes = (scale.seconds / 60.0).ceil();
    let every = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 360.0, 1440.0]
        .into_iter()
        .find(|every| minutes / every <= 12.0)
        .unwrap_or(minutes / 12.0);
    let mut ticks = Vec::new();
    let mut minute = 0.0;
    while minute * 60.0 <= scale.seconds {
        ticks.push(Tick {
            x: round(LEFT + minute * 60.0 / scale.seconds * WIDTH),
            label: format!("{minute:.0} min"),
        });
        minute += every;
    }
    ticks
}
