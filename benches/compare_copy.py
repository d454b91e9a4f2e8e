#!/usr/bin/env python3
"""Measures a copy from registry to registry by Longshore's Lambda, by the Go Lambda of the npm
package cdk-ecr-deployment and by `skopeo copy`.

Each copies the same image from one `docker-registry` to a fresh one, in turn, the Lambdas under
AWS's Runtime Interface Emulator, and then copies it again, started anew. CPU time and peak memory
are the copying process's own, as the kernel counts them (Linux only); requests are what both
registries have in their logs.

    cargo build --profile function --bin bootstrap --no-default-features --features lambda
    scripts/test                                 # installs the other parts
    benches/compare_copy.py                      # an image of about 350 MB
    benches/compare_copy.py --plain 64 --runs 1  # a quick look
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import archives
import parts


def main():
    options = parse_options()
    parts.require({"cdk-ecr-deployment": options.peer, "longshore": options.bootstrap})
    tools = {
        "skopeo": skopeo,
        "cdk-ecr-deployment": in_lambda(options.peer, parts.peer_event, "docker://"),
        "longshore": in_lambda(options.bootstrap, parts.longshore_event, ""),
    }
    storage = stored_image(options.archives, options.plain, options.layers)
    runs = {name: [] for name in tools}
    for _ in range(options.runs):
        for name, copy in tools.items():
            runs[name].append(run_once(copy, storage))
    print_table(runs)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--plain", type=int, default=850, metavar="MIB", help="size of the uncompressed layers"
    )
    parser.add_argument("--layers", type=int, default=archives.LAYERS)
    parser.add_argument("--runs", type=int, default=5, help="of each; the median is shown")
    parser.add_argument("--bootstrap", type=pathlib.Path, default=parts.BOOTSTRAP)
    parser.add_argument("--peer", type=pathlib.Path, default=parts.PEER)
    parser.add_argument(
        "--archives", type=pathlib.Path, default=archives.KEPT, help="kept between runs"
    )
    return parser.parse_args()


def print_table(runs):
    *peers, _ = runs
    parts.print_head("", *runs, *(f"to {peer}" for peer in peers), texts=1)
    for figure in next(iter(runs.values()))[0]:
        medians = [statistics.median(run[figure] for run in each) for each in runs.values()]
        *others, longshore = medians
        ratios = [f"{longshore / other:.2f}" if other else "" for other in others]
        parts.print_row(figure, *(f"{median:.3g}" for median in medians), *ratios)


def stored_image(directory, plain, layers):
    """The storage of a registry that has an image of so many MiB, its layers compressed by
    `skopeo`."""
    storage = directory / f"registry-{plain}-{layers}"
    if storage.exists():
        return storage
    archive = archives.build(directory, plain, layers)
    with tempfile.TemporaryDirectory(dir=directory) as unfinished:
        unfinished = pathlib.Path(unfinished)
        kept = unfinished / "storage"
        with parts.docker_registry(unfinished, kept) as registry:
            destination = f"docker://{registry.address}/image:1.0"
            command = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false"]
            subprocess.run([*command, f"docker-archive:{archive}", destination], check=True)
        kept.rename(storage)
    return storage


def run_once(copy, storage):
    """Two copies of the image to a registry that has nothing of it at first."""
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ends = [
            stack.enter_context(parts.docker_registry(directory / name, content))
            for name, content in [("from", storage), ("to", directory / "storage")]
        ]
        figures = [copy_once(copy, directory / attempt, *ends) for attempt in ("1", "2")]
        there = [end.manifest("image", "1.0") for end in ends]
        if there[0] != there[1]:
            sys.exit("the copy is not the image")
        size = sum(blob["size"] for blob in [there[0]["config"], *there[0]["layers"]])
        first, second = figures
        return {"image, MB": size / 1e6} | first | {f"again: {name}": second[name] for name in second}


def copy_once(copy, directory, source, destination):
    directory.mkdir()
    before = len(source.requests()) + len(destination.requests())
    figures = copy(directory, source, destination)
    after = len(source.requests()) + len(destination.requests())
    return figures | {"requests": after - before}


def skopeo(directory, source, destination):
    command = ["skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"]
    command += [f"docker://{each.address}/image:1.0" for each in (source, destination)]
    return parts.measure(command, directory / "skopeo.log", os.environ)


def in_lambda(program, event, prefix):
    """A copy by a Lambda, which names its source with `prefix`."""

    def copy(directory, source, destination):
        with parts.serving(parts.Answers()) as answers:
            ends = [source, destination]
            with parts.emulating(program, directory, answers, ends) as invoke:
                names = [f"{end.address}/image:1.0" for end in ends]
                return invoke(*event(prefix + names[0], names[1]))

    return copy


if __name__ == "__main__":
    main()
