"""What a live run costs at most, by arithmetic that can be followed.

The prices are list prices of us-east-1, in USD; other Regions differ. Look them up before you pay: the pages are cited."""

# The run ends itself after this, and what it was not able to end the cluster's own limit does.
HOURS = 2
INSTANCES = 4

PAGES = {
    "EC2": "https://aws.amazon.com/ec2/pricing/on-demand/",
    "Spot": "https://aws.amazon.com/ec2/spot/pricing/",
    "EMR": "https://aws.amazon.com/emr/pricing/",
    "EBS": "https://aws.amazon.com/ebs/pricing/",
    "VPC": "https://aws.amazon.com/vpc/pricing/",
    "FIS": "https://aws.amazon.com/fis/pricing/",
    "Lambda": "https://aws.amazon.com/lambda/pricing/",
    "CloudWatch": "https://aws.amazon.com/cloudwatch/pricing/",
}

# What, of which page, how many, of what, at how much.
ITEMS = [
    ("primary and core, m5.xlarge", "EC2", 2 * HOURS, "instance-hours", 0.192),
    ("task, m5.xlarge on Spot, at no more than On-Demand", "Spot", 2 * HOURS, "instance-hours", 0.192),
    ("EMR's share of each m5.xlarge", "EMR", INSTANCES * HOURS, "instance-hours", 0.048),
    ("disks, 80 GB each", "EBS", INSTANCES * 80 * HOURS / 730, "GB-months", 0.10),
    ("public addresses", "VPC", INSTANCES * HOURS, "hours", 0.005),
    ("experiments: previews, waits and the drill", "FIS", 12, "action-minutes", 0.10),
    ("functions: 20 minutes of 1 GB", "Lambda", 1200, "GB-seconds", 0.0000133334),
    ("dashboard, alarms and metrics", "CloudWatch", HOURS / 730, "months", 12),
]


def total():
    return sum(number * price for _, _, number, _, price in ITEMS)


def text():
    """The arithmetic, for whoever is to pay."""
    lines = [f"at most, for {HOURS} hours of {INSTANCES} instances, by list prices of us-east-1 in USD:"]
    for what, page, number, unit, price in ITEMS:
        lines.append(f"  {number * price:6.2f}  {what}: {number:.4g} {unit} x {price:.10g} ({PAGES[page]})")
    lines.append(f"  {total():6.2f}  in all; S3, DynamoDB, SQS, SNS and logs are cents")
    return "\n".join(lines)
