#!/usr/bin/env python3
"""Measures how long the Lambdas of Longshore and of the npm package cdk-ecr-deployment take from the
start of their process to their first request for an event.

A stand-in for Lambda's runtime API notes when that request comes, and ends the process. Both start
in turn, so that what else the machine does is the same for both. CPU time is that of the process up
to its end.

    cargo build --profile function --bin bootstrap --no-default-features --features lambda
    scripts/test                            # installs the Go Lambda
    benches/start.py                        # the median of 40 starts
    benches/start.py --json
"""

import argparse
import json
import os
import pathlib
import signal
import socket
import statistics
import sys
import tempfile
import time

import parts

NEXT = b"GET /2018-06-01/runtime/invocation/next "
FIGURES = ("wall, ms", "CPU, ms")


def main():
    options = parse_options()
    programs = {"Go Lambda": options.peer, "Longshore": options.bootstrap}
    parts.require(programs)
    starts = {name: [] for name in programs}
    with socket.create_server(("127.0.0.1", 0)) as api:
        api.settimeout(parts.READY_WITHIN)
        # The first start of each reads the program from the disk.
        for number in range(options.runs + 1):
            for name, program in programs.items():
                figures = start(program, api)
                if number > 0:
                    starts[name].append(figures)
    show({name: median(figures) for name, figures in starts.items()}, options)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=40, help="of each; the median is shown")
    parser.add_argument("--json", action="store_true", help="in the place of the table")
    parser.add_argument("--bootstrap", type=pathlib.Path, default=parts.BOOTSTRAP)
    parser.add_argument("--peer", type=pathlib.Path, default=parts.PEER)
    return parser.parse_args()


def start(program, api):
    """The time until a process of the program asks for an event, and the CPU time that it took."""
    with tempfile.TemporaryFile() as log:
        redirected = [(os.POSIX_SPAWN_DUP2, log.fileno(), stream) for stream in (1, 2)]
        began = time.monotonic()
        process = os.posix_spawn(
            program, [str(program)], environment(api), file_actions=redirected
        )
        try:
            ended = polled(api)
        except TimeoutError:
            log.seek(0)
            sys.exit(f"{program} asks for no event: {log.read().decode()}")
        finally:
            os.kill(process, signal.SIGKILL)
            used = os.wait4(process, 0)[2]
    return {
        "wall, ms": (ended - began) * 1000,
        "CPU, ms": (used.ru_utime + used.ru_stime) * 1000,
    }


def polled(api):
    """When a request for an event has come. It gets no answer."""
    connection, _ = api.accept()
    with connection:
        connection.settimeout(parts.READY_WITHIN)
        request = connection.recv(4096)
        ended = time.monotonic()
    if not request.startswith(NEXT):
        sys.exit(f"expected a request for an event, got {request.decode()}")
    return ended


def environment(api):
    """What Lambda gives a function."""
    return {
        "AWS_ACCESS_KEY_ID": "example",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_FUNCTION_NAME": "start",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/start",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        "AWS_LAMBDA_RUNTIME_API": "{}:{}".format(*api.getsockname()),
        "AWS_REGION": "eu-west-1",
        "AWS_SECRET_ACCESS_KEY": "example",
        "PATH": os.environ["PATH"],
        "_HANDLER": "bootstrap",
    }


def median(figures):
    return {name: statistics.median(one[name] for one in figures) for name in FIGURES}


def show(medians, options):
    peer, own = medians["Go Lambda"], medians["Longshore"]
    ratios = {name: own[name] / peer[name] for name in FIGURES}
    if options.json:
        print(json.dumps(medians | {"ratio": ratios, "runs": options.runs}))
        return
    parts.print_head("", "Go Lambda", "Longshore", "ratio", texts=1)
    for name in FIGURES:
        parts.print_row(name, f"{peer[name]:.1f}", f"{own[name]:.1f}", f"{ratios[name]:.2f}")


if __name__ == "__main__":
    main()
