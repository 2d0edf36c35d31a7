"""A TCP proxy before PostgreSQL that breaks connections at the worst moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Cut = Literal["answer", "request"]


class Proxy:
    """Forwards to a server until told to `cut`, or to `refuse` new connections."""

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        self._server = parts.hostname, parts.port
        self.port = 0
        self.refuse = False
        self.was_cut = asyncio.Event()
        self._cut: Cut | None = None
        self._skip = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    def cut(self, how: Cut, *, skip: int = 0) -> None:
        """Break the connection of the next request, after `skip` others.

        `answer`: the request is served, and the connection ends in place of its answer. `request`: the client
        is cut off as soon as the request is sent; the server hears nothing of it, so its backend works on.
        """
        self._cut, self._skip = how, skip
        self.was_cut.clear()

    def url(self, url: str) -> str:
        """The URL of a database, by way of this proxy."""
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    async def serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        self._writers.append(client)
        if self.refuse:
            client.transport.abort()
            return
        answers, upstream = await asyncio.open_connection(*self._server)
        self._writers.append(upstream)
        answering = asyncio.create_task(_forward(answers, client))
        self._tasks.append(answering)
        with suppress(ConnectionError):  # either side may go at any time: that is what this is for
            while data := await reader.read(1 << 20):
                if self._cut and self._skip == 0:
                    answering.cancel()
                    await asyncio.gather(answering, return_exceptions=True)
                    how, self._cut = self._cut, None
                    upstream.write(data)
                    await upstream.drain()
                    if how == "answer":
                        assert await answers.read(1), "the server answered, so it has committed"
                        upstream.close()
                    client.transport.abort()
                    self.was_cut.set()
                    return
                self._skip = max(self._skip - 1, 0) if self._cut else 0
                upstream.write(data)
                await upstream.drain()
        upstream.close()

    async def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            with suppress(ConnectionError):
                await writer.wait_closed()


async def _forward(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(1 << 20):
            target.write(data)
            await target.drain()
    target.transport.abort()


@asynccontextmanager
async def proxied(server_url: str) -> AsyncIterator[Proxy]:
    """A proxy before a server, on a free port."""
    proxy = Proxy(server_url)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
