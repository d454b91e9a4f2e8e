#!/usr/bin/env python3
"""Measures Longshore's Lambda beside the Go Lambda of the npm package cdk-ecr-deployment.

Both load the same archive of plain layers from the same stand-in for S3 and push it to a fresh
`docker-registry`, each under AWS's Runtime Interface Emulator, one after the other. CPU time and
peak memory are the Lambda process's own, as the kernel counts them (Linux only).

    cargo build --profile function --bin bootstrap --no-default-features --features lambda
    scripts/test                            # installs the other parts
    benches/compare.py                      # archives of 64 MiB and 1 GiB
    benches/compare.py --sizes 16 --runs 1  # a quick look
    benches/compare.py --sizes 256 --layers 1 --latency 30 --rate 80
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import sys
import tempfile
import time

import archives
import parts


def main():
    options = parse_options()
    lambdas = {
        "cdk-ecr-deployment": (options.peer, parts.peer_event),
        "longshore": (options.bootstrap, parts.longshore_event),
    }
    parts.require({name: program for name, (program, _) in lambdas.items()})
    parts.print_head("", "archive", *lambdas, "ratio", texts=1)
    compare("binary, MB", "", [p.stat().st_size / 1e6 for p, _ in lambdas.values()])
    for size in options.sizes:
        archive = archives.build(options.archives, size, options.layers)
        network = Network(options.latency, options.rate)
        figures = [measure(*each, archive, options.runs, network) for each in lambdas.values()]
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
    parser.add_argument("--layers", type=int, default=archives.LAYERS)
    parser.add_argument("--latency", type=int, metavar="MS", help="of each answer of S3")
    parser.add_argument("--rate", type=int, metavar="MB/S", help="of each connection to S3")
    parser.add_argument("--bootstrap", type=pathlib.Path, default=parts.BOOTSTRAP)
    parser.add_argument("--peer", type=pathlib.Path, default=parts.PEER)
    parser.add_argument(
        "--archives", type=pathlib.Path, default=archives.KEPT, help="kept between runs"
    )
    return parser.parse_args()


def compare(figure, archive, values):
    peer, longshore = values
    parts.print_row(figure, archive, f"{peer:.3g}", f"{longshore:.3g}", f"{longshore / peer:.2f}")


def measure(program, event, archive, runs, network=None):
    """The median of each figure; the diff IDs, which no run changes."""
    figures = [run_once(program, event, archive, network) for _ in range(runs)]
    return {
        figure: value if figure == "diff IDs" else statistics.median(f[figure] for f in figures)
        for figure, value in figures[0].items()
    }


def run_once(program, event, archive, network=None, link=None, limited=None):
    """One deployment's figures. S3 and the registry are reached through a link; the emulator's
    process is held in the context `limited`."""
    network, link = network or Network(), link or parts.Link()
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bucket = stack.enter_context(parts.serving(Bucket(archive, network)))
        registry = stack.enter_context(parts.docker_registry(directory, directory / "storage"))
        before = time.process_time()
        bucket_place, bucket_link = stack.enter_context(link.to(bucket.address))
        place, registry_link = stack.enter_context(link.to(registry.address))
        bucket.url = f"http://{bucket_place}"
        registries = [parts.Registry(place, registry.log, registry.process)]
        invoke = stack.enter_context(parts.emulating(program, directory, bucket, registries))
        if limited:
            stack.enter_context(limited(invoke.emulator.pid))
        kind, properties = event("s3://bucket/archive.tar", f"{place}/image:1.0")
        figures = invoke(kind, properties)
        beside = [process for process in (bucket_link, registry_link, registry.process) if process]
        # This process is S3.
        used = time.process_time() - before + sum(map(parts.cpu_seconds, beside))
        return figures | {"S3, registry, links: CPU, s": used} | pushed(registry, archive)


def pushed(registry, archive):
    manifest = registry.manifest("image", "1.0")
    config = json.loads(registry.blob("image", manifest["config"]["digest"]))
    size = sum(layer["size"] for layer in manifest["layers"])
    return {
        "layers / plain": size / archive.stat().st_size,
        "diff IDs": config["rootfs"]["diff_ids"],
    }


class Network:
    """How S3 is reached: what each answer takes in ms, and each connection carries in MB/s."""

    PIECE = 256 << 10

    def __init__(self, latency=None, rate=None):
        self.latency = (latency or 0) / 1e3
        self.rate = rate and rate * 1e6

    def send(self, connection, file, start, end):
        time.sleep(self.latency)
        started, begin = time.monotonic(), start
        while start < end:
            length = min(end - start, self.PIECE) if self.rate else end - start
            start += os.sendfile(connection.fileno(), file.fileno(), start, length)
            if self.rate:
                due = started + (start - begin) / self.rate
                time.sleep(max(0, due - time.monotonic()))


class Bucket(parts.Answers):
    """One object under any key, and the place of answers."""

    def __init__(self, archive, network):
        super().__init__(BucketRequest)
        self.archive = archive
        self.network = network


class BucketRequest(parts.AnswersRequest):
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
            self.server.network.send(self.connection, file, start, end)


if __name__ == "__main__":
    main()
