"""A load over HTTP that costs little itself: raw requests on keep-alive connections of one event loop."""

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import msgspec

Make = Callable[[int], bytes]
"""Makes the bytes of the request with a number."""


class Answered(msgspec.Struct, frozen=True):
    """An answer: when it came (monotonic seconds), after how long, its status and its position."""

    at: float
    seconds: float
    status: int
    position: int


class Load(msgspec.Struct, kw_only=True):
    """What a load did. `errors` counts answers that are no success."""

    answers: list[Answered]
    elapsed_seconds: float

    @property
    def per_second(self) -> float:
        return len(self.answers) / self.elapsed_seconds

    @property
    def errors(self) -> int:
        return sum(answer.status >= 400 for answer in self.answers)

    @property
    def p99_ms(self) -> float:
        """What the slowest of a hundred waited for."""
        return statistics.quantiles((answer.seconds for answer in self.answers), n=100)[98] * 1000


class _Connection(asyncio.Protocol):
    def __init__(self, load: "_Running") -> None:
        self._load = load
        self._buffer = b""
        self._sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def _next(self) -> None:
        request = self._load.request()
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        length = int(_header(head, b"content-length"))
        if len(self._buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        status = int(head[9:12])
        position = int(_header(head, b"bursar-position") or 0)
        self._load.answers.append(Answered(now, now - self._sent, status, position))
        self._buffer = self._buffer[end + 4 + length :]
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the server closed a connection under load"))


class _Running:
    """The shared state of the connections of one load."""

    def __init__(self, make: Make, first: int, *, seconds: float, at_most: int | None = None) -> None:
        self.answers: list[Answered] = []
        self.free: list[_Paced] = []
        self.broken = 0
        self.number = first
        self._make = make
        self._until = time.perf_counter() + seconds
        self._last = None if at_most is None else first + at_most

    def request(self) -> bytes | None:
        if time.perf_counter() >= self._until or self.number == self._last:
            return None
        self.number += 1
        return self._make(self.number)


def _header(head: bytes, name: bytes) -> bytes:
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


async def closed_loop(
    urls: list[str],
    make: Make,
    *,
    connections: int,
    seconds: float,
    first: int = 0,
    at_most: int | None = None,
) -> Load:
    """Keep `connections` busy, shared evenly by `urls`, for some seconds. Each waits for its answer.

    It ends earlier where `at_most` so many requests are to be sent.
    """
    running = _Running(make, first, seconds=seconds, at_most=at_most)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    made = []
    for i in range(connections):
        target = urlsplit(urls[i % len(urls)])
        _, connection = await loop.create_connection(
            lambda: _Connection(running), target.hostname, target.port
        )
        made.append(connection.done)
    await asyncio.gather(*made)
    return Load(answers=running.answers, elapsed_seconds=time.perf_counter() - began)


class _Paced(_Connection):
    """A connection that is told when to send, and is free in between."""

    def _next(self) -> None:
        self._load.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server closes what it has not heard from for some seconds; that is lost only to the pool."""
        if self in self._load.free:
            self._load.free.remove(self)
        else:
            self._load.broken += 1

    def send(self, request: bytes) -> None:
        self._sent = time.perf_counter()
        self._transport.write(request)


async def open_loop(url: str, make: Make, *, per_second: int, seconds: float, first: int = 0) -> Load:
    """Send at a fixed rate, whatever the answers take (no coordinated omission)."""
    running = _Running(make, first, seconds=seconds)
    loop = asyncio.get_running_loop()
    target = urlsplit(url)
    began = time.perf_counter()
    sent = 0
    while (now := time.perf_counter()) < began + seconds:
        due = int((now - began) * per_second)
        while sent < due:
            if not running.free:
                await loop.create_connection(lambda: _Paced(running), target.hostname, target.port)
            running.free.pop().send(make(first + sent))
            sent += 1
        await asyncio.sleep(0.001)
    while len(running.answers) < sent:
        assert not running.broken, "the server closed a connection under load"
        await asyncio.sleep(0.01)
    return Load(answers=running.answers, elapsed_seconds=time.perf_counter() - began)
