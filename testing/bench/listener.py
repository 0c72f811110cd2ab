"""A process that only listens to what agents report, and so disturbs neither them nor the sender.

  with Listener(agents, "user") as listener:
      ...                                   # another process, this one, sends events
      listener.wait_until_quiet(1)
      deliveries = listener.end()           # of each agent: [(number, instant)]

It sleeps in epoll, takes the time when the bytes arrive, and looks into them only afterwards. The
instants are CLOCK_MONOTONIC's, in nanoseconds, which all processes share.
"""
import multiprocessing
import re
import select
import time

from rpc_client import Rpc

STREAM_SEQ = 1
# An event's payload is "<number>"; see marked().
NUMBER = re.compile(rb"<(\d+)>")
# A record about a query: the number that the answer must name, still packed.
QUERY_ID = re.compile(rb"\xa2ID([\x00-\x7f]|\xcc.|\xcd..|\xce....|\xcf.{8})\xa5LTime", re.DOTALL)
# What stands before the end of that pattern is no longer than this.
QUERY_ID_LONGEST = 32


class Listener:
    """Subscribes to a stream of events at each agent. `answers`: also responds to queries."""

    def __init__(self, agents, kinds, answers=False):
        ours, theirs = multiprocessing.Pipe()
        self.pipe, self.ended = ours, False
        rpcs = []
        for agent in agents:
            rpcs.append(Rpc(agent.rpc_port))
            rpcs[-1].call("stream", {"Type": kinds}, 1)
        self.process = multiprocessing.get_context("fork").Process(
            target=listen, args=(theirs, rpcs, answers), daemon=True)
        self.process.start()
        theirs.close()
        for rpc in rpcs:
            rpc.close()  # the process has them

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.ended:
            self.process.kill()
        self.process.join()

    def ask(self, what):
        self.pipe.send(what)
        return self.pipe.recv()

    def wait_until_quiet(self, seconds, at_most=20):
        """Until nothing has arrived for so long."""
        deadline = time.monotonic() + at_most
        while time.monotonic() < deadline:
            silent = (time.monotonic_ns() - self.ask("last")) / 1e9
            if silent >= seconds:
                return
            time.sleep(seconds - silent)

    def end(self):
        """What each agent reported, with the instant of arrival, in this order."""
        result = self.ask("end")
        self.ended = True
        return result


def listen(pipe, rpcs, answers):
    epoll = select.epoll()
    epoll.register(pipe.fileno(), select.EPOLLIN)
    places = {}
    for i, rpc in enumerate(rpcs):
        places[rpc.sock.fileno()] = i
        epoll.register(rpc.sock.fileno(), select.EPOLLIN)
    arrivals = [[(time.monotonic_ns(), rpc.data)] for rpc in rpcs]
    last, tails = time.monotonic_ns(), [b""] * len(rpcs)
    while True:
        for fd, _ in epoll.poll():
            if fd == pipe.fileno():
                if pipe.recv() == "end":
                    pipe.send([found(chunks) for chunks in arrivals])
                    return
                pipe.send(last)
                continue
            place = places[fd]
            data = rpcs[place].sock.recv(1 << 20)
            last = time.monotonic_ns()
            if not data:
                epoll.unregister(fd)
                continue
            arrivals[place].append((last, data))
            if answers:
                responses, tails[place] = responses_to(tails[place] + data)
                if responses:
                    rpcs[place].sock.sendall(responses)


def found(chunks):
    """[(number, instant)] for each event in the bytes of [(instant, bytes)], in this order.

    The instant is that of the chunk with the event's last byte.
    """
    ends, instants, at = [], [], 0
    for instant, data in chunks:
        at += len(data)
        ends.append(at)
        instants.append(instant)
    result, chunk = [], 0
    for match in NUMBER.finditer(b"".join(data for _, data in chunks)):
        while ends[chunk] < match.end():
            chunk += 1
        result.append((int(match.group(1)), instants[chunk]))
    return result


def responses_to(data):
    """The requests that answer all queries in these bytes, and what may belong to the next."""
    requests, end = [], 0
    for match in QUERY_ID.finditer(data):
        requests.append(RESPOND + match.group(1) + RESPONSE)
        end = match.end()
    return b"".join(requests), data[max(end, len(data) - QUERY_ID_LONGEST):]


# A request `respond` up to the number of the query, and what follows it.
RESPOND = b"\x82\xa7Command\xa7respond\xa3Seq\x02\x82\xa2ID"
RESPONSE = b"\xa7Payload\xa6answer"
