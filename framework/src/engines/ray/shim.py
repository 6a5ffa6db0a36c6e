"""The code between Ray and the processes of a Mobula program.

The helper of a runtime is one process. It joins the cluster for the program that has started the
runtime. Each Ray worker runs the same file: the file starts the program once more, in a child
process, and the child runs calls. Helper and worker serve a process of the program by frames over
a stream (`Peer`). A value is bytes to this file, which passes them on.

In Ray an object of Mobula is two objects: `meta`, a small tuple that describes the object, and
`payload`, the bytes of a large value or `None`. A process that waits for a result reads `meta` and
does not pull the bytes. `meta` is one of

    ("v", blob, handles, has_payload)              a value, and the objects that it refers to
    ("e", bytes)                                   an error of the program
    ("f", kind, function, message, meta or None)   a failure that Ray or this file knows
    ("x", function, message, frames, pid, node)    an exception of a Python function
    ("q", length, closed, accepted)                the state of a queue

A handle tells another process of an object. It is (meta or its ref, payload ref or `None`, whether
its bytes are read with the value, actor or `None`, queue or `None`, name or `None`). The name is of
an object that a process has put.

Ray pickles these values between processes. They are plain tuples, lists and dicts: a class of this
file has no name in another process. `Remote` runs this text there as `mobula_shim_<hash>`.

A call of a Python function runs in a Ray worker itself (`python`), and needs no child process. Only
there does this file read arguments and write a result.
"""

from __future__ import annotations

import asyncio
import bisect
import collections
import concurrent.futures
import contextlib
import ctypes
import functools
import gc
import hashlib
import heapq
import importlib
import json
import mmap
import os
import pickle
import queue
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
import uuid
import warnings
import weakref
from typing import TYPE_CHECKING, cast

import msgpack
import ray
import ray.exceptions as errors
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Literal, TypedDict

    # Ray's classes have no complete types.
    Ref = Any  # `ray.ObjectRef`
    RayActor = Any  # `ray.actor.ActorHandle`
    # A buffer, the ref of one, or `None`.
    Payload = Any

    ValueMeta = tuple[Literal["v"], bytes, tuple["Handle", ...], bool]
    ErrorMeta = tuple[Literal["e"], bytes]
    # The index of a function of the program, or the name of a Python function.
    Function = int | str
    FailureMeta = tuple[Literal["f"], str, "Function | None", str, "Meta | None"]
    RaisedMeta = tuple[Literal["x"], str, str, str, int, str]
    StateMeta = tuple[Literal["q"], int, bool, int]
    Meta = ValueMeta | ErrorMeta | FailureMeta | RaisedMeta | StateMeta
    Handle = tuple[
        "Meta | Ref | None", Payload, bool, "RayActor | None", "str | None", "str | None"
    ]
    # The two objects of a result.
    Result = tuple[Meta, Payload]

    # Arguments of a call. "o" has the place of the object's `meta` among the arguments of Ray.
    ObjectPart = tuple[Literal["o"], int, Handle]
    QueuePart = tuple[Literal["q"], str]
    GatherPart = tuple[Literal["g"], list["ObjectPart | QueuePart"]]
    Part = tuple[Literal["v"], ValueMeta] | ObjectPart | QueuePart | GatherPart
    # Caller, group and number: the turn of a method among the caller's calls.
    Order = tuple[str, "str | None", int]
    # Function, arguments, options in the order of `OPTIONS`, and token of a call.
    Spec = tuple[int, list[Part], Sequence[Any], str]
    MethodSpec = tuple[int, list[Part], Sequence[Any], str, Order]

    # The turns of an actor: the number whose turn it is, by caller and group.
    Turns = tuple[threading.Condition, dict[tuple[str, "str | None"], int]]

    # How a call is cancelled: with its children, by a kill, and after how many seconds.
    How = tuple[bool, bool, "float | None"]
    Cancelled = tuple[str, FailureMeta, How]
    # An event of a run.
    Event = (
        tuple[Literal["cancel"], tuple[FailureMeta, How]]
        | tuple[Literal["dead"], int]
        | tuple[Literal["done"], Result]
    )

    # The answer of a queue, later; a request of values and the answer's unit; one of a number.
    Answer = asyncio.Future["Meta"]
    Putting = tuple[Sequence[Handle], bytes, Answer]
    Getting = tuple[int, Answer]

    # Hash and content of the program's file.
    Program = tuple[str, Ref]
    # This text, the settings, the program and the hub.
    Head = tuple[str, "Settings", Program, RayActor]
    # `intern` finds an object again by its key: a kind, and a name within the kind.
    Key = tuple[str, Any]
    # `PeerArg` and `PeerValue` of `protocol/src/frames/value.rs`.
    WireArg = dict[str, Any]
    WireValue = Sequence[Any]
    Refs = Sequence[tuple[int, bool]]
    # Number, offset and length in a segment.
    Location = list[int]

    class Settings(TypedDict):
        """The settings that `helper.rs` writes."""

        address: str
        node: str | None
        program: str
        args: list[str]
        env: list[tuple[str, str]]
        capacity: int
        stack: int
        start: float

    class Kept(TypedDict):
        """The options of an actor for its process."""

        threads: int
        concurrency: int
        groups: dict[str, int]
        grace: float

    class Options(types.SimpleNamespace):
        """`PeerOptions` of `protocol/src/frames/to_peer.rs`."""

        retries: int | None
        retry_errors: bool
        timeout: float | None
        deadline: float | None
        retry_timeouts: bool
        grace: float
        max_calls: int | None
        split: bool
        cpus: float | None
        memory: int | None
        resources: list[tuple[str, float]]
        group: str | None
        node: str | None
        spread: bool
        own: bytes | None

    # `Remote` sets it where a Ray worker runs this text.
    HEAD: Head


VERSION = 3
# The most bytes of a frame.
MOST = 256 << 20
# The most bytes of a Python function's result that stand in its `meta`.
INLINE = 16 << 10
# The most characters of an exception's text, and of its frames, that reach the program.
FRAMES = 16_000
# The bytes that are asked for at a time, unless a frame has more.
CHUNK = 1 << 16
# The options of a call, in the order of `PeerOptions`. They travel as a list of their values.
OPTIONS = (
    "retries",
    "retry_errors",
    "timeout",
    "deadline",
    "retry_timeouts",
    "grace",
    "max_calls",
    "split",
    "cpus",
    "memory",
    "resources",
    "group",
    "node",
    "spread",
    "own",
)
# The bits of a number that count the objects of one side.
COUNT_BITS = 40
OWN, PEER, RUNS = 1, 2, 3
# The number of a process' own segment.
HEAP = 0
# A waiting thread looks for an interrupt at this interval, in seconds.
LOOK = 0.05
# The time in which a process has to end by itself, in seconds.
PATIENCE = 5.0
# An actor without handles has this time to end before its name is asked for, in seconds.
LEAVE = 0.25
# The creation of a queue may be on its way to the hub for so long, in seconds.
COMES = 10.0
# The fewest calls among which `Peer.tidy` looks for ended ones.
TIDY = 1024
# The thresholds of Python's cycle collector in processes that serve many calls.
COLLECT = (50_000, 20, 100)


class Gone(Exception):
    """The process at the other end of a stream has ended."""


class TooLong(Exception):
    """A frame is longer than the process reads."""


PACKERS = threading.local()


def packed(message: object) -> bytes:
    """Returns a message as MessagePack. Each thread has a packer, since a new one is costly."""
    packer = getattr(PACKERS, "own", None)
    if packer is None:
        packer = PACKERS.own = msgpack.Packer()
    body = cast("bytes", packer.pack(message))
    if len(body) > CHUNK:
        # It keeps a buffer of that size.
        del PACKERS.own
    return body


class Stream:
    """Frames, and a socket for descriptors beside them."""

    def __init__(self, stream: socket.socket, descriptors: socket.socket) -> None:
        self.stream = stream
        self.descriptors = descriptors
        self.lock = threading.Lock()
        # Bytes that have arrived, and how many of them are read.
        self.arrived = bytearray()
        self.read = 0

    def send(self, kind: str, *fields: object) -> None:
        """Sends a frame. The thread that receives learns of an end of the stream.

        Raises `TooLong` in place of a frame at which the process would end.
        """
        body = packed({kind: fields[0] if len(fields) == 1 else fields} if fields else kind)
        if len(body) > MOST:
            raise TooLong(f"{len(body)} bytes in one message, which has at most {MOST}")
        with self.lock, contextlib.suppress(OSError):
            self.stream.sendall(struct.pack("<I", len(body)) + body)

    def receive(self) -> tuple[str, Any]:
        """Blocks until a frame has arrived, and returns its kind and its fields."""
        (length,) = struct.unpack("<I", self.exactly(4))
        if length > MOST:
            raise Gone(f"a frame of {length} bytes")
        try:
            message = msgpack.unpackb(self.exactly(length), strict_map_key=False)
        except ValueError as error:
            raise Gone("a frame that is no message") from error
        if isinstance(message, str):
            return message, []
        if not isinstance(message, dict) or len(message) != 1:
            raise Gone("a frame that is no message")
        ((kind, fields),) = message.items()
        return kind, fields

    def exactly(self, count: int) -> bytes:
        """Blocks until `count` bytes have arrived."""
        while len(self.arrived) - self.read < count:
            # Small frames come several at a time.
            missing = count - (len(self.arrived) - self.read)
            try:
                got = self.stream.recv(max(missing, CHUNK))
            except ConnectionError:
                got = b""
            if not got:
                raise Gone("the stream has ended")
            if self.read:
                del self.arrived[: self.read]
                self.read = 0
            self.arrived += got
        data = bytes(memoryview(self.arrived)[self.read : self.read + count])
        self.read += count
        if self.read == len(self.arrived):
            self.arrived = bytearray()
            self.read = 0
        return data

    def send_descriptor(self, segment: int, fd: int) -> None:
        with contextlib.suppress(OSError):
            socket.send_fds(self.descriptors, [struct.pack("<I", segment)], [fd])

    def receive_descriptor(self) -> int:
        data, fds, _, _ = socket.recv_fds(self.descriptors, 4, 1)
        if len(data) != 4 or len(fds) != 1:
            raise Gone("no descriptor has come")
        return fds[0]

    def close(self) -> None:
        for end in (self.stream, self.descriptors):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Buffer(ctypes.Structure):
    """`Py_buffer`."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


def address_of(view: memoryview) -> int:
    """Returns the address of the first byte of a view."""
    buffer = Buffer()
    api = ctypes.pythonapi
    api.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(buffer), 0)
    address: int = buffer.buf
    api.PyBuffer_Release(ctypes.byref(buffer))
    return address


class Segments:
    """The files that one process maps to read payloads, and their numbers."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.lock = threading.Lock()
        self.next = HEAP
        # The mapping of Ray's main file stays. Others may make room for mappings of other files.
        # Each known one: a range of addresses here, the file's number, its offset at the start.
        self.known: list[tuple[int, int, int, int]] = []

    def place(self, view: memoryview) -> tuple[Location, int | None]:
        """Returns the place of a payload, and the number of a segment made for it alone."""
        length = view.nbytes
        address = address_of(view)
        with self.lock:
            for start, end, number, offset in self.known:
                if start <= address and address + length <= end:
                    return [number, address - start + offset, length], None
            found = self.mapping(address, length)
            if found is not None:
                start, end, offset, device, inode, stays = found
                fd = raylet_file(device, inode)
                if fd is not None:
                    number = self.pass_on(fd)
                    if stays:
                        self.known.append((start, end, number, offset))
                    place = [number, address - start + offset, length]
                    return place, None if stays else number
            # Other processes cannot map these bytes, so they get a copy.
            fd = os.memfd_create("mobula-copy", os.MFD_CLOEXEC)
            os.truncate(fd, max(length, 1))
            with mmap.mmap(fd, max(length, 1)) as copy:
                copy[:length] = view.cast("B")
            number = self.pass_on(fd)
            return [number, 0, length], number

    def pass_on(self, fd: int) -> int:
        """Passes a file to the process as a new segment, and closes it here."""
        self.next += 1
        self.stream.send("Segment", self.next, os.fstat(fd).st_size)
        self.stream.send_descriptor(self.next, fd)
        os.close(fd)
        return self.next

    @staticmethod
    def mapping(address: int, length: int) -> tuple[int, int, int, int, int, bool] | None:
        """Finds the shared mapping of these bytes.

        Returns its start, end, offset, device and inode, and whether it stays.
        """
        with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
            for line in maps:
                fields = line.split(maxsplit=5)
                start, end = (int(text, 16) for text in fields[0].split("-"))
                if start <= address < end:
                    if "s" not in fields[1] or address + length > end:
                        return None
                    major, minor = (int(text, 16) for text in fields[3].split(":"))
                    device, inode = os.makedev(major, minor), int(fields[4])
                    stays = len(fields) > 5 and fields[5].startswith("/dev/shm/")
                    return start, end, int(fields[2], 16), device, inode, stays
        return None


