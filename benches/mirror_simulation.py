#!/usr/bin/env python3
"""Measures the plan and the report of a mirror's run by Longshore's Lambda, for fleets of several
sizes. Nothing is copied: the results of the items are written as copies would leave them.

The Lambda runs under AWS's Runtime Interface Emulator. The registries and the bucket are stand-ins
within this program, which answer for as many tags as they are told. CPU time and peak memory are
the Lambda's own, as the kernel counts them (Linux only).

    cargo build --profile function --bin bootstrap --no-default-features --features lambda
    scripts/test                                 # installs the other parts
    benches/mirror_simulation.py                 # up to 50,000 items, the median of three runs
    benches/mirror_simulation.py --sizes 1000 --runs 1   # a quick look

`--plot FILE` draws the figures as SVG. It needs matplotlib, which is among the tools that
`scripts/test` installs: run this program by `target/tools/venv/bin/python`.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import pathlib
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse

import parts

REPOSITORIES = 2
# Tags of a page of a list, as Docker Hub gives at most.
PAGE = 1000
# Of so many images that are missing, one more is there already.
CURRENT_PART = 10
# Of so many items, one fails.
FAILED_PART = 100
BUCKET = "mirror"
FIGURES = ("wall, s", "CPU, s", "peak memory, MiB", "invocations")


def main():
    options = parse_options()
    parts.require({"longshore": options.bootstrap})
    columns = [f"{part}: {figure}" for part in ("plan", "report") for figure in FIGURES]
    parts.print_head("items", *columns, "requests", texts=0)
    measured = {}
    for size in options.sizes:
        runs = [run_once(options.bootstrap, size) for _ in range(options.runs)]
        measured[size] = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        parts.print_row(f"{size:,}", *(shown(value) for value in measured[size].values()))
    if options.plot:
        plot(measured, options.plot)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 25_000, 50_000])
    parser.add_argument("--runs", type=int, default=3, help="of each size; the median is shown")
    parser.add_argument("--plot", type=pathlib.Path, metavar="FILE", help="an SVG of the figures")
    parser.add_argument("--bootstrap", type=pathlib.Path, default=parts.BOOTSTRAP)
    return parser.parse_args()


def shown(value):
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def plot(measured, path):
    import matplotlib.pyplot

    # The same figures give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "longshore"
    figure, panels = matplotlib.pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for panel, name in zip(panels, ("CPU, s", "peak memory, MiB")):
        for part in ("plan", "report"):
            values = [figures[f"{part}: {name}"] for figures in measured.values()]
            panel.plot(list(measured), values, marker="o", label=part)
        panel.set(xlabel="items", ylabel=name, xlim=(0, None), ylim=(0, None))
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})


# The run


def run_once(program, size):
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        world = stack.enter_context(standing_in(size))
        run = {"Bucket": BUCKET, "Id": "run", "Input": {"List": world.list()}}
        with parts.emulator(program, directory, world.bucket_url) as function:
            plan = measured(function, lambda: plan_all(function, run))
        world.write_results()
        # A process of its own, so that its peak is the report's.
        with parts.emulator(program, directory, world.bucket_url) as function:
            report = measured(function, lambda: report_once(function, run))
        world.check(report.pop("answer"))
        plan.pop("answer")
        figures = {"plan": plan, "report": report}
        named = {f"{part}: {name}": each[name] for part, each in figures.items() for name in FIGURES}
        return named | {"requests": world.requests}


def measured(function, work):
    started = time.monotonic()
    invocations, answer = work()
    wall = time.monotonic() - started
    counted = {"wall, s": wall, "invocations": invocations, "answer": answer}
    return parts.usage(function.emulator) | counted


def plan_all(function, run):
    """Plans page after page."""
    cursor, invocations = None, 0
    while cursor or not invocations:
        answer = invoke(function, run, "plan", Cursor=cursor)
        cursor, invocations = answer["Next"], invocations + 1
    return invocations, answer


def report_once(function, run):
    return 1, invoke(function, run, "report", Error=None)


def invoke(function, run, operation, **more):
    event = {"LongshoreVersion": 1, "Operation": operation, "Run": run} | more
    answer = json.loads(function.invoke(event))
    if "errorType" in answer:
        sys.exit(f"{operation} failed: {answer['errorMessage']}")
    return answer


# The stand-ins


@contextlib.contextmanager
def standing_in(size):
    """A world with so many items, served by a thread."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    world = World(size)
    asyncio.run_coroutine_threadsafe(world.start(), loop).result()
    yield world
    asyncio.run_coroutine_threadsafe(world.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)


