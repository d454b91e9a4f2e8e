"""The command line in a release: its archive, and a container image of it.

The archive's program loads the C library of the machine. The image's is linked with it, so that it is
alone there: on a machine, a static program of glibc crashes where names are looked up by modules that
fit another glibc.
"""

import gzip
import hashlib
import io
import json
import os
import pathlib
import platform
import re
import shutil
import struct
import subprocess
import tarfile
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
SHELLS = {"bash": "longshore.bash", "zsh": "_longshore", "fish": "longshore.fish"}
LINKERS = {"aarch64-unknown-linux-gnu": "aarch64-linux-gnu-gcc"}
# Who trusts whom, as the machine of the release has it: the image has no other files.
CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
# What OCI calls the architectures.
OCI = {"x86_64": "amd64", "arm64": "arm64"}
# Dates would make each archive another one.
LONG_AGO = "1980-01-01T00:00:00Z"
SECONDS = 315532800
OF_OCI = "application/vnd.oci.image"
PROGRAM = ["--bin", "longshore", "--no-default-features", "--features", "cli"]


def build(target, profile, target_folder):
    """The program of the archive. Returns its path."""
    folder = target_folder / "command-line" / target
    command = ["cargo", "lambda", "build", "--locked", "--profile", profile, *PROGRAM]
    # In the place of what Cargo.toml tells cargo-lambda about the function's profile.
    command += ["--config", f'profile.{profile}.panic="unwind"']
    subprocess.run([*command, "--target", target, "--lambda-dir", folder], cwd=ROOT, check=True)
    # cargo-lambda gives every program this name.
    return folder / "longshore/bootstrap"


def build_static(target, profile, target_folder):
    """The program of the image. Returns its path."""
    command = ["cargo", "rustc", "--locked", "--profile", profile, *PROGRAM]
    environment = dict(os.environ)
    folder = target_folder
    if target != own_target():
        variable = target.upper().replace("-", "_")
        environment[f"CARGO_TARGET_{variable}_LINKER"] = LINKERS[target]
        command += ["--target", target]
        folder /= target
    # They decide how the program is linked: its dependencies are compiled as ever.
    options = ["-C", "target-feature=+crt-static", "-C", "strip=symbols"]
    subprocess.run([*command, "--", *options], cwd=ROOT, env=environment, check=True)
    program = folder / ("debug" if profile == "dev" else profile) / "longshore"
    if needs_loader(program.read_bytes()):
        raise SystemExit(f"{program}: expected a static program")
    # The next build for this machine has the same name.
    kept = target_folder / "static" / target / "longshore"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, kept)
    return kept


def own_target():
    return f"{platform.machine()}-unknown-linux-gnu"


def needs_loader(program):
    """Returns true for an ELF program of 64 bits with a PT_INTERP segment."""
    [headers] = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    kinds = [struct.unpack_from("<I", program, headers + size * each)[0] for each in range(count)]
    return 3 in kinds


def newest_glibc(program):
    """The version of glibc that a program asks for. Returns None for a static one."""
    versions = re.findall(rb"GLIBC_(\d+)\.(\d+)", program)
    return max((tuple(map(int, version)) for version in versions), default=None)


def pack(program, own, name, path):
    """An archive with the program, its licence, completions and manual pages."""
    files = {"longshore": (program.read_bytes(), 0o755)}
    for document in ("LICENSE", "README.md", "CHANGELOG.md"):
        files[document] = ((ROOT / document).read_bytes(), 0o644)
    for shell, file in SHELLS.items():
        completions = subprocess.run([own, "completions", shell], check=True, stdout=subprocess.PIPE)
        files[f"completions/{file}"] = (completions.stdout, 0o644)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([own, "man", folder], check=True, stdout=subprocess.DEVNULL)
        for page in sorted(pathlib.Path(folder).iterdir()):
            files[f"man/man1/{page.name}"] = (page.read_bytes(), 0o644)
    files = {f"{name}/{file}": content for file, content in files.items()}
    path.write_bytes(gzip.compress(tarball(files), mtime=0))


def write_image(programs, own, version, path):
    """An OCI archive with an image for each architecture, written by the program itself."""
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(pathlib.Path(folder) / "layout")
        layout.list([image(layout, *each, version) for each in programs.items()])
        path.unlink(missing_ok=True)
        name = f"localhost/longshore:{version}"
        copy = [own, "copy", "--quiet", f"oci:{layout.root}", f"oci-archive:{path}:{name}"]
        subprocess.run(copy, check=True, stdout=subprocess.DEVNULL)


def image(layout, architecture, program, version):
    """The descriptor of the image of one architecture."""
    certificates = CERTIFICATES.read_bytes()
    files = {
        "longshore": (program.read_bytes(), 0o755),
        str(CERTIFICATES).lstrip("/"): (certificates, 0o644),
    }
    plain = tarball(files)
    layer = layout.keep(gzip.compress(plain, mtime=0), f"{OF_OCI}.layer.v1.tar+gzip")
    config = {
        "created": LONG_AGO,
        "architecture": OCI[architecture],
        "os": "linux",
        "config": {
            "Entrypoint": ["/longshore"],
            "Env": [f"SSL_CERT_FILE={CERTIFICATES}"],
            "Labels": annotations(version),
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
        "history": [{"created": LONG_AGO, "created_by": "scripts/release"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OF_OCI}.manifest.v1+json",
        "config": layout.keep_json(config, f"{OF_OCI}.config.v1+json"),
        "layers": [layer],
        "annotations": annotations(version),
    }
    platform_of = {"architecture": OCI[architecture], "os": "linux"}
    kept = layout.keep_json(manifest, f"{OF_OCI}.manifest.v1+json")
    return kept | {"platform": platform_of}


def annotations(version):
    """What the image says of itself, as Cargo.toml has it."""
    names = {
        "title": PACKAGE["name"],
        "description": PACKAGE["description"],
        "version": version,
        "licenses": PACKAGE["license"],
        "source": PACKAGE["repository"],
        "documentation": PACKAGE["documentation"],
    }
    return {f"org.opencontainers.image.{name}": value for name, value in names.items()}


class Layout:
    """An OCI image layout."""

    def __init__(self, root):
        self.root = root
        (root / "blobs/sha256").mkdir(parents=True)
        (root / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))

    def keep(self, content, media_type):
        (self.root / "blobs" / digest(content).replace(":", "/")).write_bytes(content)
        return {"mediaType": media_type, "digest": digest(content), "size": len(content)}

    def keep_json(self, document, media_type):
        return self.keep(json.dumps(document, separators=(",", ":")).encode(), media_type)

    def list(self, images):
        """Lists one index of all images."""
        index = {
            "schemaVersion": 2,
            "mediaType": f"{OF_OCI}.index.v1+json",
            "manifests": images,
        }
        listed = [self.keep_json(index, f"{OF_OCI}.index.v1+json")]
        (self.root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": listed}))


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tarball(files):
    """A tar of files that are root's and old."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, SECONDS
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