def raylet_file(device: int, inode: int) -> int | None:
    """Opens a file of the object store by a descriptor of the raylet of this node."""
    for pid in raylets():
        directory = f"/proc/{pid}/fd"
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        for name in names:
            path = f"{directory}/{name}"
            with contextlib.suppress(OSError):
                status = os.stat(path)
                if status.st_ino == inode and status.st_dev == device:
                    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return None


def raylets() -> Iterator[int]:
    """Yields the processes that may be the raylet of this node: first the parent process."""
    yield os.getppid()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/comm", encoding="utf-8") as comm:
                if comm.read().strip() == "raylet":
                    yield int(name)


class Nodes:
    """The nodes of the cluster. A list serves for `FRESH` seconds."""

    FRESH = 1.0

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked: float | None = None
        self.known: list[tuple[str, str, dict[str, float]]] = []

    def alive(self, anew: bool = False) -> list[tuple[str, str, dict[str, float]]]:
        """Returns name, id and resources of each node that is alive.

        The name is the address. Nodes that share one have their ids for names.
        """
        with self.lock:
            now = time.monotonic()
            if anew or self.asked is None or now - self.asked > self.FRESH:
                nodes = [node for node in ray.nodes() if node["Alive"]]
                shared = collections.Counter(node["NodeManagerAddress"] for node in nodes)
                self.known = []
                for node in nodes:
                    name = node["NodeManagerAddress"]
                    name = name if shared[name] == 1 else node["NodeID"]
                    self.known.append((name, node["NodeID"], node["Resources"]))
                self.asked = now
            return self.known

    def find(self, name: str) -> str | None:
        """Returns the id of the node with this name, address or id; `None` if there is none."""
        for anew in (False, True):
            for known, node, _ in self.alive(anew):
                if name in (known, node):
                    return node
        return None

    def own(self) -> str:
        """Returns the name of this process' node."""
        own: str = ray.get_runtime_context().get_node_id()
        names = [name for name, node, _ in self.alive(True) if node == own]
        return names[0] if names else own


NODES = Nodes()


class Object:
    """An object with a number that the process at the other end knows."""

    __slots__ = (
        "actor",
        "buffers",
        "children",
        "count",
        "decoded",
        "failed",
        "function",
        "held",
        "key",
        "label",
        "meta",
        "own",
        "parent",
        "payload",
        "queue",
        "segments",
        "stream",
        "token",
        "told",
        "watched",
    )

    def __init__(
        self,
        meta: Meta | Ref | None = None,
        payload: Payload = None,
        actor: RayActor | None = None,
        line: str | None = None,
    ) -> None:
        self.meta = meta
        self.payload = payload
        self.actor: RayActor = actor
        self.queue = line
        self.key: Key | None = None
        # The number of its keepers. `held`: the process is one of them.
        self.count = 0
        self.held = False
        self.watched = False
        # The process knows the outcome.
        self.told = False
        # The name of an actor.
        self.label: str | None = None
        self.decoded = False
        # A failure that this file knows. It takes precedence over `meta`.
        self.failed: FailureMeta | None = None
        # The offset and length of its bytes in the process' segment. They live as long as it.
        self.own: list[int] | None = None
        # The hub knows its call by the token.
        self.token: str | None = None
        # The queue that its call fills as a stream.
        self.stream: str | None = None
        self.function: Function | None = None
        # The run that has made its call.
        self.parent: int | None = None
        self.children: list[int] = []
        self.buffers: list[memoryview] = []
        self.segments: list[int] = []

    def handle(self, is_array: bool = False) -> Handle:
        """Returns the tuple that tells another process of the object."""
        meta = self.failed or self.meta
        name = self.key[1] if self.key is not None and self.key[0] == "put" else None
        return (meta, self.payload, is_array, self.actor, self.queue, name)


# The most causes of a failure.
CAUSES = 16


def failure(
    kind: str, message: str, function: Function | None = None, cause: Meta | None = None
) -> FailureMeta:
    """Returns the `meta` of a failure. `protocol/src/frames/outcome.rs` has the kinds.

    A dependency of a dependency has the first cause. A chain of more than `CAUSES` causes loses
    those before the last, since readers of frames bound how deep values nest.
    """
    if kind == "dependency" and cause is not None and cause[0] == "f" and cause[1] == kind:
        cause = cause[4] or cause
    causes, last = 0, cause
    while last is not None and last[0] == "f" and last[4] is not None:
        causes, last = causes + 1, last[4]
    return ("f", kind, function, message, last if causes >= CAUSES else cause)


def failure_of(error: BaseException, function: Function | None = None) -> FailureMeta:
    """Returns the failure that an exception of Ray stands for."""
    while isinstance(error, errors.RayTaskError) and isinstance(error.cause, BaseException):
        if error.cause is error:
            break
        error = error.cause
    text = " ".join(str(error).split()) or type(error).__name__
    for kinds, kind in (
        (errors.TaskCancelledError, "cancelled"),
        ((errors.RayActorError, errors.ActorUnschedulableError), "actor_dead"),
        ((errors.ObjectStoreFullError, errors.OutOfDiskError), "store_full"),
        (
            (
                errors.WorkerCrashedError,
                errors.OutOfMemoryError,
                errors.NodeDiedError,
                errors.LocalRayletDiedError,
            ),
            "crash",
        ),
        # Its node is gone.
        (errors.TaskUnschedulableError, "crash"),
        ((errors.ObjectLostError, errors.ReferenceCountingAssertionError), "lost"),
        (errors.PendingCallsLimitExceeded, "backpressure"),
        (errors.RuntimeEnvSetupError, "setup"),
    ):
        if isinstance(error, kinds):
            return failure(kind, text, function)
    return failure("internal", f"{type(error).__name__}: {text}", function)


def is_taken(error: Exception) -> bool:
    """Returns whether an exception says that there is an actor with the name of a new one."""
    # Older versions of Ray have no class for it.
    known: Any = getattr(errors, "ActorAlreadyExistsError", ())
    return isinstance(error, known) or isinstance(error, ValueError) and "already" in str(error)


class Remote:
    """The functions and classes that Ray knows.

    Ray pickles them by value. Their annotations are texts, which no process evaluates.
    """

    def __init__(self, head: Head) -> None:
        source, settings, program, hub = head

        def shim() -> Any:
            name = "mobula_shim_" + program[0][:16]
            module = sys.modules.get(name)
            if module is None:
                import types as modules

                module = modules.ModuleType(name)
                module.__dict__["HEAD"] = head
                sys.modules[name] = module
                exec(compile(source, "mobula_shim.py", "exec"), module.__dict__)
            return module

        def call(spec: Spec, *flat: Any) -> Any:
            module = shim()
            return module.compact(module.child().run(module.opened(spec), flat))

        def python(spec: bytes, *flat: Any) -> Any:
            module = shim()
            return module.compact(module.python(spec, *flat))

        def pick(meta: Meta, place: int) -> Any:
            return shim().pick(meta, place)

        class Actor:
            def __init__(self, spec: Spec, options: Kept, *flat: Any) -> None:
                self.inner = shim().ActorProcess(spec, options, flat)

            def made(self) -> Any:
                return self.inner.meta

            def call(self, spec: MethodSpec, *flat: Any) -> Any:
                module = shim()
                return module.compact(self.inner.call(module.opened(spec), flat))

        class Hub:
            def __init__(self, follower: str) -> None:
                self.inner = shim().Hub(follower)

            async def ask(self, sender: str, number: int, kind: str, args: tuple[Any, ...]) -> Any:
                return await self.inner.ask(sender, number, kind, args)

            async def cancelled(self, known: int) -> Any:
                return await self.inner.cancelled(known)

            async def progress(self, token: str, done: int, total: int) -> None:
                self.inner.progress(token, done, total)

            async def progressed(self) -> Any:
                return await self.inner.progressed()

        self.call: Any = ray.remote(num_returns=2, max_retries=0)(call)
        self.python: Any = ray.remote(num_returns=2, max_retries=0)(python)
        self.pick: Any = ray.remote(num_returns=2, num_cpus=0)(pick)
        self.Actor: Any = ray.remote(Actor)
        # The hub runs on the node of the program: the runtime ends with that node. Ray does not
        # restart the hub: a new one would know nothing, and calls would wait for ever.
        node = ray.get_runtime_context().get_node_id()
        here = NodeAffinitySchedulingStrategy(node, soft=False)
        self.Hub: Any = ray.remote(num_cpus=0, max_concurrency=100_000, scheduling_strategy=here)(
            Hub
        )
        self.hub = hub


def closed(spec: Any) -> Any:
    """Returns a call as bytes if its arguments refer to no object. Ray passes bytes on at once, and
    pickles all else.
    """
    _, parts, *_ = spec
    if all(part[0] == "v" and not part[1][2] for part in parts):
        return packed(spec)
    return spec


def opened(spec: Any) -> Any:
    """Returns the call that `closed` has closed."""
    return msgpack.unpackb(spec, use_list=False) if isinstance(spec, bytes) else spec


