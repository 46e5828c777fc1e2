#!/usr/bin/env python3
"""Compares Jackfield's TURN server with coturn on this machine; see README.md."""

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
EXAMPLES = ROOT / "target" / "release" / "examples"
USER, PASSWORD = "user", "pass"

# Name, then what turn_load is told.
SCENARIOS = {
    "up-1": "--mode up --allocations 1 --size 200",
    "up-100": "--mode up --allocations 100 --size 200",
    "up-1000": "--mode up --allocations 1000 --size 200",
    "up-100-large": "--mode up --allocations 100 --size 1200",
    "down-100": "--mode down --allocations 100 --size 200",
    "pairs-100": "--mode pairs --allocations 100 --size 200",
    "trains-10-large": "--mode up --allocations 10 --size 1200 --burst 32 --gso 1",
    "binding": "--mode binding --allocations 20",
    "up-100-at-20000": "--mode up --allocations 100 --size 200 --rate 20000",
}


def main():
    options = arguments()
    prioritise()
    subprocess.run(
        ["cargo", "build", "--release", "-p", "jackfield-driver", "--examples"], cwd=ROOT, check=True
    )
    servers = {"jackfield": jackfield(15479), "coturn": coturn(options.coturn, 15480)}
    try:
        time.sleep(1.5)
        for name, server in servers.items():
            if server.process.poll() is not None:
                sys.exit(f"{name} did not start")
        results = {
            scenario: measure(servers, SCENARIOS[scenario], options) for scenario in options.scenario
        }
    finally:
        for server in servers.values():
            server.process.send_signal(signal.SIGINT)
        for server in servers.values():
            server.process.wait(timeout=10)
    report(results)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="the first is thrown away")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--coturn", default="turnserver", help="which coturn to run")
    parser.add_argument("--others", type=float, default=0.35, help="cores that others may use in a run")
    parser.add_argument("--retries", type=int, default=10, help="runs repeated in all because of others")
    parser.add_argument("scenario", nargs="*", help=", ".join(SCENARIOS))
    options = parser.parse_args()
    unknown = set(options.scenario) - set(SCENARIOS)
    if unknown:
        parser.error(f"no load is called {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    options.scenario = options.scenario or list(SCENARIOS)
    return options


def prioritise():
    """Puts this session's processes before others, where the system lets us."""
    try:
        Path("/proc/self/autogroup").write_text("-15")
    except OSError as error:
        print(f"runs at usual priority: {error}", file=sys.stderr)


class Server:
    def __init__(self, port, command):
        self.port = port
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


def jackfield(port):
    return Server(
        port,
        [
            str(EXAMPLES / "turn_server"),
            *("--listen", f"127.0.0.1:{port}", "--realm", "jackfield", "--shards", "1"),
            *("--user", f"{USER}:{PASSWORD}", "--allow-peer", "127.0.0.0/8", "--quota", "100000"),
            *("--rate", "4294967295"),
        ],
    )


def coturn(program, port):
    folder = tempfile.mkdtemp(prefix="coturn-")
    # The realm comes before the user: coturn makes the user's key from it at once.
    return Server(
        port,
        [
            *(program, "-n", "-m", "1", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"-p{port}"),
            *("-r", "jackfield", "-u", f"{USER}:{PASSWORD}", "--lt-cred-mech", "--allow-loopback-peers"),
            *("--no-tls", "--no-dtls", "--no-cli", "--log-file=/dev/null", "--simple-log"),
            *(f"--pidfile={folder}/pid", f"--db={folder}/db"),
        ],
    )


def measure(servers, load, options):
    """Returns the runs of each server, taken by turns."""
    runs = {name: [] for name in servers}
    retries = options.retries
    for number in range(options.rounds):
        for name, server in servers.items():
            run = generate(server, load, options)
            while run["other_cores"] > options.others and retries > 0:
                retries -= 1
                run = generate(server, load, options)
            run["noisy"] = run["other_cores"] > options.others
            if number > 0:
                runs[name].append(run)
    return runs


def generate(server, load, options):
    command = [
        *("taskset", "-c", "1", str(EXAMPLES / "turn_load"), "--server", f"127.0.0.1:{server.port}"),
        *("--user", f"{USER}:{PASSWORD}", "--pid", str(server.process.pid)),
        *("--seconds", str(options.seconds), *load.split()),
    ]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)


def report(results):
    print("| load | packets/s, jackfield : coturn | CPU us a packet, jackfield : coturn | p50/p99 us, jackfield : coturn | noisy runs |")
    print("|---|---|---|---|---|")
    for scenario, runs in results.items():
        ours, theirs = runs["jackfield"], runs["coturn"]

        def median(of, field):
            return statistics.median(run[field] for run in of)

        def pair(field, digits):
            a, b = median(ours, field), median(theirs, field)
            return f"{a:.{digits}f} : {b:.{digits}f} = {a / b:.2f}"

        delays = " : ".join(
            f"{median(of, 'p50_us'):.0f}/{median(of, 'p99_us'):.0f}" for of in (ours, theirs)
        )
        noisy = sum(run["noisy"] for run in ours + theirs)
        lost = max(run["lost"] / max(run["sent"], 1) for run in ours + theirs)
        loss = f", up to {lost:.1%} lost" if lost > 0.01 else ""
        print(
            f"| {scenario}{loss} | {pair('pps', 0)} | {pair('server_us_per_packet', 2)} | {delays} | {noisy} of {len(ours + theirs)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
