"""Calls that a process runs, and the turns of an actor's calls."""

from __future__ import annotations

import gc
import os
import pathlib
import queue
import sys
import threading
import time
import types
import unittest
from typing import Any
from unittest import mock

import fake_ray
import msgpack
from support import LIMIT, PeerCase, folder, options, pair, ray, shim, until


def value(blob: bytes = b"", handles: tuple[Any, ...] = (), has_payload: bool = False) -> Any:
    return ("v", blob, handles, has_payload)


CANCELLED = shim.failure("cancelled", "", 1)


class Process:
    """A stand-in for the process: notes whether it was killed."""

    def __init__(self, status: int = 0) -> None:
        self.killed = threading.Event()
        self.status = status
        # The process ends by itself when its stream does.
        self.ends = True

    def kill(self) -> None:
        self.killed.set()
        self.status = -9
        self.ends = True

    def wait(self, timeout: float | None = None) -> int:
        if not self.ends:
            raise shim.subprocess.TimeoutExpired("program", timeout or 0.0)
        return self.status


class ChildCase(PeerCase):
    """A child that has its process already."""

    @staticmethod
    def kind(stream: shim.Stream, others: Any) -> shim.Child:
        head: Any = ("", {}, ("", None), others.hub)
        with mock.patch.object(shim, "Remote", lambda _: others):
            made = shim.Child(head)
        made.stream, made.segments = stream, shim.Segments(stream)
        return made

    def setUp(self) -> None:
        super().setUp()
        self.own = Process()
        self.peer.process, self.peer.pid = self.own, 77
        look = mock.patch.object(shim, "LOOK", 0.005)
        look.start()
        self.addCleanup(look.stop)
        self.addCleanup(self.peer.freed.put, None)

    def options(self, **chosen: Any) -> Any:
        return self.peer.options(options(**chosen))

    def task(self) -> tuple[int, list[Any]]:
        """Reads the frame of a task: its run, and the rest."""
        ((kind, (run, *rest)),) = self.frames(1)
        self.assertEqual(kind, "Task")
        return run, rest

    def spec(self, parts: list[Any] | None = None, **chosen: Any) -> Any:
        return (1, parts or [], options(**chosen), "token")

    def begin(self, spec: Any, flat: tuple[Any, ...] = (), **how: Any) -> Any:
        """Runs a call on a thread of its own. Returns a function that waits for its result."""
        results: list[Any] = []

        def work() -> None:
            try:
                results.append(self.peer.run(spec, flat, **how))
            except BaseException as error:
                results.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()

        def result() -> Any:
            thread.join(LIMIT)
            return results[0]

        return result


