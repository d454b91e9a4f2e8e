"""The package of the constructs, installed into an empty app, and what the app makes: its assets
published by `cdk-assets`, its resources made by the Lambda's program under AWS's emulator."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import boto3
from rendering import ROOT
from samples import REGISTRY
from test_cdk import TOOLS
from test_examples import LONGSHORE, PLATFORMS, Stack, as_sent
from test_local import Emulator, free_port, listening

CONSTRUCTS = ROOT / "cdk"
EXAMPLES = CONSTRUCTS / "examples"
TOOLS_OF_NPM = ROOT / "tests/tools/package.json"
TARBALL = ROOT / "tests/fixtures/docker-25.tar"
BUCKET = "cdk-hnb659fds-assets-123456789012-eu-west-1"
BUSYBOX = "library/busybox"
QUIET = {"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1"}


def run(*command, **options):
    environment = os.environ | QUIET | options.pop("env", {})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def packed(pattern):
    [found] = (CONSTRUCTS / "dist").glob(pattern)
    return found


def new_app(case):
    """The examples in a folder of their own, with the archive that they name."""
    folder = pathlib.Path(case.enterContext(tempfile.TemporaryDirectory()), "app")
    shutil.copytree(EXAMPLES, folder)
    shutil.copy(TARBALL, folder / "app.tar")
    return folder


def template(folder):
    return json.loads((folder / "cdk.out/Images.template.json").read_text())


def in_typescript(case):
    """The app, compiled against the package and run."""
    folder = new_app(case)
    versions = json.loads(TOOLS_OF_NPM.read_text())["dependencies"]
    needed = {name: versions[name] for name in ("aws-cdk-lib", "constructs", "typescript")}
    pack = packed("js/*.tgz")
    package = {"private": True, "dependencies": needed | {"longshore-cdk": f"file:{pack}"}}
    (folder / "package.json").write_text(json.dumps(package))
    run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefer-offline", cwd=folder)
    types = CONSTRUCTS.resolve() / "node_modules/@types"
    options = ["--strict", "--skipLibCheck", "--target", "es2022", "--module", "commonjs"]
    options += ["--moduleResolution", "node10", "--ignoreDeprecations", "5.0"]
    run("node_modules/.bin/tsc", *options, "--typeRoots", types, "--types", "node", "images.ts", cwd=folder)
    run("node", "images.js", cwd=folder, env={"CDK_OUTDIR": "cdk.out"})
    return folder


class Packages(unittest.TestCase):
    def test_an_app_in_python_has_the_same_constructs(self):
        folder = new_app(self)
        target = folder / "packages"
        wheel = packed("python/*.whl")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, "--no-deps", "--target", target, wheel)
        environment = {"CDK_OUTDIR": "cdk.out", "PYTHONPATH": str(target)}
        run(sys.executable, "-W", "ignore", "images.py", cwd=folder, env=environment)
        kinds = [one["Type"] for one in template(folder)["Resources"].values()]
        self.assertEqual(kinds.count("Custom::ECRImage"), 2)
        self.assertEqual(kinds.count("Custom::CDKECRDeployment"), 1)
        # That of the images and that of the drop-in.
        self.assertEqual(kinds.count("AWS::Lambda::Function"), 2)

    def test_the_package_holds_the_program_for_both_architectures(self):
        names = run("tar", "--list", "--file", packed("js/*.tgz")).split()
        for architecture in ("arm64", "x86_64"):
            self.assertIn(f"package/assets/longshore-{architecture}.zip", names)
        self.assertEqual([name for name in names if name.endswith(".tsbuildinfo")], [])


class Deployed(Stack):
    """A stack of the CDK, whose resources the program makes under the emulator."""

    def __init__(self, template, invoke):
        super().__init__(template, None, None)
        self.invoke = invoke

    def create(self, name, resource):
        properties = self.value(resource["Properties"])
        event = {
            "RequestType": "Create",
            "RequestId": "00000000-0000-0000-0000-000000000000",
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/Images/1",
            "LogicalResourceId": name,
            "ResourceType": resource["Type"],
            "ServiceToken": properties["ServiceToken"],
            "ResourceProperties": as_sent(properties),
        }
        function, _ = resource["Properties"]["ServiceToken"]["Fn::GetAtt"]
        made = self.resources[function]["Properties"].get("Environment", {}).get("Variables", {})
        return self.invoke(event, self.value(made))

    def value(self, value):
        match value:
            case {"Fn::Join": [separator, parts]}:
                return separator.join(map(self.value, parts))
            case {"Fn::Split": [separator, text]}:
                return self.value(text).split(separator)
            case {"Fn::Select": [index, parts]}:
                return self.value(parts)[int(index)]
        return super().value(value)

    def repositories(self):
        kind = "AWS::ECR::Repository"
        made = {name: one for name, one in self.resources.items() if one["Type"] == kind}
        return [
            one.get("Properties", {}).get("RepositoryName", name.lower())
            for name, one in made.items()
        ]

    def attribute(self, name, attribute):
        if name not in self.answers and self.resources[name]["Type"] == "AWS::Lambda::Function":
            return f"arn:aws:lambda:eu-west-1:123456789012:function:{name}"
        return super().attribute(name, attribute)


class StandIns:
    """The bucket, the registry and AWS, as long as a test lasts."""

    def __init__(self, case, folder):
        self.case, self.kept = case, folder / "kept"
        (self.kept / "buckets" / BUCKET).mkdir(parents=True)
        bucket, api = free_port(), free_port()

        def command(port):
            addresses = {"registry": port, "bucket": bucket, "api": api}
            options = [f"--{name}=127.0.0.1:{at}" for name, at in addresses.items()]
            options += ["--data", self.kept / "data", "--buckets", self.kept / "buckets"]
            return [LONGSHORE, "local", *options]

        self.registry = f"127.0.0.1:{case.enterContext(listening(command, {}))}"
        url = f"http://{self.registry}"
        self.variables = {
            "AWS_ACCESS_KEY_ID": "AKIALOCALLOCALLOCAL0",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{api}",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{bucket}",
            "LONGSHORE_ALLOW_LOOPBACK": "1",
            "LONGSHORE_REGISTRY_OVERRIDE": f"*.dkr.ecr.*.amazonaws.com={url},public.ecr.aws={url}",
        }

    def publish(self, manifest):
        """By `cdk-assets`, with what a developer's machine has."""
        text = manifest.read_text()
        # `cdk-assets` is a version of the schema behind `aws-cdk-lib`.
        manifest.write_text(text.replace('"55.0.0"', '"54.0.0"'))
        storage = self.kept / "storage.conf"
        places = f'graphroot = "{self.kept}/images"\nrunroot = "{self.kept}/run"\n'
        storage.write_text(f'[storage]\ndriver = "vfs"\n{places}')
        environment = self.variables | {
            "PATH": f"{LONGSHORE.parent}:{os.environ['PATH']}",
            "HOME": str(self.kept),
            "CDK_DOCKER": "buildah",
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_STORAGE_CONF": str(storage),
        }
        program = TOOLS / "npm/node_modules/cdk-assets/bin/cdk-assets"
        # Where `cdk deploy` is run.
        place = manifest.parent.parent
        run("node", program, "publish", "--path", manifest, cwd=place, env=environment)

    def invoke(self, event, variables):
        """As Lambda would, with the environment that the template gives the function."""
        environment = self.variables | variables
        with listening(Emulator.command, environment) as port:
            url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
            with urllib.request.urlopen(url, json.dumps(event).encode(), timeout=120) as answer:
                answered = json.loads(answer.read())
        assert "PhysicalResourceId" in answered, (event, answered)
        return answered

    def create_repositories(self, names):
        variables = self.variables
        ecr = boto3.client(
            "ecr",
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        )
        for name in names:
            ecr.create_repository(repositoryName=name)

    def digest(self, uri):
        """By skopeo, of the manifest that a resource has named."""
        place = f"docker://{uri.replace(REGISTRY, self.registry)}"
        manifest = run("skopeo", "inspect", "--raw", "--tls-verify=false", place)
        return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


