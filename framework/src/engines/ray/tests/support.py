"""The shim over the stand-in for Ray, and the other ends of its streams."""

from __future__ import annotations

import pathlib
import socket
import sys
import tempfile
import time
import types
import unittest
from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock

import fake_ray

ray: Any = fake_ray.install()
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import shim  # noqa: E402 - Ray's stand-in is there first.

# A thread that has anything to say has said it by then, in seconds.
LIMIT = 5.0
UNIT = b"unit"
STANDS = b"stands"


def pair() -> tuple[shim.Stream, shim.Stream]:
    """Returns both ends of a stream."""
    frames = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    descriptors = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (*frames, *descriptors):
        end.settimeout(LIMIT)
    return shim.Stream(frames[0], descriptors[0]), shim.Stream(frames[1], descriptors[1])


class Hub:
    """A stand-in for the handle of the hub: notes the requests."""

    def __init__(self) -> None:
        self.ask = fake_ray.Remote("ask")
        self.cancelled = fake_ray.Remote("cancelled")
        self.progress = fake_ray.Remote("progress")
        self.progressed = fake_ray.Remote("progressed")

    def asked(self) -> list[tuple[Any, ...]]:
        """Returns kind and arguments of each request so far."""
        return [(kind, *args) for _, (_, _, kind, args) in self.ask.calls]


def remote() -> Any:
    """Returns a stand-in for `Remote`."""
    return types.SimpleNamespace(
        hub=Hub(),
        call=fake_ray.Remote("call", 2),
        python=fake_ray.Remote("python", 2),
        pick=fake_ray.Remote("pick", 2),
        Actor=types.SimpleNamespace(options=None),
    )


def options(**chosen: Any) -> list[Any]:
    """Returns the options of a call as a frame has them."""
    values: dict[str, Any] = {
        "retries": None,
        "retry_errors": False,
        "timeout": None,
        "deadline": None,
        "retry_timeouts": False,
        "grace": 1.0,
        "max_calls": None,
        "split": False,
        "cpus": None,
        "memory": None,
        "resources": [],
        "group": None,
        "node": None,
        "spread": False,
        "own": None,
    }
    assert chosen.keys() <= values.keys()
    return list({**values, **chosen}.values())


def cluster(case: unittest.TestCase, *nodes: dict[str, Any]) -> list[None]:
    """Gives Ray these nodes until the test ends. Returns a list of one element for each look."""
    looks: list[None] = []

    def alive() -> list[dict[str, Any]]:
        looks.append(None)
        return list(nodes)

    for patch in (
        mock.patch.object(ray, "nodes", alive),
        mock.patch.object(shim, "NODES", shim.Nodes()),
    ):
        patch.start()
        case.addCleanup(patch.stop)
    return looks


def until(is_so: Callable[[], bool]) -> None:
    """Blocks until something is so."""
    deadline = time.monotonic() + LIMIT
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError("it is not so in time")
        time.sleep(0.002)


class PeerCase(unittest.TestCase):
    """A peer, and the process' end of its stream."""

    kind: Any = shim.Peer

    def setUp(self) -> None:
        cluster(self, *fake_ray.NODES)
        mine, self.process = pair()
        self.remote = remote()
        self.peer = self.kind(mine, self.remote)
        self.addCleanup(self.process.close)
        self.addCleanup(mine.close)
        self.addCleanup(self.end_threads)
        self.peer.unit, self.peer.stands = UNIT, STANDS
        self.peer.names = ["first", "second"]
        self.peer.heap = memoryview(bytes(range(256)))

    def end_threads(self) -> None:
        """Waits for all work of the peer's pools."""
        self.peer.control.shutdown()
        self.peer.pool.shutdown()

    def frames(self, count: int) -> list[tuple[str, Any]]:
        """Reads so many frames that the process has got."""
        return [self.process.receive() for _ in range(count)]

    def no_frame(self) -> None:
        """The process has got no further frame."""
        # The last frames may have come together with another one.
        self.assertEqual(self.process.read, len(self.process.arrived))
        self.process.stream.setblocking(False)
        try:
            with self.assertRaises(BlockingIOError):
                self.process.stream.recv(1)
        finally:
            self.process.stream.settimeout(LIMIT)

    def counts(self) -> dict[int, int]:
        """Returns how often each object is kept."""
        return {number: thing.count for number, thing in self.peer.objects.items()}

    def asked(self) -> list[tuple[Any, ...]]:
        return list(self.remote.hub.asked())


def folder(case: unittest.TestCase) -> str:
    """Returns a new directory, which goes with the test."""
    made = tempfile.TemporaryDirectory(prefix="mobula-shim-")
    case.addCleanup(made.cleanup)
    return made.name


def kinds(metas: Iterable[Any]) -> list[Any]:
    """Returns the kind of each failure; `None` for another outcome."""
    return [meta[1] if meta[0] == "f" else None for meta in metas]