class Follow(ChildCase):
    def follow(self, *events: Any, number: int = 7, **chosen: Any) -> Any:
        happening: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for event in events:
            happening.put(event)
        return self.peer.follow(number, 1, self.options(**chosen), happening)

    def test_the_result_of_a_run(self) -> None:
        self.assertEqual(self.follow(("done", (value(b"x"), None))), (value(b"x"), None))
        self.no_frame()

    def test_the_end_of_the_process_is_a_crash(self) -> None:
        meta, payload = self.follow(("dead", -11))
        self.assertEqual((meta[1], meta[2], payload), ("crash", 1, None))
        self.assertEqual(meta[3], "it was ended by signal 11 (SIGSEGV) (pid 77 on node 10.0.0.1)")

    def test_a_run_within_its_limit(self) -> None:
        self.assertEqual(self.follow(("done", (value(), None)), timeout=5.0), (value(), None))

    def test_a_run_that_takes_too_long_is_ended_then_killed(self) -> None:
        happening: queue.SimpleQueue[Any] = queue.SimpleQueue()
        began = time.monotonic()

        def end() -> None:
            self.own.killed.wait(LIMIT)
            happening.put(("dead", -9))

        threading.Thread(target=end, daemon=True).start()
        chosen = self.options(timeout=0.05, grace=0.1)
        meta, _ = self.peer.follow(7, 1, chosen, happening)
        self.assertGreaterEqual(time.monotonic() - began, 0.15)
        # The reason is the limit, and not the kill.
        self.assertEqual(meta[1:3], ("timeout", 1))
        self.assertIn("its limit of 0.05 s", meta[3])
        self.assertEqual(self.frames(1), [("Cancel", 7)])
        self.no_frame()

    def test_a_run_that_ends_within_its_grace_is_not_killed(self) -> None:
        happening: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def end() -> None:
            self.process.receive()
            happening.put(("done", (value(), None)))

        threading.Thread(target=end, daemon=True).start()
        meta, _ = self.peer.follow(7, 1, self.options(timeout=0.01, grace=60.0), happening)
        # It came too late.
        self.assertEqual(meta[1], "timeout")
        self.assertFalse(self.own.killed.is_set())

    def test_a_cancelled_run_has_that_reason(self) -> None:
        how = (False, False, None)
        done = ("done", (value(), None))
        self.assertEqual(self.follow(("cancel", (CANCELLED, how)), done), (CANCELLED, None))
        self.assertEqual(self.frames(1), [("Cancel", 7)])
        self.assertFalse(self.own.killed.is_set())

    def test_the_first_reason_counts(self) -> None:
        other = shim.failure("timeout", "", 1)
        how = (False, False, None)
        events = [("cancel", (CANCELLED, how)), ("cancel", (other, how)), ("dead", 0)]
        self.assertEqual(self.follow(*events), (CANCELLED, None))
        self.assertEqual(self.frames(1), [("Cancel", 7)])
        self.no_frame()

    def test_a_cancellation_may_kill_after_its_own_grace(self) -> None:
        happening: queue.SimpleQueue[Any] = queue.SimpleQueue()
        happening.put(("cancel", (CANCELLED, (False, True, 0.02))))

        def end() -> None:
            self.own.killed.wait(LIMIT)
            happening.put(("dead", -9))

        threading.Thread(target=end, daemon=True).start()
        result = self.peer.follow(7, 1, self.options(grace=60.0), happening)
        self.assertEqual(result, (CANCELLED, None))
        self.assertTrue(self.own.killed.is_set())

    def test_calls_of_a_cancelled_run_are_cancelled(self) -> None:
        pending, done = shim.Object(fake_ray.ObjectRef()), shim.Object(fake_ray.done(value()))
        pending.token, pending.function = "child", 4
        for recursive, requests in ((False, 0), (True, 1)):
            self.peer.made_by[7] = {20: pending, 21: done}
            how = (recursive, False, None)
            self.follow(("cancel", (CANCELLED, how)), ("done", (value(), None)))
            cancels = [request for request in self.asked() if request[0] == "cancel"]
            self.assertEqual(len(cancels), requests)
            # They are known for as long as the run.
            self.assertNotIn(7, self.peer.made_by)
        self.assertEqual(pending.failed, shim.failure("cancelled", "", 4))
        self.assertEqual(cancels, [("cancel", "child", pending.failed, how)])
        self.assertIsNone(done.failed)

    def test_a_run_that_waits_lets_ray_wait(self) -> None:
        ref = fake_ray.ObjectRef()
        thing = self.peer.add(30, shim.Object(ref))
        thing.watched = True
        # Ray would not wait for an object that is ready, so the cores would stay with the task.
        ready = self.peer.add(31, shim.Object(fake_ray.ObjectRef()))
        ready.watched = ready.told = True
        self.peer.on_Blocked()
        waited = threading.Event()
        happening: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def wait(refs: Any, timeout: Any, fetch_local: bool) -> Any:
            self.assertEqual((refs, fetch_local), ([ref], False))
            waited.set()
            happening.put(("done", (value(), None)))

        with mock.patch.object(ray, "wait", wait):
            self.peer.follow(7, 1, self.options(), happening)
        self.assertTrue(waited.is_set())
        self.peer.on_Unblocked()
        self.peer.on_Unblocked()
        self.assertEqual(self.peer.blocked, 0)


