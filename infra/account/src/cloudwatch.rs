//! Simulated CloudWatch: the alarms that stop experiments, and whether they are on.
//!
//! Separate because each service has its file. There are no metrics: somebody sets an alarm, FIS and whoever asks see it.
//! Clients that speak this service's CBOR protocol are told that it is not simulated.
//= https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html

use serde_json::{Value, json};

use crate::api::{ACCOUNT, ApiError, REGION};
use crate::fis::Fis;

/// Answers an operation of CloudWatch. An alarm of which nobody ever spoke does not exist; those that exist are metric
/// alarms.
pub fn call(fis: &Fis, operation: &str, input: &Value) -> Result<Value, ApiError> {
    if operation != "DescribeAlarms" {
        return Err(ApiError::not_implemented("monitoring", operation));
    }
    let wanted = input["AlarmNames"].as_array();
    let prefix = arn("");
    let alarms = fis.alarms().into_iter().filter_map(|(arn, is_on)| {
        let name = arn.strip_prefix(&prefix)?.to_owned();
        let is_wanted = wanted.is_none_or(|names| names.iter().any(|one| *one == name.as_str()));
        let state = if is_on { "ALARM" } else { "OK" };
        is_wanted.then(|| json!({"AlarmName": name, "AlarmArn": arn, "StateValue": state}))
    });
    Ok(json!({"MetricAlarms": alarms.collect::<Vec<_>>(), "CompositeAlarms": []}))
}

/// An alarm's ARN.
pub fn arn(name: &str) -> String {
    format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}")
}
