"""Two ICE agents that may only use relays: `aioice_relay.py HOST PORT USER PASSWORD udp|tcp|tls`."""

import asyncio
import ssl
import sys

import aioice


def agent(controlling: bool, host: str, port: str, user: str, password: str, transport: str) -> aioice.Connection:
    return aioice.Connection(
        ice_controlling=controlling,
        turn_server=(host, int(port)),
        turn_username=user,
        turn_password=password,
        turn_transport="udp" if transport == "udp" else "tcp",
        turn_ssl=any_certificate() if transport == "tls" else False,
        use_ipv6=False,
        transport_policy=aioice.TransportPolicy.RELAY,
    )


def any_certificate() -> ssl.SSLContext:
    """Trusts the server whatever it shows: its certificate is its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def introduce(one: aioice.Connection, other: aioice.Connection) -> None:
    for candidate in one.local_candidates:
        assert candidate.type == "relay", candidate
        await other.add_remote_candidate(candidate)
    await other.add_remote_candidate(None)
    other.remote_username = one.local_username
    other.remote_password = one.local_password


async def main(server: list[str]) -> None:
    agents = [agent(True, *server), agent(False, *server)]
    await asyncio.gather(*(each.gather_candidates() for each in agents))
    first, second = agents
    await introduce(first, second)
    await introduce(second, first)
    await asyncio.gather(*(each.connect() for each in agents))
    for sender, receiver in [(first, second), (second, first)]:
        for size in range(0, 1200, 100):
            message = bytes(range(256)) * 5
            await sender.send(message[: size + 1])
            assert await receiver.recv() == message[: size + 1]
    await asyncio.gather(*(each.close() for each in agents))
    print("relayed both ways")


asyncio.run(asyncio.wait_for(main(sys.argv[1:]), timeout=120))
