"""What boto3's judges share: clients, a line for each assertion, and botocore's model held against the bytes of an answer.

botocore's parsers pass over members that they do not know. So each answer is also walked as it came, beside the model's
shape: a member that the model lacks, one that it requires and that is missing, and a value of another type is a fault.
"""

import json
import os
import urllib.request
import xml.etree.ElementTree as ElementTree

import boto3
from botocore.config import Config

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
CONFIG = Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=60, s3={"addressing_style": "path"})


def ok(what):
    print(f"ok {what}", flush=True)


def not_ok(what, why):
    print(f"not ok {what}: {why}", flush=True)


def check(what, condition, why=""):
    ok(what) if condition else not_ok(what, why)


def sleep(seconds):
    """Waits in virtual time."""
    request = urllib.request.Request(f"{ENDPOINT}/-/sleep?seconds={seconds}", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode().strip()


class Client:
    """A service's client that holds each answer against the model, and remembers what was called."""

    def __init__(self, service):
        self.service = service
        self.client = boto3.client(service, config=CONFIG)
        self.model = self.client.meta.service_model
        self.names = {name: method for method, name in self.client.meta.method_to_api_mapping.items()}
        self.called = set()
        self.faults = []
        self.client.meta.events.register("before-parse.*", self.walk)

    def call(self, operation, **parameters):
        """Calls an operation that must succeed; answers its output, or nothing."""
        self.called.add(operation)
        self.faults = []
        what = f"{self.service} {operation}"
        try:
            output = getattr(self.client, self.names[operation])(**parameters)
        except Exception as error:
            not_ok(what, f"{type(error).__name__}: {error}")
            return {}
        shape = self.model.operation_model(operation).output_shape
        if shape is not None:
            self.required(shape, output, operation)
        check(what, not self.faults, "; ".join(self.faults))
        return output

    def refused(self, what, code, operation, **parameters):
        """Calls an operation that must be refused with this code."""
        name = f"{self.service} {operation} {what} is refused with {code}"
        try:
            getattr(self.client, self.names[operation])(**parameters)
        except self.client.exceptions.ClientError as error:
            check(name, error.response["Error"]["Code"] == code, error.response["Error"])
            return
        except Exception as error:
            not_ok(name, f"{type(error).__name__}: {error}")
            return
        not_ok(name, "it succeeded")

    def required(self, shape, value, path):
        """Members that the model requires must be in the output as botocore parsed it."""
        if shape.type_name == "structure" and isinstance(value, dict):
            for name in shape.required_members:
                if name not in value:
                    self.faults.append(f"{path}.{name} is required and missing")
            for name, member in shape.members.items():
                if name in value:
                    self.required(member, value[name], f"{path}.{name}")
        elif shape.type_name == "list" and isinstance(value, list):
            for item in value:
                self.required(shape.member, item, f"{path}[]")
        elif shape.type_name == "map" and isinstance(value, dict):
            for item in value.values():
                self.required(shape.value, item, f"{path}{{}}")

    def walk(self, operation_model, response_dict, **_):
        shape = operation_model.output_shape
        body = response_dict["body"]
        if shape is None or response_dict["status_code"] >= 300 or not isinstance(body, bytes) or not body:
            return
        if "payload" in shape.serialization:
            shape = shape.members[shape.serialization["payload"]]
            if shape.type_name in ("blob", "string"):
                return
        name = operation_model.name
        if "json" in self.model.metadata["protocol"]:
            self.json(shape, json.loads(body), name)
            return
        root = ElementTree.fromstring(body)
        wrapper = shape.serialization.get("resultWrapper")
        if wrapper:
            root = next(child for child in root if tag(child) == wrapper)
        self.xml(shape, root, name)

    def json(self, shape, value, path):
        kind = shape.type_name
        wanted = {
            "structure": dict, "map": dict, "list": list, "string": str, "blob": str, "boolean": bool,
            "integer": int, "long": int, "float": (int, float), "double": (int, float), "timestamp": (int, float),
        }[kind]
        if not isinstance(value, wanted) or (kind != "boolean" and isinstance(value, bool)):
            self.faults.append(f"{path} is {json.dumps(value)[:60]} and should be a {kind}")
        elif kind == "structure" and not shape.metadata.get("document"):
            names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
            for name, item in value.items():
                if name in names:
                    self.json(names[name], item, f"{path}.{name}")
                else:
                    self.faults.append(f"{path}.{name} is unknown")
        elif kind == "list":
            for item in value:
                self.json(shape.member, item, f"{path}[]")
        elif kind == "map":
            for item in value.values():
                self.json(shape.value, item, f"{path}{{}}")
        if kind == "string" and shape.metadata.get("enum") and value not in shape.metadata["enum"]:
            self.faults.append(f"{path} is {value!r}, which is none of the model's")

    def xml(self, shape, node, path):
        kind = shape.type_name
        if kind == "structure":
            names = {}
            for name, member in shape.members.items():
                at = member.serialization.get("name", name)
                if member.type_name == "list" and (member.serialization.get("flattened")):
                    at = member.member.serialization.get("name", at)
                names[at] = member
            for child in node:
                member = names.get(tag(child))
                if member is None:
                    if tag(child) not in ("requestId", "ResponseMetadata"):
                        self.faults.append(f"{path}.{tag(child)} is unknown")
                elif member.type_name == "list" and member.serialization.get("flattened"):
                    self.xml(member.member, child, f"{path}.{tag(child)}")
                else:
                    self.xml(member, child, f"{path}.{tag(child)}")
        elif kind == "list":
            wanted = shape.member.serialization.get("name", "member")
            for child in node:
                if tag(child) != wanted:
                    self.faults.append(f"{path} has {tag(child)} and should have {wanted}")
                self.xml(shape.member, child, f"{path}[]")
        elif kind == "boolean" and node.text not in ("true", "false"):
            self.faults.append(f"{path} is {node.text!r} and should be a boolean")
        elif kind in ("integer", "long") and not (node.text or "").lstrip("-").isdigit():
            self.faults.append(f"{path} is {node.text!r} and should be a number")


def tag(node):
    return node.tag.rpartition("}")[2]