class World:
    """A registry that images are to be copied from, one that they go to, and a bucket."""

    def __init__(self, size):
        self.missing = size // REPOSITORIES
        self.current = self.missing // CURRENT_PART
        self.tags = [f"1.0.{number:06}" for number in range(self.missing + self.current)]
        self.there = set(self.tags[self.missing :])
        self.objects = {}
        self.requests = 0
        self.servers = []

    async def start(self):
        addresses = []
        for answer in (self.source, self.destination, self.bucket):
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda a=answer: Connection(a), "127.0.0.1", 0)
            self.servers.append(server)
            addresses.append("127.0.0.1:{}".format(server.sockets[0].getsockname()[1]))
        self.source_address, self.destination_address, bucket = addresses
        self.bucket_url = f"http://{bucket}"

    async def stop(self):
        for server in self.servers:
            server.close()

    def list(self):
        place = {"Registry": self.destination_address, "Template": "{registry}/{repository}:{tag}"}
        names = [f"team/app-{number}" for number in range(REPOSITORIES)]
        return {
            "Defaults": {"Destinations": [place]},
            "Prune": {"MaxShare": 10},
            "Sync": [
                {"Source": f"{self.source_address}/{name}", "Tags": {"Semver": ">=1"}}
                for name in names
            ],
        }

    def write_results(self):
        """Leaves of each item what its copy would."""
        planned = [key for key in self.objects if key.startswith("runs/run/items/")]
        for key in planned:
            for number, item in enumerate(json.loads(self.objects[key])):
                result = json.dumps(outcome(item, number % FAILED_PART == 0)).encode()
                self.objects[f"runs/run/results/{item['Id']}.json"] = result

    def check(self, answer):
        """Ends the program unless the report has counted each image."""
        items = self.missing * REPOSITORIES
        told = answer["Copied"] + answer["Failed"], answer["Current"]
        if told != (items, self.current * REPOSITORIES):
            sys.exit(f"the report does not count {items} items: {answer}")

    def source(self, method, path, query, _body):
        self.requests += 1
        repository, what, key = split(path)
        if what == "tags":
            return self.page(path, query.get("last", [""])[0])
        return manifest(repository, key)

    def destination(self, method, path, query, _body):
        self.requests += 1
        repository, what, key = split(path)
        if what == "tags":
            return 200, {}, json.dumps({"name": repository, "tags": sorted(self.there)}).encode()
        if what == "manifests" and key in self.there:
            return manifest(repository, key)
        if not what:
            return 200, {}, b""
        return 404, {}, b""

    def page(self, path, last):
        first = int(last.rpartition(".")[2]) + 1 if last else 0
        tags = self.tags[first : first + PAGE]
        headers = {}
        if first + PAGE < len(self.tags):
            headers["Link"] = f'<{path}?n={PAGE}&last={tags[-1]}>; rel="next"'
        return 200, headers, json.dumps({"name": "app", "tags": tags}).encode()

    def bucket(self, method, path, _query, body):
        self.requests += 1
        key = urllib.parse.unquote(path).removeprefix(f"/{BUCKET}/")
        if method == "PUT":
            self.objects[key] = body
            return 200, {"ETag": '"0"'}, b""
        if method == "GET" and key in self.objects:
            return 200, {"ETag": '"0"'}, self.objects[key]
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, {}, b""
        return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"


def split(path):
    """Repository, kind and name of what a registry is asked for."""
    parts_of_path = path.removeprefix("/v2/").split("/")
    if len(parts_of_path) < 3:
        return "", "", ""
    *repository, what, key = parts_of_path
    return "/".join(repository), what, key


def manifest(repository, key):
    if not key:
        return 200, {}, b""
    digest = hashlib.sha256(f"{repository}:{key}".encode()).hexdigest()
    headers = {
        "Content-Type": "application/vnd.oci.image.manifest.v1+json",
        "Docker-Content-Digest": f"sha256:{digest}",
    }
    return 200, headers, bytes(500)


def outcome(item, is_failed):
    shared = {name: item[name] for name in ("Id", "Entry", "Source", "Digest")}
    shared |= {"Why": item["Reason"], "BytesUploaded": 0, "BytesReused": 0}
    if is_failed:
        reason = f"cannot copy {item['Source']}: the registry does not answer"
        failure = {"Status": "failed", "Error": "Longshore.Unreachable", "Reason": reason}
        return shared | failure
    places = [place["Destination"] for place in item["Properties"]["Destinations"]]
    return shared | {"Status": "copied", "Destinations": places, "BytesUploaded": 1 << 20}


class Connection(asyncio.Protocol):
    """Plain HTTP/1.1, one request after another."""

    def __init__(self, answer):
        self.answer = answer
        self.read = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.read += data
        while (end := self.read.find(b"\r\n\r\n")) >= 0:
            first, *lines = self.read[:end].decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            length = end + 4 + int(headers.get("content-length", 0))
            if "expect" in headers and len(self.read) == end + 4:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if len(self.read) < length:
                return
            body, self.read = self.read[end + 4 : length], self.read[length:]
            self.respond(first.split(" "), body)

    def respond(self, words, body):
        method, target, _ = words
        path, _, query = target.partition("?")
        status, headers, content = self.answer(method, path, urllib.parse.parse_qs(query), body)
        headers = {"Content-Length": str(len(content)), **headers}
        lines = [f"HTTP/1.1 {status} Simulated", *(": ".join(each) for each in headers.items())]
        head = "\r\n".join([*lines, "", ""]).encode()
        self.transport.write(head if method == "HEAD" else head + content)


if __name__ == "__main__":
    main()
