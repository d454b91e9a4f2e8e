"""Runs a command where no files are but those of a folder, in a network of its own:

    unshare --net python3 tests/templates/alone.py FOLDER COMMAND...

The network has a name server, by which every name is this machine, and the registry
registry.example, whose repository `app` has one tag.
"""

import fcntl
import http.server
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import threading

CERTIFICATES = pathlib.Path(__file__).resolve().parents[1] / "fixtures/certificates"
HERE = "127.0.0.1"
SET_FLAGS, UP = 0x8914, 1


def main():
    folder, *command = sys.argv[1:]
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))
    start(answer_names, listener(socket.SOCK_DGRAM, 53))
    start(registry().serve_forever)
    return subprocess.run(command, preexec_fn=lambda: enter(folder)).returncode


def enter(folder):
    os.chroot(folder)
    os.chdir("/")


def start(serve, *arguments):
    threading.Thread(target=serve, args=arguments, daemon=True).start()


def listener(kind, port):
    opened = socket.socket(type=kind)
    opened.bind((HERE, port))
    return opened


def answer_names(opened):
    while True:
        query, asker = opened.recvfrom(512)
        end = query.index(0, 12) + 5
        of_ipv4 = query[end - 4 : end - 2] == b"\0\1"
        header = query[:2] + struct.pack(">5H", 0x8180, 1, of_ipv4, 0, 0)
        record = struct.pack(">3HIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(HERE)
        opened.sendto(header + query[12:end] + record * of_ipv4, asker)


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"name": "app", "tags": ["1.0"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def registry():
    server = http.server.ThreadingHTTPServer((HERE, 443), Registry)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "other_name.pem", CERTIFICATES / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


if __name__ == "__main__":
    sys.exit(main())
