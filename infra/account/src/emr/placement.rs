//! Where a cluster is: its Availability Zone and its subnet.
//!
//! Separate because a request can name either in two ways, and one follows from the other.

use serde_json::Value;

use crate::api::{ApiError, Ctx};
use crate::ec2::{AVAILABILITY_ZONES, subnet_of};

use super::input::{texts, validation};

/// The subnets that a request names.
pub(super) fn subnets(instances: &Value) -> Vec<&str> {
    let mut named = texts(instances, "Ec2SubnetIds");
    named.extend(instances["Ec2SubnetId"].as_str());
    named
}

/// The zone of a new cluster. EC2 places all its instances in one of the zones, or of the subnets' zones, that it may
/// use. Assumed: the first that is named. A subnet that is not of this account is taken at its word, and says nothing.
///
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-instance-fleet.html#emr-multiple-subnet-options
//= https://docs.aws.amazon.com/emr/latest/APIReference/API_PlacementType.html
pub(super) fn zone(ctx: &mut Ctx, instances: &Value) -> Result<String, ApiError> {
    let placement = &instances["Placement"];
    let mut named = texts(placement, "AvailabilityZones");
    named.extend(placement["AvailabilityZone"].as_str());
    if let Some(unknown) = named.iter().find(|zone| !AVAILABILITY_ZONES.contains(zone)) {
        return Err(validation(format!("Invalid availability zone: [{unknown}]")));
    }
    let of_subnet = |subnet: &&str| AVAILABILITY_ZONES.into_iter().find(|zone| subnet_of(zone) == **subnet);
    let chosen = named
        .first()
        .copied()
        .or_else(|| subnets(instances).iter().find_map(of_subnet));
    let chosen = chosen.unwrap_or_else(|| AVAILABILITY_ZONES[ctx.rng.usize(..AVAILABILITY_ZONES.len())]);
    Ok(chosen.to_owned())
}
