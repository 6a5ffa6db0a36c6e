"""Calls of Python functions: their frames, their arguments, their results and their failures."""

from __future__ import annotations

import os
import pathlib
import sys
import types
import unittest
from typing import Any

import fake_ray
import msgpack
from support import PeerCase, cluster, folder, options, shim, until

# What the program says of a result: bytes of a value before and behind it.
FORM = [b"inline", b"stored", b"end", b"begin"]


def frame(module: str, function: str, args: Any = None, stored: int | None = None) -> list[Any]:
    """Returns a call as a frame has it."""
    return [module, function, msgpack.packb(args), stored, FORM]


def spec(module: str, function: str, args: Any = None, again: int = 0) -> bytes:
    """Returns a call as a Ray worker gets it."""
    return shim.packed([module, function, msgpack.packb(args), again, FORM])


def ran(said: bytes, *large: Any) -> Any:
    """Returns what a Ray worker gives for a call."""
    return shim.python(said, *large)


class Frames(PeerCase):
    def test_a_call_is_a_task_of_ray_under_its_own_name(self) -> None:
        self.peer.on_Python(7, frame("pkg.mod", "fn", [1]), options(retries=2, cpus=0.5), None)
        ((chosen, (said,)),) = self.remote.python.calls
        self.assertEqual(chosen, {"name": "pkg.mod.fn", "max_retries": 2, "num_cpus": 0.5})
        self.assertEqual(shim.opened(said), ("pkg.mod", "fn", msgpack.packb([1]), 0, tuple(FORM)))
        thing = self.peer.objects[7]
        self.assertEqual([thing.meta, thing.payload], self.remote.python.refs[0])
        self.assertEqual(self.peer.unfinished, {7: thing.meta})
        self.assertEqual(self.remote.call.calls, [])

    def test_another_function_with_equal_options_has_its_own_name(self) -> None:
        for number, function in enumerate(("f", "g", "f")):
            self.peer.on_Python(number, frame("m", function), options(), None)
        names = [chosen["name"] for chosen, _ in self.remote.python.calls]
        self.assertEqual(names, ["m.f", "m.g", "m.f"])

    def test_only_retries_of_errors_run_the_function_again(self) -> None:
        for number, given in enumerate((options(retries=3), options(retries=3, retry_errors=True))):
            self.peer.on_Python(number, frame("m", "f"), given, None)
        again = [shim.opened(said)[3] for _, (said,) in self.remote.python.calls]
        self.assertEqual(again, [0, 3])

    def test_large_arguments_are_an_object(self) -> None:
        meta, payload = fake_ray.ObjectRef(), fake_ray.ObjectRef()
        self.peer.add(5, shim.Object(meta, payload))
        self.peer.on_Python(7, frame("m", "f", None, 5), options(), None)
        ((_, (_, *flat)),) = self.remote.python.calls
        self.assertEqual(flat, [meta, payload])

    def test_a_limit_of_one_run_is_refused(self) -> None:
        self.peer.on_Python(7, frame("m", "f"), options(timeout=1.0), None)
        failed = self.peer.objects[7].failed
        self.assertEqual(failed[1:3], ("usage", "m.f"))
        self.assertIn("`deadline`", failed[3])
        self.assertEqual(self.remote.python.calls, [])

    def test_a_split_of_the_result_is_refused(self) -> None:
        self.peer.on_Python(7, frame("m", "f"), options(split=True), None)
        failed = self.peer.objects[7].failed
        self.assertEqual(failed[1:3], ("usage", "m.f"))
        self.assertIn("is not split", failed[3])

    def test_no_process_waits_for_a_call_that_was_given_up(self) -> None:
        self.peer.on_Python(7, frame("m", "f"), options(), None)
        self.assertEqual(list(self.peer.unfinished), [7])
        self.peer.on_Cancel([7], True, True, None)
        self.assertEqual(list(self.peer.unfinished), [])

    def test_resources_that_no_node_has_are_refused(self) -> None:
        self.peer.on_Python(7, frame("m", "f"), options(resources=[("tpu", 1.0)]), None)
        self.assertIn("`m.f` needs 1 of `tpu`", self.peer.objects[7].failed[3])

    def test_an_error_of_ray_is_the_outcome(self) -> None:
        self.remote.python.fails = shim.errors.ObjectStoreFullError("full")
        self.peer.on_Python(7, frame("m", "f"), options(), None)
        self.assertEqual(self.peer.objects[7].failed, shim.failure("store_full", "full", "m.f"))

    def test_a_cancelled_call_fails_and_the_hub_hears_nothing(self) -> None:
        self.peer.on_Python(7, frame("m", "f"), options(), None)
        self.peer.on_Watch(7)
        self.peer.on_Cancel([7], True, True, None)
        self.assertEqual(
            self.frames(1), [("Ready", [7, {"Failure": ["cancelled", "m.f", "", None]}])]
        )
        self.assertEqual(self.asked(), [])

    def test_a_deadline_fails_the_call(self) -> None:
        self.peer.on_Python(7, frame("m", "f"), options(deadline=0.01), None)
        until(lambda: self.peer.objects[7].failed is not None)
        self.assertEqual(self.peer.objects[7].failed[1:3], ("timeout", "m.f"))

    def test_an_exception_reaches_the_program_whole(self) -> None:
        self.peer.on_Python(7, frame("m", "f"), options(), None)
        self.peer.on_Watch(7)
        said = ("x", "m.f", "ValueError: no", "Traceback", 12, "10.0.0.1")
        self.remote.python.refs[0][0].result.set_result(said)
        self.assertEqual(self.frames(1), [("Ready", [7, {"Raised": ["m.f", *said[2:]]}])])

    def test_the_death_of_a_worker_names_the_function(self) -> None:
        self.peer.on_Python(7, frame("m", "f"), options(), None)
        self.peer.on_Watch(7)
        died = shim.errors.WorkerCrashedError("gone")
        self.remote.python.refs[0][0].result.set_exception(died)
        self.assertEqual(
            self.frames(1), [("Ready", [7, {"Failure": ["crash", "m.f", "gone", None]}])]
        )

    def test_a_result_reaches_the_program_as_other_values_do(self) -> None:
        self.peer.on_Python(7, frame("m", "f"), options(), None)
        self.peer.on_Watch(7)
        meta, payload = shim.compact(shim.made(1, "m.f", FORM))
        for ref, value in zip(self.remote.python.refs[0], (meta, payload)):
            ref.result.set_result(value)
        blob = b"inline" + bytes([6]) + b"begin\x01" + b"end"
        self.assertEqual(self.frames(1), [("Ready", [7, {"Value": [blob, [], []]}])])