class Runs(ChildCase):
    def test_a_call_becomes_a_task_of_the_process(self) -> None:
        ref = fake_ray.ObjectRef()
        handle: Any = (ref, None, False, None, None, None)
        parts = [
            ("v", value(b"x")),
            ("o", 0, handle),
            ("g", [("o", 2, handle)]),
            ("q", "line"),
        ]
        begun = threading.Event()
        # The result of a call that refers to no object is bytes.
        flat = (value(b"y"), None, b"vy", b"")
        result = self.begin(self.spec(parts, own=b"own", retries=2), flat, begun=begun.set)
        run, (function, args, own, left) = self.task()
        number, line = shim.PEER << shim.COUNT_BITS | 1, shim.PEER << shim.COUNT_BITS | 2
        self.assertEqual((function, own, left), (1, b"own", 2))
        self.assertEqual(
            args,
            [
                {"Value": [b"x", [], []]},
                {"Object": [number, [b"y", [], []]]},
                {"Gather": [[number, [b"y", [], []]]]},
                {"Object": [line, [b"unit", [], []]]},
            ],
        )
        self.assertTrue(begun.wait(LIMIT))
        self.assertEqual(self.counts(), {number: 2, line: 1})
        self.peer.on_Done(run, {"Value": [b"z", [], []]})
        self.assertEqual(result(), (value(b"z"), None))
        # The end of a call that fills a stream is the end of the stream.
        self.assertEqual(self.asked()[-2:], [("keep", "line", -1), ("finish", "line", None)])
        self.assertEqual((self.counts(), self.peer.runs, self.peer.tokens), ({}, {}, {}))

    def test_a_call_that_came_as_bytes_is_the_same_task(self) -> None:
        parts = [("v", value(b"x")), ("v", value(b"y"))]
        spec = self.spec(parts, own=b"own", retries=2, resources=[["gpu", 0.5]])
        self.assertIsInstance(shim.closed(spec), bytes)
        tasks = []
        for given in (spec, shim.opened(shim.closed(spec))):
            result = self.begin(given)
            run, task = self.task()
            tasks.append(task)
            self.assertIn("token", self.peer.tokens)
            self.peer.on_Done(run, {"Value": [b"z", [], []]})
            self.assertEqual(result(), (value(b"z"), None))
        args = [{"Value": [b"x", [], []]}, {"Value": [b"y", [], []]}]
        self.assertEqual(tasks, [[1, args, b"own", 2]] * 2)

    def test_an_error_of_the_program_is_the_result(self) -> None:
        result = self.begin(self.spec([("q", "line")], retries=5))
        run, _ = self.task()
        self.peer.on_Done(run, {"Error": b"an error"})
        self.assertEqual(result(), (("e", b"an error"), None))
        self.assertEqual(self.asked()[-1], ("finish", "line", ("e", b"an error")))

    def test_a_failure_that_the_process_knows_is_the_result(self) -> None:
        result = self.begin(self.spec())
        self.peer.on_Done(self.task()[0], {"Failure": ["usage", 1, "it is so", None]})
        self.assertEqual(result(), (shim.failure("usage", "it is so", 1), None))

    def test_a_failed_argument_keeps_the_call_from_running(self) -> None:
        handle: Any = (fake_ray.ObjectRef(), None, False, None, None, None)
        good, bad = value(), shim.failure("lost", "")
        parts = [("o", 0, handle), ("o", 2, handle)]
        causes: list[tuple[Any, Any]] = [(bad, bad), (b"ex", ("e", b"x"))]
        for failed, cause in causes:
            result = self.begin(self.spec(parts, retries=3), (good, None, failed, None))
            self.assertEqual(result(), (shim.failure("dependency", "", 1, cause), None))
        self.no_frame()
        self.assertEqual((self.counts(), self.peer.runs, self.peer.tokens), ({}, {}, {}))

    def test_segments_of_arguments_go_with_the_call(self) -> None:
        result = self.begin(self.spec([("v", value(b"x"))]))
        run, _ = self.task()
        with mock.patch.object(shim, "raylets", lambda: []):
            handle: Any = (fake_ray.ObjectRef(), None, False, None, None, None)
            other = self.begin(
                self.spec([("o", 0, handle)]), (value(b"", (), True), fake_ray.put(b"bytes"))
            )
            self.assertEqual(self.frames(1), [("Segment", [1, 5])])
            shim.os.close(self.process.receive_descriptor())
            second, (_, args, *_) = self.task()
        self.assertEqual(args[0]["Object"][1], [b"", [], [[1, 0, 5]]])
        self.peer.on_Done(second, {"Value": [b"", [], []]})
        other()
        self.assertEqual(self.frames(1), [("DropSegment", 1)])
        self.peer.on_Done(run, {"Value": [b"", [], []]})
        result()

    def test_a_crash_is_tried_again_as_often_as_it_may_be(self) -> None:
        result = self.begin(self.spec(retries=2))
        for left in (2, 1, 0):
            run, rest = self.task()
            self.assertEqual(rest[3], left)
            self.peer.runs.pop(run).put(("dead", 3))
        self.assertEqual(result()[0][1], "crash")
        self.no_frame()

    def test_a_run_that_took_too_long_is_tried_again_if_it_is_to_be(self) -> None:
        for again, runs in ((False, 1), (True, 2)):
            result = self.begin(self.spec(retries=1, timeout=0.01, retry_timeouts=again))
            for _ in range(runs):
                run, _ = self.task()
                self.assertEqual(self.frames(1), [("Cancel", run)])
                self.peer.on_Done(run, {"Value": [b"", [], []]})
            self.assertEqual(result()[0][1], "timeout")
            self.no_frame()

    def test_other_failures_are_not_tried_again(self) -> None:
        result = self.begin(self.spec(retries=3, retry_timeouts=True))
        self.peer.on_Done(self.task()[0], {"Failure": ["usage", 1, "it is so", None]})
        self.assertEqual(result()[0][1], "usage")
        self.no_frame()

    def test_only_ray_makes_an_actor_again(self) -> None:
        for role in ("constructor", "method"):
            result = self.begin(self.spec(retries=2), role=role)
            run, _ = self.task()
            self.peer.runs.pop(run).put(("dead", 3))
            self.assertEqual(result()[0][1], "crash")
            self.no_frame()

    def test_a_stream_goes_on_while_its_call_may_run_again(self) -> None:
        def ends() -> list[Any]:
            return [end for kind, _, end in self.asked() if kind == "finish"]

        # The child runs a task again itself.
        result = self.begin(self.spec([("q", "line")], retries=1))
        self.peer.runs.pop(self.task()[0]).put(("dead", 3))
        run, _ = self.task()
        self.assertEqual(ends(), [])
        self.peer.on_Done(run, {"Value": [b"", [], []]})
        result()
        self.assertEqual(ends(), [None])
        # Ray runs a method again, and the submitter ends the stream if Ray does not.
        result = self.begin(self.spec([("q", "line")]), role="method")
        self.peer.runs.pop(self.task()[0]).put(("dead", 3))
        self.assertEqual((result()[0][1], len(ends())), ("crash", 1))
        result = self.begin(self.spec([("q", "line")]), role="method")
        self.peer.on_Done(self.task()[0], {"Error": b"x"})
        result()
        self.assertEqual(ends()[1:], [("e", b"x")])

    def test_a_call_that_was_cancelled_before_it_came_does_not_run(self) -> None:
        self.peer.cancelled["token"] = (CANCELLED, (True, True, None), 0.0)
        self.assertEqual(self.begin(self.spec(retries=3))(), (CANCELLED, None))
        self.no_frame()
        self.assertEqual((self.peer.cancelled, self.peer.runs), ({}, {}))

    def test_the_hub_says_which_calls_are_cancelled(self) -> None:
        poll = self.remote.hub.cancelled
        self.assertEqual([args for _, args in poll.calls], [(0,)])
        result = self.begin(self.spec())
        run, _ = self.task()
        how = (False, False, None)
        news = [("token", CANCELLED, how), ("other", CANCELLED, how)]
        poll.refs[0].result.set_result((2, news))
        self.assertEqual(self.frames(1), [("Cancel", run)])
        self.peer.on_Done(run, {"Value": [b"", [], []]})
        self.assertEqual(result(), (CANCELLED, None))
        self.assertEqual(self.peer.cancelled["other"][:2], (CANCELLED, how))
        self.assertEqual(len(self.peer.cancelled), 1)
        # The next question is about those behind.
        until(lambda: [args for _, args in poll.calls] == [(0,), (2,)])
        poll.refs[1].result.set_exception(ray.exceptions.ActorDiedError("the hub"))
        self.assertEqual(len(poll.calls), 2)

    def test_news_of_the_hub_do_not_hold_a_thread_of_ray(self) -> None:
        holds, free = threading.Event(), threading.Event()

        def hold() -> None:
            with self.peer.lock:
                holds.set()
                free.wait(LIMIT)

        holder = threading.Thread(target=hold, daemon=True)
        holder.start()
        holds.wait(LIMIT)
        news = [("token", CANCELLED, (False, False, None))]
        # This thread is Ray's here.
        self.remote.hub.cancelled.refs[0].result.set_result((1, news))
        self.assertFalse(free.is_set())
        self.assertEqual(self.peer.cancelled, {})
        free.set()
        until(lambda: len(self.remote.hub.cancelled.calls) == 2)
        self.assertIn("token", self.peer.cancelled)

    def test_cancelled_calls_that_never_come_are_forgotten(self) -> None:
        now = 100.0
        how = (False, False, None)
        with mock.patch.object(shim.time, "monotonic", lambda: now):
            self.peer.learn(1, [("old", CANCELLED, how)])
            now += shim.CANCELLED
            self.peer.learn(2, [("young", CANCELLED, how)])
            self.assertEqual(list(self.peer.cancelled), ["old", "young"])
            now += 1.0
            self.peer.learn(3, [("new", CANCELLED, how)])
            self.assertEqual(list(self.peer.cancelled), ["young", "new"])
            with mock.patch.object(shim, "MOST_CANCELLED", 3):
                self.peer.learn(9, [(str(n), CANCELLED, how) for n in range(6)])
            self.assertEqual(list(self.peer.cancelled), ["3", "4", "5"])

    def test_the_bytes_of_a_result_are_free_when_nobody_has_them(self) -> None:
        result = self.begin(self.spec())
        run, _ = self.task()
        self.peer.on_Done(run, {"Value": [b"", [], [[shim.HEAP, 4, 3]]]})
        meta, payload = result()
        self.assertEqual((meta, bytes(payload)), (value(b"", (), True), bytes([4, 5, 6])))
        self.no_frame()
        del payload, result
        gc.collect()
        self.assertEqual(self.frames(1), [("Free", [[4, 3]])])

    def test_progress_is_passed_on_at_intervals_with_the_last(self) -> None:
        result = self.begin(self.spec())
        run, _ = self.task()
        for done in (1, 3, 9):
            self.peer.on_Progress(run, done, 9)
        told = [args for _, args in self.remote.hub.progress.calls]
        self.assertEqual(told, [("token", 1, 9), ("token", 3, 9), ("token", 9, 9)])
        self.peer.on_Done(run, {"Value": [b"", [], []]})
        result()
        # The progress of a run that has ended is nothing.
        self.peer.on_Progress(run, 9, 9)
        self.assertEqual(len(self.remote.hub.progress.calls), 3)
        self.assertEqual(self.peer.token_of, {})

    def test_bytes_may_be_free_while_a_frame_is_sent(self) -> None:
        result = self.begin(self.spec())
        run, _ = self.task()
        self.peer.on_Done(run, {"Value": [b"", [], [[shim.HEAP, 4, 3]]]})
        payloads = [result()[1]]
        del result
        stream = self.peer.stream

        def work() -> None:
            with stream.lock:
                # The collector of garbage may do this within `send`.
                payloads.clear()
                gc.collect()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(LIMIT)
        self.assertFalse(thread.is_alive())
        self.assertEqual(self.frames(1), [("Free", [[4, 3]])])

    def test_the_bytes_of_an_ended_process_are_not_those_of_the_next(self) -> None:
        result = self.begin(self.spec())
        run, _ = self.task()
        self.peer.on_Done(run, {"Value": [b"", [], [[shim.HEAP, 4, 3]]]})
        result()
        mine, its = pair()
        self.addCleanup(mine.close)
        self.peer.stream = its
        del result
        gc.collect()
        self.assertEqual(self.frames(1), [("Free", [[4, 3]])])
        its.close()

    def test_arguments_that_are_too_long_for_a_frame_fail_their_call(self) -> None:
        with mock.patch.object(shim, "MOST", 500):
            meta, _ = self.begin(self.spec([("v", value(b"x" * 1000)), ("q", "line")]))()
            self.assertEqual(meta[:3], ("f", "resource_limit", 1))
            self.assertRegex(meta[3], "the arguments of `second` take 1... bytes in one message")
            # The stream of the call ends, and the process goes on.
            self.assertEqual(self.asked()[-1], ("finish", "line", meta))
            result = self.begin(self.spec())
            self.peer.on_Done(self.task()[0], {"Value": [b"", [], []]})
            self.assertEqual(result(), (value(), None))
        self.assertEqual((self.counts(), self.peer.runs, self.peer.tokens), ({}, {}, {}))

    def test_a_run_that_has_ended_is_passed_over(self) -> None:
        self.peer.on_Done(99, {"Value": [b"", [], []]})
        self.no_frame()

    def test_the_end_of_the_process_ends_all_of_its_runs(self) -> None:
        results = [self.begin((1, [], options(), name)) for name in ("a", "b")]
        for _ in results:
            self.task()
        reader = threading.Thread(target=self.peer.reads, args=(self.own,))
        reader.start()
        self.process.close()
        for result in results:
            self.assertEqual(result()[0][1], "crash")
        reader.join()
        self.assertIsNone(self.peer.process)
        self.assertFalse(self.own.killed.is_set())

    def test_a_process_that_outlives_its_stream_is_killed(self) -> None:
        self.own.ends = False
        result = self.begin(self.spec())
        self.task()
        reader = threading.Thread(target=self.peer.reads, args=(self.own,))
        reader.start()
        self.process.close()
        self.assertIn("SIGKILL", result()[0][3])
        reader.join()
        self.assertTrue(self.own.killed.is_set())


