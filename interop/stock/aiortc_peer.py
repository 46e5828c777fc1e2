"""aiortc as a peer that takes orders as lines of JSON, like `examples/peer_stdio.rs`."""

import asyncio
import json
import os
import sys

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription

servers = [RTCIceServer(**server) for server in json.loads(os.environ.get("ICE_SERVERS", "[]"))]
connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
ended = asyncio.Event()


@connection.on("datachannel")
def incoming(channel):
    channel.on("message", channel.send)
    channel.on("close", ended.set)


class Ours:
    """Our channel."""

    def __init__(self):
        self.channel = connection.createDataChannel("ours")
        self.messages = asyncio.Queue()
        self.opened = asyncio.Event()
        self.closed = asyncio.Event()
        self.channel.on("message", self.messages.put_nowait)
        self.channel.on("open", self.opened.set)
        self.channel.on("close", self.closed.set)


async def offer(state):
    state["ours"] = Ours()
    await connection.setLocalDescription(await connection.createOffer())
    return connection.localDescription.sdp


async def answer(state, sdp):
    await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    state["ours"] = Ours()
    await connection.setLocalDescription(await connection.createAnswer())
    return connection.localDescription.sdp


async def accept(_, sdp):
    await connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))


async def exchange(state, sizes):
    ours = state["ours"]
    await ours.opened.wait()
    for size in sizes:
        for message in ["ä" * (size // 2), bytes(index % 251 for index in range(size))]:
            ours.channel.send(message)
            if await ours.messages.get() != message:
                raise ValueError(f"a message of {size} bytes came back as another")


async def close(state):
    state["ours"].channel.close()
    await state["ours"].closed.wait()


async def closed(_):
    await ended.wait()


ORDERS = {order.__name__: order for order in [offer, answer, accept, exchange, close, closed]}


async def carry_out(state, order):
    try:
        result = await ORDERS[order["name"]](state, **order["params"])
        answered = {"id": order["id"], "result": result}
    except Exception as error:  # whatever it is, the test shows it
        answered = {"id": order["id"], "error": repr(error)}
    print(json.dumps(answered), flush=True)


async def main():
    state, running = {}, set()
    lines = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        task = asyncio.create_task(carry_out(state, json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)
    await connection.close()


asyncio.run(main())
