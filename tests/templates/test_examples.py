"""The examples, deployed: each resource of Longshore's by the Lambda's own code, on its embedded
stand-ins, with what `Ref` and `Fn::GetAtt` give passed on as CloudFormation passes it on."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from rendering import ROOT, TEMPLATES, load, render
from samples import ACCOUNT, REGISTRY, SAMPLES, sample_parameters

LONGSHORE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "debug/longshore")
PLATFORMS = ROOT / "tests/fixtures/buildah-oci-platforms.tar"
SEVERAL = ROOT / "tests/fixtures/podman-docker-images.tar"
BUCKETS = ROOT / "events/buckets"
EXAMPLES = sorted((TEMPLATES / "examples").glob("*.yaml"))
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "example",
    "AWS::URLSuffix": "amazonaws.com",
}


class Stack:
    """A stack of one template, made by way of `longshore invoke`."""

    def __init__(self, template, kept, buckets):
        self.resources = template["Resources"]
        self.outputs = template.get("Outputs", {})
        self.kept = kept
        self.buckets = buckets
        self.answers = {}

    def deploy(self):
        for name, resource in self.resources.items():
            if resource["Type"].startswith("Custom::"):
                self.answers[name] = self.create(name, resource)
        return {name: self.value(output["Value"]) for name, output in self.outputs.items()}

    def create(self, name, resource):
        properties = self.value(resource["Properties"])
        event = {
            "RequestType": "Create",
            "RequestId": "00000000-0000-0000-0000-000000000000",
            "ResponseURL": "https://replaced.invalid",
            "StackId": f"arn:aws:cloudformation:eu-west-1:{ACCOUNT}:stack/example/1",
            "LogicalResourceId": name,
            "ResourceType": resource["Type"],
            "ServiceToken": properties["ServiceToken"],
            "ResourceProperties": as_sent(properties),
        }
        path = pathlib.Path(self.kept, "event.json")
        path.write_text(json.dumps(event))
        kept = ["--data", f"{self.kept}/data", "--buckets", self.buckets]
        return longshore("invoke", "--local", *kept, path)

    def value(self, value):
        if isinstance(value, list):
            return list(map(self.value, value))
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            match function:
                case "Ref":
                    return self.reference(argument)
                case "Fn::GetAtt":
                    name, *attribute = argument
                    return self.attribute(name, ".".join(attribute))
                case "Fn::Sub":
                    return re.sub(r"\$\{([^}]+)\}", lambda at: self.named(at[1]), argument)
                case "Fn::ImportValue":
                    return self.imported(self.value(argument))
        return {key: self.value(one) for key, one in value.items()}

    def named(self, name):
        return self.attribute(*name.split(".")) if "." in name else self.reference(name)

    def reference(self, name):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.answers:
            return self.answers[name]["PhysicalResourceId"]
        assert name in self.resources, name
        return name.lower()

    def attribute(self, name, attribute):
        if name in self.answers:
            return self.answers[name]["Data"][attribute]
        kind = self.resources[name]["Type"]
        physical = self.resources[name].get("Properties", {}).get("RepositoryName", name.lower())
        return {
            ("AWS::ECR::Repository", "RepositoryUri"): f"{REGISTRY}/{physical}",
            ("AWS::ECR::Repository", "Arn"): f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/{physical}",
            ("AWS::IAM::Role", "Arn"): f"arn:aws:iam::{ACCOUNT}:role/{physical}",
            ("AWS::Logs::LogGroup", "Arn"): f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:{physical}:*",
        }[kind, attribute]

    @staticmethod
    def imported(name):
        assert name == "longshore-ServiceToken", name
        return f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:longshore"


def as_sent(value):
    """As CloudFormation sends properties: numbers and booleans are text."""
    if isinstance(value, dict):
        return {key: as_sent(one) for key, one in value.items()}
    if isinstance(value, list):
        return list(map(as_sent, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def longshore(*arguments):
    assert LONGSHORE.exists(), f"{LONGSHORE} is missing: run scripts/test"
    command = [LONGSHORE, *arguments]
    run = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


class Examples(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.kept = folder.name

    def upstream(self, name):
        """Puts an image where the examples copy from."""
        return self.push(f"library/{name}")

    def push(self, name):
        """An image of two platforms."""
        source, place = f"oci-archive:{PLATFORMS}", f"{REGISTRY}/{name}"
        data = f"{self.kept}/data"
        return longshore("copy", "--local", "--json", "--data", data, source, place)["digest"]

    def deploy(self, name, parameters=None, buckets=BUCKETS):
        path = TEMPLATES / f"examples/{name}.yaml"
        rendered = render(path, sample_parameters(path) | (parameters or {}))
        # The stand-in is for registries of ECR.
        text = json.dumps(rendered.template).replace("public.ecr.aws/docker", REGISTRY)
        self.stack = Stack(json.loads(text), self.kept, buckets)
        outputs = self.stack.deploy()
        for output, value in outputs.items():
            self.assertTrue(value, output)
        return outputs

    def test_tarball(self):
        image = self.deploy("tarball")["ImageUri"]
        self.assertRegex(image, rf"^{REGISTRY}/repository@sha256:[0-9a-f]{{64}}$")

    def test_several_images(self):
        bucket = pathlib.Path(self.kept, "buckets", SAMPLES["Bucket"])
        bucket.mkdir(parents=True)
        shutil.copy(SEVERAL, bucket / SAMPLES["Key"])
        names = {"Web": "localhost/app:amd64", "Worker": "localhost/app:arm64"}
        uris = self.deploy("several-images", names, bucket.parent)
        web, worker = uris["WebUri"], uris["WorkerUri"]
        self.assertTrue(web.startswith(f"{REGISTRY}/webrepository@sha256:"), web)
        self.assertTrue(worker.startswith(f"{REGISTRY}/workerrepository@sha256:"), worker)
        platforms = {name: of["Data"]["Platforms"] for name, of in self.stack.answers.items()}
        self.assertEqual(platforms, {"WebImage": "linux/amd64", "WorkerImage": "linux/arm64"})

    def test_dockerfile(self):
        image = self.deploy("dockerfile")["ImageUri"]
        task = self.stack.value(self.stack.resources["Task"]["Properties"])
        self.assertEqual(task["ContainerDefinitions"][0]["Image"], image)

    def test_ecs_service(self):
        outputs = self.deploy("ecs-service")
        task = self.stack.value(self.stack.resources["Task"]["Properties"])
        self.assertEqual(task["ContainerDefinitions"][0]["Image"], outputs["ImageUri"])
        self.assertIn("@sha256:", outputs["ImageUri"])

    def test_lambda_function(self):
        digest = self.upstream("busybox:1.37")
        source = f"{REGISTRY}/library/busybox@{digest}"
        pulled = self.deploy("lambda-function", {"Source": source})["Digest"]
        self.assertNotEqual(pulled, digest, "Lambda takes no index")
        function = self.stack.value(self.stack.resources["Function"]["Properties"])
        self.assertEqual(function["Code"]["ImageUri"], f"{REGISTRY}/repository@{pulled}")
        self.assertEqual(self.stack.answers["Image"]["Data"]["Platforms"], "linux/arm64")

    def test_multi_platform(self):
        self.upstream("busybox:1.37")
        outputs = self.deploy("multi-platform")
        self.assertEqual(outputs["Platforms"], "linux/amd64,linux/arm64")
        self.assertEqual(outputs["ImageTagUri"], f"{REGISTRY}/repository:1.37")

    def test_replication(self):
        digest = self.upstream("busybox:1.37")
        there = self.deploy("replication-destination")
        here = self.deploy(
            "replication-source",
            {
                "DestinationRepositoryUri": there["RepositoryUri"],
                "DestinationRoleArn": there["RoleArn"],
            },
        )
        self.assertEqual(here["ImageUri"], f"{there['RepositoryUri']}@{digest}")

    def test_pull_policy(self):
        # The stand-in has a repository from its first push on.
        self.push("repository:1")
        for organization, statements in [("", 3), ("o-a1b2c3d4e5", 4)]:
            outputs = self.deploy("pull-policy", {"Organization": organization})
            policy = json.loads(outputs["PolicyText"])
            self.assertEqual(len(policy["Statement"]), statements)

    def test_for_each(self):
        names = {"busybox": "1.37", "memcached": "1.6", "nginx": "1.29"}
        digests = {name: self.upstream(f"{name}:{tag}") for name, tag in names.items()}
        uris = self.deploy("for-each")
        expected = {f"Uri{n}": f"{REGISTRY}/mirror/{n}@{digest}" for n, digest in digests.items()}
        self.assertEqual(uris, expected)

    def test_regions(self):
        digest = self.upstream("busybox:1.37")
        uris = self.deploy("regions")
        hosts = [
            f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com",
            f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com",
            "210987654321.dkr.ecr.us-west-2.amazonaws.com",
        ]
        expected = [f"{host}/mirror/app@{digest}" for host in hosts]
        self.assertEqual(list(uris.values()), expected)

    def test_none_is_left_out(self):
        tested = {name.removeprefix("test_").replace("_", "-") for name in dir(self)}
        tested |= {"replication-source", "replication-destination"}
        # It takes Step Functions: tests/it/state_machine.rs has them.
        tested |= {"mirror"}
        self.assertEqual({path.stem for path in EXAMPLES} - tested, set())

    def test_waits_outlast_the_function(self):
        longest = load(TEMPLATES / "template.yaml")["Parameters"]["Timeout"]["Default"]
        for path in EXAMPLES:
            template = render(path, sample_parameters(path)).template
            for name, resource in template["Resources"].items():
                if resource["Type"].startswith("Custom::"):
                    wait = resource["Properties"]["ServiceTimeout"]
                    self.assertGreater(wait, longest, f"{path.name}: {name}")
                    self.assertLess(wait, 3600, f"{path.name}: {name}")


if __name__ == "__main__":
    unittest.main()
