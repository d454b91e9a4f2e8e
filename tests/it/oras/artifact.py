"""Artifacts by the Python client of ORAS, printed as their digests.

    artifact.py push NAME:TAG FOLDER   the chart in FOLDER, and the SBOM there as its referrer
    artifact.py pull NAME:TAG FOLDER   the files of an artifact
"""

import pathlib
import sys

import oras.client
import oras.oci

CONFIG = "application/vnd.cncf.helm.config.v1+json"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def main():
    action, target, folder = sys.argv[1:]
    client = oras.client.OrasClient(insecure=True, auth_backend="basic")
    {"push": push, "pull": pull}[action](client, target, pathlib.Path(folder))


def push(client, target, folder):
    chart = push_files(
        client,
        target,
        files=[f"{folder}/chart.tgz:{CHART}"],
        manifest_config=f"{folder}/config.json:{CONFIG}",
    )
    print(chart)
    subject = oras.oci.Subject.from_manifest(client.get_manifest(target))
    assert subject.digest == chart
    sbom = [f"{folder}/sbom.json:application/spdx+json"]
    print(push_files(client, f"{target}-sbom", files=sbom, subject=subject))


def push_files(client, target, **parts):
    answer = client.push(target, disable_path_validation=True, quiet=True, **parts)
    return answer.headers["Docker-Content-Digest"]


def pull(client, target, folder):
    client.pull(target, outdir=str(folder))


main()
