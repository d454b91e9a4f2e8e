#!/usr/bin/env python3
"""Copies images that are large in each way, by the command, within the memory of the smallest
Lambda: many bytes, many layers, many tags, many destinations.

Each goes to a fresh `docker-registry` that keeps what it gets in files. The kernel kills what takes
more than the memory (Linux only; control groups need root, or sudo). Peak memory is the process's
own, as the kernel counts it; requests are those in the registry's log.

    cargo build --release --bin longshore
    benches/large.py                                          # 10 GiB: needs 25 GB, takes minutes
    benches/large.py --size 64 --tags 50 --destinations 4     # a quick look
"""

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import tempfile
import time

import parts

MIB = 1 << 20
LONGSHORE = parts.ROOT / "target/release/longshore"
MANY_LAYERS = 127


def main():
    options = parse_options()
    parts.require({"longshore": options.longshore})
    columns = ["MiB", "layers", "tags", "destinations", "time, s", "peak memory, MiB"]
    parts.print_head("", *columns, "read, MiB", "sent, MiB", "requests", texts=1)
    part = max(options.size // 10, MANY_LAYERS)
    for name, size, layers, tags, destinations in [
        ("many bytes", options.size, 20, 1, 1),
        ("many layers", part, MANY_LAYERS, 1, 1),
        ("many tags", 1, 1, options.tags, 1),
        ("many destinations", part, MANY_LAYERS, 1, options.destinations),
    ]:
        with tempfile.TemporaryDirectory(dir=options.directory) as directory:
            directory = pathlib.Path(directory)
            archive = directory / "archive.tar"
            build(archive, size, layers)
            figures = copy(options, directory, archive, tags, destinations)
        parts.print_row(name, *map(str, [size, layers, tags, destinations]), *figures)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=10240, metavar="MIB", help="of the largest")
    parser.add_argument("--tags", type=int, default=1000)
    parser.add_argument("--destinations", type=int, default=16)
    parser.add_argument("--memory", type=int, default=128, metavar="MB")
    parser.add_argument("--longshore", type=pathlib.Path, default=LONGSHORE)
    parser.add_argument("--directory", type=pathlib.Path, help="where files are kept meanwhile")
    return parser.parse_args()


# The archives


def build(path, size, layers):
    """An archive as `docker save` wrote it before version 25, of generated files: half of their
    bytes can be compressed."""
    names, diff_ids = [], []
    generated = random.Random(size)
    pool = generated.randbytes(8 * MIB) + b"".join(generated.choices(WORDS, k=MIB))
    with open(path, "wb") as archive:
        for layer in range(layers):
            names.append(f"{layer}/layer.tar")
            diff_ids.append(write_layer(archive, names[-1], generated, pool, size * MIB // layers))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        manifest = [{"Config": "config.json", "RepoTags": ["example:1.0"], "Layers": names}]
        for name, document in [("config.json", config), ("manifest.json", manifest)]:
            content = json.dumps(document).encode()
            archive.write(header(name, len(content)) + padded(content))
        archive.write(bytes(1024))


WORDS = [word.encode() + b" " for word in "archive blob config digest image index layer tag".split()]


def write_layer(archive, name, generated, pool, size):
    """Writes a tar with one file into the archive; its diff ID."""
    length = max(size // MIB, 1) * MIB
    end = bytes(1024)
    archive.write(header(name, 512 + length + len(end)))
    digest = hashlib.sha256()
    blocks = (block(generated, pool) for _ in range(length // MIB))
    for piece in itertools.chain([header("file", length)], blocks, [end]):
        digest.update(piece)
        archive.write(piece)
    return f"sha256:{digest.hexdigest()}"


def block(generated, pool):
    start = generated.randrange(len(pool) - MIB)
    return generated.randbytes(64) + pool[start : start + MIB - 64]


def header(name, size):
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.USTAR_FORMAT)


def padded(content):
    return content + bytes(-len(content) % 512)


# The copies


def copy(options, directory, archive, tags, destinations):
    """Time, peak memory, bytes and requests."""
    with parts.docker_registry(directory, directory / "storage") as registry:
        places = [f"{registry.address}/image-{number}:0" for number in range(destinations)]
        command = ["copy", "--json", f"docker-archive:{archive}", places[0]]
        command += [word for place in places[1:] for word in ("--to", place)]
        command += [word for tag in range(1, tags) for word in ("--tag", str(tag))]
        seconds, peak, report = run(options, directory, command)
        for number in range(destinations):
            there = [registry.manifest(f"image-{number}", str(tag)) for tag in (0, tags - 1)]
            if there[0] != there[1] or there[0] != registry.manifest("image-0", "0"):
                sys.exit(f"{places[number]} has not the image")
        requests = len(registry.requests()) - 3 * destinations
        read, sent = (f"{report[name] / MIB:.0f}" for name in ("bytes_read", "bytes_uploaded"))
        return f"{seconds:.1f}", f"{peak:.1f}", read, sent, str(requests)


def run(options, directory, command):
    """Seconds and MiB that the command takes within the memory, and what it reports."""
    environment = os.environ | {
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(options.memory),
        "LONGSHORE_ALLOW_LOOPBACK": "1",
    }
    told, log = directory / "longshore.json", directory / "longshore.log"
    with limit(options.memory) as enter, open(told, "wb") as output, open(log, "wb") as errors:
        started = time.monotonic()
        process = subprocess.Popen(
            ["sh", "-c", f'{enter} && exec "$@"', "sh", options.longshore, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=environment,
        )
        peak = 0
        while process.poll() is None:
            with contextlib.suppress(OSError):
                peak = max(peak, parts.peak_memory(process.pid))
            time.sleep(0.02)
        seconds = time.monotonic() - started
    if process.returncode:
        sys.exit(f"longshore ended with {process.returncode}:\n{log.read_text()}")
    return seconds, peak, json.loads(told.read_text())["report"]


@contextlib.contextmanager
def limit(mebibytes):
    """A control group with so much memory, as what a shell says to enter it."""
    sudo = "" if os.geteuid() == 0 else "sudo "

    def root(words):
        subprocess.run(f"{sudo}sh -c '{words}'", shell=True, check=True)

    groups = pathlib.Path("/sys/fs/cgroup")
    file = "memory.max"
    # Linux has two versions of control groups.
    if (groups / "memory").exists():
        groups, file = groups / "memory", "memory.limit_in_bytes"
    else:
        root(f"echo +memory > {groups}/cgroup.subtree_control")
    group = groups / f"longshore-{os.getpid()}"
    root(f"mkdir {group} && echo {mebibytes * MIB} > {group}/{file}")
    try:
        yield f"echo $$ | {sudo}tee {group}/cgroup.procs > /dev/null"
    finally:
        # A group can be removed when the last of its processes has ended.
        root(f"for i in $(seq 50); do rmdir {group} && exit; sleep 0.1; done")


if __name__ == "__main__":
    main()
