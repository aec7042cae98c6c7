"""Tests of the live run's own rules, without any account. Runs in the environment of infra/check.d/lint.txt:
`python -m unittest discover --start-directory infra/live.d`."""

import pathlib
import types
import unittest

import account
import questions
import table
from cfnlint.helpers import REGIONS
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from drill import CLUSTER, ROLE
from samtranslator.yaml_helper import yaml_parse
from sandbox import DESCRIPTION, deletable

TEMPLATE = pathlib.Path(__file__).resolve().parents[1] / "template.yaml"
QUESTION = questions.Question("a", "b")


def a_table(rehearsal):
    return table.Table(types.SimpleNamespace(is_rehearsal=rehearsal, id="1", region="r"))


def a_drill(tags):
    """One task instance with these tags, of which EMR knows."""
    instance = {"InstanceId": "i-1", "Tags": [{"Key": key, "Value": "x"} for key in tags]}
    listed = {"Instances": [{"Ec2InstanceId": "i-1"}]}
    emr = types.SimpleNamespace(list_instances=lambda **_: listed)
    return types.SimpleNamespace(task_instances=lambda: [instance], emr=emr, cluster="j-1")


class Tests(unittest.TestCase):
    def test_what_is_otherwise_fails_and_what_does_not_show_does_not(self):
        lines = a_table(False)
        for is_so in (True, None):
            lines.compare(QUESTION, table.Answer("seen", is_so, "source"))
        lines.leave(QUESTION, table.NOT_ASKED, "why")
        self.assertEqual(lines.failed(), [])
        lines.compare(QUESTION, table.Answer("seen", False, "source"))
        lines.leave(QUESTION, table.NOT_SEEN, "why")
        self.assertEqual([line.result for line in lines.failed()], ["NOT as assumed", "not seen"])

    def test_each_line_of_a_rehearsal_says_that_it_is_one(self):
        lines = a_table(True)
        lines.compare(QUESTION, table.Answer("seen", True, "source"))
        lines.leave(QUESTION, table.NOT_REHEARSED, "why")
        sources = [line.source for line in lines.lines]
        self.assertEqual(sources, ["the simulated account: source", "the simulated account: none"])
        self.assertEqual(lines.lines[0].result, "as assumed, simulated")
        self.assertIn("no line says anything about AWS", lines.markdown())

    def test_nothing_that_was_left_out_can_be_as_assumed(self):
        with self.assertRaises(AssertionError):
            a_table(False).leave(QUESTION, table.AS_ASSUMED, "why")

    def test_a_tag_that_is_missing_is_otherwise_than_assumed(self):
        whole = [ROLE, CLUSTER, "spot-drill"]
        self.assertIs(questions.tags_of_fleets(a_drill(whole)).is_so, True)
        for missing in whole:
            answer = questions.tags_of_fleets(a_drill([one for one in whole if one != missing]))
            self.assertIs(answer.is_so, False, missing)
            self.assertIn(missing, answer.seen)

    def test_a_question_that_breaks_is_not_seen_and_the_next_one_is_asked(self):
        def breaks(_):
            raise KeyError("x")

        lines = a_table(False)
        so = table.Answer("seen", True, "source")
        asked = [questions.Question("a", "b", breaks), questions.Question("c", "d", lambda _: so)]
        questions.ask(asked, types.SimpleNamespace(account=lines.account), lines)
        self.assertEqual([line.result for line in lines.lines], ["not seen", "as assumed"])

    def test_the_deployed_stack_leaves_no_data_behind(self):
        text = TEMPLATE.read_text().replace("CodeUri: ..", "CodeUri: a-arm64.zip")
        template = yaml_parse(deletable(text, "s3://bucket/packages/"))
        self.assertEqual(template["Globals"]["Function"]["CodeUri"], "s3://bucket/packages/a-arm64.zip")
        kept = [name for name, one in template["Resources"].items() if "Retain" in one.get("DeletionPolicy", "")]
        self.assertEqual(kept, [])
        self.assertIs(template["Resources"]["Ledger"]["Properties"]["DeletionProtectionEnabled"], False)

    def test_a_deployment_is_known_by_its_description(self):
        self.assertTrue(yaml_parse(TEMPLATE.read_text())["Description"].startswith(DESCRIPTION))

    def test_regions_without_fis_templates_are_refused(self):
        known = PROVIDER_SCHEMA_MANAGER.get_resource_types
        lacking = {region for region in REGIONS if "AWS::FIS::ExperimentTemplate" not in known(region)}
        self.assertGreater(len(REGIONS), 30)
        self.assertEqual(lacking - set(account.NO_TEMPLATES) - set(account.NO_INTERRUPTIONS), set())
        self.assertLessEqual(set(account.NO_TEMPLATES), lacking)


if __name__ == "__main__":
    unittest.main()