class ExampleApp(unittest.TestCase):
    def test_the_app_is_deployed(self):
        folder = in_typescript(self)
        stand_ins = StandIns(self, folder)
        upstream = f"docker://{stand_ins.registry}/docker/{BUSYBOX}:1.37"
        copy = ["skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false"]
        run(*copy, f"oci-archive:{PLATFORMS}", upstream)

        manifest = folder / "cdk.out/Images.assets.json"
        stand_ins.publish(manifest)
        files = json.loads(manifest.read_text())["files"].values()
        kept = {path.name for path in (stand_ins.kept / "buckets" / BUCKET).iterdir()}
        for one in files:
            for destination in one["destinations"].values():
                self.assertIn(destination["objectKey"], kept, one["displayName"])

        stack = Deployed(template(folder), stand_ins.invoke)
        stand_ins.create_repositories([*stack.repositories(), "shared", "deployed"])
        uris = stack.deploy()
        self.assertEqual(set(uris), {"built", "loaded", "copied", "deployed"})
        for name, uri in uris.items():
            with self.subTest(name):
                self.assertRegex(uri, rf"^{REGISTRY}/[a-z0-9]+@sha256:[0-9a-f]{{64}}$")
                self.assertEqual(stand_ins.digest(uri), uri.partition("@")[2])
        [task] = [one for one in stack.resources.values() if one["Type"] == "AWS::ECS::TaskDefinition"]
        [container] = stack.value(task["Properties"])["ContainerDefinitions"]
        self.assertEqual(container["Image"], uris["built"])


if __name__ == "__main__":
    unittest.main()
