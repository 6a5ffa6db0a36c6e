"""Queues, and the hub that has them."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any
from unittest import mock

from support import UNIT, kinds, shim

PUT = ("v", UNIT, (), False)


def handle(name: str) -> Any:
    return (("v", name.encode(), (), False), None, False, None, None, None)


A, B, C, D = (handle(name) for name in "abcd")


def got(*handles: Any) -> Any:
    """The answer that has these values."""
    return ("v", b"", tuple(handles), False)


class Lines(unittest.IsolatedAsyncioTestCase):
    def line(self, capacity: int) -> Any:
        line = shim.Line(capacity)
        self.keys = iter(range(1000))
        return line

    def put(self, line: Any, *handles: Any, waits: bool = True, key: str = "") -> Any:
        return line.put(key or f"put {next(self.keys)}", list(handles), waits, UNIT)

    def get(self, line: Any, count: int = 1, waits: bool = True, key: str = "") -> Any:
        return line.get(key or f"get {next(self.keys)}", count, waits)

    async def test_values_come_out_in_their_order(self) -> None:
        line = self.line(4)
        for value in (A, B, C):
            self.assertEqual(self.put(line, value).result(), PUT)
        self.assertEqual(self.get(line).result(), got(A))
        self.assertEqual(self.get(line, 2).result(), got(B, C))

    async def test_a_put_waits_for_room(self) -> None:
        line = self.line(2)
        self.put(line, A, B)
        third, fourth = self.put(line, C), self.put(line, D)
        self.assertFalse(third.done() or fourth.done())
        self.assertEqual(line.state(False), ("q", 2, False, 4))
        self.assertEqual(self.get(line).result(), got(A))
        self.assertEqual(third.result(), PUT)
        self.assertFalse(fourth.done())
        self.get(line)
        self.assertTrue(fourth.done())
        self.assertEqual(self.get(line, 2).result(), got(C, D))

    async def test_values_of_one_put_go_in_at_once_or_not(self) -> None:
        line = self.line(2)
        self.put(line, A)
        both, last = self.put(line, B, C), self.put(line, D)
        # There is room for the last one, but it came later.
        self.assertFalse(both.done() or last.done())
        self.get(line)
        self.assertTrue(both.done())
        self.assertFalse(last.done())

    async def test_gets_are_served_in_their_order(self) -> None:
        line = self.line(4)
        two, one = self.get(line, 2), self.get(line)
        self.put(line, A)
        self.assertFalse(two.done() or one.done())
        self.put(line, B, C)
        self.assertEqual((two.result(), one.result()), (got(A, B), got(C)))

    async def test_a_get_makes_room_that_a_put_fills_for_the_next_get(self) -> None:
        line = self.line(1)
        self.put(line, A)
        self.put(line, B)
        first, second = self.get(line), self.get(line)
        self.assertEqual((first.result(), second.result()), (got(A), got(B)))

    async def test_a_request_that_does_not_wait_is_late(self) -> None:
        line = self.line(1)
        self.assertEqual(self.get(line, waits=False).result(), shim.LATE)
        self.assertEqual(self.put(line, A, waits=False).result(), PUT)
        self.assertEqual(self.put(line, B, waits=False).result(), shim.LATE)
        self.assertEqual(shim.LATE[1], "wait")
        # Neither stays, and the value that was refused does not count.
        self.assertEqual(line.state(False), ("q", 1, False, 1))
        self.assertFalse(line.putting or line.getting)
        self.assertEqual(self.get(line, waits=False).result(), got(A))

    async def test_values_that_are_given_up_come_next_again(self) -> None:
        line = self.line(4)
        self.put(line, A, B, C)
        self.assertEqual(self.get(line, 2, key="k").result(), got(A, B))
        line.give_up("k", True)
        self.assertEqual(self.get(line, 3).result(), got(A, B, C))

    async def test_values_that_are_given_up_have_their_old_places(self) -> None:
        for order in (("first", "second"), ("second", "first")):
            line = self.line(4)
            self.put(line, A, B, C, D)
            self.get(line, 2, key="first")
            self.get(line, key="second")
            for key in order:
                line.give_up(key, True)
            self.assertEqual(self.get(line, 4).result(), got(A, B, C, D))

    async def test_a_value_that_comes_back_is_before_later_ones(self) -> None:
        line = self.line(2)
        self.put(line, A, B)
        self.get(line, key="k")
        self.put(line, C)
        # Beyond the capacity, too.
        line.give_up("k", True)
        self.assertEqual(line.state(False), ("q", 3, False, 3))
        self.assertEqual(self.get(line, 3).result(), got(A, B, C))

    async def test_values_that_never_get_in_are_not_accepted(self) -> None:
        line = self.line(1)
        self.put(line, A)
        self.put(line, B, key="k")
        self.put(line, C)
        self.assertEqual(line.accepted(), 3)
        line.give_up("k", False)
        self.assertEqual(line.accepted(), 2)
        line.state(True)
        self.assertEqual(line.accepted(), 1)
        self.put(line, D)
        self.assertEqual(line.accepted(), 1)

    async def test_values_that_are_given_up_serve_who_waits(self) -> None:
        line = self.line(4)
        self.put(line, A)
        self.get(line, key="k")
        waiting = self.get(line)
        line.give_up("k", True)
        self.assertEqual(waiting.result(), got(A))

    async def test_values_are_given_up_for_good(self) -> None:
        line = self.line(4)
        self.put(line, A, B)
        self.get(line, key="k")
        line.give_up("k", False)
        self.assertEqual(self.get(line).result(), got(B))
        self.assertNotIn("k", line.taken)

    async def test_values_that_were_taken_do_not_come_back(self) -> None:
        line = self.line(4)
        self.put(line, A)
        self.get(line, key="k")
        line.took("k")
        line.give_up("k", True)
        self.assertEqual(line.state(False), ("q", 0, False, 1))

    async def test_a_request_that_waits_is_given_up(self) -> None:
        line = self.line(1)
        get = self.get(line, 2, key="get")
        self.put(line, A)
        put, next_put = self.put(line, B, key="put"), self.put(line, C)
        line.give_up("put", True)
        line.give_up("get", True)
        self.assertEqual((get.result(), put.result()), (shim.LATE, shim.LATE))
        self.assertFalse(next_put.done())
        self.assertEqual(self.get(line).result(), got(A))
        self.assertEqual(self.get(line).result(), got(C))

    async def test_the_next_one_goes_on_when_the_first_gives_up(self) -> None:
        line = self.line(2)
        self.put(line, A)
        self.put(line, B, C, key="big")
        small = self.put(line, D)
        line.give_up("big", False)
        self.assertEqual(small.result(), PUT)

    async def test_a_closed_queue_gives_what_is_left(self) -> None:
        line = self.line(1)
        self.put(line, A)
        late = self.put(line, B)
        self.assertEqual(line.state(True), ("q", 1, True, 1))
        self.assertEqual(late.result(), line.ended)
        self.assertEqual(self.put(line, C).result(), line.ended)
        self.assertEqual(self.get(line).result(), got(A))
        self.assertEqual(self.get(line).result(), line.ended)
        self.assertEqual(line.ended[1], "closed")

    async def test_a_close_ends_who_waits_for_more_than_is_left(self) -> None:
        line = self.line(4)
        self.put(line, A)
        two = self.get(line, 2)
        line.state(True)
        self.assertEqual(two.result(), line.ended)
        self.assertEqual(self.get(line).result(), got(A))

    async def test_a_stream_ends_when_all_its_values_are_in(self) -> None:
        line = self.line(1)
        self.put(line, A)
        last = self.put(line, B)
        line.finish(None)
        self.assertFalse(line.closed or last.done())
        self.assertEqual(self.get(line).result(), got(A))
        self.assertTrue(line.closed)
        self.assertEqual(self.get(line).result(), got(B))
        end = self.get(line).result()
        self.assertEqual((end[1], end[3]), ("closed", "the stream has ended"))

    async def test_a_stream_whose_call_fails_ends_with_its_failure(self) -> None:
        line = self.line(2)
        self.put(line, A)
        waiting = self.get(line, 2)
        line.finish(("e", b"an error"))
        self.assertEqual(waiting.result(), ("e", b"an error"))
        self.assertEqual(self.get(line).result(), got(A))
        self.assertEqual(self.get(line).result(), ("e", b"an error"))

    async def test_the_first_end_of_a_stream_counts(self) -> None:
        line = self.line(1)
        self.put(line, A)
        self.put(line, B)
        line.finish(None)
        line.finish(shim.failure("crash", ""))
        self.get(line, 1), self.get(line, 1)
        self.assertEqual(self.get(line).result()[3], "the stream has ended")
        line.finish(shim.failure("crash", ""))
        self.assertEqual(self.get(line).result()[3], "the stream has ended")

    async def test_an_answer_that_ray_has_cancelled_is_passed_over(self) -> None:
        line = self.line(2)
        waiting = self.get(line)
        waiting.cancel()
        self.put(line, A)
        self.assertTrue(waiting.cancelled())

    async def test_a_queue_is_unused_from_the_last_keeper_on(self) -> None:
        line = self.line(2)
        line.keep(1)
        line.keep(-1)
        self.assertIsNone(line.unused_since)
        line.keep(-1)
        self.assertIsNotNone(line.unused_since)
        line.keep(1)
        self.assertIsNone(line.unused_since)


class Hubs(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.hub = shim.Hub("one")
        self.numbers: dict[str, int] = {}

    async def ask(self, kind: str, *args: Any, sender: str = "one") -> Any:
        self.numbers[sender] = self.numbers.get(sender, 0) + 1
        return await self.hub.ask(sender, self.numbers[sender], kind, args)

    def later(self, number: int, kind: str, *args: Any, sender: str = "one") -> Any:
        return asyncio.ensure_future(self.hub.ask(sender, number, kind, args))

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def test_requests_of_one_process_are_served_in_order(self) -> None:
        last = self.later(4, "get", "q", "g2", 1, False)
        third = self.later(3, "get", "q", "g1", 1, False)
        second = self.later(2, "put", "q", "p", [A, B], True, UNIT)
        await self.settle()
        self.assertFalse(second.done() or third.done() or last.done())
        self.assertIsNone(await self.hub.ask("one", 1, "create", ("q", 8)))
        self.assertEqual(await second, PUT)
        self.assertEqual((await third, await last), (got(A), got(B)))

    async def test_processes_do_not_wait_for_each_other(self) -> None:
        early = self.later(2, "create", "q", 1)
        await self.ask("create", "r", 1, sender="two")
        self.assertIn("r", self.hub.lines)
        self.assertFalse(early.done())
        await self.hub.ask("one", 1, "create", ("p", 1))
        await early
        self.assertIn("q", self.hub.lines)

    async def test_a_request_that_waits_does_not_keep_the_next(self) -> None:
        await self.ask("create", "q", 1)
        waiting = self.later(2, "get", "q", "g", 1, True)
        await self.settle()
        put = await self.hub.ask("one", 3, "put", ("q", "p", [A], True, UNIT))
        self.assertEqual((put, await waiting), (PUT, got(A)))

    async def test_a_request_that_fails_does_not_keep_the_next(self) -> None:
        await self.ask("create", "q", 1)
        with self.assertRaises(AttributeError):
            await self.ask("nothing", "q")
        self.assertEqual(await self.ask("state", "q", False), ("q", 0, False, 0))

    async def test_turns_that_have_passed_are_forgotten(self) -> None:
        tasks = [self.later(n, "create", f"q{n}", 1) for n in (3, 2, 1)]
        await asyncio.gather(*tasks)
        self.assertEqual(self.hub.turns["one"], [4, {}])

    async def test_a_request_may_come_before_the_creation(self) -> None:
        early = asyncio.ensure_future(self.hub.ask("other", 1, "put", ("q", "p", [A], True, UNIT)))
        await asyncio.sleep(0.02)
        self.assertFalse(early.done())
        await self.ask("create", "q", 1)
        self.assertEqual((await early)[0], "v")
        self.assertEqual(await self.ask("state", "q", False), ("q", 1, False, 1))

    @mock.patch.object(shim, "COMES", 0.02)
    async def test_a_queue_that_is_gone_is_closed(self) -> None:
        for request in (("get", "q", "g", 1, True), ("state", "q", False), ("took", "q", "g")):
            meta = await self.ask(*request)
            self.assertEqual((meta[1], meta[3]), ("closed", "the queue is gone"))

    async def test_a_queue_without_a_keeper_goes_after_a_while(self) -> None:
        now = 1000.0
        with mock.patch.object(shim.time, "monotonic", lambda: now):
            await self.ask("create", "kept", 1)
            await self.ask("create", "old", 1)
            await self.ask("keep", "old", -1)
            now += shim.UNUSED
            await self.ask("create", "x", 1)
            self.assertIn("old", self.hub.lines)
            now += 0.1
            await self.ask("create", "y", 1)
        self.assertEqual(sorted(self.hub.lines), ["kept", "x", "y"])

    async def test_who_knows_less_is_told_at_once(self) -> None:
        for n in range(3):
            await self.ask("cancel", f"t{n}", "reason", "how")
        self.assertEqual(
            await self.hub.cancelled(1),
            (3, [("t1", "reason", "how"), ("t2", "reason", "how")]),
        )
        last, news = await self.hub.cancelled(0)
        self.assertEqual((last, len(news)), (3, 3))

    async def test_who_knows_all_waits_for_the_next(self) -> None:
        await self.ask("cancel", "t0", "reason", "how")
        polls = [asyncio.ensure_future(self.hub.cancelled(1)) for _ in range(3)]
        await self.settle()
        self.assertFalse(any(poll.done() for poll in polls))
        await self.ask("create", "q", 1)
        await self.settle()
        self.assertFalse(any(poll.done() for poll in polls))
        await self.ask("cancel", "t1", "reason", "how")
        for poll in polls:
            self.assertEqual(await poll, (2, [("t1", "reason", "how")]))

    async def test_cancelled_calls_are_forgotten_after_an_hour(self) -> None:
        now = 0.0
        with mock.patch.object(shim.time, "monotonic", lambda: now):
            await self.ask("cancel", "old", "reason", "how")
            now = 10.0
            await self.ask("cancel", "young", "reason", "how")
            now = shim.CANCELLED + 5.0
            await self.ask("cancel", "new", "reason", "how")
        last, news = await self.hub.cancelled(0)
        self.assertEqual((last, [token for token, *_ in news]), (3, ["young", "new"]))
        last, news = await self.hub.cancelled(2)
        self.assertEqual((last, [token for token, *_ in news]), (3, ["new"]))

    async def test_progress_reaches_the_process_that_follows_it(self) -> None:
        # A call may report before the process asks for the first time.
        self.hub.progress("one.1", 1, 9)
        self.assertEqual(await self.hub.progressed(), [("one.1", 1, 9)])
        first = asyncio.ensure_future(self.hub.progressed())
        await self.settle()
        self.assertFalse(first.done())
        self.hub.progress("one.1", 2, 9)
        self.hub.progress("two.1", 2, 9)
        self.hub.progress("one.1", 3, 9)
        self.hub.progress("one.2", 1, 1)
        # The last of each call counts.
        self.assertEqual(await first, [("one.1", 3, 9), ("one.2", 1, 1)])
        self.assertEqual(self.hub.far, {})
        self.hub.progress("one.2", 5, 9)
        self.assertEqual(await self.hub.progressed(), [("one.2", 5, 9)])

    async def test_requests_reach_their_queue(self) -> None:
        await self.ask("create", "q", 1)
        await self.ask("create", "r", 1)
        await self.ask("put", "q", "p", [A], True, UNIT)
        await self.ask("finish", "r", None)
        self.assertEqual(await self.ask("state", "q", True), ("q", 1, True, 1))
        self.assertEqual(await self.ask("get", "q", "g", 1, True), got(A))
        await self.ask("give_up", "q", "g", True)
        self.assertEqual(await self.ask("get", "q", "g2", 1, True), got(A))
        await self.ask("took", "q", "g2")
        ends = [await self.ask("get", name, "g3", 1, True) for name in ("q", "r")]
        self.assertEqual(kinds(ends), ["closed", "closed"])


if __name__ == "__main__":
    unittest.main()
