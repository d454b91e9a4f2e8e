"""How `scripts/release` looks at advisories: in a snapshot of a made-up database."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from importlib.machinery import SourceFileLoader
from unittest import mock

from rendering import ROOT

ADVISORY = """\
```toml
[advisory]
id = "RUSTSEC-2026-9999"
package = "{package}"
date = "2026-11-01"

[versions]
patched = {patched}
```

# A made-up flaw

Of no real version.
"""
DATE = "2026-11-05T12:00:00Z"


def release():
    """The script as a module."""
    loader = SourceFileLoader("release", str(ROOT / "scripts/release"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("release", loader))
    loader.exec_module(module)
    return module


def snapshot(folder, package, patched):
    """A clone of a database with one advisory."""
    path = pathlib.Path(folder) / "crates" / package
    path.mkdir(parents=True)
    text = ADVISORY.format(package=package, patched=patched)
    (path / "RUSTSEC-2026-9999.md").write_text(text)
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a", "GIT_COMMITTER_DATE": DATE}
    who |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a"}
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "snapshot"]):
        subprocess.run(["git", "-C", folder, *command], check=True, env=os.environ | who)


class Advisories(unittest.TestCase):
    def setUp(self):
        # `cargo deny` is beside the Python of the tests.
        path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
        variables = mock.patch.dict(os.environ, {"PATH": path})
        variables.start()
        self.addCleanup(variables.stop)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.clone = pathlib.Path(folder.name)

    def test_an_advisory_about_a_dependency_ends_the_release(self):
        snapshot(self.clone, "bytes", "[]")
        with self.assertRaisesRegex(SystemExit, "2026-11-05"):
            release().check_advisories(self.clone)

    def test_the_notes_have_the_date_of_the_snapshot(self):
        snapshot(self.clone, "bytes", '[">= 0.1.0"]')
        checked = release().check_advisories(self.clone)
        self.assertIn("2026-11-05", checked)
        notes = release().notes("1.2.3", checked)
        self.assertTrue(notes.startswith("# Longshore 1.2.3\n"))
        self.assertIn(checked, notes)
        self.assertIn("Custom::ECRImage", notes)

    def test_a_folder_without_advisories_is_no_database(self):
        with self.assertRaisesRegex(SystemExit, "expected a clone"):
            release().check_advisories(self.clone)

    def test_a_release_says_whether_anybody_has_looked(self):
        run = subprocess.run([ROOT / "scripts/release"], stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.returncode, 2)
        self.assertIn("--without-advisories", run.stderr)
