"""Recorded requests, sent by many clients at once as fast as they are answered.

Apart from what is sent and what is concluded, because nothing here knows of AWS but for what it calls being throttled.
One process and one thread: a request is written as it is, and an answer is only looked at for status and length.
"""

import asyncio
import re
import socket
import time

RUN_SECONDS_MAX = 300
# A client of AWS's that is throttled waits and asks again.
THROTTLED = (b"ThrottlingException", b"RequestLimitExceeded")
THROTTLED_WAIT_SECONDS = 0.05
THROTTLED_TIMES_MAX = 100
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)


class Replay:
    """So many calls of all clients together, and what came of them."""

    def __init__(self, calls, watch):
        self.left, self.watch = calls, watch
        self.open, self.done, self.throttled, self.failed = 0, 0, 0, []
        self.seconds = self.own_seconds = 0.0
        self.ended = asyncio.get_running_loop().create_future()

    def begin(self):
        """Whether there is one more to make."""
        if self.left == 0:
            return False
        self.left -= 1
        self.open += 1
        return True

    def end(self, name, fault):
        self.open -= 1
        self.done += 1
        if fault:
            self.failed.append(f"{name}: {fault}")
        self.watch(self.done)
        if self.left == 0 and self.open == 0 and not self.ended.done():
            self.ended.set_result(None)


class Client(asyncio.Protocol):
    """A connection that sends a request, waits for its whole answer, and sends the next.

    Its calls are triples: a name, the bytes, and words that the answer must have.
    """

    def __init__(self, replay, address, calls):
        self.replay, self.address, self.calls = replay, address, calls
        self.position, self.transport, self.buffer = 0, None, b""
        self.waits, self.repeated = False, 0

    async def connect(self):
        await asyncio.get_running_loop().create_connection(lambda: self, *self.address)

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.next()

    def next(self):
        if self.replay.begin():
            self.repeated = 0
            self.send()
        else:
            self.transport.close()

    def send(self):
        self.waits, self.buffer = True, b""
        self.transport.write(self.calls[self.position][1])

    def data_received(self, data):
        self.buffer += data
        name, request, words = self.calls[self.position]
        answer = whole(self.buffer, request.startswith(b"HEAD "))
        if answer is None:
            return
        status, body = answer
        self.waits = False
        if status >= 400 and any(word in body for word in THROTTLED) and self.repeated < THROTTLED_TIMES_MAX:
            self.repeated += 1
            self.replay.throttled += 1
            asyncio.get_running_loop().call_later(THROTTLED_WAIT_SECONDS, self.send)
            return
        fault = None
        if not 200 <= status < 300:
            fault = f"{status} {body[:300]!r}"
        elif words not in body:
            fault = f"no {words!r} in {body[:300]!r}"
        self.conclude(name, fault)
        if CLOSE.search(self.buffer):
            # Not every server closes what it says it closes; a new connection comes of the loss.
            self.transport.close()
        else:
            self.next()

    def conclude(self, name, fault):
        self.position = (self.position + 1) % len(self.calls)
        self.replay.end(name, fault)

    def connection_lost(self, _):
        if self.waits:
            self.waits = False
            self.conclude(self.calls[self.position][0], "the connection was closed before the answer")
        if self.replay.left:
            self.task = asyncio.get_running_loop().create_task(self.connect())


def whole(buffer, is_head):
    """Status and body, when the whole answer is there."""
    head, end, body = buffer.partition(b"\r\n\r\n")
    if not end:
        return None
    status = int(head[9:12])
    if is_head or status in (204, 304):
        return status, b""
    length = LENGTH.search(head)
    if length:
        return (status, body) if len(body) >= int(length[1]) else None
    return (status, body) if body.endswith(b"0\r\n\r\n") else None


async def replay(address, calls_of_clients, calls, watch):
    """Lets the clients make so many calls together; `watch` is told how many are done, after each."""
    run = Replay(calls, watch)
    begun, own = time.monotonic(), time.process_time()
    for calls_of_client in calls_of_clients:
        await Client(run, address, calls_of_client).connect()
    await asyncio.wait_for(run.ended, RUN_SECONDS_MAX)
    run.seconds = time.monotonic() - begun
    run.own_seconds = time.process_time() - own
    return run
