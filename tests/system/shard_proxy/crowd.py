"""Hundreds of Redis clients in one asyncio loop: no thread each, and every frame is seen.

A Peer is one connection whose replies and pushes come as the texts of resp.shown(), which tell
RESP2 from RESP3. Every wait has a limit.
"""
import asyncio
import contextlib
import socket
import struct
import time

import resp
from talk import command

WAIT_SECONDS = 30.0


class Gone(Exception):
    """The other side closed the connection."""


async def read(reader):
    """resp.read() for a stream of asyncio."""
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    if kind in (b"$", b"=", b"!"):
        length = int(rest)
        return (kind, None) if length < 0 else (kind, (await reader.readexactly(length + 2))[:-2])
    if kind in resp.AGGREGATES:
        count = int(rest)
        if count < 0:
            return (kind, None)
        return (kind, [await read(reader) for _ in range(count * 2 if kind in b"%|" else count)])
    return (kind, rest)


class Peer:
    def __init__(self, reader, writer, is_resp3):
        self.reader = reader
        self.writer = writer
        self.is_resp3 = is_resp3
        self.frames = asyncio.Queue()
        self.is_closed = False
        self.listener = asyncio.create_task(self._listen())

    @classmethod
    async def open(cls, port, is_resp3=False):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        peer = cls(reader, writer, is_resp3)
        if is_resp3:
            assert (await peer.ask("HELLO", 3)).startswith("%[$server, $redis")
        return peer

    async def _listen(self):
        try:
            while True:
                self.frames.put_nowait(resp.shown(await read(self.reader)))
        except (OSError, asyncio.IncompleteReadError):
            self.is_closed = True
            self.frames.put_nowait(None)

    def send(self, *words):
        self.writer.write(command(*words))

    async def reply(self, seconds=WAIT_SECONDS):
        frame = await asyncio.wait_for(self.frames.get(), seconds)
        if frame is None:
            raise Gone
        return frame

    async def ask(self, *words):
        self.send(*words)
        return await self.reply()

    def close(self, by_reset=False):
        """by_reset: as the kernel does for a killed process with unread bytes."""
        if self.listener.cancelled() or self.listener.cancelling():
            return
        self.listener.cancel()
        if by_reset:
            linger = struct.pack("ii", 1, 0)
            self.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


async def open_all(port, count):
    """Every second one speaks RESP3."""
    return await asyncio.gather(*(Peer.open(port, number % 2 == 1) for number in range(count)))


async def until(is_true, what, seconds=WAIT_SECONDS):
    """Polls a condition while the loop goes on; returns the seconds that it took."""
    begin = time.monotonic()
    while not is_true():
        if time.monotonic() - begin > seconds:
            raise TimeoutError(f"{what} did not happen within {seconds} s")
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


class Subscriber:
    """One subscription of one connection: `verb` is subscribe, psubscribe or ssubscribe."""

    def __init__(self, peer, verb, number):
        self.peer = peer
        self.verb = verb
        self.mark = ">" if peer.is_resp3 else "*"
        self.channel = f"{verb}:{number}"
        self.name = f"{self.channel[:-1]}[{self.channel[-1]}]" if verb == "psubscribe" \
            else self.channel

    async def start(self):
        answer = await self.peer.ask(self.verb, self.name)
        assert answer == f"{self.mark}[${self.verb}, ${self.name}, :1]"

    @property
    def publish(self):
        return "SPUBLISH" if self.verb == "ssubscribe" else "PUBLISH"

    def message(self, text):
        """The frame that a message to the channel becomes."""
        words = {"subscribe": f"$message, ${self.channel}", "ssubscribe":
                 f"$smessage, ${self.channel}",
                 "psubscribe": f"$pmessage, ${self.name}, ${self.channel}"}[self.verb]
        return f"{self.mark}[{words}, ${text}]"


class Consumer:
    """Pops one queue, blocking again after every element, until an error, its end or stop()."""

    def __init__(self, peer, queue):
        self.peer = peer
        self.queue = queue
        self.taken = []
        self.errors = []
        self.task = None

    def start(self):
        self.task = asyncio.create_task(self._run())

    async def _run(self):
        prefix = f"*[${self.queue}, $"
        while True:
            self.peer.send("BLPOP", self.queue, 0)
            frame = await self.peer.frames.get()
            if frame is None or not frame.startswith(prefix):
                self.errors.append(frame)
                return
            self.taken.append(frame[len(prefix):-1])

    async def stop(self, by_reset=False):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.peer.close(by_reset)
