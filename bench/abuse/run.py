#!/usr/bin/env python3
"""Attacks a `jackfield serve` of its own on loopback, within bounds; see README.md."""

import argparse
import base64
import json
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Two networks of /24, both of this machine.
ATTACKER, HONEST = "127.0.0.1", "127.0.9.1"
# A handshake, a packet or a pause is given up after this.
PATIENCE = 5


def main():
    options = arguments()
    rows = []
    for name in options.attack:
        with Server(options) as server:
            rows.append(measure(server, name, ATTACKS[name], options.seconds))
            print(line(rows[-1]), flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))
    bad = [f"{row['attack']}: {fault}" for row in rows for fault in row["faults"]]
    if bad:
        sys.exit("\n".join(bad))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attack", nargs="*", choices=list(ATTACKS), default=list(ATTACKS))
    parser.add_argument("--seconds", type=float, default=4, help="how long an attack is held")
    parser.add_argument("--binary", default=str(ROOT / "target/release/jackfield"))
    parser.add_argument("--address-space", type=int, default=0, help="limit of the server, in MiB")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


class Server:
    """A server with its defaults on a free port."""

    def __init__(self, options):
        self.options = options

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory()
        command = [self.options.binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", self.home.name]
        limit = self.options.address_space
        if limit:
            command = ["sh", "-c", f'ulimit -v {limit * 1024}; exec "$0" "$@"', *command]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.port = int(re.search(r":(\d+)", self.process.stdout.readline()).group(1))
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)
        self.home.cleanup()

    def memory(self):
        """Resident memory in MB."""
        text = Path(f"/proc/{self.process.pid}/statm").read_text()
        return int(text.split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6

    def connect(self, source=ATTACKER, window=None):
        stream = socket.socket()
        if window:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        stream.settimeout(PATIENCE)
        stream.bind((source, 0))
        stream.connect((ATTACKER, self.port))
        return stream


class Honest(threading.Thread):
    """Asks for a Binding each 10 ms and says something in a room each 50 ms, from a network of its own."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.ends = server, threading.Event()
        self.binding, self.signaling, self.lost = [], [], 0

    def run(self):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((HONEST, 0))
        udp.settimeout(1)
        room = Room(self.server, HONEST, "honest")
        beat = 0
        while not self.ends.wait(0.01):
            request = struct.pack("!HHI", 1, 0, 0x2112A442) + os.urandom(12)
            begin = time.perf_counter()
            try:
                udp.sendto(request, (ATTACKER, self.server.port))
                while udp.recv(2048)[8:20] != request[8:]:
                    pass
                self.binding.append(time.perf_counter() - begin)
            except OSError:
                self.lost += 1
            beat += 1
            if beat % 5 == 0:
                begin = time.perf_counter()
                try:
                    room.echo(str(beat))
                    self.signaling.append(time.perf_counter() - begin)
                except (OSError, ValueError):
                    self.lost += 1
                    room = Room(self.server, HONEST, "honest")


class Room:
    """A member of a room, over WebSocket."""

    def __init__(self, server, source, room, name=None, window=None):
        self.stream = server.connect(source, window)
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream.sendall(
            f"GET /signal HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self.input = self.stream.makefile("rb")
        if b" 101 " not in self.input.readline():
            raise OSError("no WebSocket")
        while self.input.readline().strip():
            pass
        self.name = name or f"member-{os.urandom(4).hex()}"
        self.say({"type": "join", "room": room, "name": self.name})

    def say(self, message):
        text = json.dumps(message).encode()
        self.stream.sendall(frame(text))
        return len(text)

    def read(self):
        head = self.input.read(2)
        if len(head) < 2 or head[0] & 0xF == 8:
            raise OSError("closed")
        length = head[1] & 0x7F
        if length > 125:
            size = 2 if length == 126 else 8
            length = int.from_bytes(self.input.read(size), "big")
        return json.loads(self.input.read(length) or "null")

    def echo(self, text):
        """Says something to itself, and waits for it."""
        self.say({"type": "message", "target": self.name, "text": text})
        while self.read().get("text") != text:
            pass


def frame(text):
    head = b"\x81"
    if len(text) < 126:
        head += bytes([0x80 | len(text)])
    else:
        head += b"\xfe" + struct.pack("!H", len(text))
    return head + b"\0\0\0\0" + text


def http(stream, method, path, body=b"", headers=""):
    """Makes a request on a connection that stays open; returns the body of the answer."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    stream.sendall(head.encode() + body)
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = stream.recv(65536)
        if not more:
            raise OSError("closed")
        answer += more
    head, rest = answer.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    while len(rest) < length:
        rest += stream.recv(65536)
    return rest.decode()


POLLING = "/socket.io/?EIO=4&transport=polling"


def session(server, stream, headers=""):
    return json.loads(http(stream, "GET", POLLING, headers=headers)[1:])["sid"]


def small_acks(server):
    """POSTs of 160,000 acknowledgements of nothing, for a session each."""
    body = b"\x1e".join([b"431[]"] * 160_000)
    return many_posts(server, 10, body)


def refusals(server):
    """POSTs that ask for namespaces that do not exist; nobody reads the refusals."""
    body = b"\x1e".join([b"40/N,"] * 160_000)
    return many_posts(server, 10, body)


def many_posts(server, sessions, body):
    sent, kept = 0, []
    for _ in range(sessions):
        stream = server.connect()
        kept.append(stream)
        path = f"{POLLING}&sid={session(server, stream)}"
        http(stream, "POST", path, b"40")
        http(stream, "POST", path, body)
        sent += len(body)
    return sent, kept


def handshakes(server):
    """10,000 handshakes of sessions that are never used, over one connection."""
    stream = server.connect()
    for _ in range(10_000):
        http(stream, "GET", POLLING)
    return 10_000 * 100, [stream]


def headers(server):
    """Handshakes with headers of 30 KB each."""
    stream = server.connect()
    filler = "".join(f"x-{number}: {'y' * 90}\r\n" for number in range(300))
    for _ in range(500):
        try:
            session(server, stream, filler)
        except (OSError, ValueError, AttributeError):
            stream = server.connect()
    return 500 * len(filler), [stream]


def fan_out(server):
    """A talker in a room of members that read nothing."""
    silent = [Room(server, ATTACKER, "crowd", window=4096) for _ in range(40)]
    sent = 0
    for number in range(8):
        try:
            talker = Room(server, ATTACKER, "crowd")
            for _ in range(20):
                sent += talker.say({"type": "message", "room": "crowd", "text": "z" * 40_000})
                time.sleep(0.02)
            silent.append(talker)
        except OSError:
            continue
    return sent, silent


def renames(server):
    """Renames of a member of eight rooms with forty readers."""
    crowd = [Room(server, ATTACKER, f"room-{number % 8}") for number in range(40)]
    member, sent = Room(server, ATTACKER, "room-0"), 0
    for number in range(400):
        try:
            sent += member.say({"type": "username", "name": f"{number}-{'n' * 20}"})
        except OSError:
            break
    return sent, [crowd, member]


def unread_answers(server):
    """Bindings over TCP whose answers nobody reads."""
    request = (struct.pack("!HHI", 1, 0, 0x2112A442) + b"twelve bytes") * 500
    streams = [server.connect(window=4096) for _ in range(50)]
    sent = 0
    for stream in streams:
        stream.settimeout(0.02)
        for _ in range(100):
            try:
                sent += stream.send(request)
            except OSError:
                break
    return sent, streams


def connections(server):
    """3,000 connections that say nothing."""
    kept = []
    for _ in range(3_000):
        try:
            kept.append(server.connect())
        except OSError:
            break
    return 0, kept


def everything(server):
    """All of the above at once."""
    attacks = [attack for name, attack in ATTACKS.items() if name != "everything"]
    results, threads = [], []
    for attack in attacks:
        def run(attack=attack):
            try:
                results.append(attack(server))
            except (OSError, ValueError, AttributeError):
                results.append((0, []))
        threads.append(threading.Thread(target=run, daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return sum(sent for sent, _ in results), results


ATTACKS = {
    "small-acks": small_acks,
    "refusals": refusals,
    "handshakes": handshakes,
    "headers": headers,
    "fan-out": fan_out,
    "renames": renames,
    "unread-answers": unread_answers,
    "connections": connections,
    "everything": everything,
}


def measure(server, name, attack, seconds):
    honest = Honest(server)
    honest.start()
    time.sleep(0.5)
    before, peak = server.memory(), [0.0]
    done = threading.Event()

    def watch():
        while not done.wait(0.02) and server.process.poll() is None:
            peak[0] = max(peak[0], server.memory())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    faults = []
    try:
        sent, kept = attack(server)
    except (OSError, ValueError, AttributeError) as error:
        sent, kept = 0, []
        print(f"{name}: the server ended the attack: {error!r}")
    time.sleep(seconds)
    done.set()
    watcher.join()
    honest.ends.set()
    honest.join()
    del kept
    if server.process.poll() is not None:
        faults.append("the server died")
        after = 0.0
    else:
        # A server may take some moments to see that its clients are gone.
        time.sleep(2)
        after = server.memory()
    if honest.lost or not honest.binding or not honest.signaling:
        faults.append(f"the honest client lost {honest.lost} answers")
    return {
        "attack": name,
        "sent_mb": round(sent / 1e6, 2),
        "rss_mb": [round(value, 1) for value in (before, peak[0], after)],
        "binding_p99_ms": p99(honest.binding),
        "signaling_p99_ms": p99(honest.signaling),
        "faults": faults,
    }


def p99(times):
    if len(times) < 2:
        return None
    return round(1e3 * statistics.quantiles(times, n=100)[98], 2)


def line(row):
    before, peak, after = row["rss_mb"]
    return (
        f"{row['attack']:15} sent {row['sent_mb']:7.2f} MB  RSS {before:6.1f} -> {peak:6.1f} -> {after:6.1f} MB"
        f"  honest p99: Binding {row['binding_p99_ms']} ms, signaling {row['signaling_p99_ms']} ms"
    )


if __name__ == "__main__":
    main()
