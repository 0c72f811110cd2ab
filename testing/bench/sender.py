"""Sends requests at a rate, and collects the replies without waiting for them.

  with connected(agents) as pipelines:
      sent = send_at_rate(pipelines, requests, per_second)    # [instant of request i], nanoseconds
"""
import contextlib
import random
import select
import time

from rpc_client import Rpc


class Pipeline:
    """A connection on which requests are sent before the earlier ones are answered."""

    def __init__(self, rpc):
        self.sock, self.waiting = rpc.sock, b""
        self.arrivals = [(time.monotonic_ns(), rpc.data)]
        self.sock.setblocking(False)

    def send(self, data):
        self.waiting += data
        self.flush()

    def flush(self):
        if self.waiting:
            try:
                self.waiting = self.waiting[self.sock.send(self.waiting):]
            except BlockingIOError:
                pass

    def receive(self):
        """Takes what has arrived. False at the end of the connection."""
        try:
            data = self.sock.recv(1 << 20)
        except BlockingIOError:
            return True
        if data:
            self.arrivals.append((time.monotonic_ns(), data))
        return bool(data)

    def wait(self, deadline):
        """Until something arrives, or that instant of time.monotonic()."""
        self.flush()
        select.select([self.sock], [], [], max(0, deadline - time.monotonic()))
        return self.receive()

    def last(self):
        """When something arrived that has not been taken."""
        return self.arrivals[-1][0] if self.arrivals else None

    def take(self):
        """[(instant, bytes)] since the last call."""
        arrivals, self.arrivals = self.arrivals, []
        return arrivals


@contextlib.contextmanager
def connected(agents):
    """A pipeline to each of these agents."""
    with contextlib.ExitStack() as stack:
        yield [Pipeline(stack.enter_context(contextlib.closing(Rpc(agent.rpc_port))))
               for agent in agents]


def serve(pipelines, deadline):
    """Sends and receives until that instant of time.monotonic(), at least once."""
    by_fd = {pipeline.sock.fileno(): pipeline for pipeline in pipelines}
    poll = select.poll()
    while True:
        for fd, pipeline in by_fd.items():
            poll.register(fd, select.POLLIN | (select.POLLOUT if pipeline.waiting else 0))
        left = deadline - time.monotonic()
        for fd, events in poll.poll(max(0, 1000 * left)):
            if events & select.POLLOUT:
                by_fd[fd].flush()
            if events & ~select.POLLOUT and not by_fd[fd].receive():
                poll.unregister(fd)
                del by_fd[fd]
        if time.monotonic() >= deadline:
            return


def schedule(count, per_second, seed=1):
    """When to send, in seconds from the start: each within its period, so that no tick fits it."""
    draw = random.Random(seed)
    return [(i + draw.random()) / per_second for i in range(count)]


def send_at_rate(pipelines, requests, per_second):
    """Sends request i on connection i modulo their number. Returns each one's instant."""
    begin, sent = time.monotonic(), []
    for i, (request, when) in enumerate(zip(requests, schedule(len(requests), per_second))):
        serve(pipelines, begin + when)
        sent.append(time.monotonic_ns())
        pipelines[i % len(pipelines)].send(request)
    serve(pipelines, begin + len(requests) / per_second)
    return sent


def flood(pipelines, requests, per_second, tick=0.005, on_tick=None):
    """Sends all requests in portions, one each `tick` seconds. Returns the seconds that it took.

    When an agent reads no faster, this takes longer than the rate says. `on_tick` gets the seconds
    since the start, and ends the flood when it returns True.
    """
    begin, done = time.monotonic(), 0
    while done < len(requests) or any(pipeline.waiting for pipeline in pipelines):
        due = min(len(requests), int((time.monotonic() - begin) * per_second) + 1)
        if due > done and not any(pipeline.waiting for pipeline in pipelines):
            for i, pipeline in enumerate(pipelines):
                pipeline.send(b"".join(requests[done + i:due:len(pipelines)]))
            done = due
        if on_tick is not None and on_tick(time.monotonic() - begin):
            break
        serve(pipelines, time.monotonic() + tick)
    return time.monotonic() - begin
