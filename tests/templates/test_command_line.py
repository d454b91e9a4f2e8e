"""What `longshore` prints with --json is as docs/schema/command-line.json says, and every command has
a help page with examples."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import jsonschema

from rendering import ROOT
from test_examples import LONGSHORE
from test_local import QUIET, await_listener, free_port

SCHEMA = json.loads((ROOT / "docs/schema/command-line.json").read_text())
REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = f"{REGISTRY}/example:1.0"
ARCHIVE = "s3://longshore-example/example-1.0.tar"
TARBALL = "docker-archive:events/buckets/longshore-example/example-1.0.tar"
ASSETS = "events/assets/app.assets.json"
# Their output is no document: a script, pages, and CloudFormation's answer.
WITHOUT_JSON = {"completions", "man", "invoke", "help"}
# The definition of a command that is a word of JSON Schema or of another definition.
DEFINITIONS = {"digest": "digestOf"}
DONE, CHANGES = 0, 3


class Output(unittest.TestCase):
    def setUp(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.kept = f"{self.folder}/kept"

    def run_command(self, command, *arguments, code=DONE):
        """What a command prints, which must be as its definition says."""
        called = [LONGSHORE, command, "--json", *arguments]
        variables = {
            "PATH": os.environ["PATH"],
            "DOCKER_CONFIG": f"{self.folder}/docker",
            "LONGSHORE_ALLOW_LOOPBACK": "1",
        }
        run = subprocess.run(called, cwd=ROOT, env=variables, capture_output=True, text=True)
        self.assertEqual(run.returncode, code, run.stderr)
        return self.checked(command, json.loads(run.stdout))

    def checked(self, command, document):
        definition = DEFINITIONS.get(command, command)
        schema = SCHEMA | {"$ref": f"#/$defs/{definition}"}
        jsonschema.Draft202012Validator(schema).validate(document)
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate(document | {"other": 1})
        return document

    def local(self, command, *arguments, code=DONE):
        return self.run_command(command, "--local", "--data", self.kept, *arguments, code=code)

    def test_a_copy_and_its_dry_runs(self):
        layout = f"oci:{self.folder}/layout:1.0"
        copy = ["copy", ARCHIVE, IMAGE, "--to", layout, "--tag", "latest"]
        before = self.local(*copy, "--dry-run", code=CHANGES)
        self.assertEqual(before["layersToCompress"], 3)
        self.assertFalse(os.path.exists(f"{self.folder}/layout"))
        copied = self.local(*copy)
        of_registry, of_file = copied["destinations"]
        self.assertEqual(of_registry["tags"], ["1.0", "latest"])
        self.assertTrue(of_file["file"].startswith("oci:"))
        again = [f"{REGISTRY}/example@{copied['digest']}", f"{REGISTRY}/example:2.0"]
        self.assertEqual(
            self.local("copy", "--dry-run", *again, code=CHANGES)["destinations"],
            [
                {
                    "name": f"{REGISTRY}/example",
                    "missing": False,
                    "blobs": 0,
                    "bytes": 0,
                    "manifests": 0,
                    "tags": [{"tag": "2.0", "present": None}],
                }
            ],
        )
        self.local("copy", *again)
        self.local("copy", "--dry-run", *again)

    def test_looking_at_images(self):
        self.local("copy", ARCHIVE, IMAGE)
        for source in (IMAGE, TARBALL):
            self.local("inspect", source)
        self.assertEqual(self.local("tags", f"{REGISTRY}/example")["tags"], ["1.0"])
        self.local("digest", IMAGE)
        self.local("diff", IMAGE, TARBALL)
        other = "docker-archive:tests/fixtures/podman-docker-images.tar#@0"
        differences = self.local("diff", IMAGE, other, code=CHANGES)
        [platform] = differences["platforms"]
        self.assertTrue(platform["layers"]["added"])

    def test_a_list_and_a_deletion(self):
        self.local("copy", ARCHIVE, IMAGE)
        self.local("sync", "events/mirror.yaml", "--dry-run", code=CHANGES)
        self.local("sync", "events/mirror.yaml")
        self.local("delete", "--dry-run", IMAGE)
        self.local("delete", "--yes", IMAGE)

    def test_grants(self):
        self.local("copy", ARCHIVE, IMAGE)
        grant = ["grant", f"{REGISTRY}/example", "--account", "210987654321"]
        self.local(*grant, "--dry-run", code=CHANGES)
        self.assertEqual(self.local(*grant)["writes"], 1)
        self.assertFalse(self.local(*grant, "--dry-run")["changes"])
        emptied = self.local(*grant, "--revoke", "--dry-run", code=CHANGES)
        self.assertIsNone(emptied["policy"])
        self.local(*grant, "--revoke")
        self.local(*grant, "--revoke", "--dry-run")
        # Revoking in a repository that is gone has nothing to do.
        gone = ["grant", f"{REGISTRY}/gone", "--account", "210987654321", "--revoke"]
        self.assertFalse(self.local(*gone, "--dry-run")["changes"])

    def test_assets(self):
        folder = ["--cache", f"{self.folder}/cache", "--buckets", f"{self.folder}/buckets"]
        publish = ["publish", ASSETS, *folder]
        planned = self.local(*publish, "--dry-run", code=CHANGES)["assets"]
        self.assertEqual([asset["present"] for asset in planned], [False, False])
        # The embedded buckets are made when they are asked for. Nothing is in them.
        files = pathlib.Path(self.folder, "buckets").rglob("*")
        self.assertFalse([path for path in files if path.is_file()])
        self.local(*publish)
        published = self.local(*publish, "--dry-run")["assets"]
        self.assertEqual([asset["present"] for asset in published], [True, True])
        self.run_command("list", ASSETS)

    def test_builds(self):
        directory = f"{self.folder}/app"
        os.mkdir(directory)
        with open(f"{directory}/Dockerfile", "w", encoding="ascii") as file:
            file.write("FROM scratch\n")
        folder = ["--cache", f"{self.folder}/cache", "--buckets", f"{self.folder}/buckets"]
        build = ["build", directory, *folder]
        build += ["--push", IMAGE, "--stage", "s3://longshore-example/images"]
        planned = self.local(*build, "--dry-run", code=CHANGES)
        self.assertTrue(planned["build"])
        self.assertIsNone(planned["push"])
        # As if it had been built.
        os.makedirs(f"{self.folder}/cache/images")
        archive = f"{self.folder}/cache/images/{planned['assetHash']}.tar"
        shutil.copy(ROOT / "events/buckets/longshore-example/example-1.0.tar", archive)
        planned = self.local(*build, "--dry-run", code=CHANGES)
        self.assertFalse(planned["build"])
        self.assertEqual(planned["push"]["layersToCompress"], 3)
        self.assertTrue(self.local(*build)["reused"])
        self.local(*build, "--dry-run")
        hashed = self.run_command("hash", directory)
        self.assertEqual(hashed["assetHash"], planned["assetHash"])

    def test_logins_and_stand_ins(self):
        port = free_port()
        addresses = [f"--registry=127.0.0.1:{port}"]
        addresses += [f"--{name}=127.0.0.1:{free_port()}" for name in ("bucket", "api")]
        command = [LONGSHORE, "local", "--json", "--data", self.kept, *addresses]
        quiet = QUIET | {"stdout": subprocess.PIPE}
        with subprocess.Popen(command, cwd=ROOT, env={}, text=True, **quiet) as child:
            self.addCleanup(child.kill)
            await_listener(port, child)
            printed = ""
            while not printed.endswith("}\n}\n"):
                printed += child.stdout.readline().lstrip()
            self.checked("local", json.loads(printed))
            host = f"127.0.0.1:{port}"
            self.assertIsNone(self.run_command("logout", host)["place"])
            for dry_run in (["--dry-run"], []):
                self.login(host, *dry_run)
                self.assertEqual(os.path.exists(f"{self.folder}/docker"), not dry_run)
            self.run_command("logout", "--dry-run", host)
            self.assertIsNotNone(self.run_command("logout", host)["place"])
            child.kill()

    def login(self, host, *options):
        command = [LONGSHORE, "login", "--json", "--username", "me", "--password-stdin", host]
        variables = {"DOCKER_CONFIG": f"{self.folder}/docker", "LONGSHORE_ALLOW_LOOPBACK": "1"}
        run = subprocess.run(
            [*command, *options], env=variables, input="x", capture_output=True, text=True
        )
        self.assertEqual(run.returncode, DONE, run.stderr)
        self.checked("login", json.loads(run.stdout))


class Help(unittest.TestCase):
    def page(self, *command):
        run = subprocess.run([LONGSHORE, *command, "--help"], capture_output=True, text=True)
        self.assertEqual(run.returncode, DONE, run.stderr)
        return run.stdout

    def test_every_page_has_examples_and_every_result_a_definition(self):
        commands = self.page().partition("Commands:\n")[2].partition("\n\n")[0]
        commands = set(re.findall(r"^  (\w+)", commands, re.MULTILINE))
        self.assertGreaterEqual(len(commands), 18)
        for command in commands - {"help"}:
            page = self.page(command)
            with self.subTest(command):
                self.assertIn("Examples:\n", page)
                self.assertEqual(" --json" in page, command not in WITHOUT_JSON)
                if command not in WITHOUT_JSON:
                    self.assertIn(DEFINITIONS.get(command, command), SCHEMA["$defs"])

    def test_what_writes_has_a_dry_run(self):
        for command in "copy sync delete grant build publish login logout".split():
            with self.subTest(command):
                self.assertIn(" --dry-run", self.page(command))


if __name__ == "__main__":
    unittest.main()