# Says hello, as a program does, and waits for the end of its stream.
PROGRAM = """#!{python}
import os, socket, struct, sys
sys.path[:0] = {path}
import msgpack
stream = socket.socket(fileno=os.dup(0))
_, (fd, *_), _, _ = socket.recv_fds(stream, 4, 1)
descriptors = socket.socket(fileno=fd)
{before}
heap = os.memfd_create("heap")
os.truncate(heap, 4096)
socket.send_fds(descriptors, [struct.pack("<I", 0)], [heap])
body = msgpack.packb({{"Hello": [{version}, ["f"], 4096, os.getpid(), b"u", b"s"]}})
stream.sendall(struct.pack("<I", len(body)) + body)
while stream.recv(4096):
    pass
"""


class Starts(ChildCase):
    def program(self, before: str = "") -> None:
        """The program of the child is one that does something `before` its hello."""
        text = PROGRAM.format(
            python=sys.executable,
            path=[str(pathlib.Path(msgpack.__file__).parent.parent)],
            before=before,
            version=shim.VERSION,
        )
        path = os.path.join(folder(self), "program")
        pathlib.Path(path).write_text(text, encoding="utf-8")
        os.chmod(path, 0o700)
        self.enter(mock.patch.object(shim, "executable", lambda _: path))
        self.peer.process = None
        settings = {"env": [], "args": [], "capacity": 1, "stack": 1, "start": LIMIT}
        self.peer.settings = settings

    def failed(self) -> Any:
        """Runs a call whose process does not start. Returns its failure."""
        meta, _ = self.begin(self.spec())()
        self.assertEqual((meta[:3], self.peer.process), (("f", "setup", 1), None))
        self.assertEqual((self.peer.runs, self.peer.tokens), ({}, {}))
        return meta[3]

    def test_a_program_that_says_hello_is_there(self) -> None:
        self.program()
        self.peer.start()
        self.assertEqual((self.peer.names, self.peer.unit), (["f"], b"u"))
        process: Any = self.peer.process
        self.assertEqual(self.peer.pid, process.pid)
        # Later, no read of its stream has a limit.
        self.assertIsNone(self.peer.stream.stream.gettimeout())
        self.assertIsNone(self.peer.stream.descriptors.gettimeout())
        self.peer.stream.close()
        until(lambda: self.peer.process is None)

    def test_a_program_that_says_nothing_fails_its_call_in_time(self) -> None:
        for before in (
            "stream.recv(1)",
            "socket.send_fds(descriptors, [b'0000'], [0]); stream.recv(1)",
        ):
            self.program(before)
            self.peer.settings["start"] = 0.2
            text = "the program does not start on node 10.0.0.1: "
            self.assertEqual(self.failed(), text + "it has not said hello within 0.2 s")

    def test_a_program_that_ends_fails_its_call_and_the_next_starts_anew(self) -> None:
        self.program("sys.exit(3)")
        self.assertIn("node 10.0.0.1: it has ended with status 3", self.failed())
        self.program()
        result = self.begin(self.spec())
        until(lambda: self.peer.process is not None)
        self.peer.stream.close()
        self.assertEqual(result()[0][1], "crash")

    def test_a_program_that_is_none_fails_its_call(self) -> None:
        self.program()
        lost = fake_ray.failed(ray.exceptions.ObjectLostError("gone"))
        for bad, text in (
            (lambda _: "/", "PermissionError"),
            (lambda _: ray.get(lost), "ObjectLostError: gone"),
        ):
            with mock.patch.object(shim, "executable", bad):
                self.assertIn(text, self.failed())

    def test_the_hub_learns_that_an_ended_process_keeps_no_queue(self) -> None:
        number = self.peer.intern((None, None, False, None, "line", None))
        self.peer.on_CreateQueue(5, 4)
        self.peer.queue_of[6] = "line"
        reader = threading.Thread(target=self.peer.reads, args=(self.own,))
        reader.start()
        self.process.close()
        reader.join()
        self.assertEqual(
            self.asked()[-2:], [("keep", "line", -1), ("keep", f"{self.peer.sender}.5", -1)]
        )
        # It learns so once.
        self.peer.drop(number)
        self.program()
        self.peer.start()
        self.assertEqual(len(self.asked()), 4)
        self.assertEqual((self.peer.objects, self.peer.by_key, self.peer.queue_of), ({}, {}, {}))
        self.peer.stream.close()
        until(lambda: self.peer.process is None)

    def test_the_end_of_the_process_before_its_kill(self) -> None:
        """The process is looked at once: it may end at any time."""
        happening: queue.SimpleQueue[Any] = queue.SimpleQueue()
        happening.put(("cancel", (CANCELLED, (False, True, 0.0))))
        looks: list[int] = []

        class Ends(type(self.peer)):  # type: ignore[misc]
            @property
            def process(self) -> Any:
                looks.append(1)
                happening.put(("dead", -9))
                return Process() if len(looks) % 2 else None

            @process.setter
            def process(self, _: Any) -> None: ...

        self.peer.__class__ = Ends
        self.assertEqual(self.peer.follow(7, 1, self.options(), happening), (CANCELLED, None))
        self.assertTrue(looks)

    def test_the_next_call_starts_a_process(self) -> None:
        started: list[int] = []

        def start() -> None:
            started.append(1)
            self.peer.process = self.own

        self.peer.process = None
        self.enter(mock.patch.object(self.peer, "start", start))
        for _ in range(2):
            result = self.begin(self.spec())
            self.peer.on_Done(self.task()[0], {"Value": [b"", [], []]})
            result()
        self.assertEqual(started, [1])

    def enter(self, patch: Any) -> None:
        patch.start()
        self.addCleanup(patch.stop)


