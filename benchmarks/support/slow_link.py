"""A slow network before a registry: a TCP proxy with a round trip and a bandwidth for all.

It is a process of its own, so that it shares no interpreter with anything that is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import SynchronizedArray
from types import TracebackType

CHUNK = 64 * 1024
BURST_SECONDS = 0.02
"""What a link that was idle may send at once: timers are late by milliseconds."""
IN_FLIGHT = 64
"""Chunks of a connection that are on their way: far more than a round trip takes."""

BYTES, CONNECTIONS, FIRST, LAST, IDLE = range(5)


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What went through since the last reset.

    Attributes:
        bytes: What came down.
        connections: How many connections were opened.
        first: When its first byte was sent, by the monotonic clock.
        last: When its last byte was sent.
        idle: Seconds between the two in which it had nothing to send.
    """

    bytes: int
    connections: int
    first: float
    last: float
    idle: float


class SlowLink:
    """A proxy on a free port of loopback.

    Args:
        upstream: `host:port` of what it stands before.
        rate: Bits a second, for all connections together, towards the client.
        round_trip: Seconds; a new connection costs one, as a handshake does.
    """

    def __init__(self, upstream: str, *, rate: float, round_trip: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._counters = context.Array("d", 5)
        ready, told = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_serve, args=(upstream, rate, round_trip, self._counters, told), daemon=True
        )
        self._process.start()
        self.address = f"127.0.0.1:{ready.recv()}"

    def __enter__(self) -> SlowLink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.join()

    def reset(self) -> None:
        """Count from nothing."""
        with self._counters.get_lock():
            self._counters[:] = [0.0] * len(self._counters)

    def traffic(self) -> Traffic:
        """Return what went through."""
        with self._counters.get_lock():
            values: Sequence[float] = self._counters[:]
        return Traffic(
            bytes=int(values[BYTES]),
            connections=int(values[CONNECTIONS]),
            first=values[FIRST],
            last=values[LAST],
            idle=values[IDLE],
        )


class _Link:
    """The bandwidth that all connections share, first come first served."""

    def __init__(self, rate: float, counters: SynchronizedArray[float]) -> None:
        self._bytes_a_second = rate / 8
        self._counters = counters
        self._free = 0.0

    def opened(self) -> None:
        with self._counters.get_lock():
            self._counters[CONNECTIONS] += 1

    async def send(self, size: int) -> None:
        """Wait until the link has sent so many bytes."""
        now = time.monotonic()
        start = max(self._free, now - BURST_SECONDS)
        self._free = start + size / self._bytes_a_second
        self._count(now, size)
        if self._free > now:
            await asyncio.sleep(self._free - now)

    def _count(self, now: float, size: int) -> None:
        with self._counters.get_lock():
            if not self._counters[BYTES]:
                self._counters[FIRST] = now
            else:
                self._counters[IDLE] += max(0.0, now - self._counters[LAST])
            self._counters[BYTES] += size
            self._counters[LAST] = max(now, self._free)


def _serve(
    upstream: str,
    rate: float,
    round_trip: float,
    counters: SynchronizedArray[float],
    told: Connection,
) -> None:
    asyncio.run(_listen(upstream, _Link(rate, counters), round_trip / 2, told))


async def _listen(upstream: str, link: _Link, one_way: float, told: Connection) -> None:
    host, _, port = upstream.rpartition(":")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link.opened()
        await asyncio.sleep(2 * one_way)
        try:
            server, to_server = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            _carry(reader, to_server, None, one_way), _carry(server, writer, link, one_way)
        )

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    told.send(listener.sockets[0].getsockname()[1])
    async with listener:
        await listener.serve_forever()


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    link: _Link | None,
    one_way: float,
) -> None:
    """Carry one direction of a connection to its end."""
    way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)

    async def arrive() -> None:
        data = b"-"
        while data:
            due, data = await way.get()
            await asyncio.sleep(due - time.monotonic())
            # Who has gone takes nothing more, but the rest has to be taken off the way.
            with contextlib.suppress(OSError):
                writer.write(data)
                await writer.drain()
        writer.close()

    arriving = asyncio.create_task(arrive())
    data = b"-"
    while data:
        try:
            data = await reader.read(CHUNK)
        except OSError:
            data = b""
        if link and data:
            await link.send(len(data))
        await way.put((time.monotonic() + one_way, data))
    await arriving
