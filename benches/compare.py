#!/usr/bin/env python3
"""Measures Longshore's Lambda beside the Go Lambda of the npm package cdk-ecr-deployment.

Both load the same archive of plain layers from the same stand-in for S3 and push it to a fresh
`docker-registry`, each under AWS's Runtime Interface Emulator, one after the other. CPU time and
peak memory are the Lambda process's own, as the kernel counts them (Linux only).

    cargo build --release --bin bootstrap
    scripts/test                            # installs the other parts
    benches/compare.py                      # archives of 64 MiB and 1 GiB
    benches/compare.py --sizes 16 --runs 1  # a quick look
"""

import argparse
import contextlib
import hashlib
import http.server
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = pathlib.Path(os.environ.get("LONGSHORE_TEST_TOOLS", ROOT / "target/tools"))
MIB = 1 << 20
LAYERS = 6
READY_WITHIN = 30
INVOKED_WITHIN = 900


def main():
    options = parse_options()
    lambdas = {
        "cdk-ecr-deployment": (options.peer, peer_event),
        "longshore": (options.bootstrap, longshore_event),
    }
    for name, (program, _) in lambdas.items():
        if not program.exists():
            sys.exit(f"{program} ({name}) is missing: see the top of {__file__}")
    print_row("", "archive", *lambdas, "ratio")
    print_row("---", "---:", *("---:" for _ in lambdas), "---:")
    compare("binary, MB", "", [p.stat().st_size / 1e6 for p, _ in lambdas.values()])
    for size in options.sizes:
        archive = build_archive(options.archives, size)
        figures = [measure(*each, archive, options.runs) for each in lambdas.values()]
        if figures[0].pop("diff IDs") != figures[1].pop("diff IDs"):
            sys.exit("the two images differ")
        for figure in figures[0]:
            compare(figure, f"{size} MiB", [each[figure] for each in figures])


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 1024], metavar="MIB")
    parser.add_argument("--runs", type=int, default=3, help="of each; the median is shown")
    parser.add_argument("--bootstrap", type=pathlib.Path, default=ROOT / "target/release/bootstrap")
    parser.add_argument(
        "--peer",
        type=pathlib.Path,
        default=TOOLS / "npm/node_modules/cdk-ecr-deployment/lambda-bin/bootstrap",
    )
    parser.add_argument(
        "--archives", type=pathlib.Path, default=ROOT / "target/bench", help="kept between runs"
    )
    return parser.parse_args()


def print_row(*cells):
    print("|", " | ".join(cells), "|", flush=True)


def compare(figure, archive, values):
    peer, longshore = values
    print_row(figure, archive, f"{peer:.3g}", f"{longshore:.3g}", f"{longshore / peer:.2f}")


def peer_event(source, destination):
    return "Custom::CDKECRDeployment", {
        "SrcImage": source,
        "DestImage": f"docker://{destination}",
    }


def longshore_event(source, destination):
    return "Custom::ECRImage", {"Source": source, "Destination": destination}


# Archives


