"""Calls and results that refer to no object travel as bytes."""

from __future__ import annotations

import unittest
from typing import Any

import fake_ray
from support import options, shim


def value(blob: bytes = b"", handles: tuple[Any, ...] = (), has_payload: bool = False) -> Any:
    return ("v", blob, handles, has_payload)


def tuples(what: Any) -> Any:
    """Returns the same with a tuple in place of each list."""
    return tuple(map(tuples, what)) if isinstance(what, (list, tuple)) else what


ORDER = ("caller", None, 7)
HANDLE = (fake_ray.ObjectRef(), None, False, None, None, None)
NO_REFS: list[list[Any]] = [
    [],
    [("v", value())],
    [("v", value(b"\x00\xff")), ("v", value(b"x" * (shim.CHUNK + 1)))],
]
REFS: list[Any] = [
    ("v", value(b"x", (HANDLE,))),
    ("o", 0, HANDLE),
    ("q", "line"),
    ("g", [("o", 0, HANDLE), ("o", 2, HANDLE)]),
    ("g", []),
]


class Calls(unittest.TestCase):
    def specs(self, parts: list[Any], **chosen: Any) -> list[tuple[Any, ...]]:
        """Returns a call and a method."""
        spec = (3, parts, options(**chosen), "token.1")
        return [spec, (*spec, ORDER), (*spec, ("caller", "Gr\u00fcn", 1 << 40))]

    def test_a_call_without_refs_is_bytes(self) -> None:
        for parts in NO_REFS:
            for spec in self.specs(parts):
                closed = shim.closed(spec)
                self.assertIs(type(closed), bytes)
                self.assertEqual(shim.opened(closed), tuples(spec))

    def test_all_options_come_back(self) -> None:
        chosen: dict[str, Any] = {
            "retries": 3,
            "retry_errors": True,
            "timeout": 0.1,
            "deadline": 1e9,
            "grace": 0.0,
            "max_calls": 5,
            "cpus": 0.5,
            "memory": 1 << 40,
            "resources": [["gpu", 1.0], ["\u20ac", 0.25]],
            "group": "g",
            "node": "10.0.0.1",
            "spread": True,
            "own": b"\xff\x00",
        }
        for spec in self.specs([], **chosen):
            given = shim.opened(shim.closed(spec))[2]
            self.assertEqual(given, tuples(options(**chosen)))
            self.assertEqual([type(one) for one in given[:3]], [int, bool, float])
            self.assertEqual(given[shim.OPTIONS.index("own")], b"\xff\x00")

    def test_a_call_with_a_ref_stays_what_it_is(self) -> None:
        for part in REFS:
            for parts in ([part], [("v", value(b"x")), part], [part, ("v", value(b"x"))]):
                for spec in self.specs(parts):
                    self.assertIs(shim.closed(spec), spec)
                    self.assertIs(shim.opened(spec), spec)


class Results(unittest.TestCase):
    def test_a_value_that_refers_to_nothing_is_bytes(self) -> None:
        for blob in (b"", b"x", b"e", b"\x00" * (shim.CHUNK + 1)):
            meta, payload = shim.compact((value(blob), None))
            self.assertEqual((meta, payload), (b"v" + blob, b""))
            self.assertEqual(shim.expanded(meta), value(blob))

    def test_an_error_is_bytes(self) -> None:
        for text in (b"", b"x", b"v"):
            meta, payload = shim.compact((("e", text), None))
            self.assertEqual((meta, payload), (b"e" + text, b""))
            self.assertEqual(shim.expanded(meta), ("e", text))

    def test_other_results_stay_what_they_are(self) -> None:
        cause = shim.failure("crash", "gone", 2)
        results: list[Any] = [
            (value(b"x", (HANDLE,)), None),
            (value(b"x", (), True), b"bytes"),
            (value(b"", (HANDLE,), True), b"bytes"),
            (cause, None),
            (shim.failure("dependency", "", 1, cause), None),
            (("q", 3, True, 9), None),
        ]
        for result in results:
            self.assertIs(shim.compact(result), result)
            self.assertIs(shim.expanded(result[0]), result[0])


if __name__ == "__main__":
    unittest.main()
