"""The programs of docs/cdk.md, synthesised."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile

from rendering import ROOT

TOOLS = pathlib.Path(sys.prefix).parent
NODE_MODULES = TOOLS / "npm/node_modules"
LINTER = pathlib.Path(sys.executable).with_name("cfn-lint")


def programs(language):
    """The page's programs in a language, by the names of their stacks."""
    page = (ROOT / "docs/cdk.md").read_text()
    found = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return {re.search(r"Stack\(app, ['\"](\w+)['\"]", text)[1]: text for text in found}


class Folder:
    """Where a program runs: it finds the files there that it names."""

    def __init__(self, case):
        self.path = pathlib.Path(case.enterContext(tempfile.TemporaryDirectory()))
        (self.path / "app.tar").write_bytes(b"an archive")
        with zipfile.ZipFile(self.path / "longshore-x86_64.zip", "w") as archive:
            archive.writestr("bootstrap", b"a program")

    def run(self, *command):
        environment = os.environ | {
            "CDK_OUTDIR": str(self.path / "cdk.out"),
            "NODE_PATH": str(NODE_MODULES),
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        }
        run = subprocess.run(
            command, cwd=self.path, env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stdout + run.stderr

    def typescript(self, text):
        """Checks the types, and runs what comes of it."""
        (self.path / "app.ts").write_text(text)
        options = {
            "strict": True,
            "skipLibCheck": True,
            "target": "es2022",
            "module": "commonjs",
            "moduleResolution": "node10",
            "baseUrl": str(NODE_MODULES),
            "typeRoots": [str(NODE_MODULES / "@types")],
            "types": [],
        }
        config = {"compilerOptions": options, "files": ["app.ts"]}
        (self.path / "tsconfig.json").write_text(json.dumps(config))
        self.run("node", NODE_MODULES / "typescript/bin/tsc", "--project", ".")
        self.run("node", "app.js")

    def python(self, text):
        (self.path / "app.py").write_text(text)
        self.run(sys.executable, "app.py")

    def template(self, stack):
        """What came of a stack, seen by a linter that knows Longshore's properties."""
        path = self.path / f"cdk.out/{stack}.template.json"
        rules = ["--append-rules", ROOT / "docs/schema"]
        # The CDK's own choices: how resources depend, and what is in no property.
        silent = ["--ignore-checks", "W3005", "W3045", "--"]
        run = subprocess.run([LINTER, *rules, *silent, path], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        return json.loads(path.read_text())


def resources(template, kind):
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


class Cdk(unittest.TestCase):
    def test_there_are_as_many_programs_in_each_language(self):
        self.assertEqual(set(programs("typescript")), {"App", "Images"})
        self.assertEqual(set(programs("python")), {"App", "Images"})

    def test_an_image_is_a_resource_on_the_exported_token(self):
        for language in ("typescript", "python"):
            with self.subTest(language):
                folder = Folder(self)
                getattr(folder, language)(programs(language)["App"])
                self.check_image(folder.template("App"))

    def check_image(self, template):
        [(name, image)] = resources(template, "Custom::ECRImage").items()
        self.assertEqual(image["ServiceToken"], {"Fn::ImportValue": "longshore-ServiceToken"})
        self.assertEqual(int(image["ServiceTimeout"]), 960)
        [(repository, _)] = resources(template, "AWS::ECR::Repository").items()
        self.assertIn({"Ref": repository}, image["Destination"]["Fn::Join"][1])
        self.assertRegex(image["Source"]["Fn::Sub"], r"^s3://.*/[0-9a-f]{64}\.tar$")
        [task] = resources(template, "AWS::ECS::TaskDefinition").values()
        self.assertEqual(task["ContainerDefinitions"][0]["Image"], {"Ref": name})
        digest = template["Outputs"]["Digest"]["Value"]
        self.assertEqual(digest, {"Fn::GetAtt": [name, "ImageDigest"]})

    def test_functions_of_deployments_get_the_zip_and_nothing_else(self):
        for language in ("typescript", "python"):
            with self.subTest(language):
                program = programs(language)["Images"]
                without = re.sub(r"^cdk\.Aspects\.of.*$", "", program, flags=re.MULTILINE)
                self.assertNotEqual(without, program)
                before, after = Folder(self), Folder(self)
                getattr(before, language)(without)
                getattr(after, language)(program)
                self.check_zip(before.template("Images"), after.template("Images"), after)

    def check_zip(self, before, after, folder):
        [(name, function)] = resources(after, "AWS::Lambda::Function").items()
        key = function["Code"]["S3Key"]
        self.assertNotEqual(key, before["Resources"][name]["Properties"]["Code"]["S3Key"])
        staged = folder.path / f"cdk.out/asset.{key}"
        self.assertEqual(staged.read_bytes(), (folder.path / "longshore-x86_64.zip").read_bytes())
        self.assertEqual(function.get("Architectures", ["x86_64"]), ["x86_64"])
        self.assertEqual(function["Handler"], "bootstrap")
        # But for the code, the two are the same.
        for template in (before, after):
            changed = template["Resources"][name]
            del changed["Properties"]["Code"]
            for mark in list(changed.get("Metadata", {})):
                if mark.startswith("aws:asset"):
                    del changed["Metadata"][mark]
        self.assertEqual(after, before)


if __name__ == "__main__":
    unittest.main()