def is_plain(meta: Any) -> bool:
    """Returns whether `meta` is all of a value or an error: it refers to no object or payload."""
    return bool(meta[0] == "e" or meta[0] == "v" and not meta[2] and not meta[3])


def compact(result: Result) -> Any:
    """Returns the objects of a result as bytes if it refers to no object."""
    meta: Any = result[0]
    return (meta[0].encode() + meta[1], b"") if is_plain(meta) else result


def expanded(meta: Any) -> Meta:
    """Returns the `meta` that `compact` has made bytes of."""
    if not isinstance(meta, bytes):
        return cast("Meta", meta)
    return ("v", meta[1:], (), False) if meta[:1] == b"v" else ("e", meta[1:])


def pick(meta: Meta, place: int) -> Result:
    """Returns an element of a split result."""
    meta = expanded(meta)
    if meta[0] != "v":
        return meta, None
    if place >= len(meta[2]):
        return failure("internal", f"a result was split that has no element {place}"), None
    element: Any
    element, payload, *_ = meta[2][place]
    element = expanded(ray.get(element) if isinstance(element, ray.ObjectRef) else element)
    payload = ray.get(payload) if payload is not None else None
    return element, pickle.PickleBuffer(payload) if payload is not None else None


def python(spec: bytes, meta: Any = None, payload: Payload = None) -> Result:
    """Calls a Python function, and returns the two objects of its result.

    `meta` and `payload` are those of the arguments if the arguments are large.
    """
    module, function, args, again, form = msgpack.unpackb(spec)
    name = f"{module}.{function}"
    if meta is not None:
        meta = expanded(meta)
        if meta[0] != "v":
            return failure("dependency", "", name, meta), None
        args = memoryview(payload)
    try:
        called = imported(module, function)
        while True:
            # The function may change its arguments.
            given = msgpack.unpackb(args, strict_map_key=False)
            try:
                result = called(**given) if isinstance(given, dict) else called(*(given or ()))
                break
            except Exception:
                if again == 0:
                    raise
                again -= 1
    except Refused as error:
        return failure("usage", str(error), name), None
    except BaseException as error:  # It is the outcome of the call.
        return raised(name, error), None
    return made(result, name, form)


def imported(module: str, function: str) -> Any:
    """Returns a function of a module. Raises `Refused` if one of them is not there."""
    try:
        thing: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A module that exists may import one that does not.
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise Refused(
            f"node {NODES.own()} has no Python module `{error.name}`, to which "
            f"`{module}.{function}` belongs; install it on all nodes, or start the nodes with its "
            "directory in `PYTHONPATH`"
        ) from error
    for part in function.split("."):
        if not hasattr(thing, part):
            raise Refused(
                f"the Python module `{module}` of node {NODES.own()} has no `{function}`; a node "
                "may have another version of the module"
            )
        thing = getattr(thing, part)
    if not callable(thing):
        raise Refused(
            f"`{module}.{function}` is a Python `{type(thing).__name__}`, and no function"
        )
    return thing


