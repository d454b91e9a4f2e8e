"""`sam local invoke` on `longshore local`, with AWS's emulator alone in the place of its container.

SAM reads the template, events/env.json and the event, and makes the function's environment; the
container is only what runs the emulator and the program in that environment.
"""

import contextlib
import glob
import io
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

from rendering import ROOT, TEMPLATES, load
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from test_examples import LONGSHORE

LOCAL = TEMPLATES / "local.yaml"
ENV = ROOT / "events/env.json"
BOOTSTRAP = LONGSHORE.with_name("bootstrap")
READY_WITHIN = 30


class Emulator:
    """What SAM takes for a container runtime."""

    def __init__(self, ports):
        self.ports = ports

    def invoke(self, config, event, *_, stdout, **__):
        environment = {
            name: self.elsewhere(value) for name, value in config.env_vars.resolve().items()
        }
        with listening(self.command, environment) as port:
            url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
            with urllib.request.urlopen(url, event.encode(), timeout=60) as answer:
                stdout.write(answer.read().decode())

    def elsewhere(self, value):
        """The stand-ins of a test are not where a person's are."""
        for usual, port in self.ports.items():
            value = value.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{port}")
        return value

    @staticmethod
    def command(port):
        machine = "arm64" if platform.machine() == "aarch64" else "x86_64"
        pattern = f"{sys.prefix}/lib/*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"
        [emulator] = glob.glob(pattern)
        of_runtime = ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
        of_callers = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        return [emulator, *of_runtime, *of_callers, BOOTSTRAP]


@contextlib.contextmanager
def listening(command, environment):
    """A program that listens on a port; it ends with the context."""
    port = free_port()
    with subprocess.Popen(command(port), cwd=ROOT, env=environment, **QUIET) as child:
        try:
            await_listener(port, child)
            yield port
        finally:
            child.kill()


QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def await_listener(port, child):
    deadline = time.monotonic() + READY_WITHIN
    while True:
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port)).close()
        assert child.poll() is None, f"{child.args} ended"
        assert time.monotonic() < deadline, f"{child.args} is not ready"
        time.sleep(0.02)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def runner(runtime, overrides):
    stacks, _ = SamLocalStackProvider.get_stacks(str(LOCAL))
    functions = SamFunctionProvider(stacks)
    return LocalLambdaRunner(runtime, functions, str(ROOT), str(ROOT), env_vars_values=overrides)


def event(name):
    """A sample event as docs/local.md sends it: without an address to answer to."""
    sent = json.loads((ROOT / f"events/{name}.json").read_text())
    del sent["ResponseURL"]
    return sent


class SamLocalInvoke(unittest.TestCase):
    def setUp(self):
        os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
        kept = self.enterContext(tempfile.TemporaryDirectory())
        ports = {"bucket": free_port(), "api": free_port()}

        def command(port):
            addresses = {"registry": port, **ports}
            options = [f"--{name}=127.0.0.1:{at}" for name, at in addresses.items()]
            return [LONGSHORE, "local", "--data", kept, *options]

        registry = self.enterContext(listening(command, {}))
        self.runtime = Emulator({5000: registry, 5001: ports["bucket"], 5002: ports["api"]})

    def invoke(self, sent, overrides=None):
        stdout = io.StringIO()
        runner(self.runtime, overrides).invoke("Provider", json.dumps(sent), stdout=stdout)
        return json.loads(stdout.getvalue())

    def test_events_are_answered_by_what_the_function_returns(self):
        created = self.invoke(event("create-tarball"))
        self.assertIn("/example@sha256:", created["PhysicalResourceId"])
        updated = self.invoke(event("update-tarball"))
        self.assertEqual(updated["PhysicalResourceId"], created["PhysicalResourceId"])

    def test_a_failure_is_an_error_of_the_function(self):
        sent = event("create-tarball")
        sent["ResourceProperties"]["Source"] = "s3://longshore-example/missing.tar"
        self.assertIn("missing.tar", self.invoke(sent)["errorMessage"])

    def test_env_json_is_for_the_variables_that_the_template_has(self):
        # SAM passes over others without a word.
        overrides = json.loads(ENV.read_text())
        [(name, variables)] = overrides.items()
        declared = load(LOCAL)["Resources"][name]["Properties"]["Environment"]["Variables"]
        self.assertEqual(set(variables), set(declared))
        host = {name: value.replace("127.0.0.1", "host.docker.internal") for name, value in declared.items()}
        self.assertEqual(variables, host)

    def test_env_json_is_heeded(self):
        overrides = json.loads(ENV.read_text())
        with_ports = {
            name: value.replace("host.docker.internal", "127.0.0.1")
            for name, value in overrides["Provider"].items()
        }
        created = self.invoke(event("create-tarball"), {"Provider": with_ports})
        self.assertIn("/example@sha256:", created["PhysicalResourceId"])
        unreadable = {"Provider": with_ports | {"LONGSHORE_REGISTRY_OVERRIDE": "nowhere"}}
        failed = self.invoke(event("create-tarball"), unreadable)["errorMessage"]
        self.assertIn("function is not set up", failed)


if __name__ == "__main__":
    unittest.main()
