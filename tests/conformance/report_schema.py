"""Holds reports against their JSON Schema, by a validator that is not ours.

usage: report_schema.py SCHEMA REPORT...

Each report has to be valid; and no report may have a field that the schema does not name, or the schema would fall behind.
And a validator that finds nothing may be blind: a report with a field too few, or of a wrong kind, has to be refused.
Prints "ok ..." and "not ok ..." for each.
"""

import copy
import json
import sys

from jsonschema import Draft202012Validator, FormatChecker


def closed(schema):
    """The schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: value if key in ("required", "enum") else closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


def main(schema_path, reports):
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    Draft202012Validator.check_schema(schema)
    failed = 0

    def say(is_right, what):
        nonlocal failed
        failed += not is_right
        print(f"{'ok' if is_right else 'not ok'} {what}")

    validator = Draft202012Validator(closed(schema), format_checker=FormatChecker())
    last = None
    for path in reports:
        with open(path, encoding="utf-8") as file:
            last = json.load(file)
        errors = [f"{error.json_path}: {error.message}"[:300] for error in validator.iter_errors(last)]
        say(not errors, f"{path}: {'; '.join(errors[:5]) or 'is as its schema says'}")
    for what, change in {
        "without a verdict": lambda report: report.pop("verdict"),
        "with a verdict of another kind": lambda report: report.update(verdict="fine"),
        "with a time that is none": lambda report: report.update(observed_at="yesterday"),
        "with a field that nobody described": lambda report: report["cost"].update(dollars=1),
    }.items():
        broken = copy.deepcopy(last)
        change(broken)
        say(not validator.is_valid(broken), f"a report {what} is refused")
    return 1 if failed or not reports else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
