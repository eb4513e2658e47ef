"""Delays TCP connections: started by netns.py on a host whose outgoing connections the kernel redirects here.

What the host sends is delayed by the host's own delay, what comes back on its connections by that of the other end. The bytes of one
direction of a connection stay in order; different connections overtake each other when the delay varies. Commands are lines of
JSON on the standard input.
"""

import asyncio
import json
import random
import socket
import struct
import sys
import time

SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h
CHUNK_BYTES, MAX_CHUNKS = 65536, 256  # of one direction of a connection on the way


class Relay:
    def __init__(self, mark: int):
        self.mark = mark
        self.own, self.others = (0.0, 0.0), {}
        self.serving: set[asyncio.Task] = set()  # asyncio itself forgets those whose near end is closed

    def delay_s(self, origin: str | None) -> float:
        """Of bytes from the host named by its address, or from this one."""
        least, more = self.own if origin is None else self.others.get(origin, (0, 0))
        return (least + random.random() * more) / 1000

    def command(self, line: str) -> None:
        told = json.loads(line)
        self.own, self.others = told["own"], told["others"]

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self.serve(reader, writer))
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        out = socket.socket()
        out.setblocking(False)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self.mark)
        out.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            raw = writer.get_extra_info("socket").getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
            port, packed = struct.unpack_from("!2xH4s", raw)
            address = socket.inet_ntoa(packed)
            await asyncio.sleep(self.delay_s(None))
            await asyncio.get_running_loop().sock_connect(out, (address, port))
            out_reader, out_writer = await asyncio.open_connection(sock=out)
        except OSError:
            out.close()
            writer.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as group:  # a lost connection ends both directions
                for source, target, origin in ((reader, out_writer, None), (out_reader, writer, address)):
                    way: asyncio.Queue = asyncio.Queue(MAX_CHUNKS)
                    group.create_task(self.take(source, way, origin))
                    group.create_task(self.give(way, target))
        except* OSError:
            writer.transport.abort()
            out_writer.transport.abort()
        finally:
            writer.close()
            out_writer.close()

    async def take(self, source: asyncio.StreamReader, way: asyncio.Queue, origin: str | None) -> None:
        data, due = b"x", 0.0
        while data:
            data = await source.read(CHUNK_BYTES)
            due = max(due, time.monotonic() + self.delay_s(origin))
            await way.put((due, data))

    async def give(self, way: asyncio.Queue, target: asyncio.StreamWriter) -> None:
        """An end of the stream is carried on like a byte."""
        while True:
            due, data = await way.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                target.write_eof()
                return
            target.write(data)
            await target.drain()


async def main(port: int, mark: int) -> None:
    relay = Relay(mark)
    await asyncio.start_server(relay.accept, "0.0.0.0", port, backlog=1024)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        relay.command(line)
        print("taken", flush=True)


asyncio.run(main(*map(int, sys.argv[1:])))
