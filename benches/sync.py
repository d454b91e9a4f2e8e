#!/usr/bin/env python3
"""Measures `longshore sync` beside `skopeo sync` on the same list of many small images.

Each fills a fresh `docker-registry` from another one, then runs again with nothing to do, and once
more when one tag has moved. The two take turns. CPU time and peak memory are the command's own, as
the kernel counts them (Linux only); requests are what both registries have in their logs.

    cargo build --release --bin longshore
    benches/sync.py                                   # 200 images, the median of five pairs
    benches/sync.py --repositories 2 --tags 3 --runs 1  # a quick look
"""

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import random
import statistics
import sys
import tarfile
import tempfile
import urllib.request

import parts

LONGSHORE = parts.ROOT / "target/release/longshore"
KIB = 1 << 10
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
# What each tool is run on, one after the other.
STATES = ("first", "again", "one tag moved")


def main():
    options = parse_options()
    parts.require({"longshore": options.longshore})
    tools = {"skopeo": skopeo, "longshore": longshore(options)}
    runs = {name: [] for name in tools}
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        directory = pathlib.Path(directory)
        with parts.docker_registry(directory / "source", directory / "source/storage") as source:
            fleet = Fleet(source, options.repositories, options.tags)
            for number in range(options.runs):
                for name, tool in tools.items():
                    place = directory / f"{name}-{number}"
                    runs[name].append(run_once(tool, place, fleet))
    print_table(runs)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repositories", type=int, default=20)
    parser.add_argument("--tags", type=int, default=10, help="of each repository")
    parser.add_argument("--runs", type=int, default=5, help="of each; the median is shown")
    parser.add_argument("--longshore", type=pathlib.Path, default=LONGSHORE)
    parser.add_argument("--directory", type=pathlib.Path, help="where files are kept meanwhile")
    return parser.parse_args()


def print_table(runs):
    parts.print_head("", "", *runs, "ratio", texts=2)
    skopeos, longshores = runs.values()
    for state, figure in skopeos[0]:
        pairs = [(each[state, figure], our[state, figure]) for each, our in zip(skopeos, longshores)]
        medians = [statistics.median(side) for side in zip(*pairs)]
        ratio = statistics.median(our / their for their, our in pairs)
        shown = [f"{median:.0f}" if median >= 100 else f"{median:.3g}" for median in medians]
        parts.print_row(state, figure, *shown, f"{ratio:.2f}")


# The images


class Fleet:
    """Repositories with several tags each, in a registry. Each image has a layer that all have, one
    that its repository's images have, and two of its own."""

    def __init__(self, registry, repositories, tags):
        self.registry = registry
        self.generated = random.Random(1)
        self.images = {}
        base = layer(self.generated, 300 * KIB)
        for repository in range(repositories):
            name = f"team/app-{repository}"
            common = [base, layer(self.generated, 200 * KIB)]
            for tag in range(tags):
                self.images[name, f"1.{tag}"] = self.push_image(name, common)
        self.moving = next(iter(self.images))
        self.moved = self.push_image(self.moving[0], common)
        for (name, tag), manifest in self.images.items():
            self.tag(name, tag, manifest)

    def push_image(self, name, common):
        layers = [*common, *(layer(self.generated, 100 * KIB) for _ in range(2))]
        plain = [sha256(gzip.decompress(each)) for each in layers]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": plain},
        }
        blobs = [(CONFIG, json.dumps(config).encode()), *((LAYER, each) for each in layers)]
        described = [self.push_blob(name, *blob) for blob in blobs]
        return {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described[0],
            "layers": described[1:],
        }

    def push_blob(self, name, kind, content):
        base = f"http://{self.registry.address}/v2/{name}/blobs/uploads/"
        started = urllib.request.Request(base, method="POST", data=b"")
        with urllib.request.urlopen(started) as response:
            place = response.headers["Location"]
        digest = sha256(content)
        put(f"{place}&digest={digest}", "application/octet-stream", content)
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def tag(self, name, tag, manifest):
        url = f"http://{self.registry.address}/v2/{name}/manifests/{tag}"
        put(url, MANIFEST, json.dumps(manifest).encode())

    def move(self, is_moved):
        """Lets one tag name another image, or its own again."""
        self.tag(*self.moving, self.moved if is_moved else self.images[self.moving])

    def names(self):
        """The tags of each repository."""
        names = {}
        for name, tag in self.images:
            names.setdefault(name, []).append(tag)
        return names

    def check(self, destination):
        """Ends the program unless the destination has what the source has."""
        for name, tag in self.images:
            there = destination.manifest(f"mirror/{pathlib.Path(name).name}", tag)
            if there != self.registry.manifest(name, tag):
                sys.exit(f"{name}:{tag} is another image at the destination")


def layer(generated, size):
    """A compressed tar with one file that cannot be compressed."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = size
        archive.addfile(entry, io.BytesIO(generated.randbytes(size)))
    return gzip.compress(plain.getvalue(), 1, mtime=0)


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def put(url, kind, content):
    headers = {"Content-Type": kind}
    request = urllib.request.Request(url, method="PUT", data=content, headers=headers)
    urllib.request.urlopen(request).close()


# The tools


def run_once(tool, directory, fleet):
    """The figures of each state, on a destination that has nothing at first."""
    figures = {}
    with contextlib.ExitStack() as stack:
        destination = parts.docker_registry(directory, directory / "storage")
        destination = stack.enter_context(destination)
        for state in STATES:
            fleet.move(state == STATES[-1])
            ends = [fleet.registry, destination]
            before = sum(len(end.requests()) for end in ends)
            command, environment = tool(directory, fleet, destination)
            measured = parts.measure(command, directory / "command.log", environment)
            measured["requests"] = sum(len(end.requests()) for end in ends) - before
            figures |= {(state, figure): value for figure, value in measured.items()}
            fleet.check(destination)
    return figures


def skopeo(directory, fleet, destination):
    source = {"tls-verify": False, "images": fleet.names()}
    listed = write_list(directory, {fleet.registry.address: source})
    command = ["skopeo", "sync", "--all", "--src", "yaml", "--dest", "docker"]
    command += ["--dest-tls-verify=false", str(listed), f"{destination.address}/mirror"]
    return command, os.environ


def longshore(options):
    def command(directory, fleet, destination):
        entries = [
            {"source": f"{fleet.registry.address}/{name}", "tags": tags}
            for name, tags in fleet.names().items()
        ]
        place = {
            "registry": destination.address,
            "template": "{registry}/mirror/{name}:{tag}",
        }
        listed = write_list(directory, {"defaults": {"destinations": [place]}, "sync": entries})
        environment = os.environ | {"LONGSHORE_ALLOW_LOOPBACK": "1"}
        return [str(options.longshore), "sync", str(listed)], environment

    return command


def write_list(directory, document):
    """Writes JSON, which is YAML too."""
    path = directory / "list.yaml"
    path.write_text(json.dumps(document))
    return path


if __name__ == "__main__":
    main()
