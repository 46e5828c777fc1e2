#!/usr/bin/env python3
"""Compares the NAT router with a userspace relay and with the kernel's NAT on this machine; see README.md."""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "target" / "release"
LOAD = RELEASE / "examples" / "nat_load"

INSIDE, OUTSIDE, MIDDLE = "jfbench-in", "jfbench-out", "jfbench-nat"
SERVER, EXTERNAL, HOST = "198.18.0.1", "198.18.1.1", "10.0.0.2"
SEGMENT = 1448

# Name, then what nat_load is told.
LOADS = {
    "UDP, 1 flow": "udp --flows 1 --size 160",
    "UDP, 8 flows": "udp --flows 8 --size 160",
    "UDP, 500 flows": "udp --flows 500 --size 160",
    "UDP, 1 flow, 1,200 B": "udp --flows 1 --size 1200",
    "TCP, 1 connection": "tcp --flows 1",
    "TCP, 4 connections": "tcp --flows 4",
}


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit("needs root, to make network namespaces")
    prioritise()
    if not options.built:
        build = ["cargo", "build", "--release"]
        examples = ["--example", "nat_load", "--example", "nat_relay"]
        subprocess.run([*build, "--bin", "jackfield"], cwd=ROOT, check=True)
        subprocess.run([*build, "-p", "jackfield-router", *examples], cwd=ROOT, check=True)
    named = options.only or [make.label for make in CONTESTANTS if make is not Queues]
    contestants = [make for make in CONTESTANTS if make.label in named]
    results = {load: {make.label: [] for make in contestants} for load in LOADS}
    for number in range(options.rounds + 1):
        for load, what in LOADS.items():
            for make in contestants:
                with make() as contestant:
                    run = contestant.run(what, options.seconds)
                if number > 0:
                    results[load][make.label].append(run)
        print(f"round {number} of {options.rounds}", file=sys.stderr)
    report(results, contestants)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="besides the first, which is thrown away")
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--built", action="store_true", help="everything is built already")
    parser.add_argument("--only", action="append", help=", ".join(make.label for make in CONTESTANTS))
    return parser.parse_args()


