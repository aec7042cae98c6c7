//! The experiments of a step, by FIS's own word: what the ledger would know of them, had nobody lost it.
//!
//! Separate because the ledger is asked first, and this only where it knows nothing and should.

use aws_sdk_fis::types::{ActionsMode, ExperimentSummary};
use rules::drill::Wave;
use rules::victim::Victim;

use super::{PAGES_MAX, TAG_STEP, TAG_WAVE, required, time};
use crate::{Aws, Error};

impl Aws {
    /// The experiments that carry a step's tag, as its drill would have written them down, in the order of their waves.
    /// FIS keeps experiments for 120 days; it lists all of them, since it filters by no tag.
    ///
    /// An account with more experiments than are read is an error: that there is none cannot be said then.
    //= https://docs.aws.amazon.com/fis/latest/APIReference/API_ListExperiments.html
    pub async fn experiments_of_step(&self, step_id: &str) -> Result<Vec<Wave>, Error> {
        let mut pages = self.fis.list_experiments().into_paginator().send();
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else {
                return self.waves(found).await;
            };
            let page = page.map_err(|error| Error::aws("looking for the step's experiments", error))?;
            let is_of_step = |summary: &ExperimentSummary| tag(summary, TAG_STEP) == Some(step_id);
            found.extend(page.experiments.unwrap_or_default().into_iter().filter(is_of_step));
        }
        Err(Error::Answer(format!(
            "FIS lists more than {PAGES_MAX} pages of experiments"
        )))
    }

    async fn waves(&self, summaries: Vec<ExperimentSummary>) -> Result<Vec<Wave>, Error> {
        let mut waves = Vec::new();
        for summary in summaries {
            let id = required(summary.id.clone(), "id of the experiment")?;
            let targets = self.experiment(&id).await?.map(|state| state.target_arns);
            waves.push(wave(&summary, id, targets.unwrap_or_default()));
        }
        waves.sort_by_key(|wave| wave.number);
        Ok(waves)
    }
}

fn wave(summary: &ExperimentSummary, experiment_id: String, target_arns: Vec<String>) -> Wave {
    let actions_mode = summary.experiment_options().and_then(|options| options.actions_mode());
    let state = summary.state();
    Wave {
        number: tag(summary, TAG_WAVE)
            .and_then(|number| number.parse().ok())
            .unwrap_or(1),
        // Nobody asks for it again.
        token: String::new(),
        victims: target_arns.into_iter().map(Victim::of_arn).collect(),
        preview: actions_mode == Some(&ActionsMode::SkipAll),
        template_id: summary.experiment_template_id.clone(),
        experiment_id: Some(experiment_id),
        asked_at: summary.creation_time.as_ref().and_then(time),
        status: state
            .and_then(|state| state.status())
            .map(|status| status.as_str().to_owned()),
        reason: state.and_then(|state| state.reason()).map(str::to_owned),
        resolved: Vec::new(),
    }
}

fn tag<'a>(summary: &'a ExperimentSummary, key: &str) -> Option<&'a str> {
    summary.tags()?.get(key).map(String::as_str)
}
