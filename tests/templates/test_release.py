"""What `scripts/release` has made in dist/."""

import hashlib
import io
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import unittest
import zipfile

import boto3
from alone import CERTIFICATES
from rendering import ROOT, load, render
from test_local import listening
from test_provider import ECR

sys.path.insert(0, str(ROOT / "scripts"))
import command_line

DIST = ROOT / "dist"
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
CHECKED = {"check": True, "capture_output": True}
X86_64, ARM64 = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"


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
            # The command line's alone.
            self.assertFalse({"clap", "indicatif", "regress", "zip"} & names)

    def test_a_panic_unwinds(self):
        # cargo-lambda aborts where the profile does not say; a stack would wait for an hour.
        profile = tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]["release"]
        self.assertEqual(profile["panic"], "unwind")

    def test_cargo_and_cargo_lambda_build_the_same(self):
        """SAM's builder knows of no profile but `release`: cargo-lambda is told what to make it."""
        manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
        settings = manifest["package"]["metadata"]["lambda"]["build"]["config"]
        told = tomllib.loads("\n".join(settings))["profile"]["release"]
        self.assertEqual(manifest["package"]["metadata"]["lambda"]["build"]["features"], ["lambda"])
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


class CommandLine(unittest.TestCase):
    """The archives and the image of `longshore`."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.archives = {
            path.name.removeprefix(f"longshore-{VERSION}-").removesuffix(".tar.gz"): path
            for path in DIST.glob("longshore-*.tar.gz")
        }
        self.own = f"{platform.machine()}-unknown-linux-gnu"
        self.assertIn(self.own, self.archives, "run scripts/release")

    def unpacked(self, target):
        with tarfile.open(self.archives[target]) as archive:
            archive.extractall(self.folder, filter="data")
        return self.folder / f"longshore-{VERSION}-{target}"

    def test_an_archive_has_the_program_and_its_pages(self):
        folder = self.unpacked(self.own)
        version = subprocess.run(
            [folder / "longshore", "--version"], check=True, capture_output=True, text=True
        )
        self.assertEqual(version.stdout, f"longshore {VERSION}\n")
        files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        self.assertLessEqual(
            {
                "LICENSE",
                "README.md",
                "completions/longshore.bash",
                "completions/_longshore",
                "completions/longshore.fish",
                "man/man1/longshore.1",
                "man/man1/longshore-copy.1",
            },
            files,
        )
        self.assertIn(".TH longshore", (folder / "man/man1/longshore.1").read_text())

    def test_an_archive_tells_nothing_of_the_machine(self):
        for path in self.archives.values():
            with tarfile.open(path) as archive:
                for entry in archive:
                    self.assertEqual((entry.uid, entry.gid, entry.mtime), (0, 0, 315532800))
            # gzip's header has a time, and may have a name.
            self.assertEqual(path.read_bytes()[3:8], bytes(5))

    def test_binstall_finds_the_archive_and_the_program_in_it(self):
        manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
        package = manifest["package"]
        binstall = package["metadata"]["binstall"]
        for target, path in self.archives.items():
            names = {
                "repo": package["repository"],
                "name": package["name"],
                "version": package["version"],
                "target": target,
                "bin": "longshore",
            }

            def filled(template):
                return re.sub(r"\{ ([\w-]+) \}", lambda found: names[found[1]], template)

            self.assertEqual(filled(binstall["pkg-url"]).rpartition("/")[2], path.name)
            with tarfile.open(path) as archive:
                self.assertEqual(archive.getmember(filled(binstall["bin-dir"])).mode, 0o755)
        # It ignores those that it does not find only where features are asked for.
        for program in manifest["bin"]:
            self.assertTrue(program["required-features"], program["name"])

    def test_parts_are_the_programs_own(self):
        text = (DIST / f"longshore-{VERSION}-{self.own}.cdx.json").read_text()
        names = {part["name"] for part in json.loads(text)["components"]}
        self.assertLessEqual({"aws-sdk-s3", "clap", "rustls", "tokio"}, names)
        # The Lambda's, and those of tests and of features that nothing asks for.
        self.assertFalse({"lambda_runtime", "axum", "h2", "proptest", "quinn", "ring"} & names)

    def test_the_same_programs_make_the_same_files(self):
        own = self.folder / "longshore"
        shutil.copy(TARGET / f"static/{self.own}/longshore", own)
        name = f"longshore-{VERSION}-{self.own}"
        program = TARGET / f"command-line/{self.own}/longshore/bootstrap"
        command_line.pack(program, own, name, self.folder / "again.tar.gz")
        self.assert_same(self.folder / "again.tar.gz", self.archives[self.own])
        static = {path.parent.name: path for path in TARGET.glob("static/*/longshore")}
        static = {
            architecture: static[target]
            for architecture, target in [("x86_64", X86_64), ("arm64", ARM64)]
            if target in self.archives
        }
        [image] = DIST.glob("longshore-*.oci.tar")
        command_line.write_image(static, own, VERSION, self.folder / "again.oci.tar")
        self.assert_same(self.folder / "again.oci.tar", image)

    def assert_same(self, one, other):
        digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (one, other)}
        self.assertEqual(len(digests), 1, f"{one.name} differs from {other.name}")

    def test_the_image_is_of_the_program_and_certificates(self):
        config, files = self.image()
        self.assertEqual(config["created"], "1980-01-01T00:00:00Z")
        settings = config["config"]
        self.assertEqual(settings["Entrypoint"], ["/longshore"])
        self.assertEqual(settings["Env"], ["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"])
        package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
        for label, value in {
            "title": "longshore",
            "version": VERSION,
            "licenses": package["license"],
            "source": package["repository"],
            "documentation": package["documentation"],
        }.items():
            self.assertEqual(settings["Labels"][f"org.opencontainers.image.{label}"], value)
        self.assertEqual(
            [entry.name for entry in files], ["longshore", "etc/ssl/certs/ca-certificates.crt"]
        )
        for entry in files:
            self.assertEqual((entry.uid, entry.gid, entry.mtime), (0, 0, 315532800))

    def image(self):
        """The config of the image, and the files of its one layer, which `self.root` then has."""
        [image] = DIST.glob("longshore-*.oci.tar")
        self.root = self.folder / "root"
        self.root.mkdir()
        layout = self.folder / "layout"
        copy = [self.unpacked(self.own) / "longshore", "copy", "--quiet"]
        subprocess.run([*copy, f"oci-archive:{image}", f"oci:{layout}:image"], **CHECKED)
        inspect = ["skopeo", "inspect", f"oci-archive:{image}"]
        [layer] = json.loads(subprocess.run(inspect, **CHECKED).stdout)["Layers"]
        inspect.insert(2, "--config")
        config = json.loads(subprocess.run(inspect, **CHECKED).stdout)
        with tarfile.open(layout / "blobs" / layer.replace(":", "/")) as archive:
            archive.extractall(self.root, filter="data")
            return config, archive.getmembers()

    def test_the_image_runs_alone(self):
        """The program in it finds a registry by DNS, and trusts the image's certificates."""
        config, _ = self.image()
        (self.root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        environment = dict(pair.split("=", 1) for pair in config["config"]["Env"])
        run = self.run_alone(environment, "tags", "registry.example/app")
        self.assertEqual(run.returncode, 1, run.stdout)
        self.assertIn("certificate", run.stderr)
        trusted = self.root / environment["SSL_CERT_FILE"].lstrip("/")
        authority = (CERTIFICATES / "authority.pem").read_text()
        trusted.write_text(trusted.read_text() + authority)
        run = self.run_alone(environment, "tags", "registry.example/app")
        self.assertEqual((run.returncode, run.stdout), (0, "1.0\n"), run.stderr)

    def run_alone(self, environment, *arguments):
        environment = {"LONGSHORE_ALLOW_LOOPBACK": "1"} | environment
        inside = [sys.executable, ROOT / "tests/templates/alone.py", self.root, "/longshore"]
        # Some systems let root alone make networks.
        outside = ["unshare", "--net"]
        if os.geteuid() != 0:
            sudo = subprocess.run(["sudo", "--non-interactive", "true"], capture_output=True)
            assigned = [f"{name}={value}" for name, value in environment.items()]
            as_root = ["sudo", "--non-interactive", "env", *assigned]
            outside = (
                [*as_root, *outside]
                if sudo.returncode == 0
                else ["unshare", "--map-root-user", "--net"]
            )
        command = [*outside, *inside, *arguments]
        return subprocess.run(
            command, env=environment | {"PATH": os.environ["PATH"]}, capture_output=True, text=True
        )

    def test_the_archives_program_is_for_older_systems(self):
        with tarfile.open(self.archives[self.own]) as archive:
            program = archive.extractfile(f"longshore-{VERSION}-{self.own}/longshore").read()
        newest = command_line.newest_glibc(program)
        self.assertLessEqual(newest, (2, 34))
        stated = re.search(r"glibc (\d+)\.(\d+)", (ROOT / "docs/install.md").read_text())
        self.assertLessEqual(newest, tuple(map(int, stated.groups())))

    def test_one_address_is_that_of_all(self):
        """The publisher's repository, of which Cargo.toml is the one place."""
        repository = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["repository"]
        constructs = json.loads((ROOT / "cdk/package.json").read_text())["repository"]["url"]
        self.assertEqual(constructs, f"{repository}.git")
        page = (ROOT / "docs/install.md").read_text()
        for address in re.findall(r"https://[^\s)`>]*/longshore\b[^\s)`>]*", page):
            self.assertTrue(address.startswith(repository), address)


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
