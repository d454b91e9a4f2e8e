"""Archives of this machine's own files, to load or to copy."""

import contextlib
import hashlib
import io
import itertools
import json
import os
import pathlib
import sys
import tarfile
import tempfile

import parts

MIB = 1 << 20
LAYERS = 6
KEPT = parts.ROOT / "target/bench"


def build(directory, size, layers=LAYERS):
    """An archive as `docker save` wrote it before version 25, of this machine's own files."""
    path = directory / f"{size}-{layers}.tar"
    if path.exists():
        return path
    directory.mkdir(parents=True, exist_ok=True)
    files = machine_files()
    with tempfile.TemporaryDirectory(dir=directory) as unpacked:
        built = [
            build_layer(pathlib.Path(unpacked) / str(layer), files, size * MIB // layers)
            for layer in range(layers)
        ]
        unfinished = pathlib.Path(unpacked) / "archive"
        with tarfile.open(unfinished, "w") as archive:
            write_image(archive, built)
        unfinished.rename(path)
    return path


def build_repeated(directory, size, base):
    """An archive whose layers have the files of those of a smaller one again and again: a machine
    has too few files for the largest. `size` is a multiple of the smaller archive's, `base`."""
    path = directory / f"{size}-of-{base}.tar"
    if path.exists():
        return path
    unfinished = path.with_suffix(".part")
    names, diff_ids = [], []
    with tarfile.open(build(directory, base)) as source, tarfile.open(unfinished, "w") as archive:
        for entry in source:
            if entry.name.endswith("/layer.tar"):
                names.append(entry.name)
                layer = source.extractfile(entry)
                diff_ids.append(write_repeated(archive, entry.name, layer, size // base))
        write_documents(archive, names, diff_ids)
    unfinished.rename(path)
    return path


def write_repeated(archive, name, layer, times):
    """Writes a layer that has another one's entries so many times; its diff ID."""
    with tarfile.open(fileobj=layer) as entries:
        last = entries.getmembers()[-1]
    length = last.offset_data + -(-last.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    end = bytes(2 * tarfile.BLOCKSIZE)
    written = tarfile.TarInfo(name)
    written.size = times * length + len(end)
    archive.addfile(written)
    digest = hashlib.sha256()
    for piece in itertools.chain(*(pieces(layer, length) for _ in range(times)), [end]):
        digest.update(piece)
        archive.fileobj.write(piece)
    archive.offset += written.size
    return f"sha256:{digest.hexdigest()}"


def pieces(file, length):
    """The first bytes of a file."""
    file.seek(0)
    while piece := file.read(min(length, MIB)):
        length -= len(piece)
        yield piece


def described_first(path):
    """The same archive with its documents before its layers."""
    ordered = path.with_name(f"{path.stem}-first.tar")
    if ordered.exists():
        return ordered
    unfinished = ordered.with_suffix(".part")
    with tarfile.open(path) as archive, tarfile.open(unfinished, "w") as written:
        for entry in sorted(archive, key=lambda entry: not entry.name.endswith(".json")):
            written.addfile(entry, archive.extractfile(entry))
    unfinished.rename(ordered)
    return ordered


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
    write_documents(archive, names, diff_ids)


def write_documents(archive, names, diff_ids):
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
