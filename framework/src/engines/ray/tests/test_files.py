"""Failures, the program's file, and how this text gets to other processes."""

from __future__ import annotations

import asyncio
import io
import os
import pathlib
import stat
import sys
import types
import unittest
from typing import Any
from unittest import mock

import fake_ray
from support import folder, ray, shim

TEXT = pathlib.Path(shim.__file__).read_text(encoding="utf-8")


class Failures(unittest.TestCase):
    def kind(self, name: str) -> str:
        return shim.failure_of(getattr(ray.exceptions, name)("why"))[1]

    def test_each_exception_has_its_kind(self) -> None:
        for kind, names in {
            "cancelled": ["TaskCancelledError"],
            "actor_dead": [
                "RayActorError",
                "ActorDiedError",
                "ActorUnavailableError",
                "ActorUnschedulableError",
            ],
            "store_full": ["ObjectStoreFullError", "OutOfDiskError"],
            "crash": [
                "WorkerCrashedError",
                "OutOfMemoryError",
                "NodeDiedError",
                "LocalRayletDiedError",
                "TaskUnschedulableError",
            ],
            "lost": ["ObjectLostError", "OwnerDiedError", "ReferenceCountingAssertionError"],
            "backpressure": ["PendingCallsLimitExceeded"],
            "setup": ["RuntimeEnvSetupError"],
            "internal": ["RayError"],
        }.items():
            for name in names:
                with self.subTest(name=name):
                    self.assertEqual(self.kind(name), kind)

    def test_a_failure_says_its_text_in_one_line(self) -> None:
        error = ray.exceptions.WorkerCrashedError("one\n  two\tthree ")
        self.assertEqual(shim.failure_of(error, 3), ("f", "crash", 3, "one two three", None))
        self.assertEqual(
            shim.failure_of(ray.exceptions.WorkerCrashedError())[3], "WorkerCrashedError"
        )

    def test_an_unknown_exception_says_its_type(self) -> None:
        self.assertEqual(shim.failure_of(KeyError("x"))[3], "KeyError: 'x'")
        self.assertEqual(shim.failure_of(KeyError())[3], "KeyError: KeyError")

    def test_the_cause_of_a_failed_task_counts(self) -> None:
        error = fake_ray.RayTaskError(
            fake_ray.RayTaskError(ray.exceptions.ObjectStoreFullError("no room"))
        )
        self.assertEqual(shim.failure_of(error)[1::2], ("store_full", "no room"))

    def test_a_failed_task_without_a_cause(self) -> None:
        error = fake_ray.RayTaskError("a text")
        self.assertEqual(shim.failure_of(error)[3], "RayTaskError: a task has failed")
        itself = fake_ray.RayTaskError(None)
        itself.cause = itself
        self.assertEqual(shim.failure_of(itself)[1], "internal")

    def test_a_failure_keeps_its_cause(self) -> None:
        cause = shim.failure("crash", "gone", 2)
        self.assertEqual(cause, ("f", "crash", 2, "gone", None))
        self.assertEqual(shim.failure("dependency", "", 1, cause)[4], cause)

    def test_a_dependency_of_a_dependency_has_the_first_cause(self) -> None:
        first = shim.failure("crash", "gone", 2)
        chain = first
        for function in range(200):
            chain = shim.failure("dependency", "", function, chain)
        self.assertEqual(chain, ("f", "dependency", 199, "", first))

    def test_a_chain_of_causes_is_bounded_and_keeps_the_last(self) -> None:
        first: shim.Meta = shim.failure("crash", "gone", 2)
        chain = first
        for _ in range(100):
            chain = shim.failure("actor_dead", "", 1, chain)
            chain = shim.failure("dependency", "", 1, chain)
        count = 0
        while chain[0] == "f" and chain[4] is not None:
            count, chain = count + 1, chain[4]
        self.assertLessEqual(count, shim.CAUSES + 1)
        self.assertEqual(chain, first)


class Ends(unittest.TestCase):
    def test_a_signal_has_its_name(self) -> None:
        self.assertEqual(shim.describe(-9), "it was ended by signal 9 (SIGKILL)")
        self.assertEqual(shim.describe(-11), "it was ended by signal 11 (SIGSEGV)")

    def test_a_signal_without_a_name_has_its_number(self) -> None:
        self.assertEqual(shim.describe(-35), "it was ended by signal 35")

    def test_a_status_is_said(self) -> None:
        self.assertEqual(shim.describe(0), "it has ended with status 0")
        self.assertEqual(shim.describe(101), "it has ended with status 101")


