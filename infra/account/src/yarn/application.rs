//! An application as YARN sees it: attempts, containers, a state.
//!
//! Separate because its driver, which is Spark's, comes and goes with the attempts.

use super::State;
use super::nodes::Size;
use crate::spark::{Driver, Settings, Submission, Workload};

/// One submitted application.
#[derive(Debug)]
pub(super) struct Application {
    /// `application_…`.
    pub(super) id: String,
    /// What was submitted.
    pub(super) submission: Submission,
    /// What it computes; `None`: a real driver outside the account does that.
    pub(super) workload: Option<Workload>,
    /// Its state.
    pub(super) state: State,
    /// Attempts started so far.
    pub(super) attempts: u32,
    /// Containers of the current attempt so far, the master's included.
    pub(super) containers: u32,
    /// The current attempt's driver.
    pub(super) driver: Option<Driver>,
    settings: Settings,
}

impl Application {
    /// An application without an attempt.
    pub(super) fn new(id: String, submission: Submission, workload: Option<Workload>) -> Self {
        let settings = Settings::of(&submission);
        Self {
            id,
            submission,
            workload,
            state: State::Accepted,
            attempts: 0,
            containers: 0,
            driver: None,
            settings,
        }
    }

    /// Whether it has reached its end.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.state, State::Accepted | State::Running)
    }

    /// Whether its driver runs outside the account.
    pub(super) fn is_outside(&self) -> bool {
        self.workload.is_none()
    }

    /// Executors it waits for.
    pub(super) fn wanted(&self) -> u32 {
        self.driver.as_ref().map_or(0, Driver::wanted)
    }

    /// The instance that its driver runs on.
    pub(super) fn driver_instance(&self) -> Option<&str> {
        self.driver.as_ref()?.truth().driver_instance.as_deref()
    }

    /// The name of its driver's container.
    pub(super) fn driver_container(&self) -> Option<String> {
        self.driver_instance().map(|_| self.container_name(self.attempts, 1))
    }

    /// How often YARN starts it.
    pub(super) fn max_attempts(&self) -> u32 {
        self.settings.max_app_attempts
    }

    /// Size of its driver's container.
    pub(super) fn driver_size(&self) -> Size {
        Size {
            memory_mb: self.settings.driver_container_mb,
            vcores: self.settings.driver_cores,
        }
    }

    /// Size of an executor's container.
    pub(super) fn executor_size(&self) -> Size {
        Size {
            memory_mb: self.settings.executor_container_mb,
            vcores: self.submission.executor_cores,
        }
    }

    /// YARN's name of a container: cluster's start and application number, attempt, container number.
    pub(super) fn container_name(&self, attempt: u32, number: u32) -> String {
        let tail = self.id.trim_start_matches("application_");
        format!("container_{tail}_{attempt:02}_{number:06}")
    }
}
