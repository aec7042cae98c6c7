"""The account of a live run: its clients, its time, and whether it may be used at all.

Separate because only here is told apart what is AWS and what is a rehearsal on the simulated account."""

import ipaddress
import os
import re
import time
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config

# The simulated account's, and no account's of AWS.
SIMULATED_ACCOUNT, SIMULATED_REGION = "000000000000", "us-sim-1"
# Where its deployment logs Spot warnings; it has no log of other events.
SIMULATED_EVENTS = "/aws/events/spotinterruptions"

# FIS interrupts no Spot instances there.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/initiate-a-spot-instance-interruption.html
NO_INTERRUPTIONS = ["ap-northeast-3", "ap-southeast-3", "cn-north-1", "cn-northwest-1", "me-central-1"]
# CloudFormation has no AWS::FIS::ExperimentTemplate there, by cfn-lint's lists of resource types.
NO_TEMPLATES = ["ap-east-2", "ap-south-2", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7"]
NO_TEMPLATES += ["ca-west-1", "il-central-1", "mx-central-1"]


class Refused(Exception):
    """Why this account is not used."""


class Account:
    """An account of AWS in a Region, or the simulated one at an address of this machine."""

    def __init__(self, region=None, endpoint=None):
        self.endpoint = endpoint
        if endpoint:
            self.session = boto3.Session("simulated", "simulated", region_name=SIMULATED_REGION)
        else:
            self.session = boto3.Session(region_name=region)
        self.region = self.session.region_name
        self.id = self.partition = self.deadline = None

    @property
    def is_rehearsal(self):
        return self.endpoint is not None

    def client(self, service, role=None):
        """A client of a service, with the credentials of a role if they are given."""
        style = {"addressing_style": "path"} if self.is_rehearsal else {}
        config = Config(retries={"max_attempts": 10, "mode": "standard"}, s3=style)
        session = self.session
        if role:
            keys = (role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"])
            session = boto3.Session(*keys, region_name=self.region)
        return session.client(service, endpoint_url=self.endpoint, config=config)

    def wait(self, seconds):
        """Lets time pass: the account's own, which is virtual in a rehearsal."""
        if self.deadline and time.monotonic() > self.deadline:
            raise TimeoutError("the time that was paid for is over")
        if not self.is_rehearsal:
            time.sleep(seconds)
            return
        request = urllib.request.Request(f"{self.endpoint}/-/sleep?seconds={seconds}", method="POST")
        urllib.request.urlopen(request, timeout=600).read()

    def until(self, what, is_so, every, at_most):
        """Waits until `is_so()` is true, and answers it; all in seconds."""
        for _ in range(int(at_most / every) + 1):
            if answer := is_so():
                return answer
            self.wait(every)
        raise TimeoutError(f"{what}: not in {at_most // 60} minutes")

    def identify(self):
        """Finds out whose account it is."""
        caller = self.client("sts").get_caller_identity()
        self.id, self.partition = caller["Account"], caller["Arn"].split(":")[1]


def check_is_simulated(account):
    """A rehearsal spends nothing, and so must not reach anything else than the simulated account."""
    host = urllib.parse.urlsplit(account.endpoint).hostname or ""
    try:
        is_here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise Refused(f"{account.endpoint} is not on this machine: a rehearsal goes to `local serve` only")
    account.identify()
    if account.id != SIMULATED_ACCOUNT:
        raise Refused(f"{account.endpoint} is account {account.id}, and not the simulated {SIMULATED_ACCOUNT}")


def check_is_sandbox(account, pays):
    """Whether somebody wants to pay for this, in a Region where it can be, and in an account that is made to be broken."""
    for name in os.environ:
        if re.fullmatch(r"AWS_ENDPOINT_URL(_\w+)?", name):
            raise Refused(f"{name} is set, and so this would not be AWS; the simulated account is for --rehearse")
    if not pays:
        raise Refused("this costs money: say --yes-i-pay")
    if not account.region:
        raise Refused("no Region: say --region, or set AWS_REGION")
    if account.region in NO_INTERRUPTIONS:
        raise Refused(f"FIS interrupts no Spot instances in {account.region}")
    if account.region in NO_TEMPLATES:
        raise Refused(f"CloudFormation has no FIS templates in {account.region}")
    account.identify()
    aliases = account.client("iam").list_account_aliases()["AccountAliases"]
    if not any("sandbox" in alias for alias in aliases):
        said = f"its alias is {aliases[0]}" if aliases else "it has no alias"
        raise Refused(f"account {account.id} is no sandbox: {said}; see --help")


def code(error):
    """AWS's name of an error."""
    return error.response["Error"]["Code"]