def build_archive(directory, size):
    """An archive as `docker save` wrote it before version 25, of this machine's own files."""
    path = directory / f"{size}.tar"
    if path.exists():
        return path
    directory.mkdir(parents=True, exist_ok=True)
    files = machine_files()
    with tempfile.TemporaryDirectory(dir=directory) as parts:
        layers = [
            build_layer(pathlib.Path(parts) / str(layer), files, size * MIB // LAYERS)
            for layer in range(LAYERS)
        ]
        unfinished = pathlib.Path(parts) / "archive"
        with tarfile.open(unfinished, "w") as archive:
            write_image(archive, layers)
        unfinished.rename(path)
    return path


def machine_files():
    """Regular files of the usual places, in an order that mixes them and never changes."""
    roots = ["/usr/bin", "/usr/lib", "/usr/share", "/usr/local", "/opt", sys.prefix]
    found = set()
    for root in roots:
        for directory, _, names in os.walk(root):
            found.update(os.path.join(directory, name) for name in names)
    return iter(sorted(found, key=lambda path: hashlib.sha256(os.fsencode(path)).digest()))


def build_layer(path, files, size):
    with tarfile.open(path, "w") as layer:
        while layer.offset < size:
            file = next(files, None)
            if file is None:
                sys.exit("this machine has too few files for an archive of that size")
            with contextlib.suppress(OSError):
                if os.path.isfile(file) and not os.path.islink(file):
                    if os.path.getsize(file) <= size - layer.offset + MIB:
                        layer.add(file, filter=plain)
    return path


def plain(entry):
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def write_image(archive, layers):
    names, diff_ids = [], []
    for path in layers:
        digest = file_digest(path)
        diff_ids.append(f"sha256:{digest}")
        names.append(f"{digest}/layer.tar")
        archive.add(path, names[-1], filter=plain)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": ["example:1.0"], "Layers": names}]
    for name, content in [(config_name, config), ("manifest.json", json.dumps(manifest).encode())]:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


def file_digest(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(MIB):
            digest.update(chunk)
    return digest.hexdigest()


# Measuring


def measure(program, event, archive, runs):
    """The median of each figure; the diff IDs, which no run changes."""
    figures = [run_once(program, event, archive) for _ in range(runs)]
    return {
        figure: value if figure == "diff IDs" else statistics.median(f[figure] for f in figures)
        for figure, value in figures[0].items()
    }


def run_once(program, event, archive):
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bucket = stack.enter_context(serving(archive))
        registry = stack.enter_context(docker_registry(directory))
        emulator, invoke = stack.enter_context(emulating(program, directory, bucket, registry))
        kind, properties = event("s3://bucket/archive.tar", f"{registry}/image:1.0")
        started = time.monotonic()
        invoke(kind, properties)
        seconds = time.monotonic() - started
        answer = bucket.answers[0]
        if answer["Status"] != "SUCCESS":
            sys.exit(f"{program} failed: {answer['Reason']}")
        return usage(emulator) | {"wall, s": seconds} | pushed(registry, archive)


def usage(emulator):
    """CPU and peak memory of the process that the emulator runs."""
    children = pathlib.Path(f"/proc/{emulator.pid}/task").glob("*/children")
    (process,) = " ".join(path.read_text() for path in children).split()
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return {
        "CPU, s": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        "peak memory, MiB": int(re.search(r"VmHWM:\s*(\d+)", status)[1]) / 1024,
    }


def pushed(registry, archive):
    manifest = fetch(f"http://{registry}/v2/image/manifests/1.0")
    config = fetch(f"http://{registry}/v2/image/blobs/{manifest['config']['digest']}")
    size = sum(layer["size"] for layer in manifest["layers"])
    return {
        "layers / plain": size / archive.stat().st_size,
        "diff IDs": config["rootfs"]["diff_ids"],
    }


def fetch(url):
    accept = ", ".join(
        [
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.oci.image.manifest.v1+json",
        ]
    )
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


# The parts


class Bucket(http.server.ThreadingHTTPServer):
    """One object under any key, and the place that CloudFormation's answers are put."""

    daemon_threads = True

    def __init__(self, archive):
        super().__init__(("127.0.0.1", 0), BucketRequest)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.archive = archive
        self.answers = []


class BucketRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answers.append(json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self):
        self.send_object(lambda *_: None)

    def do_GET(self):
        self.send_object(self.send_range)

    def send_object(self, send_body):
        with open(self.server.archive, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            end = min(int(asked[2]) + 1, size) if asked and asked[2] else size
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            self.send_header("Content-Length", str(end - start))
            self.send_header("ETag", '"archive"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            send_body(file, start, end)

    def send_range(self, file, start, end):
        with contextlib.suppress(ConnectionError):
            while start < end:
                start += os.sendfile(self.connection.fileno(), file.fileno(), start, end - start)


@contextlib.contextmanager
def serving(archive):
    with Bucket(archive) as bucket:
        threading.Thread(target=bucket.serve_forever, daemon=True).start()
        yield bucket
        bucket.shutdown()


@contextlib.contextmanager
def docker_registry(directory):
    address = free_address()
    config = directory / "registry.json"
    storage = {"filesystem": {"rootdirectory": str(directory / "registry")}}
    log = {"level": "error", "accesslog": {"disabled": True}}
    config.write_text(
        json.dumps({"version": "0.1", "log": log, "storage": storage, "http": {"addr": address}})
    )
    with running(["docker-registry", "serve", config], directory / "registry.log"):
        wait_for(address)
        yield address


@contextlib.contextmanager
def emulating(program, directory, bucket, registry):
    """AWS's emulator with a Lambda, and a function that sends it a Create."""
    # Plain HTTP to the registry, in the words of each side.
    settings = directory / ".config/containers/registries.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "example",
        "AWS_ENDPOINT_URL": bucket.url,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(INVOKED_WITHIN),
        "AWS_REGION": "eu-west-1",
        "AWS_SECRET_ACCESS_KEY": "example",
        "HOME": str(directory),
        "LONGSHORE_ALLOW_LOOPBACK": "1",
    }
    address = free_address()
    command = [emulator_program(), "--runtime-interface-emulator-address", address]
    command += ["--runtime-api-address", free_address(), program]

    def invoke(kind, properties):
        event = {
            "RequestType": "Create",
            "RequestId": "bench",
            "ResponseURL": f"{bucket.url}/answer",
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/bench/1",
            "LogicalResourceId": "Image",
            "ResourceType": kind,
            "ResourceProperties": properties | {"ServiceToken": "bench"},
        }
        url = f"http://{address}/2015-03-31/functions/function/invocations"
        request = urllib.request.Request(url, data=json.dumps(event).encode())
        with urllib.request.urlopen(request, timeout=INVOKED_WITHIN) as response:
            response.read()
        if not bucket.answers:
            sys.exit(f"{program} did not answer:\n{(directory / 'lambda.log').read_text()}")

    with running(command, directory / "lambda.log", environment) as process:
        wait_for(address)
        yield process, invoke


def emulator_program():
    pattern = f"venv/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{architecture()}"
    found = next(TOOLS.glob(pattern), None)
    return found or sys.exit(f"{TOOLS / pattern} is missing: run scripts/test")


def architecture():
    return "arm64" if os.uname().machine in ("aarch64", "arm64") else "x86_64"


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


if __name__ == "__main__":
    main()