class Turns(unittest.TestCase):
    def setUp(self) -> None:
        self.turns: Any = (threading.Condition(), {})
        self.begun: list[int] = []

    def call(self, number: int, caller: str = "one", group: str | None = None) -> threading.Thread:
        def work() -> None:
            turn = shim.Turn(self.turns, caller, group, number)
            self.begun.append(number)
            turn.end()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def test_calls_begin_in_order(self) -> None:
        with mock.patch.object(shim.Turn, "WAIT", LIMIT):
            threads = []
            for number in (4, 2, 3):
                threads.append(self.call(number))
            self.assertEqual(self.begun, [])
            threads.append(self.call(1))
            for thread in threads:
                thread.join(LIMIT)
        self.assertEqual(self.begun, [1, 2, 3, 4])

    def test_a_call_waits_until_the_one_before_has_begun(self) -> None:
        with mock.patch.object(shim.Turn, "WAIT", LIMIT):
            first = shim.Turn(self.turns, "one", None, 1)
            second = self.call(2)
            second.join(0.05)
            self.assertEqual(self.begun, [])
            first.end()
            second.join(LIMIT)
        self.assertEqual(self.begun, [2])

    def test_callers_and_groups_have_their_own_order(self) -> None:
        with mock.patch.object(shim.Turn, "WAIT", LIMIT):
            waiting = self.call(2)
            self.call(1, caller="two").join(LIMIT)
            self.call(1, group="g").join(LIMIT)
            self.assertEqual(self.begun, [1, 1])
            self.call(1).join(LIMIT)
            waiting.join(LIMIT)
        self.assertEqual(self.begun, [1, 1, 1, 2])

    def test_a_call_does_not_wait_for_ever(self) -> None:
        began = time.monotonic()
        with mock.patch.object(shim.Turn, "WAIT", 0.05):
            self.call(3).join(LIMIT)
        self.assertEqual(self.begun, [3])
        self.assertGreaterEqual(time.monotonic() - began, 0.05)
        # Calls that come later do not go back behind it.
        shim.Turn(self.turns, "one", None, 2).end()
        with mock.patch.object(shim.Turn, "WAIT", LIMIT):
            self.call(4).join(LIMIT)
        self.assertEqual(self.begun, [3, 4])

    def test_a_row_may_begin_at_any_number(self) -> None:
        with mock.patch.object(shim.Turn, "WAIT", LIMIT):
            shim.Turn(self.turns, "one", None, 5, begins=True).end()
            # A call before it, and the one behind it.
            shim.Turn(self.turns, "one", None, 4, begins=True).end()
            late = self.call(7)
            shim.Turn(self.turns, "one", None, 6, begins=True).end()
            late.join(LIMIT)
        self.assertEqual(self.begun, [7])

    def test_the_bound_is_a_second(self) -> None:
        self.assertEqual(shim.Turn.WAIT, 1.0)


