"""What the measurements are made with: registries, AWS's emulator with a Lambda in it, the place
that CloudFormation's answers are put, and the table."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = pathlib.Path(os.environ.get("LONGSHORE_TEST_TOOLS", ROOT / "target/tools"))
BOOTSTRAP = ROOT / "target/function/bootstrap"
LINK = ROOT / "target/release/examples/link"
PEER = TOOLS / "npm/node_modules/cdk-ecr-deployment/lambda-bin/bootstrap"
READY_WITHIN = 30
INVOKED_WITHIN = 900


# The table


def print_row(*cells):
    print("|", " | ".join(cells), "|", flush=True)


def print_head(*columns, texts):
    """The table's head, whose first `texts` columns hold words and not figures."""
    print_row(*columns)
    print_row(*("---" if place < texts else "---:" for place in range(len(columns))))


def require(programs):
    """Ends the program where another one, given by name and path, is missing."""
    for name, program in programs.items():
        if not program.exists():
            sys.exit(f"{program} ({name}) is missing: see the top of {sys.argv[0]}")


# The place of answers


class Answers(http.server.ThreadingHTTPServer):
    """The place that CloudFormation's answers are put."""

    daemon_threads = True

    def __init__(self, handler=None):
        super().__init__(("127.0.0.1", 0), handler or AnswersRequest)
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.address}"
        self.answers = []


class AnswersRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A body would wait for the acknowledgement of its headers.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answers.append(json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextlib.contextmanager
def serving(server):
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


# Registries


class Registry:
    """A running `docker-registry`."""

    def __init__(self, address, log, process):
        self.address = address
        self.log = log
        self.process = process

    def requests(self):
        """The requests so far, as lines of its log."""
        return [line for line in self.log.read_text().splitlines() if " /v2/" in line]

    def manifest(self, repository, tag):
        accept = [
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.oci.image.manifest.v1+json",
        ]
        url = f"http://{self.address}/v2/{repository}/manifests/{tag}"
        return json.loads(fetch(url, {"Accept": ", ".join(accept)}))

    def blob(self, repository, digest):
        return fetch(f"http://{self.address}/v2/{repository}/blobs/{digest}")


def fetch(url, headers=None):
    request = urllib.request.Request(url, headers=headers or {})
    with urllib.request.urlopen(request) as response:
        return response.read()


@contextlib.contextmanager
def docker_registry(directory, storage):
    """A registry with its own files in `directory`, and its content in `storage`."""
    address = free_address()
    directory.mkdir(parents=True, exist_ok=True)
    config, log = directory / "registry.json", directory / "registry.log"
    settings = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        "http": {"addr": address},
    }
    config.write_text(json.dumps(settings))
    with running(["docker-registry", "serve", config], log) as process:
        wait_for(address)
        yield Registry(address, log, process.pid)


# Links


