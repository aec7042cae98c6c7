//! Applications whose driver is a real one, outside the account: YARN accepts them, and is told what becomes of them.
//!
//! Separate because nothing here is simulated. Such an application has no containers: what runs it has an executor on each
//! node, for as long as the node is there.

use serde_json::json;

use super::{State, Yarn};
use crate::api::Ctx;
use crate::spark::Submission;

/// An application that runs outside.
#[derive(Debug, Clone, Copy)]
pub struct Outside<'a> {
    /// `application_…`
    pub id: &'a str,
    /// What was submitted.
    pub submission: &'a Submission,
    /// What YARN takes it for.
    pub state: &'a State,
}

impl Outside<'_> {
    /// Whether it has reached its end.
    pub fn is_over(&self) -> bool {
        !matches!(self.state, State::Accepted | State::Running)
    }
}

impl Yarn {
    /// Accepts an application that runs outside; returns its id.
    pub fn submit_outside(&mut self, ctx: &mut Ctx<'_>, submission: Submission) -> String {
        self.advance(ctx);
        self.accept(ctx, submission, None)
    }

    /// The applications that run outside, in the order of their submission.
    pub fn outside(&self) -> impl Iterator<Item = Outside<'_>> {
        let outside = self.applications.iter().filter(|one| one.is_outside());
        outside.map(|one| Outside {
            id: &one.id,
            submission: &one.submission,
            state: &one.state,
        })
    }

    /// What became of an application that runs outside. One that is over stays as it is, and so does one that runs here.
    pub fn tell(&mut self, ctx: &mut Ctx<'_>, application_id: &str, state: State) {
        let found = self.applications.iter().position(|one| one.id == application_id);
        let Some(index) = found.filter(|at| self.applications[*at].is_outside() && !self.applications[*at].is_over())
        else {
            return;
        };
        match state {
            State::Accepted => self.applications[index].state = state,
            State::Running => {
                self.applications[index].state = state;
                self.applications[index].attempts += 1;
                let attempt = self.applications[index].attempts;
                ctx.transition(
                    "yarn",
                    application_id,
                    "application running",
                    json!({"attempt": attempt}),
                );
            }
            over => self.end(ctx, index, over),
        }
    }
}
