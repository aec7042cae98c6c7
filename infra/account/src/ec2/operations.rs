//! EC2's API: the operations that clients call, over the state that `ec2.rs` keeps.
//!
//! Separate because what a client may ask, and how EC2 refuses, is a different matter from what happens to instances.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::api::{ACCOUNT, ApiError, Ctx, Time};
use crate::ec2::filter::{self, strings};
use crate::ec2::page::{max_results, page};
use crate::ec2::view::{INSTANCE_FILTERS, REQUEST_FILTERS};
use crate::ec2::{Ec2, Instance, invalid};

//= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
const TAGS_MAX: usize = 50;

impl Ec2 {
    /// Does one API call. Input and output are described at `crate::wire`: the Query parameters nested, all leaves
    /// strings; the answer under the element names of EC2's XML.
    pub fn call(&mut self, ctx: &mut Ctx, operation: &str, input: &Value) -> Result<Value, ApiError> {
        let run = match operation {
            "DescribeInstances" => Self::describe_instances,
            "DescribeSpotInstanceRequests" => Self::describe_spot_instance_requests,
            "DescribeTags" => Self::describe_tags,
            "CreateTags" => Self::create_tags,
            "TerminateInstances" => Self::terminate_instances,
            _ => return Err(ApiError::not_implemented("EC2", operation)),
        };
        let filtered = ["Filter", "MaxResults", "NextToken"]
            .iter()
            .any(|it| !input[it].is_null());
        self.throttle.request(operation, filtered, ctx.now)?;
        if input["DryRun"].as_str() == Some("true") {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(ApiError::with_status(412, "DryRunOperation", message));
        }
        run(self, ctx, input)
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
    fn describe_instances(&mut self, ctx: &mut Ctx, input: &Value) -> Result<Value, ApiError> {
        let (ids, now) = (strings(input, "InstanceId"), ctx.now);
        if !ids.is_empty() && max_results(input)?.is_some() {
            let message = "The parameter instancesSet cannot be used with the parameter maxResults";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        let filters = filter::parse(input, "DescribeInstances", |name| INSTANCE_FILTERS.contains(&name))?;
        let known = if ids.is_empty() {
            self.visible(now).collect()
        } else {
            self.by_ids(&ids, now)?
        };
        let found = known
            .into_iter()
            .filter(|it| {
                filters
                    .iter()
                    .all(|filter| filter.passes(|name| it.filter_values(name, now)))
            })
            .map(|it| (it.instance_id.clone(), it))
            .collect();
        let (instances, next_token) = page(found, input, self.page)?;
        let reservations: Vec<Value> = instances
            .into_iter()
            .map(|it| {
                json!({
                    "reservationId": it.reservation_id, "ownerId": ACCOUNT, "groupSet": [],
                    "instancesSet": [it.describe(now)],
                })
            })
            .collect();
        Ok(json!({"reservationSet": reservations, "nextToken": next_token}))
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotInstanceRequests.html
    /// How long a closed request stays visible AWS does not say: here it stays as long as the run.
    fn describe_spot_instance_requests(&mut self, _: &mut Ctx, input: &Value) -> Result<Value, ApiError> {
        let ids = strings(input, "SpotInstanceRequestId");
        if let Some(unknown) = ids.iter().find(|id| !self.requests.contains_key(*id)) {
            let message = format!("The spot instance request ID '{unknown}' does not exist");
            return Err(ApiError::client("InvalidSpotInstanceRequestID.NotFound", message));
        }
        let filters = filter::parse(input, "DescribeSpotInstanceRequests", |name| {
            REQUEST_FILTERS.contains(&name)
        })?;
        let found = self
            .requests
            .values()
            .filter(|it| ids.is_empty() || ids.contains(&it.id))
            .map(|it| {
                (
                    it,
                    self.instance(&it.instance_id).expect("a request names its instance"),
                )
            })
            .filter(|(it, instance)| {
                filters
                    .iter()
                    .all(|filter| filter.passes(|name| it.filter_values(instance, name)))
            })
            .map(|(it, instance)| (it.id.clone(), it.describe(instance)))
            .collect();
        let (requests, next_token) = page(found, input, self.page)?;
        Ok(json!({"spotInstanceRequestSet": requests, "nextToken": next_token}))
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeTags.html
    fn describe_tags(&mut self, ctx: &mut Ctx, input: &Value) -> Result<Value, ApiError> {
        let known = ["key", "resource-id", "resource-type", "value"];
        let filters = filter::parse(input, "DescribeTags", |name| known.contains(&name))?;
        let mut found = Vec::new();
        for instance in self.visible(ctx.now) {
            for (key, value) in instance.visible_tags(ctx.now) {
                let values_of = |name: &str| match name {
                    "key" => vec![key.clone()],
                    "resource-id" => vec![instance.instance_id.clone()],
                    "resource-type" => vec!["instance".to_owned()],
                    "value" => vec![value.clone()],
                    tag => (tag.strip_prefix("tag:") == Some(key))
                        .then(|| value.clone())
                        .into_iter()
                        .collect(),
                };
                if filters.iter().all(|filter| filter.passes(values_of)) {
                    let tag = json!({
                        "resourceId": instance.instance_id, "resourceType": "instance", "key": key, "value": value,
                    });
                    found.push((format!("{} {key}", instance.instance_id), tag));
                }
            }
        }
        let (tags, next_token) = page(found, input, self.page)?;
        Ok(json!({"tagSet": tags, "nextToken": next_token}))
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
    fn create_tags(&mut self, ctx: &mut Ctx, input: &Value) -> Result<Value, ApiError> {
        let resources = strings(input, "ResourceId");
        if let Some(other) = resources.iter().find(|id| !id.starts_with("i-")) {
            return Err(ApiError::client("InvalidID", format!("The ID '{other}' is not valid")));
        }
        let mut tags = BTreeMap::new();
        for tag in input["Tag"].as_array().into_iter().flatten() {
            let key = tag["Key"].as_str().unwrap_or_default();
            if key.starts_with("aws:") {
                return Err(invalid(
                    "Tag keys starting with 'aws:' are reserved for internal use".to_owned(),
                ));
            }
            if key.is_empty() || key.chars().count() > 127 {
                return Err(invalid(format!(
                    "Tag key '{key}' must have between 1 and 127 characters"
                )));
            }
            let value = tag["Value"].as_str().unwrap_or_default();
            if value.chars().count() > 256 {
                return Err(invalid(format!(
                    "Tag value exceeds the maximum length of 256 characters: {key}"
                )));
            }
            tags.insert(key.to_owned(), value.to_owned());
        }
        if resources.is_empty() || tags.is_empty() {
            let missing = if resources.is_empty() { "resourceIdSet" } else { "Tag" };
            let message = format!("The request must contain the parameter {missing}");
            return Err(ApiError::client("MissingParameter", message));
        }
        for instance in self.by_ids(&resources, ctx.now)? {
            let others = instance
                .tags
                .keys()
                .filter(|key| !key.starts_with("aws:") && !tags.contains_key(*key));
            if others.count() + tags.len() > TAGS_MAX {
                let message = "The maximum number of Tags for a resource has been reached.";
                return Err(ApiError::client("TagLimitExceeded", message));
            }
        }
        for id in &resources {
            for (key, value) in &tags {
                self.tag(id, key, value);
            }
        }
        Ok(json!({"return": true}))
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html
    /// All or none: one id that does not exist, and nothing is terminated. Terminating twice is no error.
    fn terminate_instances(&mut self, ctx: &mut Ctx, input: &Value) -> Result<Value, ApiError> {
        let ids = strings(input, "InstanceId");
        if ids.is_empty() {
            let message = "No instances specified";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        let named = self.by_ids(&ids, ctx.now)?;
        let before: Vec<_> = named.iter().map(|it| (it.instance_id.clone(), it.state)).collect();
        self.throttle.terminate(before.len(), ctx.now)?;
        let mut changes = Vec::new();
        for (id, before) in &before {
            self.terminate(ctx, id);
            let after = self.instance(id).expect("it was found just now").state;
            changes.push(json!({
                "instanceId": id,
                "previousState": {"code": before.code(), "name": before.name()},
                "currentState": {"code": after.code(), "name": after.name()},
            }));
        }
        Ok(json!({"instancesSet": changes}))
    }

    /// The instances that the API still knows.
    fn visible(&self, now: Time) -> impl Iterator<Item = &Instance> {
        self.instances().filter(move |it| it.is_visible(now))
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    /// The instances of these ids, each once; an error when one has not the form of an id, or is not known any longer.
    fn by_ids(&self, ids: &[String], now: Time) -> Result<Vec<&Instance>, ApiError> {
        if let Some(id) = ids.iter().find(|id| !is_instance_id(id)) {
            return Err(ApiError::client(
                "InvalidInstanceID.Malformed",
                format!("Invalid id: \"{id}\""),
            ));
        }
        let known = |id: &String| self.instance(id).filter(|it| it.is_visible(now));
        let missing: Vec<&str> = ids
            .iter()
            .filter(|id| known(id).is_none())
            .map(String::as_str)
            .collect();
        let message = match missing.as_slice() {
            [] => {
                let mut seen = BTreeSet::new();
                return Ok(ids.iter().filter(|id| seen.insert(*id)).filter_map(known).collect());
            }
            [one] => format!("The instance ID '{one}' does not exist"),
            several => format!("The instance IDs '{}' do not exist", several.join(", ")),
        };
        Err(ApiError::client("InvalidInstanceID.NotFound", message))
    }
}

fn is_instance_id(id: &str) -> bool {
    id.strip_prefix("i-").is_some_and(|digits| {
        matches!(digits.len(), 8 | 17)
            && digits
                .bytes()
                .all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
    })
}