class Link:
    """A network link: its round trip in ms, and what a connection carries in MB/s, without a limit
    where it is `None`."""

    def __init__(self, round_trip=0, rate=None, program=LINK):
        self.program = program
        self.words = [str(round_trip), *([str(rate)] if rate else [])]
        self.is_direct = not (round_trip or rate)

    @contextlib.contextmanager
    def to(self, address):
        """The address at which another one is reached through the link, and the link's process."""
        if self.is_direct:
            yield address, None
            return
        command = [self.program, address, *self.words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process.stdout.readline().strip(), process.pid
            finally:
                process.kill()


# Lambdas


@contextlib.contextmanager
def emulating(program, directory, answers, registries):
    """AWS's emulator with a Lambda, and a function that sends it a Create. The emulator's process
    is the function's attribute of that name."""
    # Plain HTTP to the registries, in the words of each side.
    settings = directory / ".config/containers/registries.conf"
    settings.parent.mkdir(parents=True)
    insecure = '[[registry]]\nlocation = "{}"\ninsecure = true\n'
    settings.write_text("".join(insecure.format(each.address) for each in registries))
    def invoke(kind, properties):
        event = {
            "RequestType": "Create",
            "RequestId": "bench",
            "ResponseURL": f"{answers.url}/answer",
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/bench/1",
            "LogicalResourceId": "Image",
            "ResourceType": kind,
            "ResourceProperties": properties | {"ServiceToken": "bench"},
        }
        started = time.monotonic()
        function.invoke(event)
        seconds = time.monotonic() - started
        if not answers.answers:
            sys.exit(f"{program} did not answer:\n{(directory / 'lambda.log').read_text()}")
        answer = answers.answers.pop()
        if answer["Status"] != "SUCCESS":
            sys.exit(f"{program} failed: {answer['Reason']}")
        used = usage(function.emulator) | {"wall, s": seconds}
        return used | phases(directory / "lambda.log")

    with emulator(program, directory, answers.url) as function:
        invoke.emulator = function.emulator
        yield invoke


class Function:
    """A Lambda under AWS's emulator."""

    def __init__(self, address, process):
        self.url = f"http://{address}/2015-03-31/functions/function/invocations"
        self.emulator = process

    def invoke(self, event):
        """What the Lambda returns."""
        request = urllib.request.Request(self.url, data=json.dumps(event).encode())
        with urllib.request.urlopen(request, timeout=INVOKED_WITHIN) as response:
            return response.read()


@contextlib.contextmanager
def emulator(program, directory, aws):
    """AWS's emulator with a Lambda, for which all of AWS is at one URL. Its log is in the
    directory."""
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "example",
        "AWS_ENDPOINT_URL": aws,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(INVOKED_WITHIN),
        "AWS_REGION": "eu-west-1",
        "AWS_SECRET_ACCESS_KEY": "example",
        "HOME": str(directory),
        "LONGSHORE_ALLOW_LOOPBACK": "1",
        "LONGSHORE_DESTINATION_REGISTRIES": "any",
    }
    address = free_address()
    command = [emulator_program(), "--runtime-interface-emulator-address", address]
    command += ["--runtime-api-address", free_address(), program]
    with running(command, directory / "lambda.log", environment) as process:
        wait_for(address)
        yield Function(address, process)


def usage(emulator):
    """CPU and peak memory of the process that the emulator runs."""
    children = pathlib.Path(f"/proc/{emulator.pid}/task").glob("*/children")
    (process,) = " ".join(path.read_text() for path in children).split()
    return {"CPU, s": cpu_seconds(process), "peak memory, MiB": peak_memory(process)}


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def phases(log):
    """The seconds of each phase by the last closing line in a log of Longshore's Lambda; none of
    another program."""
    closing = {}
    for line in log.read_text().splitlines():
        if line.startswith("{") and '"message":"done"' in line:
            closing = json.loads(line)
    return {name: value for name, value in closing.items() if name.startswith("seconds_")}


def peak_memory(process):
    """Of a process, in MiB; 0 once it has ended."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    peak = re.search(r"VmHWM:\s*(\d+)", status)
    return int(peak[1]) / 1024 if peak else 0


def emulator_program():
    pattern = f"venv/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{architecture()}"
    found = next(TOOLS.glob(pattern), None)
    return found or sys.exit(f"{TOOLS / pattern} is missing: run scripts/test")


def architecture():
    return "arm64" if os.uname().machine in ("aarch64", "arm64") else "x86_64"


def peer_event(source, destination):
    return "Custom::CDKECRDeployment", {
        "SrcImage": source,
        "DestImage": f"docker://{destination}",
    }


def longshore_event(source, destination):
    return "Custom::ECRImage", {"Source": source, "Destination": destination}


# Processes


@contextlib.contextmanager
def running(command, log, environment=None):
    if shutil.which(command[0]) is None:
        sys.exit(f"{command[0]} is missing: run scripts/test")
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def measure(command, log, environment):
    """CPU and wall time and peak memory of a command, which must succeed."""
    with open(log, "wb") as output:
        redirected = [(os.POSIX_SPAWN_DUP2, output.fileno(), stream) for stream in (1, 2)]
        started = time.monotonic()
        process = os.posix_spawnp(command[0], command, environment, file_actions=redirected)
        peak = 0
        # The kernel's own figure at the end counts this program too, which the process was forked of.
        while not (ended := os.wait4(process, os.WNOHANG))[0]:
            peak = peak_memory(process) or peak
            time.sleep(0.01)
    _, status, used = ended
    if status:
        sys.exit(f"{command[0]} failed: {status}\n{pathlib.Path(log).read_text()}")
    return {
        "CPU, s": used.ru_utime + used.ru_stime,
        "peak memory, MiB": peak,
        "wall, s": time.monotonic() - started,
    }


def free_address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def wait_for(address):
    host, port = address.split(":")
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            return socket.create_connection((host, int(port))).close()
        except OSError:
            if time.monotonic() > deadline:
                sys.exit(f"nothing listens on {address}")
            time.sleep(0.02)
