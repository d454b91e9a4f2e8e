"""The JSON schema of a mirror's list takes and refuses what the reader does: the same lists are
tried with the reader in tests/it/mirror_list.rs."""

import json
import re
import unittest

import jsonschema
import yaml

from rendering import ROOT

SCHEMA = json.loads((ROOT / "docs/schema/Mirror.json").read_text())
LISTS = json.loads((ROOT / "tests/fixtures/mirror-lists.json").read_text())
PAGE = (ROOT / "docs/mirror-list.md").read_text()


class MirrorList(unittest.TestCase):
    def setUp(self):
        jsonschema.Draft7Validator.check_schema(SCHEMA)
        self.validator = jsonschema.Draft7Validator(SCHEMA)

    def test_lists_are_taken(self):
        for mirror in LISTS["taken"]:
            with self.subTest(mirror):
                self.validator.validate(mirror)

    def test_lists_are_refused(self):
        for mirror in LISTS["refused"]:
            with self.subTest(mirror):
                self.assertFalse(self.validator.is_valid(mirror))

    def test_the_examples_of_the_page_are_taken(self):
        examples = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        foreign = ("# regsync", "# skopeo")
        examples = [example for example in examples if not example.startswith(foreign)]
        self.assertEqual(len(examples), 4)
        for example in examples:
            with self.subTest(example):
                self.validator.validate(yaml.safe_load(example))