def prioritise():
    """Puts this session's processes before others, where the system lets us."""
    try:
        Path("/proc/self/autogroup").write_text("-15")
    except OSError as error:
        print(f"runs at usual priority: {error}", file=sys.stderr)


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class World:
    """Two namespaces, and between them what is measured."""

    label = ""
    # The load has core 1.
    cores = "0"

    def __enter__(self):
        self.process = None
        self.folder = tempfile.TemporaryDirectory(prefix="jackfield-bench-")
        for name in (INSIDE, OUTSIDE, MIDDLE):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", OUTSIDE, "addr", "add", f"{SERVER}/32", "dev", "lo")
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=10)
        for name in (INSIDE, OUTSIDE, MIDDLE):
            ip("netns", "del", name)
        self.folder.cleanup()

    def start(self, *command):
        self.process = subprocess.Popen(
            ["taskset", "-c", self.cores, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def router_ns(self):
        """What the router's process has used: each thread's time on a core."""
        if not self.process:
            return 0
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def run(self, what, seconds):
        words = what.split()
        command = ["taskset", "-c", "1", str(LOAD), *words, "--from", INSIDE, "--to", OUTSIDE]
        command += ["--address", f"{SERVER}:7000", "--seconds", str(seconds)]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        load.stdout.readline()
        router, busy = self.router_ns(), busy_ns()
        end = json.loads(load.stdout.readline())
        router, busy = self.router_ns() - router, busy_ns() - busy
        if load.wait() != 0:
            sys.exit(f"nat_load failed against {self.label}")
        packets = end["received"] if words[0] == "udp" else end["received"] / SEGMENT
        packets = max(packets, 1)
        return {
            "pps": packets / end["seconds"],
            "router_us": router / packets / 1000,
            "path_us": (router + end["cpu_ns"]) / packets / 1000,
            "busy_us": busy / packets / 1000,
            "lost": end["lost"],
        }


class Jackfield(World):
    label = "jackfield"
    extra = ()

    def build(self):
        control = Path(self.folder.name) / "control"
        self.start(
            *(RELEASE / "jackfield", "nat", "run", "--inside", f"tun0={HOST}/24@{INSIDE}", "--default-route"),
            *("--outside", f"nat0@{OUTSIDE}", "--external", EXTERNAL, "--profile", "full-cone"),
            *("--control", control, *self.extra),
        )
        wait_for(control.exists)


class Queues(Jackfield):
    label = "jackfield, 2 queues"
    cores = "0,1"
    extra = ("--queues", "2")


class Relay(World):
    label = "relay"

    def build(self):
        for netns, name in ((INSIDE, "tun0"), (OUTSIDE, "nat0")):
            ip("-n", netns, "tuntap", "add", name, "mode", "tun")
        ip("-n", INSIDE, "addr", "add", f"{HOST}/24", "dev", "tun0")
        places = ("--inside", f"tun0@{INSIDE}", "--outside", f"nat0@{OUTSIDE}")
        self.start(RELEASE / "examples" / "nat_relay", *places, "--external", EXTERNAL)
        ip("-n", INSIDE, "link", "set", "tun0", "up")
        ip("-n", OUTSIDE, "link", "set", "nat0", "up")
        ip("-n", INSIDE, "route", "add", "default", "dev", "tun0")
        ip("-n", OUTSIDE, "route", "add", f"{EXTERNAL}/32", "dev", "nat0")
        wait_for(lambda: "LOWER_UP" in link(INSIDE, "tun0") and "LOWER_UP" in link(OUTSIDE, "nat0"))


class Forward(World):
    """A kernel that forwards and translates nothing: what the path costs without a NAT."""

    label = "kernel, no NAT"

    def build(self):
        ip("link", "add", "jfb0", "netns", INSIDE, "type", "veth", "peer", "name", "jfb1", "netns", MIDDLE)
        ip("link", "add", "jfb3", "netns", OUTSIDE, "type", "veth", "peer", "name", "jfb2", "netns", MIDDLE)
        for netns, name, address in (
            (INSIDE, "jfb0", f"{HOST}/24"),
            (MIDDLE, "jfb1", "10.0.0.1/24"),
            (MIDDLE, "jfb2", f"{EXTERNAL}/24"),
            (OUTSIDE, "jfb3", "198.18.1.2/24"),
        ):
            ip("-n", netns, "addr", "add", address, "dev", name)
            ip("-n", netns, "link", "set", name, "up")
        ip("-n", INSIDE, "route", "add", "default", "via", "10.0.0.1")
        ip("-n", MIDDLE, "route", "add", f"{SERVER}/32", "via", "198.18.1.2")
        ip("-n", OUTSIDE, "route", "add", "10.0.0.0/24", "via", EXTERNAL)
        forwarding = ["sysctl", "-qw", "net.ipv4.ip_forward=1"]
        subprocess.run(["ip", "netns", "exec", MIDDLE, *forwarding], check=True)
        self.translate()

    def translate(self):
        """Translates nothing."""


class Nftables(Forward):
    label = "kernel, nftables"

    def translate(self):
        chain = "type nat hook postrouting priority 100\noifname jfb2 masquerade\n"
        rules = "table ip nat {\nchain post {\n" + chain + "}\n}\n"
        subprocess.run(["ip", "netns", "exec", MIDDLE, "nft", "-f", "-"], input=rules, text=True, check=True)


CONTESTANTS = [Jackfield, Relay, Nftables, Forward, Queues]


def link(netns, name):
    command = ["ip", "-n", netns, "link", "show", name]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            sys.exit("a contestant did not start")
        time.sleep(0.02)


def busy_ns():
    """What all cores have been busy with, in steps of a tick."""
    user, nice, system, _idle, _io, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def report(results, contestants):
    labels = [make.label for make in contestants]
    tables = {
        "Packets (TCP: of 1,448 bytes) a CPU second of the router's process, in thousands": (
            "router_us", ["jackfield", "relay", "jackfield, 2 queues"], lambda us: f"{1000 / us:,.0f}" if us else "-",
        ),
        "CPU of the whole path, us a packet: load generator, receiver, kernel and router": (
            "path_us", labels, lambda us: f"{us:.2f}",
        ),
        "The machine's busy time, us a packet": ("busy_us", labels, lambda us: f"{us:.2f}"),
        "Packets a second, in thousands": ("pps", labels, lambda pps: f"{pps / 1000:,.0f}"),
    }
    for title, (field, columns, shown) in tables.items():
        columns = [label for label in columns if label in labels]
        print(f"\n{title}\n\n| load | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        for load, runs in results.items():
            medians = [statistics.median(run[field] for run in runs[label]) for label in columns]
            print(f"| {load} | {' | '.join(shown(value) for value in medians)} |")
    lost = {load: sum(run["lost"] for runs in by.values() for run in runs) for load, by in results.items()}
    if any(lost.values()):
        print(f"\nLost on the way: {lost}")


if __name__ == "__main__":
    main()
