//! A Spot Instance request and its status codes.
//!
//! Separate because the status is how a client tells an injected interruption from a natural one, by rules of its own.

use crate::api::Time;
use crate::ec2::Cause;

/// One one-time Spot request. All requests here are fulfilled: a launch without capacity fails at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpotRequest {
    /// `sir-` and eight characters.
    pub id: String,
    /// The instance that fulfilled it.
    pub instance_id: String,
    /// `active` or `closed`.
    pub state: &'static str,
    /// AWS's status code.
    pub code: &'static str,
    /// When it was made.
    pub created_at: Time,
    /// When the status last changed.
    pub updated_at: Time,
}

//= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instances-request-status-lifecycle.html
impl SpotRequest {
    /// A request that an instance has just fulfilled.
    pub(super) fn fulfilled(id: String, instance_id: String, now: Time) -> Self {
        Self {
            id,
            instance_id,
            state: "active",
            code: "fulfilled",
            created_at: now,
            updated_at: now,
        }
    }

    /// Its instance has notice. When EC2 needs the capacity back, the page says that the status is the final one at
    /// once, while the instance still runs. What it is during the notice of an experiment the page does not say:
    /// assumed is `marked-for-termination`, which tells nothing of the cause.
    pub(super) fn mark(&mut self, cause: &Cause, now: Time) {
        match cause {
            Cause::NoCapacity => self.close(cause, now),
            Cause::Experiment(_) | Cause::User => {
                (self.code, self.updated_at) = ("marked-for-termination", now);
            }
        }
    }

    /// Its instance goes, for this cause.
    pub(super) fn close(&mut self, cause: &Cause, now: Time) {
        let code = match cause {
            Cause::User => "instance-terminated-by-user",
            Cause::NoCapacity => "instance-terminated-no-capacity",
            Cause::Experiment(_) => "instance-terminated-by-experiment",
        };
        if self.code != code {
            (self.state, self.code, self.updated_at) = ("closed", code, now);
        }
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-request-status.html
    /// The sentence that goes with the status code. AWS publishes what the codes mean, not these words.
    pub fn message(&self) -> &'static str {
        match self.code {
            "fulfilled" => "Your Spot request is fulfilled.",
            "marked-for-termination" => "Your Spot Instance is marked for termination.",
            "instance-terminated-by-user" => "Spot Instance terminated due to user-initiated termination.",
            "instance-terminated-no-capacity" => {
                "Your Spot Instance was terminated because there is no longer enough Spot capacity available."
            }
            "instance-terminated-by-experiment" => "Your Spot Instance was terminated by an experiment.",
            other => panic!("a Spot request has the status {other}, which has no message"),
        }
    }
}
