"""What `scripts/release` has made in dist/."""

import hashlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest
import zipfile

import boto3
from rendering import ROOT, load, render
from test_local import listening
from test_provider import ECR

DIST = ROOT / "dist"
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


def zips():
    """The zips, by their architectures."""
    found = {path.stem.rpartition("-")[2]: path for path in DIST.glob("*.zip")}
    assert found, "no zip in dist: run scripts/release"
    return found


class Release(unittest.TestCase):
    def test_checksums_are_of_all_files(self):
        lines = (DIST / "SHA256SUMS").read_text().splitlines()
        listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
        actual = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in DIST.iterdir()
            if path.name != "SHA256SUMS"
        }
        self.assertEqual(listed, actual)

    def test_a_zip_holds_the_program_and_nothing_else(self):
        for architecture, path in zips().items():
            with zipfile.ZipFile(path) as archive:
                [entry] = archive.infolist()
                program = archive.read(entry)
            self.assertEqual(entry.filename, "bootstrap")
            self.assertEqual(entry.external_attr >> 16, 0o755)
            self.assertEqual(entry.date_time, (1980, 1, 1, 0, 0, 0))
            built = TARGET / f"lambda/{architecture}/bootstrap/bootstrap"
            self.assertEqual(program, built.read_bytes())

    def test_the_template_points_at_the_zips(self):
        given = {"CodeBucket": "code", "CodePrefix": "longshore/", "RepositoryArns": f"{ECR}/app"}
        for architecture in ("arm64", "x86_64"):
            rendered = render(DIST / "template.yaml", given | {"Architecture": architecture})
            [function] = rendered.resources("AWS::Lambda::Function").values()
            name = f"longshore-{VERSION}-{architecture}.zip"
            self.assertEqual(function["Code"], {"S3Bucket": "code", "S3Key": f"longshore/{name}"})
            if architecture in zips():
                self.assertEqual(zips()[architecture].name, name)

    def test_the_mirrors_are_deployed_as_they_are_in_the_source(self):
        for name in ("mirror.yaml", "mirror.asl.json"):
            self.assertEqual(
                (DIST / name).read_text(), (ROOT / "template" / name).read_text(), name
            )
        [machine] = [
            resource
            for resource in load(DIST / "mirror.yaml")["Resources"].values()
            if resource["Type"] == "AWS::Serverless::StateMachine"
        ]
        self.assertTrue((DIST / machine["Properties"]["DefinitionUri"]).is_file())

    def test_the_template_is_otherwise_that_of_the_source(self):
        released, source = load(DIST / "template.yaml"), load(ROOT / "template/template.yaml")
        for name in ("CodeBucket", "CodePrefix"):
            del released["Parameters"][name]
        del released["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"][0]
        del released["Resources"]["Provider"]["Properties"]["CodeUri"]
        del source["Resources"]["Provider"]["Properties"]["CodeUri"]
        del source["Resources"]["Provider"]["Metadata"]
        self.assertEqual(released, source)

    def test_parts_are_those_of_the_lock_file(self):
        locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
        locked = {(one["name"], one["version"]): one.get("checksum") for one in locked}
        for architecture in zips():
            text = (DIST / f"longshore-{VERSION}-{architecture}.cdx.json").read_text()
            parts = json.loads(text)
            self.assertEqual(parts["bomFormat"], "CycloneDX")
            self.assertNotIn(str(ROOT), text)
            names = set()
            for part in parts["components"]:
                self.assertIn((part["name"], part["version"]), locked)
                # The workspace's own are in no registry.
                checksum = locked[part["name"], part["version"]]
                hashes = part.get("hashes", [])
                digests = [one["content"] for one in hashes if one["alg"] == "SHA-256"]
                self.assertEqual(digests, [checksum] if checksum else [])
                self.assertTrue(part["licenses"], part["name"])
                names.add(part["name"])
            self.assertLessEqual({"aws-sdk-s3", "lambda_runtime", "rustls", "tokio"}, names)

    def test_a_panic_unwinds(self):
        # cargo-lambda aborts where the profile does not say; a stack would wait for an hour.
        profile = tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]["release"]
        self.assertEqual(profile["panic"], "unwind")

    def test_cargo_and_cargo_lambda_build_the_same(self):
        """SAM's builder knows of no profile but `release`: cargo-lambda is told what to make it."""
        manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
        settings = manifest["package"]["metadata"]["lambda"]["build"]["config"]
        told = tomllib.loads("\n".join(settings))["profile"]["release"]
        profile = manifest["profile"]["function"]
        self.assertEqual(profile.pop("inherits"), "release")
        self.assertEqual(told, profile)

    def test_the_page_has_the_size(self):
        """The figure in docs/releases.md is within a twentieth of what was built."""
        page = (ROOT / "docs/releases.md").read_text()
        for architecture, path in zips().items():
            stated = re.search(rf"{architecture}\D+([\d,]+) bytes", page)
            if architecture == "arm64" and stated is None:
                continue
            self.assertIsNotNone(stated, architecture)
            ratio = path.stat().st_size / int(stated[1].replace(",", ""))
            self.assertAlmostEqual(ratio, 1, delta=0.05)


class Sam(unittest.TestCase):
    def test_what_is_deployed_is_what_was_built(self):
        """`sam package` is the part of `sam deploy` that takes no CloudFormation."""
        built = ROOT / ".aws-sam/build/Provider/bootstrap"
        self.assertTrue(built.exists(), "run sam build")
        programs = pathlib.Path(sys.executable).parent
        server = self.enterContext(
            listening(lambda port: [programs / "moto_server", "-p", str(port)], dict(os.environ))
        )
        credentials = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server}",
            "AWS_ACCESS_KEY_ID": "example",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        s3 = boto3.client(
            "s3",
            endpoint_url=credentials["AWS_ENDPOINT_URL"],
            aws_access_key_id="example",
            aws_secret_access_key="example",
            region_name="us-east-1",
        )
        s3.create_bucket(Bucket="code")
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        packaged = folder / "packaged.yaml"
        command = [programs / "sam", "package", "--s3-bucket", "code"]
        run = subprocess.run(
            [*command, "--output-template-file", packaged],
            cwd=ROOT,
            env=os.environ | credentials | {"SAM_CLI_TELEMETRY": "0"},
            capture_output=True,
            text=True,
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        uri = load(packaged)["Resources"]["Provider"]["Properties"]["CodeUri"]
        key = uri.removeprefix("s3://code/")
        body = s3.get_object(Bucket="code", Key=key)["Body"].read()
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            self.assertEqual(archive.namelist(), ["bootstrap"])
            self.assertEqual(archive.read("bootstrap"), built.read_bytes())


if __name__ == "__main__":
    unittest.main()
