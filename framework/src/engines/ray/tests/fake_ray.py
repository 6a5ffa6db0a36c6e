"""A stand-in for Ray in one process: as much of it as the shim uses.

A ref is a future. A remote function or a remote class notes its calls. A test gives the results.
"""

from __future__ import annotations

import concurrent.futures
import sys
import types
from collections.abc import Callable
from typing import Any

VERSION = "0.0.fake"


class ObjectRef:
    """A ref whose result a test may give."""

    def __init__(self) -> None:
        self.result: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def future(self) -> concurrent.futures.Future[Any]:
        return self.result

    def _on_completed(self, callback: Callable[[Any], object]) -> None:
        """Calls back with the value, or with the exception in its place."""

        def ended(result: concurrent.futures.Future[Any]) -> None:
            error = result.exception()
            callback(result.result() if error is None else error)

        self.result.add_done_callback(ended)


class Remote:
    """A remote function, class or method."""

    def __init__(self, what: Any, returns: int = 1, **options: Any) -> None:
        self.what = what
        self.chosen = options
        self.calls: list[tuple[dict[str, Any], tuple[Any, ...]]] = []
        # The refs that each call has returned.
        self.refs: list[Any] = []
        self.returns = returns
        # An exception in place of a call.
        self.fails: Exception | None = None

    def options(self, **options: Any) -> Any:
        return types.SimpleNamespace(remote=lambda *args: self._call(options, args))

    def remote(self, *args: Any) -> Any:
        return self._call({}, args)

    def _call(self, options: dict[str, Any], args: tuple[Any, ...]) -> Any:
        if self.fails is not None:
            raise self.fails
        self.calls.append((options, args))
        refs = [ObjectRef() for _ in range(self.returns)]
        self.refs.append(refs[0] if self.returns == 1 else refs)
        return self.refs[-1]


class Actor:
    """The handle of an actor."""

    def __init__(self, name: str) -> None:
        self._actor_id = name
        self.call = Remote("call", 2)
        self.made = Remote("made")


def remote(*args: Any, **options: Any) -> Any:
    """Both forms of Ray's decorator."""
    if args:
        return Remote(args[0])
    return lambda what: Remote(what, options.get("num_returns", 1), **options)


def put(value: Any) -> ObjectRef:
    ref = ObjectRef()
    ref.result.set_result(bytes(memoryview(value)))
    return ref


def get(ref: Any) -> Any:
    return ref.result.result(10)


def wait(
    refs: list[Any], num_returns: int = 1, timeout: float | None = None, fetch_local: bool = True
) -> tuple[list[Any], list[Any]]:
    kinds = concurrent.futures.wait(
        [ref.result for ref in refs],
        10 if timeout is None else timeout,
        concurrent.futures.FIRST_COMPLETED
        if num_returns == 1
        else concurrent.futures.ALL_COMPLETED,
    )
    done = [ref for ref in refs if ref.result in kinds.done]
    return done, [ref for ref in refs if ref not in done]


def done(value: Any) -> ObjectRef:
    """Returns a ref that has its value."""
    ref = ObjectRef()
    ref.result.set_result(value)
    return ref


def failed(error: Exception) -> ObjectRef:
    """Returns a ref whose task has failed."""
    ref = ObjectRef()
    ref.result.set_exception(error)
    return ref


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Any) -> None:
        super().__init__("a task has failed")
        self.cause = cause


def _exceptions() -> types.ModuleType:
    """Returns `ray.exceptions`. Bases of the classes are the same there."""
    module = types.ModuleType("ray.exceptions")
    known: dict[str, Any] = {"RayError": RayError, "RayTaskError": RayTaskError}
    for name, base in (
        ("TaskCancelledError", "RayError"),
        ("RayActorError", "RayError"),
        ("ActorDiedError", "RayActorError"),
        ("ActorUnavailableError", "RayActorError"),
        ("ActorUnschedulableError", "RayError"),
        ("TaskUnschedulableError", "RayError"),
        ("ObjectStoreFullError", "RayError"),
        ("OutOfDiskError", "RayError"),
        ("WorkerCrashedError", "RayError"),
        ("OutOfMemoryError", "RayError"),
        ("NodeDiedError", "RayError"),
        ("LocalRayletDiedError", "RayError"),
        ("ObjectLostError", "RayError"),
        ("OwnerDiedError", "ObjectLostError"),
        ("ReferenceCountingAssertionError", "ObjectLostError"),
        ("PendingCallsLimitExceeded", "RayError"),
        ("RuntimeEnvSetupError", "RayError"),
        ("ActorAlreadyExistsError", "RayError"),
    ):
        bases = (ValueError,) if name == "ActorAlreadyExistsError" else ()
        known[name] = type(name, (*bases, known[base]), {})
    module.__dict__.update(known)
    return module


def node(address: str, name: str, alive: bool = True, **resources: float) -> dict[str, Any]:
    """Returns a node of the cluster as `ray.nodes` has it."""
    return {
        "Alive": alive,
        "NodeManagerAddress": address,
        "NodeID": name,
        "Resources": resources,
    }


# The cluster. `OWN` is the id of this process' node. Tests of actors fill the last two.
OWN = "id of one"
NODES: list[dict[str, Any]] = [node("10.0.0.1", OWN, CPU=4.0, gpu=1.0, memory=1e9)]
ACTORS: dict[str, Actor] = {}
KILLED: list[Any] = []


def _get_actor(name: str) -> Actor:
    if name not in ACTORS:
        raise ValueError(name)
    return ACTORS[name]


def install() -> types.ModuleType:
    """Makes `import ray` find this."""
    ray = types.ModuleType("ray")
    exceptions = _exceptions()
    util = types.ModuleType("ray.util")
    strategies = types.ModuleType("ray.util.scheduling_strategies")
    strategies.__dict__["NodeAffinitySchedulingStrategy"] = lambda node, soft: (node, soft)
    ray.__dict__.update(
        __version__=VERSION,
        __path__=[],
        ObjectRef=ObjectRef,
        exceptions=exceptions,
        util=util,
        remote=remote,
        put=put,
        get=get,
        wait=wait,
        nodes=lambda: NODES,
        cluster_resources=lambda: {"CPU": 4.0},
        get_runtime_context=lambda: types.SimpleNamespace(get_node_id=lambda: OWN),
        get_actor=_get_actor,
        kill=lambda actor, no_restart: KILLED.append((actor, no_restart)),
    )
    util.__dict__.update(__path__=[], scheduling_strategies=strategies)
    sys.modules.update(
        {
            "ray": ray,
            "ray.exceptions": exceptions,
            "ray.util": util,
            "ray.util.scheduling_strategies": strategies,
        }
    )
    return ray