class Actors(unittest.TestCase):
    """An actor's process over a child that only notes its calls."""

    def actor(self, made: Any, process: Any = None, **groups: int) -> Any:
        self.runs: list[Any] = []
        self.results: list[Any] = [(made, None)]
        self.said: list[Any] = []

        def run(spec: Any, flat: Any, role: str, begun: Any = lambda: None) -> Any:
            self.runs.append((list(spec), flat, role))
            begun()
            return self.results.pop(0)

        stream = types.SimpleNamespace(send=lambda *frame: self.said.append(frame))
        self.child = types.SimpleNamespace(
            actor_threads=None,
            process=process,
            stream=stream,
            run=run,
            finish=lambda *end: self.ends.append(end),
        )
        self.ends: list[Any] = []
        self.exits: list[int] = []
        for patch in (
            mock.patch.object(shim, "child", lambda: self.child),
            mock.patch.object(shim.os, "_exit", self.exits.append),
        ):
            patch.start()
            self.addCleanup(patch.stop)
        kept: Any = {"threads": 3, "concurrency": 1, "groups": groups, "grace": 1.0}
        return shim.ActorProcess((0, [], [], "token"), kept, ("flat",))

    def method(self, number: int, group: str | None = None) -> Any:
        return (1, [], options(group=group), f"token {number}", ("one", group, number))

    def test_the_constructor_runs_first(self) -> None:
        actor = self.actor(value(b"made"))
        self.assertEqual(self.runs, [([0, [], [], "token"], ("flat",), "constructor")])
        self.assertEqual((actor.meta, self.child.actor_threads), (value(b"made"), 3))
        self.assertEqual((self.said, self.exits), ([], []))

    def test_a_process_that_is_there_learns_that_it_is_an_actor(self) -> None:
        self.actor(value(), process=Process())
        self.assertEqual(self.said, [("Actor", 3)])

    def test_a_method_runs_without_its_order(self) -> None:
        actor = self.actor(value())
        self.results.append((value(b"x"), None))
        self.assertEqual(actor.call(self.method(1), ("y",)), (value(b"x"), None))
        self.assertEqual(self.runs[1], ([1, [], options(), "token 1"], ("y",), "method"))
        self.assertEqual(actor.turns[1], {("one", None): 2})

    def test_an_actor_that_is_made_anew_waits_for_no_call_of_its_past(self) -> None:
        for anew, wait, least in ((True, LIMIT, 0.0), (False, 0.05, 0.05)):
            context = types.SimpleNamespace(was_current_actor_reconstructed=anew)
            with mock.patch.object(ray, "get_runtime_context", lambda c=context: c):
                actor = self.actor(value())
            self.results.append((value(), None))
            began = time.monotonic()
            with mock.patch.object(shim.Turn, "WAIT", wait):
                actor.call(self.method(9), ())
            self.assertTrue(least <= time.monotonic() - began < LIMIT)
            self.assertEqual(actor.turns[1], {("one", None): 10})

    def test_an_actor_that_was_not_made_has_no_methods(self) -> None:
        actor = self.actor(("e", b"an error"))
        failed = shim.failure("actor_dead", "", 1, ("e", b"an error"))
        self.assertEqual(actor.call(self.method(1), ()), (failed, None))
        self.assertEqual(len(self.runs), 1)
        # A stream that a method was to fill ends.
        self.assertEqual(self.ends, [([], failed)])

    def test_a_crash_ends_the_worker_so_that_ray_makes_it_anew(self) -> None:
        crash = shim.failure("crash", "")
        self.actor(crash)
        self.assertEqual(self.exits, [1])
        actor = self.actor(value())
        self.results.append((crash, None))
        actor.call(self.method(1), ())
        self.assertEqual(self.exits, [1])

    def test_a_group_has_its_own_limit(self) -> None:
        actor = self.actor(value(), io=2)
        entered, release = [], threading.Event()

        def run(spec: Any, flat: Any, role: str, begun: Any) -> Any:
            begun()
            entered.append(spec[2][shim.OPTIONS.index("group")])
            release.wait(LIMIT)
            return value(), None

        self.child.run = run
        threads = []
        for group in ("io", None):
            for number in (1, 2, 3):
                call = threading.Thread(
                    target=actor.call, args=(self.method(number, group), ()), daemon=True
                )
                call.start()
                threads.append(call)
        until(lambda: len(entered) == 3)
        time.sleep(0.02)
        self.assertEqual(sorted(map(str, entered)), ["None", "io", "io"])
        release.set()
        for call in threads:
            call.join(LIMIT)
        self.assertEqual(len(entered), 6)


if __name__ == "__main__":
    unittest.main()