class Programs(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = folder(self)
        self.place = os.path.join(self.folder, f"mobula-{os.getuid()}")
        self.program: Any = ("digest", fake_ray.put(b"#!/bin/sh\nexit 7\n"))
        patch = mock.patch.object(shim.tempfile, "gettempdir", lambda: self.folder)
        patch.start()
        self.addCleanup(patch.stop)

    def test_the_first_call_writes_the_file(self) -> None:
        path = shim.executable(self.program)
        self.assertEqual(path, os.path.join(self.place, "digest"))
        # Nothing else is left there.
        self.assertEqual(os.listdir(self.place), ["digest"])
        self.assertEqual(stat.S_IMODE(os.stat(self.place).st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o700)
        self.assertEqual(os.waitstatus_to_exitcode(os.system(path)), 7)

    def test_the_second_call_finds_it(self) -> None:
        path = shim.executable(self.program)
        before = os.stat(path).st_ino
        with mock.patch.object(ray, "get", side_effect=AssertionError("asked for again")):
            self.assertEqual(shim.executable(self.program), path)
        self.assertEqual(os.stat(path).st_ino, before)

    def test_two_programs_are_two_files(self) -> None:
        shim.executable(self.program)
        shim.executable(("other", fake_ray.put(b"other")))
        self.assertEqual(sorted(os.listdir(self.place)), ["digest", "other"])

    def test_a_directory_that_others_can_read_is_refused(self) -> None:
        for mode in (0o755, 0o777, 0o750, 0o701):
            if os.path.exists(self.place):
                os.rmdir(self.place)
            os.mkdir(self.place)
            os.chmod(self.place, mode)
            with self.assertRaises(RuntimeError) as raised:
                shim.executable(self.program)
            self.assertIn("not of this user alone", str(raised.exception))
            self.assertEqual(os.listdir(self.place), [])

    def test_a_directory_of_another_user_is_refused(self) -> None:
        os.mkdir(self.place, 0o700)
        real = os.lstat(self.place)
        other = os.stat_result((*real[:4], real.st_uid + 1, *real[5:10]))
        with (
            mock.patch.object(shim.os, "lstat", lambda path: other),
            self.assertRaises(RuntimeError),
        ):
            shim.executable(self.program)
        self.assertEqual(os.listdir(self.place), [])

    def test_a_link_to_a_directory_is_refused(self) -> None:
        target = os.path.join(self.folder, "target")
        os.mkdir(target, 0o700)
        os.symlink(target, self.place)
        with self.assertRaises(RuntimeError):
            shim.executable(self.program)
        self.assertEqual(os.listdir(target), [])

    def test_the_file_appears_whole(self) -> None:
        seen: list[Any] = []
        rename = os.rename

        def moves(source: str, target: str) -> None:
            # Another process finds no file under the name until this one is whole.
            seen.append((os.path.exists(target), pathlib.Path(source).read_bytes()))
            rename(source, target)

        with mock.patch.object(shim.os, "rename", moves):
            shim.executable(self.program)
        self.assertEqual(seen, [(False, b"#!/bin/sh\nexit 7\n")])

    def test_a_file_that_does_not_come_leaves_no_program(self) -> None:
        lost = fake_ray.failed(ray.exceptions.ObjectLostError("gone"))
        with self.assertRaises(ray.exceptions.ObjectLostError):
            shim.executable(("digest", lost))
        self.assertEqual(os.listdir(self.place), [])
        self.assertTrue(os.path.exists(shim.executable(self.program)))

    def test_a_file_that_cannot_be_written_leaves_nothing(self) -> None:
        with (
            mock.patch.object(shim.os, "rename", side_effect=OSError("no room")),
            self.assertRaises(OSError),
        ):
            shim.executable(self.program)
        self.assertEqual(os.listdir(self.place), [])

    def test_a_raylet_that_is_not_there_is_an_end(self) -> None:
        gone = types.SimpleNamespace(raylet_socket_name=os.path.join(self.folder, "none"))
        worker = types.SimpleNamespace(_global_node=gone)
        private = types.SimpleNamespace(worker=worker)
        exits: list[int] = []
        with (
            mock.patch.object(ray, "_private", private, create=True),
            mock.patch.object(shim.time, "sleep", lambda _: None),
            mock.patch.object(shim.os, "_exit", exits.append),
            mock.patch.object(sys, "stderr", io.StringIO()),
        ):
            shim.end_with_node()
        self.assertEqual(exits, [1])


class Texts(unittest.TestCase):
    """`Remote` brings this text to Ray workers, which have no file of it."""

    def setUp(self) -> None:
        self.name = "mobula_shim_" + "5" * 16
        self.addCleanup(sys.modules.pop, self.name, None)
        settings: Any = {"args": []}
        self.head: shim.Head = (TEXT, settings, ("5" * 64, None), None)
        self.remote = shim.Remote(self.head)

    def test_the_text_becomes_a_module_once(self) -> None:
        self.assertNotIn(self.name, sys.modules)
        failed = ("e", b"x")
        self.assertEqual(self.remote.pick.what(failed, 0), (failed, None))
        module = sys.modules[self.name]
        self.assertIs(module.__dict__["HEAD"], self.head)
        self.remote.pick.what(failed, 0)
        self.assertIs(sys.modules[self.name], module)

    def test_a_call_goes_to_the_child_of_the_worker(self) -> None:
        self.remote.pick.what(("e", b"x"), 0)
        module = sys.modules[self.name]
        ran: list[Any] = []

        class Child:
            def __init__(self, head: Any) -> None:
                ran.append(head)

            def run(self, spec: Any, flat: Any) -> Any:
                return spec, flat

        with mock.patch.object(module, "Child", Child):
            for _ in range(2):
                self.assertEqual(self.remote.call.what("spec", 1, 2), ("spec", (1, 2)))
        self.assertEqual(ran, [self.head])

    def test_calls_and_results_travel_as_bytes(self) -> None:
        self.remote.pick.what(("e", b"x"), 0)
        module = sys.modules[self.name]
        given: list[Any] = []
        result: Any = None

        class Process:
            def __init__(self, *args: Any) -> None:
                pass

            def run(self, spec: Any, flat: Any) -> Any:
                given.append((spec, flat))
                return result

            call = run

        with mock.patch.multiple(module, Child=Process, ActorProcess=Process):
            actor = self.remote.Actor.what("spec", "kept")
            for runs in (self.remote.call.what, actor.call):
                spec = (1, (("v", ("v", b"x", (), False)),), (), "token")
                result = ("v", b"y", (), False), None
                self.assertEqual(runs(shim.closed(spec)), (b"vy", b""))
                result = ("v", b"y", (), True), b"payload"
                self.assertIs(runs(spec, 2), result)
                self.assertEqual(given, [(spec, ()), (spec, (2,))])
                given.clear()

    def test_the_classes_are_those_of_the_text(self) -> None:
        self.remote.pick.what(("e", b"x"), 0)
        module = sys.modules[self.name]

        class Process:
            def __init__(self, *args: Any) -> None:
                self.meta = args

            def call(self, *args: Any) -> Any:
                return args

        class Hub:
            def __init__(self, follower: str) -> None:
                self.follower = follower

            async def ask(self, *args: Any) -> Any:
                return args

            async def cancelled(self, known: int) -> Any:
                return known

            def progress(self, *args: Any) -> None:
                progress.append(args)

            async def progressed(self) -> Any:
                return self.follower

        progress: list[Any] = []
        with mock.patch.multiple(module, ActorProcess=Process, Hub=Hub):
            actor = self.remote.Actor.what("spec", "kept", 1, 2)
            self.assertEqual(actor.made(), ("spec", "kept", (1, 2)))
            self.assertEqual(actor.call("method", 3), ("method", (3,)))
            hub = self.remote.Hub.what("sender")
            request = asyncio.run(hub.ask("sender", 1, "kind", ()))
            self.assertEqual(request, ("sender", 1, "kind", ()))
            self.assertEqual(asyncio.run(hub.cancelled(4)), 4)
            self.assertEqual(asyncio.run(hub.progressed()), "sender")
            asyncio.run(hub.progress("sender.1", 2, 3))
            self.assertEqual(progress, [("sender.1", 2, 3)])

    def test_the_remote_functions_have_their_options(self) -> None:
        self.assertEqual(self.remote.call.chosen, {"num_returns": 2, "max_retries": 0})
        self.assertEqual(self.remote.pick.chosen, {"num_returns": 2, "num_cpus": 0})
        hub = self.remote.Hub.chosen
        self.assertEqual((hub["num_cpus"], hub["scheduling_strategy"]), (0, (fake_ray.OWN, False)))

    def test_ray_can_pickle_what_goes_between_processes(self) -> None:
        # A class of this text would be pickled by the name of its module, which other processes
        # do not have.
        thing = shim.Object(("v", b"", (), False))
        metas = [shim.failure("crash", ""), thing.handle(), shim.LATE]
        while metas:
            part = metas.pop()
            self.assertIs(type(part).__module__, "builtins")
            if isinstance(part, (tuple, list)):
                metas.extend(part)

    def test_a_stranger_runs_nothing(self) -> None:
        # Only the helper is `__main__` and has no `HEAD`.
        space = {"__name__": "__main__", "HEAD": self.head}
        exec(compile(TEXT, "mobula_shim.py", "exec"), space)
        self.assertIn("Helper", space)


if __name__ == "__main__":
    unittest.main()
