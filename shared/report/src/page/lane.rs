//! A lane of the picture: a name, bars or a curve on the axis, and what came of it; and the same in words.

use crate::Text;
use crate::words::span;

/// A lane.
#[derive(Default)]
pub(super) struct Lane {
    /// Does a group of lanes begin here?
    pub group: bool,
    /// What it is.
    pub name: Text,
    /// Is the name an id?
    pub is_id: bool,
    /// Below the name.
    pub note: Text,
    /// Bars and labels, from left to right.
    pub bars: Vec<Bar>,
    /// A curve instead.
    pub curve: Option<Curve>,
    /// What came of it.
    pub out: Text,
    /// Below that.
    pub out_note: Text,
    /// All of it in words, for whoever does not see the picture.
    pub said: Text,
}

/// A bar from one second to another; its text is shown where there is room.
pub(super) struct Bar {
    /// From, in seconds.
    pub from: f64,
    /// To, in seconds.
    pub until: f64,
    /// CSS class: `work`, `idle`, `warned`, `drained`, `gone`, `lost`, `again`; `label` has no box.
    pub class: &'static str,
    /// What stands in it.
    pub text: Text,
}

impl Bar {
    pub(super) fn new(from: f64, until: f64, class: &'static str, text: impl Into<String>) -> Self {
        Self {
            from,
            until,
            class,
            text: Text::from(text.into()),
        }
    }

    /// Is there anything to draw?
    pub(super) fn is_there(&self) -> bool {
        self.until > self.from
    }
}

/// A curve of steps: paths in seconds and units.
#[derive(Default)]
pub(super) struct Curve {
    /// Its highest value: the height of the drawing.
    pub top: u32,
    /// The area below it.
    pub area: String,
    /// Its edge.
    pub line: String,
    /// What is missing of its level before each loss.
    pub hole: String,
}

/// Changes of a curve at most: more are not seen at the width of a screen.
const CHANGES_MAX: f64 = 500.0;

impl Curve {
    /// Draws levels, each from its second on to the next one's, and the last to `end`. `holes`: from when to when, and
    /// below which level, something was missing.
    pub(super) fn draw(levels: &[(f64, u32)], end: f64, holes: &[(f64, f64, u32)]) -> Self {
        let levels = thinned(levels, end);
        let top = levels.iter().map(|(_, value)| *value).max().unwrap_or(0);
        let y = |value: u32| top - value.min(top);
        let Some((first, value)) = levels.first().copied() else {
            return Self::default();
        };
        let mut line = format!("M{first} {}", y(value));
        for (at, value) in levels.iter().skip(1) {
            line.push_str(&format!("H{at}V{}", y(*value)));
        }
        line.push_str(&format!("H{end}"));
        let area = format!("{line}V{top}H{first}Z");
        let hole = holes
            .iter()
            .map(|(from, until, before)| missing(&levels, *from, *until, *before, y))
            .collect();
        Self { top, area, line, hole }
    }
}

/// The levels without changes that are too near one another to be seen; the lowest of those stays.
fn thinned(levels: &[(f64, u32)], end: f64) -> Vec<(f64, u32)> {
    let near = end / CHANGES_MAX;
    if levels.len() as f64 <= CHANGES_MAX {
        return levels.to_vec();
    }
    let mut kept: Vec<(f64, u32)> = Vec::new();
    for (at, value) in levels {
        match kept.last_mut() {
            Some(last) if at - last.0 < near => last.1 = last.1.min(*value),
            _ => kept.push((*at, *value)),
        }
    }
    // What it came to at last is not a dip.
    if let (Some(last), Some(true_last)) = (kept.last_mut(), levels.last()) {
        last.1 = true_last.1;
    }
    kept
}

fn missing(levels: &[(f64, u32)], from: f64, until: f64, before: u32, y: impl Fn(u32) -> u32) -> String {
    let mut path = format!("M{from} {}", y(before));
    let at_begin = levels
        .iter()
        .rfind(|(at, _)| *at <= from)
        .map_or(before, |(_, value)| *value);
    path.push_str(&format!("V{}", y(at_begin.min(before))));
    for (at, value) in levels.iter().filter(|(at, _)| *at > from && *at < until) {
        path.push_str(&format!("H{at}V{}", y((*value).min(before))));
    }
    path.push_str(&format!("H{until}V{}Z", y(before)));
    path
}

/// Seconds of the axis as a span.
pub(super) fn length(from: f64, until: f64) -> String {
    span((until - from).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_steps_and_its_hole_is_what_is_missing() {
        let levels = [(0.0, 8), (10.0, 4), (20.0, 8), (25.0, 6)];
        let curve = Curve::draw(&levels, 30.0, &[(10.0, 20.0, 8), (25.0, 30.0, 8)]);
        assert_eq!((curve.top, curve.line.as_str()), (8, "M0 0H10V4H20V0H25V2H30"));
        assert_eq!(curve.hole, "M10 0V4H20V0ZM25 0V2H30V0Z");
    }

    #[test]
    fn many_changes_are_thinned_and_the_dip_among_them_stays() {
        let mut levels: Vec<(f64, u32)> = (0..5_000).map(|at| (f64::from(at), 100)).collect();
        levels[2_500].1 = 7;
        let kept = thinned(&levels, 5_000.0);
        assert!(kept.len() <= 501, "{}", kept.len());
        assert!(kept.iter().any(|(_, value)| *value == 7));
    }

    #[test]
    fn no_more_are_taken_together_than_have_to_be() {
        let levels: Vec<(f64, u32)> = (0..500).map(|at| (f64::from(at) / 100.0, at)).collect();
        assert_eq!(thinned(&levels, 500.0), levels, "so many have room");
        // Twice as many as have room: of two each the lower one, and at last what it came to.
        let levels: Vec<(f64, u32)> = (0..1_000).map(|at| (f64::from(at) / 2.0, 2_000 - at)).collect();
        let kept = thinned(&levels, 500.0);
        let expected: Vec<(f64, u32)> = (0..500).map(|at| (f64::from(at), 1_999 - 2 * at)).collect();
        assert_eq!(kept, expected);
        let mut levels = levels;
        levels[998].1 = 3;
        assert_eq!(
            thinned(&levels, 500.0).last(),
            Some(&(499.0, 1_001)),
            "what was before it is a dip"
        );
    }

    #[test]
    fn a_bar_without_length_is_none_and_a_length_is_a_span() {
        let is_there = |from: f64, until: f64| Bar::new(from, until, "work", "").is_there();
        assert!(is_there(1.0, 1.1) && !is_there(1.0, 1.0) && !is_there(1.1, 1.0));
        assert_eq!(
            (length(10.0, 75.4), length(10.0, 75.6)),
            ("1 min 5 s".to_owned(), "1 min 6 s".to_owned())
        );
    }
}