class Runs(unittest.TestCase):
    """What a Ray worker does with a call."""

    def setUp(self) -> None:
        cluster(self, *fake_ray.NODES)
        self.module = types.ModuleType("mobula_test_module")
        sys.modules["mobula_test_module"] = self.module
        self.addCleanup(sys.modules.pop, "mobula_test_module")

    def call(self, function: Any, args: Any = None, again: int = 0) -> Any:
        """Returns what a call of this function gives."""
        self.module.__dict__["tested"] = function
        return ran(spec("mobula_test_module", "tested", args, again))

    def value(self, result: Any) -> Any:
        """Returns the value that a result has."""
        meta, payload = result
        self.assertEqual((meta[0], payload), ("v", None), meta)
        blob = meta[1]
        self.assertTrue(blob.startswith(b"inline") and blob.endswith(b"end"), blob)
        self.assertEqual(blob[6], len(blob) - 6 - 1 - 3)
        self.assertEqual(blob[7:12], b"begin")
        return msgpack.unpackb(blob[12:-3], strict_map_key=False)

    def test_arguments_have_places_or_names_or_there_are_none(self) -> None:
        def tested(a: Any = 1, b: Any = 2) -> Any:
            return [a, b]

        for args, expected in (
            (None, [1, 2]),
            ([], [1, 2]),
            ([5], [5, 2]),
            ([5, {"x": b"y"}], [5, {"x": b"y"}]),
            ({"b": None}, [1, None]),
            ([{1: 2}], [{1: 2}, 2]),
        ):
            self.assertEqual(self.value(self.call(tested, args)), expected)

    def test_results_are_plain_values_or_have_a_list(self) -> None:
        listed = types.SimpleNamespace(tolist=lambda: [1, 2])
        for result, expected in (
            ((1, "a", b"b", None, 1.5, True), [1, "a", b"b", None, 1.5, True]),
            ({"a": listed}, {"a": [1, 2]}),
            (listed, [1, 2]),
        ):
            self.assertEqual(self.value(self.call(lambda result=result: result)), expected)

    def test_a_function_may_lie_in_a_class_or_a_package(self) -> None:
        self.assertEqual(self.value(ran(spec("os.path", "join", ["a", "b"]))), "a/b")
        self.assertEqual(self.value(ran(spec("builtins", "str.upper", ["a"]))), "A")

    def test_large_arguments_are_read_where_they_lie(self) -> None:
        said = spec("builtins", "sum", "not read")
        payload = memoryview(msgpack.packb([[1, 2, 3]]))
        result = ran(said, ("v", b"", (), True), payload)
        self.assertEqual(self.value(result), 6)
        lost = shim.failure("lost", "gone")
        result = ran(said, lost, None)
        self.assertEqual(result, (shim.failure("dependency", "", "builtins.sum", lost), None))

    def test_a_large_result_lies_beside_its_meta(self) -> None:
        meta, payload = self.call(lambda: b"x" * 20_000)
        encoded = b"begin" + msgpack.packb(b"x" * 20_000)
        self.assertEqual(bytes(memoryview(payload)), encoded)
        length = bytes([len(encoded) & 0x7F | 0x80, len(encoded) >> 7 & 0x7F | 0x80, 1])
        self.assertEqual(len(encoded) >> 14, 1)
        self.assertEqual(meta, ("v", b"stored" + length + b"end", (), True))

    def test_an_exception_has_its_text_and_the_frames_of_the_function(self) -> None:
        class Odd(Exception):
            pass

        def inner() -> None:
            raise Odd("no\ud800")

        def tested() -> None:
            inner()

        (kind, name, text, frames, pid, node), payload = self.call(tested)
        self.assertEqual((kind, name), ("x", "mobula_test_module.tested"))
        self.assertIn("Odd: no\\ud800", text)
        self.assertIn("in tested", frames)
        self.assertIn("in inner", frames)
        self.assertNotIn("shim.py", frames)
        self.assertEqual((pid, node, payload), (os.getpid(), "10.0.0.1", None))
        (_, _, text, *_), _ = self.call(lambda: sys.exit())
        self.assertEqual(text, "SystemExit")
        (_, _, text, frames, *_), _ = self.call(lambda: None, [1, 2])
        self.assertTrue(text.startswith("TypeError: "), text)

    def test_exceptions_of_all_kinds_are_outcomes(self) -> None:
        class Silent(Exception):
            def __str__(self) -> str:
                raise ValueError("no text")

        for error, text in (
            (KeyboardInterrupt(), "KeyboardInterrupt"),
            (Silent(), "Silent"),
        ):

            def tested(error: BaseException = error) -> None:
                raise error

            (kind, _, message, *_), payload = self.call(tested)
            self.assertEqual((kind, payload), ("x", None))
            self.assertTrue(message.endswith(text), message)

    def test_a_long_traceback_keeps_its_end(self) -> None:
        def tested() -> None:
            raise ValueError("x" * 50_000)

        (_, _, _, frames, *_), _ = self.call(tested)
        self.assertEqual(len(frames), shim.FRAMES)

    def test_a_function_runs_again_after_an_exception_with_fresh_arguments(self) -> None:
        seen: list[Any] = []

        def tested(items: list[int]) -> int:
            seen.append(list(items))
            items.append(0)
            if len(seen) < 3:
                raise ValueError
            return len(seen)

        self.assertEqual(self.value(self.call(tested, [[1]], 2)), 3)
        self.assertEqual(seen, [[1]] * 3)
        seen.clear()
        result, _ = self.call(tested, [[1]], 1)
        self.assertEqual((result[0], len(seen)), ("x", 2))

    def test_what_is_not_there_is_a_mistake_of_the_caller(self) -> None:
        for module, function, text in (
            ("mobula_no_such_module", "f", "no Python module `mobula_no_such_module`"),
            ("os.nothing", "f", "no Python module `os.nothing`"),
            ("os", "nothing", "`os` of node 10.0.0.1 has no `nothing`"),
            ("os", "path.nothing", "has no `path.nothing`"),
            ("os", "sep", "`os.sep` is a Python `str`"),
        ):
            (kind, why, name, message, cause), _ = ran(spec(module, function))
            self.assertEqual((kind, why, name, cause), ("f", "usage", f"{module}.{function}", None))
            self.assertIn(text, message)

    def test_an_error_within_an_import_has_its_frames(self) -> None:
        place = folder(self)
        sys.path.insert(0, place)
        self.addCleanup(sys.path.remove, place)
        pathlib.Path(place, "mobula_imports.py").write_text("import mobula_no_such_module\n")
        (kind, _, text, frames, *_), _ = ran(spec("mobula_imports", "f"))
        self.assertEqual(kind, "x")
        self.assertIn("ModuleNotFoundError: No module named 'mobula_no_such_module'", text)
        self.assertIn("mobula_imports.py", frames)

    def test_a_result_that_messagepack_cannot_hold_is_named(self) -> None:
        deep: list[Any] = []
        deep.append(deep)
        for result, text in (
            ({1, 2}, "a Python `set`"),
            ([object()], "`object` is no plain type"),
            (1 << 64, "a Python `int`"),
            (deep, "a Python `list`"),
        ):
            (_, why, name, message, _), _ = self.call(lambda result=result: result)
            self.assertEqual((why, name), ("codec", "mobula_test_module.tested"))
            self.assertIn(text, message)
            self.assertIn("return numbers", message)


if __name__ == "__main__":
    unittest.main()
