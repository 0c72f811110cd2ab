"""A process that looks at agents until all count a member as failed or left.

  with Watcher(agents, "left") as watcher:
      ...
      instants = watcher.end()   # of each agent, in nanoseconds of CLOCK_MONOTONIC; None if not yet

It asks for `stats` every few milliseconds. The events of members would come a second late, since
agents gather them (docs/protocol/agent.md).
"""
import multiprocessing
import time

from rpc_client import Rpc

INTERVAL_SECONDS = 0.005


class Watcher:
    def __init__(self, agents, state):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=watch, args=(theirs, [agent.rpc_port for agent in agents], state.encode()),
            daemon=True)
        self.process.start()
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()

    def done(self):
        return self.pipe.poll()

    def end(self):
        self.pipe.send("end")
        return self.pipe.recv()


def watch(pipe, ports, state):
    rpcs, instants = [Rpc(port) for port in ports], [None] * len(ports)
    while None in instants and not pipe.poll(INTERVAL_SECONDS):
        for i, rpc in enumerate(rpcs):
            if instants[i] is None:
                _, body = rpc.call("stats", None, 2)
                if int(body[b"serf"][state]) > 0:
                    instants[i] = time.monotonic_ns()
    pipe.send(instants)
    pipe.poll(None)  # until the other end is closed: what was sent stays readable