def raised(name: str, error: BaseException) -> RaisedMeta:
    """Returns the `meta` of an exception of a Python function, without the frames of this file."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == raised.__code__.co_filename:
        frames = frames.tb_next
    kind = type(error)
    text = kind.__qualname__
    if kind.__module__ != "builtins":
        text = f"{kind.__module__}.{text}"
    with contextlib.suppress(Exception):  # The text is code of the program.
        if str(error):
            text = f"{text}: {error}"
    trace = "".join(traceback.format_exception(kind, error, frames)).strip()
    # Texts of Python may have halves of characters.
    text, trace = (
        part.encode("utf-8", "backslashreplace").decode()
        for part in (text[:FRAMES], trace[-FRAMES:])
    )
    return ("x", name, text, trace, os.getpid(), NODES.own())


def made(result: Any, name: str, form: Sequence[bytes]) -> Result:
    """Returns the two objects of a result. `PythonForm` of `protocol` says what `form` is."""
    inline, stored, end, begin = form

    def plain(thing: Any) -> Any:
        # Arrays and numbers of numpy have it.
        if hasattr(thing, "tolist"):
            return thing.tolist()
        raise TypeError(f"`{type(thing).__name__}` is no plain type")

    try:
        encoded = begin + cast("bytes", msgpack.packb(result, default=plain))
    except Exception as error:  # Of a value, or of its `tolist`.
        text = (
            f"`{name}` returned a Python `{type(result).__name__}` that MessagePack cannot hold: "
            f"{error}; return numbers of at most 64 bits, `str`, `bytes`, `bool`, `None`, and "
            "`list`, `tuple` and `dict` of them"
        )
        return failure("codec", text, name), None
    length, left = bytearray(), len(encoded)
    while left >= 0x80:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    length.append(left)
    if len(encoded) <= INLINE:
        return ("v", inline + length + encoded + end, (), False), None
    return ("v", stored + length + end, (), True), pickle.PickleBuffer(encoded)


class Alarms:
    """Work for later times. One thread waits for all of it, and has it done by `do`."""

    def __init__(self, do: Callable[..., object]) -> None:
        self.do = do
        self.changed = threading.Condition()
        # Each has its time and its number: of two for one time, the first goes first.
        self.waiting: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self.count = 0

    def after(self, seconds: float, work: Callable[..., object], *args: Any) -> None:
        """Has `work` done after so many seconds."""
        with self.changed:
            self.count += 1
            if self.count == 1:
                threading.Thread(target=self.run, daemon=True).start()
            heapq.heappush(self.waiting, (time.monotonic() + seconds, self.count, work, args))
            if self.waiting[0][1] == self.count:
                self.changed.notify()

    def run(self) -> None:
        """Waits for the next time, for ever."""
        while True:
            with self.changed:
                left = self.waiting[0][0] - time.monotonic() if self.waiting else None
                if left is None or left > 0:
                    # A longer wait is an error of the system.
                    self.changed.wait(left and min(left, threading.TIMEOUT_MAX))
                    continue
                _, _, work, args = heapq.heappop(self.waiting)
            self.do(work, *args)


class Peer:
    """Serves one process of the program."""

    def __init__(self, stream: Stream, remote: Remote, sender: str | None = None) -> None:
        self.stream = stream
        self.remote = remote
        self.segments = Segments(stream)
        self.lock = threading.RLock()
        self.objects: dict[int, Object] = {}
        self.by_key: dict[Key, int] = {}
        self.minted = 0
        # Tells this process from others.
        self.sender = sender or uuid.uuid4().hex
        self.asked = 0
        # The calls that this process has made of each actor's groups.
        self.order: collections.Counter[tuple[Any, str | None]] = collections.Counter()
        # The queue of each answer that the process still knows.
        self.queue_of: dict[int, str] = {}
        # Actors that end, and whether this process has killed them. The constructors of the others
        # have failed. Ray ends them with their last handle.
        self.ending: dict[Any, bool] = {}
        self.ends = threading.Lock()
        # When the last handle of an actor has gone, by the actor's name.
        self.left: dict[str, float] = {}
        # Remote functions with the options of calls, and when they were made.
        self.chosen: dict[tuple[Any, ...], tuple[Any, float]] = {}
        # `hello` sets the next four.
        self.names: list[str] = []
        self.heap: mmap.mmap
        self.unit: bytes
        self.stands: bytes
        # Calls that may not have ended, by their results.
        self.unfinished: dict[int, Ref] = {}
        self.detached: dict[int, Ref] = {}
        # The sizes at which `tidy` looks for calls that have ended.
        self.tidied = {"unfinished": TIDY, "detached": TIDY}
        # The calls that a run of the process has made, and that may not have ended or whose objects
        # are there.
        self.made_by: dict[int, dict[int, Object]] = {}
        self.pool = concurrent.futures.ThreadPoolExecutor(8, "mobula")
        # Work that does not wait for results. All threads of the pool may wait for some.
        self.control = concurrent.futures.ThreadPoolExecutor(2, "mobula-control")
        self.alarms = Alarms(self.soon)

    # -- the process' side --------------------------------------------------------------------

    def hello(self, number: int, cores: float, text: str) -> None:
        """Reads the first frame, and answers it."""
        heap = self.stream.receive_descriptor()
        kind, fields = self.stream.receive()
        if kind != "Hello":
            raise Gone("the process did not say hello first")
        version, self.names, length, self.pid, self.unit, self.stands = fields
        self.heap = mmap.mmap(heap, length, prot=mmap.PROT_READ)
        os.close(heap)
        self.stream.send("Hello", VERSION, number, float(cores), text, NODES.own())
        if version != VERSION:
            raise Gone(f"version {version} of the frames")

    def serve(self) -> None:
        """Reads frames until the process ends."""
        while True:
            kind, fields = self.stream.receive()
            handler = getattr(self, "on_" + kind, None)
            if handler is None:
                raise Gone(f"a frame of the unknown kind {kind}")
            if isinstance(fields, list) and kind not in ("QueueTook",):
                handler(*fields)
            else:
                handler(fields)

    # -- objects ------------------------------------------------------------------------------

    def add(self, number: int, thing: Object) -> Object:
        """Notes an object that the process has numbered and holds."""
        with self.lock:
            thing.held = True
            thing.count += 1
            self.objects[number] = thing
        return thing

    def intern(self, handle: Handle) -> int:
        """Returns the number of an object that comes from elsewhere, and keeps it once more."""
        key: Key | None
        meta, payload, _, actor, line, name = handle
        if actor is not None:
            key = ("actor", actor._actor_id)
        elif line is not None:
            key = ("queue", line)
        elif isinstance(meta, ray.ObjectRef):
            key = ("object", meta)
        elif name is not None:
            key = ("put", name)
        else:
            key = None
        with self.lock:
            number = self.by_key.get(key) if key is not None else None
            if number is None:
                self.minted += 1
                number = PEER << COUNT_BITS | self.minted
                thing = Object(meta, payload, actor, line)
                thing.key = key
                self.objects[number] = thing
                if line is not None:
                    self.ask("keep", line, 1)
                if key is not None:
                    self.by_key[key] = number
            self.objects[number].count += 1
            return number

    def name(self, number: int, thing: Object) -> None:
        """Gives an object of the process its key, by which `intern` finds it again."""
        if thing.actor is not None:
            thing.key = ("actor", thing.actor._actor_id)
        elif thing.queue is not None:
            thing.key = ("queue", thing.queue)
        elif isinstance(thing.meta, ray.ObjectRef):
            thing.key = ("object", thing.meta)
        if thing.key is not None:
            self.by_key.setdefault(thing.key, number)

    def drop(self, number: int) -> None:
        """Takes a keeper from an object. An object without a keeper is forgotten."""
        with self.lock:
            dropped = [number]
            while dropped:
                number = dropped.pop()
                thing = self.objects.get(number)
                if thing is None:
                    continue
                thing.count -= 1
                if thing.count > 0:
                    continue
                del self.objects[number]
                if thing.label is not None:
                    if len(self.left) >= 1000:
                        self.left.clear()
                    self.left[thing.label] = time.monotonic()
                if thing.key is not None and self.by_key.get(thing.key) == number:
                    del self.by_key[thing.key]
                dropped.extend(thing.children)
                if thing.parent is not None:
                    self.leave_run(thing.parent, number, thing)
                if thing.decoded:
                    self.stream.send("Forget", number)
                for segment in thing.segments:
                    self.stream.send("DropSegment", segment)
                if thing.own is not None:
                    self.stream.send("Free", [thing.own])
                if thing.queue is not None:
                    self.ask("keep", thing.queue, -1)
                self.queue_of.pop(number, None)

    def let_go(self, keeper: Object) -> None:
        """Drops the objects and segments of a keeper that is no object of the process."""
        for child in keeper.children:
            self.drop(child)
        for segment in keeper.segments:
            self.stream.send("DropSegment", segment)
        keeper.children, keeper.segments = [], []

    def leave_run(self, run: int, number: int, thing: Object) -> None:
        """Forgets a call of a run with its object, unless the run may have to cancel the call."""
        made = self.made_by.get(run, {})
        if number in made and number in self.unfinished:
            made[number] = call = Object(thing.meta)
            call.token, call.function, call.stream = thing.token, thing.function, thing.stream
        else:
            made.pop(number, None)
            if not made:
                self.made_by.pop(run, None)

    def handles(self, refs: Refs) -> tuple[Handle, ...]:
        with self.lock:
            return tuple(self.objects[number].handle(is_array) for number, is_array in refs)

    def view(self, offset: int, length: int) -> memoryview:
        """Returns bytes of the process' own segment."""
        return memoryview(self.heap)[offset : offset + length]

    # -- values for the process -----------------------------------------------------------------

    def value(self, meta: ValueMeta, payload: Payload, keeper: Object) -> WireValue:
        """Returns a value in the form for the process. `keeper` keeps its objects and bytes."""
        _, blob, handles, has_payload = meta
        refs: list[list[Any]] = []
        places: list[Location] = []
        if has_payload:
            places.append(self.locate(payload, keeper))
        for handle in handles:
            number = self.intern(handle)
            keeper.children.append(number)
            refs.append([number, handle[2]])
            if handle[2]:
                inner: Any = handle[0]
                inner = expanded(ray.get(inner) if isinstance(inner, ray.ObjectRef) else inner)
                if inner[0] == "v" and inner[3]:
                    places.append(self.locate(handle[1], keeper))
        return [blob, refs, places]

    def locate(self, payload: Payload, keeper: Object) -> Location:
        """Returns the place of a payload. `keeper` keeps its bytes."""
        if isinstance(payload, ray.ObjectRef):
            payload = ray.get(payload)
        view = memoryview(payload)
        place, segment = self.segments.place(view)
        keeper.buffers.append(view)
        if segment is not None:
            keeper.segments.append(segment)
        return place

    def outcome(self, meta: Meta, payload: Payload, keeper: Object) -> dict[str, Any]:
        """Returns the outcome of a call in the form for the process."""
        if meta[0] == "v":
            return {"Value": self.value(meta, payload, keeper)}
        if meta[0] == "e":
            return {"Error": meta[1]}
        if meta[0] == "q":
            return {"Queue": meta[1:]}
        if meta[0] == "x":
            return {"Raised": meta[1:]}
        _, kind, function, message, cause = meta
        behind = self.outcome(cause, None, keeper) if cause is not None else None
        return {"Failure": [kind, function, message, behind]}

    def ready(self, number: int, thing: Object) -> None:
        """Sends the process the outcome of an object, on a thread of the pool."""
        meta: Any
        try:
            if thing.failed is not None:
                meta = thing.failed
            elif isinstance(thing.meta, ray.ObjectRef):
                meta = expanded(ray.get(thing.meta))
            else:
                meta = thing.meta
            if isinstance(thing.payload, int) and meta[0] == "v":
                # A queue has answered several requests with one tuple; `payload` is the place.
                thing.meta, thing.payload, _, thing.actor, *_ = meta[2][thing.payload]
                meta = thing.meta
                meta = expanded(ray.get(meta) if isinstance(meta, ray.ObjectRef) else meta)
            outcome = self.outcome(meta, thing.payload, thing)
        except BaseException as error:  # Every failure has to reach the waiting thread.
            meta = thing.failed or failure_of(error, thing.function)
            outcome = self.outcome(meta, None, thing)
        if self.objects.get(number) is not thing:
            # The process has released it meanwhile.
            self.let_go(thing)
        self.tell(number, thing, outcome)

    def tell(self, number: int, thing: Object, outcome: dict[str, Any]) -> None:
        """Sends the process the outcome of an object, or why it cannot be sent.

        Only the first outcome counts, and none of an object that the process has released.
        """
        self.unfinished.pop(number, None)
        # Not under the lock: this may be a thread of Ray, and a start of the process that holds the
        # lock waits for Ray.
        if thing.told or self.objects.get(number) is not thing:
            return
        thing.told = True
        if "Value" not in outcome and thing.actor is not None and thing.label is not None:
            self.note_end(thing.actor, killed=False)
        try:
            self.stream.send("Ready", number, outcome)
        except TooLong as error:
            failed = failure("resource_limit", f"a result takes {error}", thing.function)
            self.stream.send("Ready", number, self.outcome(failed, None, thing))

    # -- what the process says ------------------------------------------------------------------

    def on_Registered(self, *_: object) -> None:
        pass

    def on_Hold(self, number: int) -> None:
        with self.lock:
            thing = self.objects.get(number)
            if thing is not None and not thing.held:
                thing.held = True
                thing.count += 1

    def on_Release(self, number: int) -> None:
        with self.lock:
            thing = self.objects.get(number)
            if thing is not None and thing.held:
                thing.held = False
                thing.watched = False
                self.drop(number)

    def on_Detach(self, number: int) -> None:
        with self.lock:
            thing = self.objects.get(number)
            if thing is not None and isinstance(thing.meta, ray.ObjectRef):
                self.detached[number] = thing.meta
        self.tidy("detached")

    def on_Decoded(self, number: int) -> None:
        thing = self.objects.get(number)
        if thing is None:
            self.stream.send("Forget", number)
        else:
            thing.decoded = True

    def on_Watch(self, number: int) -> None:
        with self.lock:
            thing = self.objects.get(number)
            if thing is None or thing.watched:
                return
            thing.watched, thing.told = True, False
        if thing.failed is None and isinstance(thing.meta, ray.ObjectRef):
            # `future` costs a lock, and a copy of what Ray tells here.
            thing.meta._on_completed(functools.partial(self.came, number, thing))
        else:
            self.later(self.ready, number, thing)

    def came(self, number: int, thing: Object, meta: Any) -> None:
        """Tells the process how a call has ended, on a thread of Ray that must not wait.

        `meta` is an exception if Ray knows of a failure. Threads of the pool may all wait for other
        results, so an outcome without refs needs none.
        """
        if thing.failed is None and not isinstance(thing.payload, int):
            meta = expanded(meta)
            if isinstance(meta, tuple) and is_plain(meta):
                self.tell(number, thing, self.outcome(meta, None, thing))
                return
        self.later(self.ready, number, thing)

    def later(self, work: Callable[..., object], *args: Any) -> None:
        """Runs `work` on a thread of the pool, unless the pool has ended."""
        with contextlib.suppress(RuntimeError):
            self.pool.submit(work, *args)

    def soon(self, work: Callable[..., object], *args: Any) -> None:
        """Runs `work` that waits for no result on a thread of its kind, unless these have ended."""
        with contextlib.suppress(RuntimeError):
            self.control.submit(work, *args)

    def on_Put(self, number: int, value: WireValue) -> None:
        blob, refs, places = value
        thing = Object()
        thing.children = [child for child, _ in refs]
        with self.lock:
            for child in thing.children:
                self.objects[child].count += 1
        thing.meta = ("v", blob, self.handles(refs), bool(places))
        if places:
            _, offset, length = places[0]
            # The process reads its own bytes, so they live as long as the object.
            thing.own = [offset, length]
            try:
                thing.payload = ray.put(pickle.PickleBuffer(self.view(offset, length)))
            except Exception as error:  # It is the outcome of the object.
                thing.failed = failure_of(error)
        thing.key = ("put", f"{self.sender}.{number}")
        with self.lock:
            self.by_key[thing.key] = number
        self.add(number, thing)

    def arguments(self, args: list[WireArg]) -> tuple[list[Part], list[Any]]:
        """Returns the parts of a call's arguments, and the objects that Ray resolves for them."""
        spec: list[Part] = []
        flat: list[Any] = []

        def flatten(number: int) -> ObjectPart | QueuePart:
            thing = self.objects[number]
            if thing.queue is not None:
                return ("q", thing.queue)
            handle = thing.handle()
            flat.extend(handle[:2])
            return ("o", len(flat) - 2, handle)

        with self.lock:
            for arg in args:
                ((kind, fields),) = arg.items()
                if kind == "Value":
                    blob, refs, _ = fields
                    spec.append(("v", ("v", blob, self.handles(refs), False)))
                elif kind == "Object":
                    spec.append(flatten(fields[0]))
                else:
                    spec.append(("g", [flatten(number) for number, _ in fields]))
        return spec, flat

    def options(self, options: Sequence[Any]) -> Options:
        """Gives the options of a call their names."""
        if len(options) != len(OPTIONS):
            raise ValueError(f"a call with {len(options)} options, not {len(OPTIONS)}")
        return cast("Options", types.SimpleNamespace(**dict(zip(OPTIONS, options))))

    def resources(self, options: Options) -> dict[str, Any]:
        """Returns the resources and the place of a call by Ray's names."""
        chosen: dict[str, Any] = {}
        if options.node is not None:
            node = NODES.find(options.node)
            if node is None:
                names = ", ".join(f"`{name}`" for name, _, _ in NODES.alive())
                raise Refused(
                    f"there is no node `{options.node}`; the nodes of the cluster are {names}"
                )
            chosen["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
        elif options.spread:
            chosen["scheduling_strategy"] = "SPREAD"
        if options.cpus is not None:
            chosen["num_cpus"] = options.cpus
        if options.memory is not None:
            chosen["memory"] = options.memory
        if options.resources:
            chosen["resources"] = {name: amount for name, amount in options.resources}
        return chosen

    def on_Spawn(
        self,
        number: int,
        function: int,
        args: list[WireArg],
        given: Sequence[Any],
        actor: int | None,
        parent: int | None,
    ) -> None:
        options = self.options(given)
        thing = self.add(number, Object())
        thing.token, thing.function = f"{self.sender}.{number}", function
        parts, flat = self.arguments(args)
        thing.stream = stream_of(parts)
        spec: Spec = (function, parts, given, thing.token)
        name = self.names[function]
        try:
            if actor is None:
                call = self.function(function, name, options)
                thing.meta, thing.payload = call.remote(closed(spec), *flat)
            elif (handle := self.objects[actor]).actor is None:
                thing.failed = failure("actor_dead", "", function, handle.failed)
            elif self.ending.get(handle.actor._actor_id, False):
                thing.failed = failure("actor_dead", "", function, KILLED)
            else:
                call = handle.actor.call.options(name=name, num_returns=2)
                key = (handle.actor._actor_id, options.group)
                order = (self.sender, options.group, self.order[key] + 1)
                thing.meta, thing.payload = call.remote(closed((*spec, order)), *flat)
                # A refused call has no number: the next call would wait for it.
                self.order[key] += 1
        except Refused as error:
            thing.failed = failure("usage", str(error), function)
        except Exception as error:  # It is the outcome of the call.
            thing.failed = failure_of(error, function)
        if thing.failed is not None:
            self.end_stream(thing, thing.failed)
            return
        if thing.stream is not None:
            ended = cast("Ref", thing.meta).future()
            ended.add_done_callback(lambda ended: self.soon(self.stream_ended, thing, ended))
        self.submitted(number, thing, function, options, parent)

    def on_Python(
        self, number: int, call: Sequence[Any], given: Sequence[Any], parent: int | None
    ) -> None:
        options = self.options(given)
        module, function, args, stored, form = call
        name = f"{module}.{function}"
        thing = self.add(number, Object())
        thing.token, thing.function = f"{self.sender}.{number}", name
        again = (options.retries or 0) if options.retry_errors else 0
        try:
            if options.split:
                raise Refused(
                    f"the result of a Python function such as `{name}` is not split; call it with "
                    "`spawn` in place of `spawn_split`"
                )
            if options.timeout is not None:
                raise Refused(
                    f"`timeout` is not there for Python functions such as `{name}`, which nothing "
                    "ends; `deadline` fails a call that takes too long"
                )
            with self.lock:
                flat = () if stored is None else self.objects[stored].handle()[:2]
            remote = self.function(name, name, options)
            spec = packed([module, function, args, again, form])
            thing.meta, thing.payload = remote.remote(spec, *flat)
        except Refused as error:
            thing.failed = failure("usage", str(error), name)
        except Exception as error:  # It is the outcome of the call.
            thing.failed = failure_of(error, name)
        if thing.failed is None:
            self.submitted(number, thing, name, options, parent)

    def submitted(
        self,
        number: int,
        thing: Object,
        function: Function,
        options: Options,
        parent: int | None,
    ) -> None:
        """Notes a call that Ray has taken."""
        with self.lock:
            self.name(number, thing)
            self.unfinished[number] = thing.meta
            if parent is not None:
                thing.parent = parent
                self.made_by.setdefault(parent, {})[number] = thing
        self.tidy("unfinished")
        if options.deadline is not None:
            self.alarms.after(options.deadline, self.too_late, number, thing, function, options)

    def stream_ended(self, thing: Object, ended: concurrent.futures.Future[Any]) -> None:
        """Ends the stream of a call that Ray has failed for good.

        The process of a call ends the stream in all other cases, behind its last item.
        """
        error = ended.exception()
        if error is not None:
            self.end_stream(thing, failure_of(error, thing.function))

    def end_stream(self, thing: Object, reason: FailureMeta) -> None:
        """Ends the stream that a failed call was to fill. A stream ends once."""
        if thing.stream is not None:
            self.ask("finish", thing.stream, reason)

    def function(self, function: Function, name: str, options: Options) -> Any:
        """Returns the remote function of a call. Calls with these options share it."""
        resources = tuple((name, amount) for name, amount in options.resources)
        key = (
            function,
            options.retries,
            options.cpus,
            options.memory,
            resources,
            options.node,
            options.spread,
        )
        made = self.chosen.get(key)
        if made is not None and time.monotonic() - made[1] < NODES.FRESH:
            return made[0]
        refused = self.refusal(name, options)
        if refused is not None:
            raise Refused(refused)
        if len(self.chosen) >= 1000:
            self.chosen.clear()
        remote = self.remote.python if isinstance(function, str) else self.remote.call
        call = remote.options(
            name=name, max_retries=options.retries or 0, **self.resources(options)
        )
        # Nodes come and go. A call that depends on none is the same at all times.
        depends = resources or options.node or options.cpus or options.memory
        self.chosen[key] = (call, time.monotonic() if depends else float("inf"))
        return call

    def refusal(self, name: str, options: Options) -> str | None:
        """Says why no node ever has the resources of a call; `None`: a node has them."""
        wanted: dict[str, float] = dict(options.resources)
        if options.cpus is not None:
            wanted["num_cpus"] = options.cpus
        if options.memory is not None:
            wanted["memory"] = options.memory
        if not wanted:
            return None
        names = {"num_cpus": "CPU"}

        def has_all(node: dict[str, float]) -> bool:
            return all(node.get(names.get(what, what), 0) >= wanted[what] for what in wanted)

        for anew in (False, True):
            if any(has_all(node) for _, _, node in NODES.alive(anew)):
                return None
        amounts = " and ".join(
            f"{int(amount) if amount == int(amount) else amount} of `{what}`"
            for what, amount in wanted.items()
        )
        return (
            f"`{name}` needs {amounts}, and no node of the cluster has that, so it could never "
            "run; on Ray, `ray start --resources` declares what "
            "`Runtime::builder().resource(..)` declares on one machine"
        )

    def tidy(self, which: Literal["unfinished", "detached"]) -> None:
        """Forgets ended calls when the calls are twice as many as after the last time."""
        with self.lock:
            calls: dict[int, Ref] = getattr(self, which)
            if len(calls) < self.tidied[which]:
                return
            refs = list(set(calls.values()))
            _, left = ray.wait(refs, num_returns=len(refs), timeout=0, fetch_local=False)
            left = set(left)
            calls = {number: ref for number, ref in calls.items() if ref in left}
            setattr(self, which, calls)
            self.tidied[which] = max(TIDY, 2 * len(calls))
            for run, made in list(self.made_by.items()):
                for number in made.keys() - self.objects.keys() - self.unfinished.keys():
                    del made[number]
                if not made:
                    self.made_by.pop(run, None)

    def too_late(self, number: int, thing: Object, function: Function, options: Options) -> None:
        """Fails a call that is pending at its deadline."""
        if thing.failed is None and is_pending(thing.meta):
            text = f"has not ended within {options.deadline:g} s of its submission, its deadline"
            self.stop(number, thing, failure("timeout", text, function), (True, True, None))

    def stop(self, number: int, thing: Object, reason: FailureMeta, how: How) -> None:
        """Fails a pending call, and has the process that runs it end it.

        `ray.cancel` is no way: it ends its caller's process if the task ends at that moment.
        """
        if isinstance(thing.function, str):
            # Nothing ends a Python function, so nobody waits for it either.
            self.unfinished.pop(number, None)
        else:
            self.ask("cancel", thing.token, reason, how)
        thing.failed = reason
        self.end_stream(thing, reason)
        if thing.watched:
            self.soon(self.ready, number, thing)

    def on_Cancel(
        self, numbers: list[int], recursive: bool, kills: bool, grace: float | None
    ) -> None:
        how = (recursive, kills, grace)
        for number in numbers:
            thing = self.objects.get(number)
            if (
                thing is not None
                and thing.token
                and thing.failed is None
                and is_pending(thing.meta)
            ):
                self.stop(number, thing, failure("cancelled", "", thing.function), how)

    def ask(self, kind: str, *args: Any) -> Ref:
        """Asks the hub. The hub answers one process in the order of its requests."""
        with self.lock:
            self.asked += 1
            return self.remote.hub.ask.remote(self.sender, self.asked, kind, args)

    def on_Split(self, result: int, numbers: list[int]) -> None:
        whole = self.objects[result]
        for place, number in enumerate(numbers):
            thing = self.add(number, Object())
            meta = whole.failed or whole.meta
            thing.meta, thing.payload = self.remote.pick.remote(meta, place)
            self.name(number, thing)

    def on_CreateActor(
        self,
        number: int,
        constructor: int,
        args: list[WireArg],
        actor: Sequence[Any],
        given: Sequence[Any],
        found: int | None,
    ) -> None:
        options = self.options(given)
        name, restarts, call_retries, concurrency, groups, most_pending, grace = actor
        thing = self.add(number, Object())
        parts, flat = self.arguments(args)
        threads = concurrency + sum(threads for _, threads in groups)
        chosen = {
            "max_restarts": restarts,
            "max_task_retries": call_retries,
        }
        if name is not None:
            chosen.update(name=name, get_if_exists=found is not None)
        if threads > 1:
            chosen["max_concurrency"] = threads + 1
        if most_pending is not None:
            chosen["max_pending_calls"] = most_pending
        spec: Spec = (constructor, parts, given, f"{self.sender}.{number}")
        refused = self.refusal(self.names[constructor], options)
        kept: Kept = {
            "threads": threads,
            "concurrency": concurrency,
            "groups": dict(groups),
            "grace": grace,
        }
        try:
            if refused is not None:
                raise Refused(refused)
            chosen.update(self.resources(options))
            if name in self.left:
                # Ray refuses the name as long as its last actor has not ended.
                with contextlib.suppress(ValueError):
                    self.actor_of(name)
            thing.actor = self.remote.Actor.options(**chosen).remote(spec, kept, *flat)
            thing.meta = thing.actor.made.remote()
            thing.label = name
        except Refused as error:
            thing.failed = failure("usage", str(error))
        except Exception as error:  # It is the outcome of the call.
            thing.failed = failure_of(error, constructor)
            if name is not None and is_taken(error):
                text = f"there is an actor with the name `{name}` already; "
                text += "names are of one actor at a time"
                thing.failed = failure("usage", text, constructor)
        with self.lock:
            self.name(number, thing)
        if found is not None:
            self.answer_with(found, thing, number)

    def answer_with(self, answer: int, thing: Object, number: int) -> None:
        """Makes `answer` an object that names the actor `thing`."""
        if thing.failed is not None:
            self.add(answer, Object(thing.failed))
            return
        with self.lock:
            self.objects[number].count += 1
        found = Object(("v", self.stands, (thing.handle(),), False))
        found.children.append(number)
        self.add(answer, found)

    def on_FindActor(self, answer: int, name: str) -> None:
        try:
            actor = self.actor_of(name)
        except ValueError:
            text = f"there is no actor with the name `{name}`"
            self.add(answer, Object(failure("usage", text)))
            return
        thing = Object(actor.made.remote(), None, actor)
        number = self.kept(thing)
        self.objects[number].label = name
        self.answer_with(answer, thing, number)

    def actor_of(self, name: str) -> RayActor:
        """Returns the actor of a name. Raises `ValueError` if there is none.

        Ray ends an actor some milliseconds after its last handle has gone. An actor whose last
        handle of this process has just gone has `LEAVE` to end.
        """
        ends = self.left.pop(name, 0.0) + LEAVE
        while True:
            actor = ray.get_actor(name)
            if time.monotonic() >= ends:
                if actor._actor_id in self.ending:
                    raise ValueError(name)
                return actor
            # The handle would keep the actor.
            del actor
            time.sleep(0.005)

    def kept(self, thing: Object) -> int:
        """Returns the number of an object that nothing keeps until its answer does."""
        number = self.intern(thing.handle())
        with self.lock:
            self.objects[number].count -= 1
        return number

    def on_KillActor(self, number: int) -> None:
        thing = self.objects.get(number)
        if thing is not None and thing.actor is not None:
            # Ray kills it later. It would run calls, and have its name, until then.
            self.note_end(thing.actor, killed=True)
            if thing.label is not None:
                self.left[thing.label] = time.monotonic()
            with contextlib.suppress(Exception):
                ray.kill(thing.actor, no_restart=True)

    def note_end(self, actor: RayActor, *, killed: bool) -> None:
        """Has the name of an actor find nothing from now on, and calls of a killed one fail."""
        with self.ends:
            killed |= self.ending.pop(actor._actor_id, False)
            if len(self.ending) >= 1000:
                del self.ending[next(iter(self.ending))]
            self.ending[actor._actor_id] = killed

    # -- queues -----------------------------------------------------------------------------------

    def on_CreateQueue(self, number: int, capacity: int) -> None:
        name = f"{self.sender}.{number}"
        self.ask("create", name, capacity)
        thing = self.add(number, Object(("v", self.unit, (), False), None, None, name))
        with self.lock:
            self.name(number, thing)

    def on_QueuePut(self, answer: int, number: int, values: list[WireArg], waits: bool) -> None:
        spec, _ = self.arguments(values)
        # A value or an object: `Queue::put` passes nothing else.
        handles = [
            (part[1], None, False, None, None, None)
            if part[0] == "v"
            else cast("ObjectPart", part)[2]
            for part in spec
        ]
        self.request(answer, number, ["put", handles, waits, self.unit])

    def on_QueueGet(self, answers: list[int], number: int, waits: bool) -> None:
        got = self.request(answers[0], number, ["get", len(answers), waits])
        for place, answer in enumerate(answers):
            thing = self.add(answer, Object())
            thing.meta, thing.payload = got, place

    def request(self, answer: int, number: int, request: list[Any]) -> Ref:
        """Asks the hub for a request to a queue, whose first answer is `answer`."""
        name = cast("str", self.objects[number].queue)
        kind, *args = request
        self.queue_of[answer] = name
        asked = self.ask(kind, name, f"{self.sender}.{answer}", *args)
        if kind == "put":
            self.add(answer, Object(asked))
        return asked

    def on_QueueGiveUp(self, answers: list[int], returns: bool) -> None:
        name = self.queue_of.get(answers[0])
        if name is not None:
            self.ask("give_up", name, f"{self.sender}.{answers[0]}", returns)

    def on_QueueTook(self, answers: list[int]) -> None:
        name = self.queue_of.get(answers[0])
        if name is not None:
            self.ask("took", name, f"{self.sender}.{answers[0]}")

    def on_QueueAsk(self, answer: int, number: int, close: bool) -> None:
        self.add(answer, Object(self.ask("state", self.objects[number].queue, close)))

    # -- the rest ---------------------------------------------------------------------------------

    def on_Progress(self, number: int, done: int, total: int) -> None:
        pass

    def on_Again(self, _: int) -> None:
        pass

    def on_Blocked(self, *_: object) -> None:
        pass

    def on_Unblocked(self, *_: object) -> None:
        pass

    def on_Retire(self, *_: object) -> None:
        pass

    def on_Exits(self, *_: object) -> None:
        pass


def stream_of(parts: Sequence[Part]) -> str | None:
    """Returns the queue that a call with these arguments fills as a stream."""
    return parts[-1][1] if parts and parts[-1][0] == "q" else None


def is_pending(meta: Meta | Ref | None) -> bool:
    """Returns whether a call has not ended."""
    if not isinstance(meta, ray.ObjectRef):
        return False
    done, _ = ray.wait([meta], timeout=0, fetch_local=False)
    return not done


class Helper(Peer):
    """Serves the program that has started the runtime."""

    def on_Idle(self, question: int) -> None:
        threading.Thread(target=self.idle, args=(question,), daemon=True).start()

    def idle(self, question: int) -> None:
        """Answers a question when all calls have ended, on a thread of its own."""
        while True:
            with self.lock:
                refs = list(self.unfinished.values())
            if not refs:
                break
            done = set(refs)
            with contextlib.suppress(Exception):
                # A call that is given up meanwhile is not waited for.
                ready, _ = ray.wait(refs, num_returns=len(refs), timeout=1.0, fetch_local=False)
                done = set(ready)
            with self.lock:
                self.unfinished = {n: ref for n, ref in self.unfinished.items() if ref not in done}
        self.stream.send("Idle", question)

    def on_Nodes(self, question: int) -> None:
        self.later(self.nodes, question)

    def nodes(self, question: int) -> None:
        """Tells the program the nodes of the cluster."""
        own = ray.get_runtime_context().get_node_id()
        nodes = [
            (name, float(resources.get("CPU", 0)), node == own)
            for name, node, resources in NODES.alive(True)
        ]
        self.stream.send("Nodes", question, nodes)

    def follow_progress(self) -> None:
        """Passes the progress of calls on to the program, as long as it lives."""

        def came(later: concurrent.futures.Future[Any]) -> None:
            try:
                news = later.result()
            except Exception:  # The hub is gone, and so is the runtime.
                return
            for token, done, total in news:
                self.stream.send("Progress", int(token.rpartition(".")[2]), done, total)
            self.follow_progress()

        self.remote.hub.progressed.remote().future().add_done_callback(came)

    def on_Shutdown(self, grace: float) -> None:
        refs = list(self.detached.values())
        if refs and grace > 0:
            with contextlib.suppress(Exception):
                ray.wait(refs, num_returns=len(refs), timeout=grace, fetch_local=False)
        raise Gone("the runtime has ended")


class Child(Peer):
    """Serves a process of the program that runs calls. A new process replaces an ended one."""

    def __init__(self, head: Head) -> None:
        _, settings, program, _ = head
        self.settings = settings
        self.program = program
        self.runs: dict[int, queue.SimpleQueue[Event]] = {}
        self.run_number = 0
        # The tokens of the calls, by their runs.
        self.token_of: dict[int, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.node = NODES.own()
        self.blocked = 0
        self.actor_threads: int | None = None
        # Runs by the tokens of their calls.
        self.tokens: dict[str, queue.SimpleQueue[Event]] = {}
        # Cancelled calls that have not come here, and when. Most of them never come.
        self.cancelled: dict[str, tuple[FailureMeta, How, float]] = {}
        # Bytes that Ray has copied, and the stream to the process whose they are. `None`: the end.
        self.freed: queue.SimpleQueue[tuple[Stream, list[int]] | None] = queue.SimpleQueue()
        threading.Thread(target=self.frees, daemon=True).start()
        # It has no stream before `start`.
        super().__init__(cast("Stream", None), Remote(head))
        self.follow_hub()

    def start(self) -> None:
        """Starts the process. The caller holds the lock, and no process is there.

        Raises an exception of any kind if the process does not say hello in time.
        """
        settings = self.settings
        path = executable(self.program)
        cores = ray.cluster_resources().get("CPU", 1)
        own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        own_descriptors, its_descriptors = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with self.lock:
            self.stream = Stream(own, own_descriptors)
            self.segments = Segments(self.stream)
            self.leave_queues()
            self.objects, self.by_key = {}, {}
            self.queue_of.clear()
            self.made_by.clear()
            self.blocked = 0
        environment = dict(os.environ)
        environment.update(settings["env"])
        environment["MOBULA_PEER"] = f"{settings['capacity']},{settings['stack']}"
        process: subprocess.Popen[bytes] | None = None
        try:
            with its, its_descriptors:
                socket.send_fds(own, [struct.pack("<I", 0xFFFFFFFF)], [its_descriptors.fileno()])
                process = subprocess.Popen(
                    [path, *settings["args"]], stdin=its.fileno(), env=environment
                )
            for end in (own, own_descriptors):
                end.settimeout(settings["start"])
            number = 16 + uuid.uuid4().int % ((1 << 24) - 16)
            self.hello(number, cores, "a Ray worker")
            for end in (own, own_descriptors):
                end.settimeout(None)
        except BaseException as error:
            self.stream.close()
            status: int | None = None
            if process is not None:
                # A process that has failed closes its stream before it has ended.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = process.wait(1.0 if isinstance(error, Gone) else 0.0)
                process.kill()
                process.wait()
            if status is not None:
                raise Gone(describe(status)) from error
            if isinstance(error, socket.timeout):
                text = f"it has not said hello within {settings['start']:g} s"
                raise Gone(text) from error
            raise
        self.process = process
        collect_less()
        threading.Thread(target=self.reads, args=(process,), daemon=True).start()
        if self.actor_threads is not None:
            self.stream.send("Actor", self.actor_threads)

    def not_started(self, error: Exception, function: int) -> FailureMeta:
        """Returns the failure of a call whose process has not started."""
        text = " ".join(str(error).split())
        if not isinstance(error, Gone):
            text = f"{type(error).__name__}: {text}"
        return failure("setup", f"the program does not start on node {self.node}: {text}", function)

    def leave_queues(self) -> None:
        """Tells the hub that a process keeps no queue any more, because it has ended."""
        for thing in self.objects.values():
            if thing.queue is not None:
                self.ask("keep", thing.queue, -1)
                thing.queue = None

    def reads(self, process: subprocess.Popen[bytes]) -> None:
        """Serves the process until it ends, and tells its runs so."""
        try:
            self.serve()
        except Gone:
            pass
        except BaseException as error:  # The process cannot go on without its reader.
            print(f"mobula: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        self.stream.close()
        # A process ends with its stream. It is killed if it has not ended after `PATIENCE`.
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        with self.lock:
            self.process = None
            self.leave_queues()
            runs, self.runs = list(self.runs.values()), {}
        for run in runs:
            run.put(("dead", status))

    # -- runs -----------------------------------------------------------------------------------

    def resolve(
        self, spec: list[Part], flat: tuple[Any, ...], keeper: Object
    ) -> list[dict[str, Any]]:
        """Returns the arguments in the form for the process.

        Raises `Failed` if an argument is a failure.
        """

        def thing(part: ObjectPart | QueuePart) -> list[Any]:
            if part[0] == "q":
                number = self.intern((None, None, False, None, part[1], None))
                keeper.children.append(number)
                return [number, [self.unit, [], []]]
            _, at, handle = part
            meta, payload = expanded(flat[at]), flat[at + 1]
            if meta[0] != "v":
                raise Failed(meta)
            number = self.intern(handle)
            keeper.children.append(number)
            return [number, self.value(meta, payload, self.objects[number])]

        args: list[dict[str, Any]] = []
        for part in spec:
            if part[0] == "v":
                args.append({"Value": self.value(part[1], None, keeper)})
            elif part[0] == "g":
                args.append({"Gather": [thing(inner) for inner in part[1]]})
            else:
                args.append({"Object": thing(part)})
        return args

    def run(
        self,
        spec: Spec,
        flat: tuple[Any, ...],
        role: str = "call",
        begun: Callable[[], None] = lambda: None,
    ) -> Result:
        """Runs a call, again after a crash while it may, and returns its two results.

        Calls `begun` when the process has got the call.
        """
        function, parts, given, token = spec
        options = self.options(given)
        left = options.retries or 0
        while True:
            result = self.run_once(function, parts, options, token, flat, left, begun)
            meta = result[0]
            again = meta[0] == "f" and (
                meta[1] == "crash" or meta[1] == "timeout" and options.retry_timeouts
            )
            if not again or left == 0 or role != "call":
                break
            left -= 1
        # After a crash of a method, Ray may make the actor anew and run the method again.
        if not (role == "method" and meta[:2] == ("f", "crash")):
            self.finish(parts, meta)
        return result

    def finish(self, parts: list[Part], meta: Meta) -> None:
        """Ends the stream of a call that has ended."""
        stream = stream_of(parts)
        if stream is not None:
            self.ask("finish", stream, None if meta[0] == "v" else meta)

    def run_once(
        self,
        function: int,
        parts: list[Part],
        options: Options,
        token: str,
        flat: tuple[Any, ...],
        left: int,
        begun: Callable[[], None],
    ) -> Result:
        keeper = Object()
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        number = 0  # Of no run.
        try:
            with self.lock:
                if self.process is None:
                    try:
                        self.start()
                    except Exception as error:  # It is the outcome of the call.
                        return self.not_started(error, function), None
                self.run_number += 1
                reason = self.cancelled.pop(token, None)
                if reason is not None:
                    return reason[0], None
                number = self.run_number
                self.runs[number] = events
                self.tokens[token] = events
                self.token_of[number] = token
            args = self.resolve(parts, flat, keeper)
            self.stream.send("Task", [number, function, args, options.own, left])
            begun()
            return self.follow(number, function, options, events)
        except Failed as failed:
            return failure("dependency", "", function, failed.meta), None
        except TooLong as error:
            text = f"the arguments of `{self.names[function]}` take {error}"
            return failure("resource_limit", text, function), None
        finally:
            self.runs.pop(number, None)
            self.token_of.pop(number, None)
            self.tokens.pop(token, None)
            self.let_go(keeper)

    def follow(
        self, number: int, function: int, options: Options, events: queue.SimpleQueue[Event]
    ) -> Result:
        """Waits for the end of a run. Ends it if it takes too long or is cancelled."""
        began = time.monotonic()
        reason: FailureMeta | None = None
        # The time at which the process is killed.
        killed: float | None = None
        while True:
            event = self.next_event(events)
            now = time.monotonic()
            if event is None:
                if (
                    reason is None
                    and options.timeout is not None
                    and now - began >= options.timeout
                ):
                    text = f"has run for longer than its limit of {options.timeout:g} s"
                    reason = failure("timeout", text, function)
                    killed = self.cancel_run(number, (True, True, None), options)
                process = self.process
                if killed is not None and now >= killed and process is not None:
                    process.kill()
                    killed = None
                continue
            if event[0] == "cancel":
                if reason is None:
                    reason, how = event[1]
                    killed = self.cancel_run(number, how, options)
                continue
            self.made_by.pop(number, None)
            if reason is not None:
                return reason, None
            if event[0] == "dead":
                text = f"{describe(event[1])} (pid {self.pid} on node {self.node})"
                return failure("crash", text, function), None
            return event[1]

    def next_event(self, events: queue.SimpleQueue[Event]) -> Event | None:
        """Waits for an event of a run, for a short time; `None`: there is none yet."""
        try:
            return events.get(timeout=LOOK if not self.blocked else 0.001)
        except queue.Empty:
            pass
        if self.blocked:
            # While this thread waits in Ray, other tasks may have the cores of its task.
            with self.lock:
                refs = [
                    thing.meta
                    for thing in self.objects.values()
                    # `wait` returns at once for an object that is ready.
                    if thing.watched and not thing.told and isinstance(thing.meta, ray.ObjectRef)
                ]
            if refs:
                ray.wait(refs, timeout=LOOK, fetch_local=False)
            else:
                time.sleep(LOOK)
        return None

    def cancel_run(self, number: int, how: How, options: Options) -> float | None:
        """Tells the process to end a run, and returns the time of its kill, if `how` has one."""
        recursive, kills, grace = how
        self.stream.send("Cancel", number)
        with self.lock:
            made = list(self.made_by.get(number, {}).items())
        for child, thing in made if recursive else ():
            if thing.failed is None and is_pending(thing.meta):
                self.stop(child, thing, failure("cancelled", "", thing.function), how)
        return time.monotonic() + (options.grace if grace is None else grace) if kills else None

    def follow_hub(self, known: int = 0) -> None:
        """Learns of cancelled calls for as long as this process lives."""

        def came(later: concurrent.futures.Future[Any]) -> None:
            try:
                last, tokens = later.result()
            except Exception:  # The hub is gone, and so is the runtime.
                return
            # A start of the process may hold the lock, and needs Ray's thread meanwhile.
            self.soon(self.learn, last, tokens)

        self.remote.hub.cancelled.remote(known).future().add_done_callback(came)

    def learn(self, last: int, cancelled: list[Cancelled]) -> None:
        """Notes cancelled calls, and asks for those behind the first `last` ones."""
        now = time.monotonic()
        with self.lock:
            for token, reason, how in cancelled:
                run = self.tokens.get(token)
                if run is not None:
                    run.put(("cancel", (reason, how)))
                else:
                    self.cancelled[token] = (reason, how, now)
            while self.cancelled:
                oldest = next(iter(self.cancelled))
                if len(self.cancelled) <= MOST_CANCELLED:
                    if now - self.cancelled[oldest][2] <= CANCELLED:
                        break
                del self.cancelled[oldest]
        self.follow_hub(last)

    def result(self, fields: WireValue) -> Result:
        """Returns the two objects of a value. The process' bytes are free when Ray has them."""
        blob, refs, places = fields
        meta: ValueMeta = ("v", blob, self.handles(refs), bool(places))
        if not places:
            return meta, None
        _, offset, length = places[0]
        view = self.view(offset, length)
        # Ray has copied the bytes when the last ref to the view is gone. That may happen at any
        # place of any thread, also within `send`.
        weakref.finalize(view, self.freed.put, (self.stream, [offset, length]))
        return meta, pickle.PickleBuffer(view)

    def frees(self) -> None:
        """Tells processes which of their bytes are free, on a thread of its own."""
        for stream, extent in iter(self.freed.get, None):
            stream.send("Free", [extent])

    def on_Done(self, number: int, outcome: dict[str, Any]) -> None:
        run = self.runs.pop(number, None)
        if run is None:
            return
        # The result keeps its objects now: the process releases them by its next frames.
        ((kind, fields),) = outcome.items()
        result: Result
        if kind == "Value":
            result = self.result(fields)
        elif kind == "Error":
            result = ("e", fields), None
        else:
            result = failure(fields[0], fields[2], fields[1]), None
        run.put(("done", result))

    def on_Progress(self, number: int, done: int, total: int) -> None:
        token = self.token_of.get(number)
        if token is not None:
            self.remote.hub.progress.remote(token, done, total)

    def on_Blocked(self, *_: object) -> None:
        self.blocked += 1

    def on_Unblocked(self, *_: object) -> None:
        self.blocked = max(0, self.blocked - 1)


class Refused(Exception):
    """No node ever has the resources of a call."""


class Failed(Exception):
    """An argument that is a failure."""

    def __init__(self, meta: Meta) -> None:
        super().__init__()
        self.meta = meta


class Turn:
    """The turn of a call among the calls of one caller to one group of an actor.

    Threads of Ray take up calls in any order. A call waits until the calls before it have begun. It
    waits for up to `WAIT` seconds: a call that still waits for its arguments needs a thread, too.
    """

    WAIT = 1.0

    def __init__(
        self, turns: Turns, caller: str, group: str | None, number: int, begins: bool = False
    ) -> None:
        """Waits for the turn. The first call of a group has it if it `begins` at any number."""
        self.turns, self.key, self.number = turns, (caller, group), number
        changed, following = turns
        with changed:
            if begins:
                following.setdefault(self.key, number)
            changed.wait_for(lambda: following.get(self.key, 1) >= number, self.WAIT)

    def end(self) -> None:
        changed, following = self.turns
        with changed:
            following[self.key] = max(following.get(self.key, 1), self.number + 1)
            changed.notify_all()


def was_made_before() -> bool:
    """Returns whether Ray has made the actor of this worker anew after a death."""
    try:
        # Ray 2.60 warns that it is no API for users, and has no other.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(ray.get_runtime_context().was_current_actor_reconstructed)
    except Exception:  # The first calls wait for a second, then.
        return False


class ActorProcess:
    """The process of an actor."""

    def __init__(self, spec: Spec, options: Kept, flat: tuple[Any, ...]) -> None:
        self.turns: Turns = (threading.Condition(), {})
        # Callers go on to count their calls where the actor is made anew.
        self.is_anew = was_made_before()
        self.child = child()
        self.child.actor_threads = options["threads"]
        if self.child.process is not None:
            self.child.stream.send("Actor", options["threads"])
        self.groups = {
            name: threading.BoundedSemaphore(most) for name, most in options["groups"].items()
        }
        self.others = threading.BoundedSemaphore(options["concurrency"])
        self.meta, _ = self.child.run(spec, flat, "constructor")
        if self.meta[0] == "f" and self.meta[1] == "crash":
            # Ray restarts the actor while it may.
            os._exit(1)

    def call(self, given: MethodSpec, flat: tuple[Any, ...]) -> Result:
        """Runs a method in its turn."""
        spec, order = given[:4], given[4]
        function, parts, _, _ = spec
        _, group, _ = order
        if self.meta[0] != "v":
            dead = failure("actor_dead", "", function, self.meta)
            self.child.finish(parts, dead)
            return dead, None
        turn = Turn(self.turns, *order, begins=self.is_anew)
        try:
            with self.groups.get(group or "", self.others):
                result = self.child.run(spec, flat, "method", turn.end)
        finally:
            turn.end()
        if result[0][0] == "f" and result[0][1] == "crash":
            os._exit(1)
        return result


class Line:
    """A queue. It serves requests in their order."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        # Each value with its place among all values that were ever put in. A returned value takes
        # its old place.
        self.items: collections.deque[tuple[int, Handle]] = collections.deque()
        self.next_place = 0
        self.putting: collections.OrderedDict[str, Putting] = collections.OrderedDict()
        self.getting: collections.OrderedDict[str, Getting] = collections.OrderedDict()
        # The values of each answer that its process has not confirmed.
        self.taken: dict[str, list[tuple[int, Handle]]] = {}
        self.closed = False
        self.ended = failure("closed", "the queue is closed, and nothing is left in it")
        # The failure with which it ends when no value waits for room.
        self.finishing: FailureMeta | None = None
        # The number of processes that keep it.
        self.kept = 1
        self.unused_since: float | None = None

    def step(self) -> None:
        """Serves the first requests while they can be served."""
        moved = True
        while moved:
            moved = False
            if self.putting:
                key, (handles, unit, later) = next(iter(self.putting.items()))
                if self.closed or len(self.items) + len(handles) <= self.capacity:
                    del self.putting[key]
                    moved = True
                    if self.closed:
                        answer(later, self.ended)
                    else:
                        self.items.extend(enumerate(handles, self.next_place))
                        self.next_place += len(handles)
                        answer(later, ("v", unit, (), False))
            if self.getting:
                key, (count, later) = next(iter(self.getting.items()))
                if len(self.items) >= count:
                    del self.getting[key]
                    moved = True
                    self.taken[key] = [self.items.popleft() for _ in range(count)]
                    handles = [handle for _, handle in self.taken[key]]
                    answer(later, ("v", b"", tuple(handles), False))
                elif self.closed:
                    del self.getting[key]
                    moved = True
                    answer(later, self.ended)
            if self.finishing is not None and not self.putting and not self.closed:
                moved = True
                self.closed, self.ended = True, self.finishing

    def wait(self, table: dict[str, Any], key: str, waits: bool, *request: object) -> Answer:
        """Serves a request at once, or lets it wait if it `waits`."""
        later: Answer = asyncio.get_running_loop().create_future()
        table[key] = (*request, later)
        self.step()
        if not waits and table.pop(key, None) is not None:
            answer(later, LATE)
        return later

    def put(self, key: str, handles: Sequence[Handle], waits: bool, unit: bytes) -> Answer:
        """Puts values in, all at once."""
        return self.wait(self.putting, key, waits, handles, unit)

    def get(self, key: str, count: int, waits: bool) -> Answer:
        """Takes `count` values out, all at once."""
        return self.wait(self.getting, key, waits, count)

    def give_up(self, key: str, returns: bool) -> None:
        """Ends a request. If it `returns`, its values have their places in the queue again."""
        for table in (self.putting, self.getting):
            if key in table:
                answer(table.pop(key)[-1], LATE)
        values = self.taken.pop(key, None)
        for value in values or () if returns else ():
            bisect.insort(self.items, value)
        self.step()

    def took(self, key: str) -> None:
        """Forgets the values of an answer: its process has them."""
        self.taken.pop(key, None)

    def state(self, close: bool) -> StateMeta:
        """Returns the state of the queue, after its end if it is to `close`."""
        if close:
            self.closed = True
            self.step()
        return ("q", len(self.items), self.closed, self.accepted())

    def accepted(self) -> int:
        """Returns the number of values that were ever put in or wait for room."""
        return self.next_place + sum(len(handles) for handles, _, _ in self.putting.values())

    def finish(self, failed: FailureMeta | None) -> None:
        """Ends the queue when no value waits for room: the call that fills it has ended.

        The first end counts. The submitter of a failed call tells of it, too.
        """
        if self.finishing is None:
            self.finishing = failed or failure("closed", "the stream has ended")
            self.step()

    def keep(self, count: int) -> None:
        """Notes that `count` more processes keep the queue."""
        self.kept += count
        self.unused_since = time.monotonic() if self.kept <= 0 else None


KILLED = failure("actor", "the actor was killed by `ActorRef::kill`")
LATE = failure("wait", "the queue was full, or empty, for as long as its caller waits")
# A queue without a keeper stays for this time, in seconds: it may be on its way to a process.
UNUSED = 60.0
# A cancelled call is known for this time, in seconds: the call may wait for its process.
CANCELLED = 3600.0
# The most cancelled calls that a Ray worker knows.
MOST_CANCELLED = 10_000


def answer(later: asyncio.Future[Any], what: Meta | None) -> None:
    """Answers a request, unless Ray has cancelled it."""
    if not later.done():
        later.set_result(what)


class Hub:
    """The queues of a runtime, and its cancelled calls. All processes of the runtime ask it."""

    def __init__(self, follower: str) -> None:
        self.lines: dict[str, Line] = {}
        # For each process: the number of the request whose turn it is, and the waiting requests.
        self.turns: collections.defaultdict[str, list[Any]]
        self.turns = collections.defaultdict(lambda: [1, {}])
        # Cancelled calls and when; `first` of them are forgotten.
        self.cancels: list[tuple[float, Any]] = []
        self.first = 0
        self.changed = asyncio.Event()
        self.created = asyncio.Event()
        # The process that follows the progress of its calls, and the new progress by their tokens.
        # A call may report before the first question of the process has come.
        self.follower = follower
        self.far: dict[str, tuple[int, int]] = {}
        self.moved = asyncio.Event()

    async def ask(self, sender: str, number: int, kind: str, args: tuple[Any, ...]) -> Any:
        """Answers a request of a process in its turn."""
        # Ray may begin calls in another order than the order of their submission.
        turn = self.turns[sender]
        if number != turn[0]:
            later = asyncio.get_running_loop().create_future()
            turn[1][number] = later
            await later
        try:
            if kind not in ("cancel", "create"):
                await self.creation(args[0])
            asked = self.begin(kind, *args)
        finally:
            turn[0] += 1
            following = turn[1].pop(turn[0], None)
            if following is not None:
                answer(following, None)
        return await asked if isinstance(asked, asyncio.Future) else asked

    async def creation(self, name: str) -> None:
        """Waits for the creation of a queue, if it is on its way.

        Ray may bring a request of the process that got the queue before the creation, which another
        process has sent.
        """
        ends = time.monotonic() + COMES
        while name not in self.lines and time.monotonic() < ends:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.created.wait(), ends - time.monotonic())

    def begin(self, kind: str, *args: Any) -> Any:
        """Begins a request, and returns its answer or the future of one."""
        now = time.monotonic()
        if kind == "cancel":
            self.cancels.append((now, args))
            while self.cancels and now - self.cancels[0][0] > CANCELLED:
                self.cancels.pop(0)
                self.first += 1
            self.changed.set()
            self.changed = asyncio.Event()
            return None
        name, *rest = args
        if kind == "create":
            unused = [
                name
                for name, line in self.lines.items()
                if line.unused_since is not None and now - line.unused_since > UNUSED
            ]
            for old in unused:
                del self.lines[old]
            self.lines[name] = Line(*rest)
            self.created.set()
            self.created = asyncio.Event()
            return None
        line = self.lines.get(name)
        if line is None:
            return failure("closed", "the queue is gone")
        return getattr(line, kind)(*rest)

    async def cancelled(self, known: int) -> tuple[int, list[Cancelled]]:
        """Waits until more than `known` calls were cancelled.

        Returns the number of cancelled calls, and the calls behind the first `known` ones.
        """
        while known >= self.first + len(self.cancels):
            await self.changed.wait()
        news = [args for _, args in self.cancels[max(0, known - self.first) :]]
        return self.first + len(self.cancels), news

    def progress(self, token: str, done: int, total: int) -> None:
        """Notes the progress of a call, if its process follows it."""
        if token.rpartition(".")[0] == self.follower:
            self.far[token] = (done, total)
            self.moved.set()
            self.moved = asyncio.Event()

    async def progressed(self) -> list[tuple[str, int, int]]:
        """Returns the new progress of the calls of the process that follows it; waits for some."""
        while not self.far:
            await self.moved.wait()
        told = [(token, done, total) for token, (done, total) in self.far.items()]
        self.far.clear()
        return told


def describe(status: int) -> str:
    """Says how a process has ended."""
    if status < 0:
        try:
            name = f" ({signal.Signals(-status).name})"
        except ValueError:  # Real-time signals have no names.
            name = ""
        return f"it was ended by signal {-status}{name}"
    return f"it has ended with status {status}"


CHILD: Child | None = None
CHILD_LOCK = threading.Lock()


def child() -> Child:
    """Returns the one `Child` of this Ray worker."""
    global CHILD
    with CHILD_LOCK:
        if CHILD is None:
            CHILD = Child(HEAD)  # noqa: F821 - `Remote` sets it.
        return CHILD


def executable(program: Program) -> str:
    """Returns the path of the program's file on this node. The first caller gets it from Ray."""
    digest, content = program
    directory = os.path.join(tempfile.gettempdir(), f"mobula-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    status = os.lstat(directory)
    if status.st_uid != os.getuid() or status.st_mode & 0o777 != 0o700:
        raise RuntimeError(
            f"{directory} is not of this user alone, so no program is run from there"
        )
    path = os.path.join(directory, digest)
    if not os.path.exists(path):
        data = ray.get(content)
        own = f"{path}.{os.getpid()}"
        try:
            with open(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700), "wb") as file:
                file.write(data)
            os.rename(own, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(own)
            raise
    return path


def collect_less() -> None:
    """Has Python look for cycles less often, and not among the objects that exist now.

    Nearly all of these are of Ray's modules and stay, and calls make few cycles. A search among
    them costs 5 % of the time of small calls.
    """
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT)


def end_with_node() -> None:
    """Ends the helper when the Ray node of its program is gone. Ray answers nothing any more.

    The raylet keeps a silent connection open until it dies.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raylet:
        with contextlib.suppress(OSError):
            raylet.connect(ray._private.worker._global_node.raylet_socket_name)
            raylet.recv(1)
    # Failures that Ray knows already reach the program before the end.
    time.sleep(1)
    print("mobula: the Ray node that the program belongs to has ended", file=sys.stderr, flush=True)
    os._exit(1)


def helper(source: str, settings: Settings) -> None:
    """Joins the cluster, and serves the program until it ends."""
    end = socket.socket(fileno=os.dup(0))
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    data, fds, _, _ = socket.recv_fds(end, 4, 1)
    if data != struct.pack("<I", 0xFFFFFFFF) or len(fds) != 1:
        raise SystemExit("mobula: no socket for descriptors has come")
    stream = Stream(end, socket.socket(fileno=fds[0]))
    chosen: dict[str, Any] = {
        "address": settings["address"],
        "log_to_driver": True,
        "configure_logging": False,
    }
    if settings["node"]:
        chosen["_node_ip_address"] = settings["node"]
    try:
        ray.init(**chosen)
        with open(settings["program"], "rb") as file:
            content = file.read()
        program = (hashlib.sha256(content).hexdigest(), ray.put(content))
        sender = uuid.uuid4().hex
        hub = Remote((source, settings, program, None)).Hub.remote(sender)
        peer = Helper(stream, Remote((source, settings, program, hub)), sender)
        text = f"Ray {ray.__version__}, Python {sys.version.split()[0]}"
        peer.hello(OWN, ray.cluster_resources().get("CPU", 1), text)
        peer.follow_progress()
        collect_less()
    except Exception as error:  # The program says it.
        text = " ".join(str(error).split())
        stream.send(
            "Refused",
            f"cannot join the Ray cluster `{settings['address']}`: {type(error).__name__}: {text}",
        )
        raise SystemExit(1) from error
    threading.Thread(target=end_with_node, daemon=True).start()
    with contextlib.suppress(Gone):
        peer.serve()
    ray.shutdown()
    stream.close()
    os._exit(0)


if __name__ == "__main__" and "HEAD" not in globals():
    # The first argument is this text. The second one is the settings.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    helper(sys.argv[1], json.loads(sys.argv[2]))
