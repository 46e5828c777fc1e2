"""aioice as an agent that takes orders as lines of JSON, like `examples/ice_stdio.rs`."""

import asyncio
import json
import resource
import sys
import time

import aioice

REPETITION = 0.02


def moment():
    """The time, and the packets and bytes that this host has sent by then."""
    sent = [0, 0]
    with open("/proc/net/dev") as table:
        for line in table.readlines()[2:]:
            name, counts = line.split(":")
            if name.strip() != "lo":
                size, packets = map(int, counts.split()[8:10])
                sent = [sent[0] + packets, sent[1] + size]
    return time.time_ns() // 1000, sent


def sent_between(met, first):
    if not met or not first:
        return None
    packets, size = (later - earlier for earlier, later in zip(met[1], first[1]))
    return {"packets": packets, "bytes": size}


def option(server):
    host, port = server.split(":")
    return host, int(port)


class Agent:
    def __init__(self):
        self.connection = None
        self.connecting = None
        self.answers = {}
        self.number = 0
        self.met = None
        self.first = None

    async def gather(self, controlling, stun=None, turn=None, relay=False, **_):
        turning = {}
        if turn:
            turning = {
                "turn_server": option(turn["address"]),
                "turn_username": turn["username"],
                "turn_password": turn["password"],
                "turn_transport": turn["transport"],
            }
        policy = aioice.TransportPolicy.RELAY if relay else aioice.TransportPolicy.ALL
        self.connection = aioice.Connection(
            ice_controlling=controlling,
            stun_server=option(stun) if stun else None,
            use_ipv6=False,
            transport_policy=policy,
            **turning,
        )
        await self.connection.gather_candidates()
        return {
            "ufrag": self.connection.local_username,
            "password": self.connection.local_password,
            "lite": False,
            "candidates": [f"candidate:{it.to_sdp()}" for it in self.connection.local_candidates],
        }

    async def meet(self, ufrag, password, candidates, lite=False):
        self.met = self.met or moment()
        self.connection.remote_username = ufrag
        self.connection.remote_password = password
        self.connection.remote_is_lite = lite
        for candidate in candidates:
            await self.candidate(candidate)
        self.connecting = asyncio.create_task(self.connect())

    async def candidate(self, candidate):
        parsed = aioice.Candidate.from_sdp(candidate.removeprefix("candidate:"))
        await self.connection.add_remote_candidate(parsed)

    async def connect(self):
        await self.connection.connect()
        self.receiving = asyncio.create_task(self.receive())

    async def connected(self):
        await self.connecting
        pair = self.connection._nominated[1]
        return {"local": pair.local_candidate.type, "remote": pair.remote_candidate.type}

    async def receive(self):
        while True:
            data = await self.connection.recv()
            self.first = self.first or moment()
            if data[:1] == b"q":
                await self.connection.send(b"a" + data[1:])
            elif data[1:] in self.answers:
                self.answers[data[1:]].set()

    async def exchange(self, count, size):
        await self.connecting
        for _ in range(count):
            self.number += 1
            text = f"{self.number} ".encode()
            text += bytes(index % 251 for index in range(1 + len(text), size))
            answered = self.answers[text] = asyncio.Event()
            while not answered.is_set():
                await self.connection.send(b"q" + text)
                try:
                    await asyncio.wait_for(answered.wait(), REPETITION)
                except asyncio.TimeoutError:
                    pass
            del self.answers[text]

    async def times(self):
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = int((used.ru_utime + used.ru_stime) * 1e6)
        return {
            "met": self.met and self.met[0],
            "first": self.first and self.first[0],
            "sent": sent_between(self.met, self.first),
            "cpu": cpu,
            "memory": used.ru_maxrss,
        }


ORDERS = ["gather", "meet", "candidate", "connected", "exchange", "times"]


async def carry_out(agent, order):
    try:
        if order["name"] not in ORDERS:
            raise ValueError(f"{order['name']} is no order")
        result = await getattr(agent, order["name"])(**order["params"])
        answered = {"id": order["id"], "result": result}
    except Exception as error:  # whatever it is, the test shows it
        answered = {"id": order["id"], "error": repr(error)}
    print(json.dumps(answered), flush=True)


async def main():
    agent, running = Agent(), set()
    lines = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        task = asyncio.create_task(carry_out(agent, json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main())
