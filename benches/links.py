"""Copies from registry to registry over network links, by Longshore's Lambda, by that of
cdk-ecr-deployment and by skopeo; and the least CPU time that a copy could take."""

import contextlib
import hashlib
import multiprocessing
import os
import pathlib
import socket
import sys
import tempfile

import compare_copy
import parts

# What the least copy reads at once.
PIECE = 256 << 10


def copy_once(copy, storage, link):
    """The figures of one copy, and the CPU time of what shares the processors with it."""
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ends = [
            stack.enter_context(parts.docker_registry(directory / name, content))
            for name, content in [("from", storage), ("to", directory / "storage")]
        ]
        places = [stack.enter_context(link.to(end.address)) for end in ends]
        reached = [
            parts.Registry(address, end.log, end.process)
            for end, (address, _) in zip(ends, places)
        ]
        figures = compare_copy.copy_once(copy, directory / "copy", *reached)
        source, copied = [end.manifest("image", "1.0") for end in ends]
        if source != copied:
            sys.exit("the copy is not the image")
        links = [process for _, process in places if process]
        return figures | {
            "image, MB": sum(each["size"] for each in [source["config"], *source["layers"]]) / 1e6,
            "registries: CPU, s": sum(parts.cpu_seconds(end.process) for end in ends),
            "links: CPU, s": sum(map(parts.cpu_seconds, links)),
        }


def least_cpu(size):
    """CPU seconds of a process that receives so many bytes from a socket, digests them by SHA-256
    and sends them to another socket."""
    context = multiprocessing.get_context("fork")
    (source, receiving), (sending, sink) = connection(), connection()
    told, tell = context.Pipe(duplex=False)
    workers = [
        context.Process(target=send, args=(source, size)),
        context.Process(target=pass_on, args=(receiving, sending, size, tell)),
        context.Process(target=receive, args=(sink, size)),
    ]
    for worker in workers:
        worker.start()
    seconds = told.recv()
    for worker in workers:
        worker.join()
    return seconds


def connection():
    """Both ends of a connection on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        end = socket.create_connection(listener.getsockname())
        return end, listener.accept()[0]


def send(connection, size):
    piece = bytes(PIECE)
    while size:
        size -= connection.send(memoryview(piece)[: min(size, PIECE)])


def pass_on(receiving, sending, size, tell):
    digest, piece = hashlib.sha256(), memoryview(bytearray(PIECE))
    before = sum(os.times()[:2])
    while size:
        length = receiving.recv_into(piece)
        digest.update(piece[:length])
        sending.sendall(piece[:length])
        size -= length
    tell.send(sum(os.times()[:2]) - before)


def receive(connection, size):
    piece = memoryview(bytearray(PIECE))
    while size:
        size -= connection.recv_into(piece)
