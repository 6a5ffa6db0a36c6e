"""Objects of a process: their numbers, keys and keepers, and the frames about them."""

from __future__ import annotations

import os
import threading
import types
import unittest
from typing import Any
from unittest import mock

import fake_ray
from support import LIMIT, STANDS, UNIT, PeerCase, cluster, options, ray, shim, until

PEER = shim.PEER << shim.COUNT_BITS


def value(blob: bytes = b"", handles: tuple[Any, ...] = (), has_payload: bool = False) -> Any:
    return ("v", blob, handles, has_payload)


def handle(
    meta: Any = None,
    payload: Any = None,
    is_array: bool = False,
    actor: Any = None,
    line: str | None = None,
    name: str | None = None,
) -> Any:
    return (meta, payload, is_array, actor, line, name)


class Numbers(PeerCase):
    def test_an_object_of_elsewhere_gets_a_number_of_the_peer(self) -> None:
        numbers = [self.peer.intern(handle(value(bytes([n])))) for n in range(3)]
        self.assertEqual(numbers, [PEER | 1, PEER | 2, PEER | 3])
        self.assertEqual(self.counts(), dict.fromkeys(numbers, 1))

    def test_the_same_object_has_the_same_number(self) -> None:
        ref, actor = fake_ray.ObjectRef(), fake_ray.Actor("a")
        for one in (
            handle(ref),
            handle(value(), line="queue"),
            handle(value(), actor=actor),
            handle(value(), name="one.7"),
        ):
            first, second = self.peer.intern(one), self.peer.intern(one)
            self.assertEqual(first, second)
            self.assertEqual(self.peer.objects[first].count, 2)
        self.assertEqual(len(self.peer.objects), 4)
        # An actor is known by its id, not by its handle.
        self.peer.intern(handle(value(), actor=fake_ray.Actor("a")))
        self.assertEqual(len(self.peer.objects), 4)

    def test_equal_values_without_a_name_are_two_objects(self) -> None:
        self.assertNotEqual(
            self.peer.intern(handle(value(b"x"))), self.peer.intern(handle(value(b"x")))
        )

    def test_an_object_of_the_process_that_comes_back_has_its_own_number(self) -> None:
        thing = self.peer.add(5, shim.Object(fake_ray.ObjectRef()))
        self.peer.name(5, thing)
        self.assertEqual(self.peer.intern(thing.handle()), 5)
        self.assertEqual(self.counts(), {5: 2})
        # The first number stays.
        again = self.peer.add(6, shim.Object(thing.meta))
        self.peer.name(6, again)
        self.assertEqual(self.peer.intern(thing.handle()), 5)

    def test_a_handle_says_all_of_an_object(self) -> None:
        thing = shim.Object("meta", "payload", "actor", "line")
        self.assertEqual(thing.handle(), ("meta", "payload", False, "actor", "line", None))
        thing.key, thing.failed = ("put", "one.7"), shim.failure("lost", "")
        self.assertEqual(
            thing.handle(True), (thing.failed, "payload", True, "actor", "line", "one.7")
        )
        thing.key = ("object", "ref")
        self.assertIsNone(thing.handle()[5])

    def test_the_last_keeper_takes_the_object_along(self) -> None:
        number = self.peer.intern(handle(fake_ray.ObjectRef()))
        self.peer.intern(handle(self.peer.objects[number].meta))
        self.peer.drop(number)
        self.assertEqual(self.counts(), {number: 1})
        self.peer.drop(number)
        self.assertEqual((self.peer.objects, self.peer.by_key), ({}, {}))
        # One drop too many is nothing.
        self.peer.drop(number)

    def test_children_go_with_their_object_but_not_before(self) -> None:
        outer = self.peer.add(1, shim.Object(value()))
        inner = [self.peer.intern(handle(fake_ray.ObjectRef())) for _ in range(2)]
        outer.children.extend(inner)
        kept = self.peer.intern(handle(self.peer.objects[inner[1]].meta))
        self.assertEqual(kept, inner[1])
        self.peer.drop(1)
        self.assertEqual(self.counts(), {inner[1]: 1})

    def test_the_end_of_an_object_is_told(self) -> None:
        thing = self.peer.add(1, shim.Object(value()))
        thing.decoded, thing.segments, thing.own = True, [7, 8], [64, 128]
        self.peer.drop(1)
        self.assertEqual(
            self.frames(4),
            [
                ("Forget", 1),
                ("DropSegment", 7),
                ("DropSegment", 8),
                ("Free", [[64, 128]]),
            ],
        )
        self.peer.add(2, shim.Object(value()))
        self.peer.drop(2)
        self.no_frame()

    def test_the_hub_counts_who_keeps_a_queue(self) -> None:
        one = handle(value(), line="q")
        number = self.peer.intern(one)
        self.peer.intern(one)
        self.peer.drop(number)
        self.assertEqual(self.asked(), [("keep", "q", 1)])
        self.peer.drop(number)
        self.assertEqual(self.asked(), [("keep", "q", 1), ("keep", "q", -1)])

    def test_a_key_that_has_another_object_stays(self) -> None:
        ref = fake_ray.ObjectRef()
        for number in (5, 6):
            self.peer.name(number, self.peer.add(number, shim.Object(ref)))
        self.peer.drop(6)
        self.assertEqual(self.peer.by_key, {("object", ref): 5})
        self.peer.drop(5)
        self.assertEqual(self.peer.by_key, {})


class Holds(PeerCase):
    def test_the_process_holds_and_releases_an_object_once(self) -> None:
        number = self.peer.intern(handle(value()))
        self.peer.on_Hold(number)
        self.peer.on_Hold(number)
        self.assertEqual(self.counts(), {number: 2})
        self.peer.on_Release(number)
        self.peer.on_Release(number)
        self.assertEqual(self.counts(), {number: 1})
        self.peer.drop(number)
        self.assertEqual(self.counts(), {})
        # A frame about an object that is gone is nothing.
        self.peer.on_Hold(number)
        self.peer.on_Release(number)
        self.assertEqual(self.counts(), {})

    def test_a_decoded_value_that_is_gone_is_forgotten_at_once(self) -> None:
        self.peer.on_Decoded(9)
        self.assertEqual(self.frames(1), [("Forget", 9)])
        self.peer.add(9, shim.Object(value()))
        self.peer.on_Decoded(9)
        self.no_frame()
        self.peer.on_Release(9)
        self.assertEqual(self.frames(1), [("Forget", 9)])

    def test_results_that_nobody_asks_for_are_noted(self) -> None:
        ref = fake_ray.ObjectRef()
        self.peer.add(1, shim.Object(ref))
        self.peer.add(2, shim.Object(value()))
        for number in (1, 2, 3):
            self.peer.on_Detach(number)
        self.assertEqual(self.peer.detached, {1: ref})


class Puts(PeerCase):
    def test_a_small_value_needs_no_payload(self) -> None:
        child = self.peer.intern(handle(fake_ray.ObjectRef()))
        self.peer.on_Put(1, [b"blob", [[child, False]], []])
        thing = self.peer.objects[1]
        self.assertEqual(thing.meta, value(b"blob", (self.peer.objects[child].handle(),)))
        self.assertEqual((thing.payload, thing.own), (None, None))
        self.assertEqual(self.counts(), {1: 1, child: 2})
        self.peer.on_Release(1)
        self.assertEqual(self.counts(), {child: 1})

    def test_the_bytes_of_a_large_value_are_those_of_the_segment(self) -> None:
        self.peer.on_Put(1, [b"blob", [], [[shim.HEAP, 16, 4]]])
        thing = self.peer.objects[1]
        self.assertEqual(thing.meta, value(b"blob", (), True))
        self.assertEqual(ray.get(thing.payload), bytes([16, 17, 18, 19]))
        self.peer.on_Release(1)
        self.assertEqual(self.frames(1), [("Free", [[16, 4]])])

    def test_a_full_store_is_the_outcome_of_the_object(self) -> None:
        full = ray.exceptions.ObjectStoreFullError("no room")
        with mock.patch.object(ray, "put", side_effect=full):
            self.peer.on_Put(1, [b"blob", [], [[shim.HEAP, 16, 4]]])
        self.assertEqual(self.peer.objects[1].failed, shim.failure("store_full", "no room"))

    def test_an_object_that_comes_back_is_the_same(self) -> None:
        self.peer.on_Put(1, [b"blob", [], []])
        one = self.peer.objects[1].handle()
        self.assertEqual(one[5], f"{self.peer.sender}.1")
        self.assertEqual(self.peer.intern(one), 1)


class Values(PeerCase):
    def test_a_value_refers_to_numbers(self) -> None:
        ref = fake_ray.ObjectRef()
        keeper = shim.Object()
        blob, refs, places = self.peer.value(
            value(b"blob", (handle(ref), handle(value()))), None, keeper
        )
        self.assertEqual((blob, places), (b"blob", []))
        self.assertEqual(refs, [[PEER | 1, False], [PEER | 2, False]])
        self.assertEqual(keeper.children, [PEER | 1, PEER | 2])
        # A value does not wait for the objects that it refers to.
        self.assertFalse(ref.result.done())

    def test_bytes_of_arrays_come_with_the_value(self) -> None:
        inner = handle(fake_ray.done(value(b"", (), True)), fake_ray.put(b"inner"), True)
        keeper = shim.Object()
        _, refs, places = self.peer.value(
            value(b"", (inner,), True), fake_ray.put(b"outer"), keeper
        )
        self.assertEqual(refs, [[PEER | 1, True]])
        self.assertEqual(places, [[1, 0, 5], [2, 0, 5]])
        self.assertEqual((keeper.segments, len(keeper.buffers)), ([1, 2], 2))
        for text in (b"outer", b"inner"):
            self.assertEqual(self.process.receive()[0], "Segment")
            fd = self.process.receive_descriptor()
            self.assertEqual(os.pread(fd, 10, 0), text)
            os.close(fd)

    def test_an_array_that_fits_its_value_has_no_place(self) -> None:
        inner = handle(value(b"small"), None, True)
        self.assertEqual(self.peer.value(value(b"", (inner,)), None, shim.Object())[2], [])

    def test_an_array_whose_value_is_bytes_has_no_place(self) -> None:
        for meta in (b"vsmall", b"ean error"):
            inner = handle(fake_ray.done(meta), fake_ray.done(b""), True)
            self.assertEqual(self.peer.value(value(b"", (inner,)), None, shim.Object())[2], [])

    def test_an_array_that_has_failed_has_no_place(self) -> None:
        inner = handle(shim.failure("lost", "", None, value()), None, True)
        self.assertEqual(self.peer.value(value(b"", (inner,)), None, shim.Object())[2], [])

    def test_outcomes(self) -> None:
        def outcome(meta: Any) -> Any:
            return self.peer.outcome(meta, None, shim.Object())

        self.assertEqual(outcome(value(b"x")), {"Value": [b"x", [], []]})
        self.assertEqual(outcome(("e", b"x")), {"Error": b"x"})
        self.assertEqual(outcome(("q", 3, True, 9)), {"Queue": (3, True, 9)})
        behind = shim.failure("crash", "it is gone")
        self.assertEqual(
            outcome(shim.failure("dependency", "", 4, behind)),
            {"Failure": ["dependency", 4, "", {"Failure": ["crash", None, "it is gone", None]}]},
        )


class Watches(PeerCase):
    def ready(self, number: int) -> Any:
        ((kind, (got, outcome)),) = self.frames(1)
        self.assertEqual((kind, got), ("Ready", number))
        return outcome

    def test_the_process_is_told_once_when_the_object_is_ready(self) -> None:
        ref = fake_ray.ObjectRef()
        self.peer.add(1, shim.Object(ref))
        self.peer.unfinished[1] = ref
        self.peer.on_Watch(1)
        self.peer.on_Watch(1)
        self.no_frame()
        ref.result.set_result(b"vx")
        self.assertEqual(self.ready(1), {"Value": [b"x", [], []]})
        self.assertNotIn(1, self.peer.unfinished)
        self.end_threads()
        self.no_frame()

    def test_a_result_that_is_there_is_told_at_once(self) -> None:
        inner = handle(value(b"inner"))
        for number, meta, outcome in (
            (1, b"vx", {"Value": [b"x", [], []]}),
            (2, b"ex", {"Error": b"x"}),
            (3, value(b"x", (inner,)), {"Value": [b"x", [[PEER | 1, False]], []]}),
            (4, shim.failure("usage", "no"), {"Failure": ["usage", None, "no", None]}),
        ):
            self.peer.add(number, shim.Object(fake_ray.done(meta)))
            self.peer.on_Watch(number)
            self.assertEqual(self.ready(number), outcome)

    def test_a_thread_of_the_pool_reads_bytes_too(self) -> None:
        for meta, outcome in (
            (b"vx", {"Value": [b"x", [], []]}),
            (b"ex", {"Error": b"x"}),
        ):
            thing = self.peer.add(1, shim.Object(fake_ray.done(meta)))
            self.peer.ready(1, thing)
            self.assertEqual(self.ready(1), outcome)

    def test_an_object_that_is_there_is_told_at_once(self) -> None:
        self.peer.add(1, shim.Object(value(b"x")))
        self.peer.on_Watch(1)
        self.assertEqual(self.ready(1), {"Value": [b"x", [], []]})

    def test_a_failure_of_ray_is_the_outcome(self) -> None:
        self.peer.add(1, shim.Object(fake_ray.failed(ray.exceptions.WorkerCrashedError("gone"))))
        self.peer.on_Watch(1)
        self.assertEqual(self.ready(1), {"Failure": ["crash", None, "gone", None]})

    def test_a_failure_that_this_file_knows_comes_first(self) -> None:
        thing = self.peer.add(1, shim.Object(fake_ray.done(value(b"x"))))
        thing.failed = shim.failure("timeout", "too late", 3)
        self.peer.on_Watch(1)
        self.assertEqual(self.ready(1), {"Failure": ["timeout", 3, "too late", None]})

    def test_a_result_that_is_too_long_for_a_frame_is_a_failure(self) -> None:
        long = value(b"x" * 1000)
        with mock.patch.object(shim, "MOST", 500):
            # A thread of the pool answers one of them, and Ray's thread the other.
            for number, ref in ((1, long), (2, fake_ray.done(shim.compact((long, None))[0]))):
                thing = self.peer.add(number, shim.Object(ref))
                thing.function = 4
                self.peer.on_Watch(number)
                kind, function, text, _ = self.ready(number)["Failure"]
                self.assertEqual((kind, function), ("resource_limit", 4))
                self.assertRegex(text, "a result takes 10.. bytes in one message")

    def test_a_payload_that_is_lost_is_the_outcome(self) -> None:
        lost = fake_ray.failed(ray.exceptions.ObjectLostError("gone"))
        self.peer.add(1, shim.Object(value(b"x", (), True), lost))
        self.peer.on_Watch(1)
        self.assertEqual(self.ready(1), {"Failure": ["lost", None, "gone", None]})

    def test_each_answer_of_a_queue_is_its_value(self) -> None:
        ref = fake_ray.ObjectRef()
        # The result of a call that needs no handle is bytes.
        later = [handle(fake_ray.done(meta), None) for meta in (value(b"b"), b"vc", b"ed")]
        for place in range(4):
            self.peer.add(place, shim.Object(ref, place))
            self.peer.on_Watch(place)
        ref.result.set_result(value(b"", (handle(value(b"a")), *later)))
        outcomes = dict(fields for _, fields in self.frames(4))
        values = {place: {"Value": [blob, [], []]} for place, blob in enumerate((b"a", b"b", b"c"))}
        self.assertEqual(outcomes, {**values, 3: {"Error": b"d"}})

    def test_a_queue_that_has_ended_says_so_to_each_answer(self) -> None:
        ref = fake_ray.done(shim.failure("closed", "the end"))
        self.peer.add(1, shim.Object(ref, 1))
        self.peer.on_Watch(1)
        self.assertEqual(self.ready(1), {"Failure": ["closed", None, "the end", None]})

    def test_an_object_that_was_released_may_be_watched_again(self) -> None:
        number = self.peer.intern(handle(value(b"x")))
        self.peer.on_Hold(number)
        for _ in range(2):
            self.peer.on_Watch(number)
            self.assertEqual(self.ready(number), {"Value": [b"x", [], []]})
            self.peer.on_Release(number)
            self.peer.on_Hold(number)

    def test_nothing_is_watched_that_is_gone(self) -> None:
        self.peer.on_Watch(1)
        self.end_threads()
        self.no_frame()
        # After the end of the pool, nothing is told and nothing fails.
        self.peer.add(2, shim.Object(value()))
        self.peer.on_Watch(2)
        self.no_frame()


class Calls(PeerCase):
    def spawn(
        self,
        number: int,
        args: list[Any] | None = None,
        actor: int | None = None,
        parent: int | None = None,
        **chosen: Any,
    ) -> Any:
        self.peer.on_Spawn(number, 1, args or [], options(**chosen), actor, parent)
        return self.peer.objects[number]

    def test_options_have_their_names(self) -> None:
        given = self.peer.options(options(retries=2, own=b"own", group="g", resources=[["x", 1.0]]))
        self.assertEqual((given.retries, given.own, given.group), (2, b"own", "g"))
        self.assertEqual((given.timeout, given.grace, given.resources), (None, 1.0, [["x", 1.0]]))
        for wrong in (options()[1:], [*options(), None]):
            with self.assertRaises(ValueError):
                self.peer.options(wrong)

    def test_a_call_is_a_task_of_ray(self) -> None:
        thing = self.spawn(1, retries=3, cpus=2.0, memory=64, resources=[["gpu", 0.5]])
        ((chosen, (spec, *flat)),) = self.remote.call.calls
        nodes = {"num_cpus": 2.0, "memory": 64, "resources": {"gpu": 0.5}}
        self.assertEqual(thing.failed[1] if thing.failed else None, None)
        self.assertEqual(chosen, {"name": "second", "max_retries": 3, **nodes})
        self.assertIsInstance(spec, bytes)
        function, parts, given, token = shim.opened(spec)
        self.assertEqual((function, parts, flat), (1, (), []))
        resources = (("gpu", 0.5),)
        wanted = options(retries=3, cpus=2.0, memory=64, resources=resources)
        self.assertEqual(list(given), wanted)
        self.assertEqual(token, f"{self.peer.sender}.1")
        self.assertEqual([thing.meta, thing.payload], self.remote.call.refs[0])
        self.assertEqual(self.peer.unfinished, {1: thing.meta})
        # Others may send it back.
        self.assertEqual(self.peer.intern(thing.handle()), 1)

    def test_arguments_are_values_objects_queues_and_lists(self) -> None:
        refs = [fake_ray.ObjectRef() for _ in range(2)]
        for number, ref in enumerate(refs, 1):
            self.peer.add(number, shim.Object(ref, f"payload {number}"))
        self.peer.add(3, shim.Object(value(), None, None, "q"))
        self.spawn(
            9,
            [
                {"Value": [b"x", [[1, True]], []]},
                {"Object": [2, None]},
                {"Gather": [[1, None], [2, None]]},
                {"Object": [3, None]},
            ],
        )
        ((_, (spec, *flat)),) = self.remote.call.calls
        one, two = (self.peer.objects[number].handle() for number in (1, 2))
        array = self.peer.objects[1].handle(True)
        self.assertEqual(
            spec[1],
            [
                ("v", value(b"x", (array,))),
                ("o", 0, two),
                ("g", [("o", 2, one), ("o", 4, two)]),
                ("q", "q"),
            ],
        )
        first, second = [refs[0], "payload 1"], [refs[1], "payload 2"]
        self.assertEqual(flat, second + first + second)

    def test_only_a_call_that_refers_to_no_object_is_bytes(self) -> None:
        self.peer.add(1, shim.Object(fake_ray.ObjectRef()))
        self.peer.add(2, shim.Object(value(), None, None, "q"))
        self.peer.add(3, shim.Object(value(), None, fake_ray.Actor("id")))
        given: list[tuple[list[Any], bool]] = [
            ([], True),
            ([{"Value": [b"x", [], []]}, {"Value": [b"y", [], []]}], True),
            ([{"Value": [b"x", [], []]}, {"Value": [b"y", [[1, False]], []]}], False),
            ([{"Object": [1, None]}], False),
            ([{"Object": [2, None]}], False),
            ([{"Gather": [[1, None]]}], False),
        ]
        for number, (args, is_bytes) in enumerate(given, 10):
            self.assertIsNone(self.spawn(number, args).failed)
            self.assertIsNone(self.spawn(number + 10, args, actor=3).failed)
            calls = [
                call.calls[-1][1] for call in (self.remote.call, self.peer.objects[3].actor.call)
            ]
            self.assertEqual([type(spec) is bytes for spec, *_ in calls], [is_bytes] * 2)
            parts = [tuple(shim.opened(spec)[1]) for spec, *_ in calls]
            self.assertEqual(parts[0], tuple(self.peer.arguments(args)[0]))
            self.assertEqual(parts[1], parts[0])

    def test_a_call_that_no_node_can_run_is_refused(self) -> None:
        for wanted, text in (
            ({"cpus": 5.0}, "5 of `num_cpus`"),
            ({"cpus": 2.5, "resources": [["fpga", 1.0]]}, "1 of `fpga` and 2.5 of `num_cpus`"),
        ):
            thing = self.spawn(1, **wanted)
            self.assertEqual(thing.failed[1], "usage")
            self.assertIn(f"`second` needs {text}", thing.failed[3])
        self.assertEqual(self.remote.call.calls, [])
        cluster(self, fake_ray.node("10.0.0.9", "dead", alive=False, CPU=64.0))
        self.assertIsNotNone(self.spawn(2, cpus=1.0).failed)
        # One node must have all of it.
        cluster(self, fake_ray.node("a", "1", CPU=8.0), fake_ray.node("b", "2", gpu=8.0))
        self.assertIsNotNone(self.spawn(3, cpus=1.0, resources=[["gpu", 1.0]]).failed)
        self.assertIsNone(self.spawn(4, cpus=8.0).failed)

    def test_a_call_that_ray_refuses_has_failed(self) -> None:
        self.remote.call.fails = ray.exceptions.PendingCallsLimitExceeded("too many")
        thing = self.spawn(1)
        self.assertEqual(thing.failed, shim.failure("backpressure", "too many", 1))
        self.assertEqual(self.peer.unfinished, {})

    def test_a_method_that_ray_refuses_has_no_number(self) -> None:
        actor = fake_ray.Actor("id")
        self.peer.add(1, shim.Object(value(), None, actor))
        actor.call.fails = ray.exceptions.PendingCallsLimitExceeded("too many")
        self.assertEqual(self.spawn(2, actor=1).failed[1], "backpressure")
        actor.call.fails = None
        self.spawn(3, actor=1)
        order = shim.opened(actor.call.calls[0][1][0])[4]
        self.assertEqual(order, (self.peer.sender, None, 1))

    def test_calls_of_a_run_are_known_while_their_objects_are(self) -> None:
        first, second = self.spawn(2, parent=7), self.spawn(3, parent=7)
        self.assertEqual(self.peer.made_by, {7: {2: first, 3: second}})
        for number, thing in ((2, first), (3, second)):
            thing.meta.result.set_result(value())
            self.peer.on_Watch(number)
            self.frames(1)
            self.peer.on_Release(number)
            self.assertEqual(self.peer.made_by, {7: {3: second}} if number == 2 else {})
        # The run may have ended before the process releases the object.
        self.spawn(4, parent=8)
        self.peer.made_by.pop(8)
        self.peer.on_Release(4)
        self.assertEqual(self.peer.objects, {})

    def test_a_pending_call_of_a_run_is_known_without_its_object(self) -> None:
        thing = self.spawn(2, parent=7)
        self.peer.on_Release(2)
        call = self.peer.made_by[7][2]
        self.assertEqual((call.token, call.function), (thing.token, 1))
        self.assertIs(call.meta, thing.meta)
        # Its bytes are not kept.
        self.assertIsNone(call.payload)
        with mock.patch.dict(self.peer.tidied, {"unfinished": 1}):
            self.peer.tidy("unfinished")
            self.assertIn(7, self.peer.made_by)
        thing.meta.result.set_result(value())
        with mock.patch.dict(self.peer.tidied, {"unfinished": 1}):
            self.peer.tidy("unfinished")
        self.assertEqual(self.peer.made_by, {})

    def test_methods_of_one_group_are_numbered(self) -> None:
        actor = fake_ray.Actor("id")
        self.peer.add(1, shim.Object(value(), None, actor))
        for number, group in ((2, None), (3, "g"), (4, None)):
            self.spawn(number, actor=1, group=group)
        orders = [shim.opened(args[0])[4] for _, args in actor.call.calls]
        me = self.peer.sender
        self.assertEqual(orders, [(me, None, 1), (me, "g", 1), (me, None, 2)])
        self.assertEqual(actor.call.calls[0][0], {"name": "second", "num_returns": 2})

    def test_a_method_of_an_actor_that_was_not_made_fails_with_its_reason(self) -> None:
        reason = shim.failure("usage", "no such resource")
        broken = self.peer.add(1, shim.Object())
        broken.failed = reason
        self.assertEqual(self.spawn(2, actor=1).failed, shim.failure("actor_dead", "", 1, reason))

    def stream(self, number: int, **how: Any) -> Any:
        """Makes a call that fills a stream."""
        if 1 not in self.peer.objects:
            self.peer.on_CreateQueue(1, 4)
        return self.spawn(number, [{"Value": [b"x", [], []]}, {"Object": [1, None]}], **how)

    def ends(self) -> list[Any]:
        """Returns how the stream was ended, each time."""
        name = f"{self.peer.sender}.1"
        return [rest[0] for kind, line, *rest in self.asked() if (kind, line) == ("finish", name)]

    def test_a_stream_whose_call_ray_refuses_has_ended(self) -> None:
        self.remote.call.fails = ray.exceptions.PendingCallsLimitExceeded("too many")
        self.assertEqual(self.ends(), [])
        thing = self.stream(2)
        self.assertEqual(self.ends(), [shim.failure("backpressure", "too many", 1)])
        self.assertEqual(self.ends(), [thing.failed])

    def test_a_stream_whose_call_no_node_can_run_has_ended(self) -> None:
        self.assertEqual(self.ends(), [])
        thing = self.stream(2, cpus=99.0)
        self.assertEqual((thing.failed[1], self.ends()), ("usage", [thing.failed]))

    def test_a_stream_of_an_actor_that_was_not_made_has_ended(self) -> None:
        self.peer.add(9, shim.Object()).failed = shim.failure("usage", "no such resource")
        thing = self.stream(2, actor=9)
        self.assertEqual((thing.failed[1], self.ends()), ("actor_dead", [thing.failed]))

    def test_a_stream_whose_call_ray_fails_has_ended(self) -> None:
        thing = self.stream(2)
        here: list[Any] = []
        soon = self.peer.soon

        def counted(*work: Any) -> None:
            here.append(work)
            soon(*work)

        with mock.patch.object(self.peer, "soon", counted):
            self.assertEqual(self.ends(), [])
            thing.meta.result.set_exception(ray.exceptions.WorkerCrashedError("gone"))
        # Ray's thread has not asked the hub itself.
        self.assertEqual(len(here), 1)
        until(lambda: self.ends() == [shim.failure("crash", "gone", 1)])

    def test_a_process_ends_the_stream_of_a_call_that_it_has_run(self) -> None:
        for number, meta in ((2, value()), (3, ("e", b"x")), (4, shim.failure("usage", ""))):
            self.stream(number).meta.result.set_result(meta)
        self.end_threads()
        self.assertEqual(self.ends(), [])

    def test_only_the_last_argument_is_a_stream(self) -> None:
        self.peer.on_CreateQueue(1, 4)
        arguments = [{"Object": [1, None]}, {"Value": [b"x", [], []]}]
        thing = self.spawn(2, arguments)
        thing.meta.result.set_exception(ray.exceptions.WorkerCrashedError("gone"))
        self.end_threads()
        self.assertEqual(self.ends(), [])

    def test_the_stream_of_a_cancelled_call_has_ended(self) -> None:
        thing = self.stream(2)
        self.peer.on_Cancel([2], True, False, None)
        self.assertEqual(self.ends(), [thing.failed])

    def test_a_deadline_fails_a_pending_call_only(self) -> None:
        late, done = self.spawn(1, deadline=0.01), self.spawn(2)
        until(lambda: late.failed is not None)
        self.assertEqual(late.failed[1:3], ("timeout", 1))
        self.assertIn("within 0.01 s", late.failed[3])
        (request,) = self.asked()
        self.assertEqual(request, ("cancel", late.token, late.failed, (True, True, None)))
        done.meta.result.set_result(value())
        self.peer.too_late(2, done, 1, self.peer.options(options(deadline=1.0)))
        self.assertIsNone(done.failed)
        # The first failure stays.
        reason = late.failed
        self.peer.too_late(1, late, 1, self.peer.options(options(deadline=9.0)))
        self.assertIs(late.failed, reason)

    def test_calls_fail_while_all_threads_wait_for_results(self) -> None:
        free = threading.Event()
        self.addCleanup(free.set)
        for _ in range(8):
            self.peer.later(free.wait, LIMIT)
        self.spawn(2, deadline=0.01), self.spawn(3)
        for number in (2, 3):
            self.peer.on_Watch(number)
        self.peer.on_Cancel([3], False, False, None)
        failed = {fields[0]: fields[1]["Failure"][0] for _, fields in self.frames(2)}
        self.assertEqual(failed, {2: "timeout", 3: "cancelled"})
        thing = self.stream(4)
        thing.meta.result.set_exception(ray.exceptions.WorkerCrashedError("gone"))
        until(lambda: self.ends() == [shim.failure("crash", "gone", 1)])

    def test_pending_calls_are_cancelled(self) -> None:
        pending, done = self.spawn(1), self.spawn(2)
        done.meta.result.set_result(value())
        self.peer.add(3, shim.Object(value()))
        self.peer.on_Watch(1)
        self.peer.on_Cancel([1, 2, 3, 4], True, False, 2.5)
        reason = shim.failure("cancelled", "", 1)
        self.assertEqual((pending.failed, done.failed), (reason, None))
        self.assertEqual(self.asked(), [("cancel", pending.token, reason, (True, False, 2.5))])
        self.assertEqual(self.frames(1), [("Ready", [1, {"Failure": ["cancelled", 1, "", None]}])])
        # A second cancellation finds nothing to do.
        self.peer.on_Cancel([1], True, True, None)
        self.assertEqual(len(self.asked()), 1)

    def test_calls_that_have_ended_are_forgotten_in_bulk(self) -> None:
        for number in range(1023):
            self.peer.unfinished[-number] = fake_ray.done(value())
        pending = self.spawn(1)
        self.assertEqual(self.peer.unfinished, {1: pending.meta})

    def test_ended_calls_that_nobody_asks_for_are_forgotten_in_bulk(self) -> None:
        with (
            mock.patch.dict(self.peer.tidied, {"detached": 10}),
            mock.patch.object(shim, "TIDY", 10),
        ):
            pending = {}
            for number in range(40):
                thing = self.peer.add(number, shim.Object(fake_ray.ObjectRef()))
                if number < 8:
                    pending[number] = thing.meta
                else:
                    thing.meta.result.set_result(value())
                self.peer.on_Detach(number)
                self.assertLess(len(self.peer.detached), 16)
            self.assertLessEqual(pending.items(), self.peer.detached.items())
            self.assertEqual(self.peer.tidied["detached"], 16)

    def test_elements_of_a_result_are_picked(self) -> None:
        whole = self.spawn(1)
        self.peer.on_Split(1, [2, 3])
        self.assertEqual(
            [args for _, args in self.remote.pick.calls], [(whole.meta, 0), (whole.meta, 1)]
        )
        self.assertEqual(self.peer.objects[3].meta, self.remote.pick.refs[1][0])
        self.assertEqual(self.peer.intern(self.peer.objects[3].handle()), 3)


class Later(unittest.TestCase):
    def test_work_is_done_in_the_order_of_its_times_by_one_thread(self) -> None:
        done: list[Any] = []
        alarms = shim.Alarms(lambda work, *args: work(*args))
        before = threading.active_count()
        for seconds, what in ((1e9, "never"), (0.04, "c"), (0.02, "a"), (0.03, "b"), (0.0, "0")):
            alarms.after(seconds, done.append, what)
        self.assertEqual(threading.active_count(), before + 1)
        until(lambda: len(done) == 4)
        self.assertEqual(done, ["0", "a", "b", "c"])
        # It also waits for the first work after none.
        other = shim.Alarms(lambda work, *args: work(*args))
        for count in (5, 6):
            other.after(0.0, done.append, count)
            until(lambda: len(done) == count)  # noqa: B023 - It ends before the next round.


class Picks(unittest.TestCase):
    def test_an_element_is_read_whether_it_is_there_or_a_ref(self) -> None:
        second = handle(fake_ray.done(value(b"b")), fake_ray.put(b"bytes"))
        whole = value(b"", (handle(value(b"a")), second))
        self.assertEqual(shim.pick(whole, 0), (value(b"a"), None))
        meta, payload = shim.pick(whole, 1)
        self.assertEqual((meta, bytes(payload)), (value(b"b"), b"bytes"))

    def test_an_element_whose_result_is_bytes(self) -> None:
        for meta, element in ((b"vb", value(b"b")), (b"eb", ("e", b"b"))):
            whole = value(b"", (handle(fake_ray.done(meta), fake_ray.done(b"")),))
            self.assertEqual(shim.pick(whole, 0)[0], element)

    def test_a_failure_is_that_of_each_element(self) -> None:
        metas: list[Any] = [("e", b"x"), b"ex"]
        for meta in metas:
            self.assertEqual(shim.pick(meta, 3), (("e", b"x"), None))

    def test_an_element_that_is_not_there_is_a_failure(self) -> None:
        wholes: list[Any] = [value(b"", (handle(value()),)), b"v"]
        for whole in wholes:
            meta, payload = shim.pick(whole, 1)
            self.assertEqual((meta[1], payload), ("internal", None))


class Queues(PeerCase):
    def setUp(self) -> None:
        super().setUp()
        self.peer.on_CreateQueue(1, 4)
        self.name = f"{self.peer.sender}.1"

    def test_a_queue_is_an_object_and_a_line_of_the_hub(self) -> None:
        self.assertEqual(self.asked(), [("create", self.name, 4)])
        thing = self.peer.objects[1]
        self.assertEqual((thing.meta, thing.queue), (value(UNIT), self.name))
        self.assertEqual(self.peer.intern(thing.handle()), 1)

    def test_requests_have_the_name_of_their_first_answer(self) -> None:
        ref = fake_ray.ObjectRef()
        self.peer.add(2, shim.Object(ref))
        self.peer.on_QueuePut(10, 1, [{"Value": [b"x", [], []]}, {"Object": [2, None]}], True)
        self.peer.on_QueueGet([11, 12], 1, False)
        self.peer.on_QueueAsk(13, 1, True)
        me = self.peer.sender
        handles = [handle(value(b"x")), handle(ref)]
        self.assertEqual(
            self.asked()[1:],
            [
                ("put", self.name, f"{me}.10", handles, True, UNIT),
                ("get", self.name, f"{me}.11", 2, False),
                ("state", self.name, True),
            ],
        )
        refs = self.remote.hub.ask.refs
        metas = [self.peer.objects[n].meta for n in (10, 11, 12, 13)]
        self.assertEqual(metas, [refs[1], refs[2], refs[2], refs[3]])
        self.assertEqual([self.peer.objects[n].payload for n in (11, 12)], [0, 1])
        # The hub answers in the order of these numbers.
        self.assertEqual([args[1] for _, args in self.remote.hub.ask.calls], [1, 2, 3, 4])
        self.assertEqual({args[0] for _, args in self.remote.hub.ask.calls}, {me})

    def test_answers_are_given_up_or_taken_by_the_first_of_them(self) -> None:
        self.peer.on_QueueGet([11, 12], 1, True)
        self.peer.on_QueueGiveUp([11, 12], True)
        self.peer.on_QueueTook([11, 12])
        key = f"{self.peer.sender}.11"
        self.assertEqual(
            self.asked()[2:], [("give_up", self.name, key, True), ("took", self.name, key)]
        )
        # The queue of an answer that is gone is not asked.
        self.peer.on_Release(11)
        self.peer.on_QueueTook([11])
        self.peer.on_QueueGiveUp([11], False)
        self.assertEqual(len(self.asked()), 4)


class Actors(PeerCase):
    def setUp(self) -> None:
        super().setUp()
        self.actor = fake_ray.Actor("id")
        self.made: list[tuple[dict[str, Any], tuple[Any, ...]]] = []
        self.fails: Exception | None = None

        def chosen(**chosen: Any) -> Any:
            def make(*args: Any) -> Any:
                if self.fails is not None:
                    raise self.fails
                self.made.append((chosen, args))
                return self.actor

            return types.SimpleNamespace(remote=make)

        self.remote.Actor.options = chosen
        self.addCleanup(fake_ray.ACTORS.clear)
        self.addCleanup(fake_ray.KILLED.clear)

    def create(self, actor: list[Any], found: int | None = None, **resources: Any) -> shim.Object:
        self.peer.on_CreateActor(1, 0, [], actor, options(**resources), found)
        thing: shim.Object = self.peer.objects[1]
        return thing

    def test_an_actor_of_one_thread(self) -> None:
        thing = self.create([None, 2, 3, 1, [], None, 0.5], cpus=1.0)
        ((chosen, (spec, kept)),) = self.made
        self.assertEqual(chosen, {"max_restarts": 2, "max_task_retries": 3, "num_cpus": 1.0})
        self.assertEqual((spec[0], spec[3]), (0, f"{self.peer.sender}.1"))
        self.assertEqual(kept, {"threads": 1, "concurrency": 1, "groups": {}, "grace": 0.5})
        self.assertEqual((thing.actor, thing.meta), (self.actor, self.actor.made.refs[0]))
        self.assertEqual(self.peer.intern(thing.handle()), 1)

    def test_an_actor_of_several_threads(self) -> None:
        self.create(["name", 0, 0, 2, [["io", 3]], 9, 0.5], 7)
        ((chosen, (_, kept)),) = self.made
        self.assertEqual((chosen["name"], chosen["get_if_exists"]), ("name", True))
        # One more, for `made`.
        self.assertEqual((chosen["max_concurrency"], chosen["max_pending_calls"]), (6, 9))
        self.assertEqual((kept["threads"], kept["groups"]), (5, {"io": 3}))
        answer = self.peer.objects[7]
        self.assertEqual(answer.meta, value(STANDS, (self.peer.objects[1].handle(),)))
        self.assertEqual(self.counts(), {1: 2, 7: 1})
        self.peer.on_Release(7)
        self.assertEqual(self.counts(), {1: 1})

    def test_a_name_that_is_taken(self) -> None:
        for error in (
            ray.exceptions.ActorAlreadyExistsError("taken"),
            ValueError("The name name (namespace=None) is already taken."),
        ):
            self.fails = error
            failed = self.create(["name", 0, 0, 1, [], None, 0.5]).failed
            assert failed is not None
            self.assertEqual(failed[1], "usage")
            self.assertIn("an actor with the name `name` already", failed[3])

    def test_another_value_that_ray_refuses(self) -> None:
        self.fails = ValueError("max_restarts is not -2")
        failed = self.create(["name", 0, 0, 1, [], None, 0.5]).failed
        text = "ValueError: max_restarts is not -2"
        self.assertEqual(failed, shim.failure("internal", text, 0))
        # Versions of Ray without the class say it in their text.
        with mock.patch.object(shim, "errors", types.SimpleNamespace()):
            self.assertFalse(shim.is_taken(ValueError("no")))
            self.assertTrue(shim.is_taken(ValueError("it is already there")))

    def test_an_actor_that_ray_does_not_make(self) -> None:
        self.fails = ray.exceptions.RuntimeEnvSetupError("no environment")
        failed = self.create([None, 0, 0, 1, [], None, 0.5]).failed
        self.assertEqual(failed, shim.failure("setup", "no environment", 0))

    def test_resources_that_are_never_there(self) -> None:
        failed = self.create([None, 0, 0, 1, [], None, 0.5], 7, cpus=99.0).failed
        assert failed is not None
        self.assertEqual((failed[1], self.made), ("usage", []))
        self.assertEqual(self.peer.objects[7].meta, failed)

    def test_an_actor_is_found_by_its_name(self) -> None:
        fake_ray.ACTORS["name"] = self.actor
        self.peer.on_FindActor(5, "name")
        number = PEER | 1
        # Only the answer keeps the actor.
        self.assertEqual(self.counts(), {5: 1, number: 1})
        self.assertIs(self.peer.objects[number].actor, self.actor)
        self.peer.on_FindActor(6, "name")
        self.assertEqual(self.counts(), {5: 1, 6: 1, number: 2})
        for answer in (5, 6):
            self.peer.on_Release(answer)
        self.assertEqual(self.counts(), {})

    def test_an_actor_that_is_not_there(self) -> None:
        self.peer.on_FindActor(5, "name")
        self.assertEqual(
            self.peer.objects[5].meta,
            shim.failure("usage", "there is no actor with the name `name`"),
        )

    def test_a_name_is_free_after_the_last_handle(self) -> None:
        self.create(["name", 0, 0, 1, [], None, 0.5])
        self.peer.on_Release(1)
        # Ray still knows the actor for a moment.
        answers = [self.actor, self.actor, ValueError("gone")]
        with mock.patch.object(ray, "get_actor", side_effect=answers) as asked:
            self.peer.on_FindActor(2, "name")
        self.assertEqual(asked.call_count, 3)
        failed = shim.failure("usage", "there is no actor with the name `name`")
        self.assertEqual(self.peer.objects[2].meta, failed)
        # Later, Ray's first answer counts.
        with mock.patch.object(ray, "get_actor", return_value=self.actor) as asked:
            self.peer.on_FindActor(3, "name")
        self.assertEqual(asked.call_count, 1)

    def test_an_actor_whose_constructor_failed_has_no_name(self) -> None:
        self.create(["name", 0, 0, 1, [], None, 0.5])
        thing = self.peer.objects[1]
        self.peer.tell(1, thing, {"Error": b"no"})
        with mock.patch.object(ray, "get_actor", return_value=thing.actor):
            self.peer.on_FindActor(2, "name")
        failed = shim.failure("usage", "there is no actor with the name `name`")
        self.assertEqual(self.peer.objects[2].meta, failed)

    def test_an_actor_is_killed_for_good(self) -> None:
        self.create([None, 0, 0, 1, [], None, 0.5])
        self.peer.on_KillActor(1)
        self.peer.on_KillActor(99)
        self.assertEqual(fake_ray.KILLED, [(self.actor, True)])

    def test_a_killed_actor_runs_no_later_call(self) -> None:
        self.create(["name", 0, 0, 1, [], None, 0.5])
        thing = self.peer.objects[1]
        self.peer.on_KillActor(1)
        failed = shim.failure("actor_dead", "", 1, shim.KILLED)
        self.peer.on_Spawn(2, 1, [], options(), 1, None)
        self.assertEqual(self.peer.objects[2].failed, failed)
        self.assertEqual(thing.actor.call.calls, [])
        # Ray still knows the name.
        with mock.patch.object(ray, "get_actor", return_value=thing.actor):
            self.peer.on_FindActor(3, "name")
        unknown = shim.failure("usage", "there is no actor with the name `name`")
        self.assertEqual(self.peer.objects[3].meta, unknown)


class Frames(PeerCase):
    def test_a_frame_is_passed_to_its_handler(self) -> None:
        seen: list[Any] = []
        for kind in ("Registered", "Hold", "Blocked", "Cancel", "QueueTook"):

            def handler(*args: Any, kind: str = kind) -> None:
                seen.append((kind, args))

            patch = mock.patch.object(self.peer, f"on_{kind}", handler, create=True)
            patch.start()
            self.addCleanup(patch.stop)
        self.process.send("Registered")
        self.process.send("Hold", 4)
        self.process.send("Cancel", [1, 2], True, False, None)
        # Its one field is a list.
        self.process.send("QueueTook", [1, 2])
        self.process.send("Nonsense", 1)
        with self.assertRaises(shim.Gone) as raised:
            self.peer.serve()
        self.assertIn("Nonsense", str(raised.exception))
        self.assertEqual(
            seen,
            [
                ("Registered", ()),
                ("Hold", (4,)),
                ("Cancel", ([1, 2], True, False, None)),
                ("QueueTook", ([1, 2],)),
            ],
        )

    def hello(self, version: int) -> None:
        fd = os.memfd_create("heap")
        os.write(fd, b"the heap" * 512)
        self.process.send_descriptor(0, fd)
        os.close(fd)
        self.process.send("Hello", version, ["f", "g"], 4096, 77, b"u", b"s")

    def test_hello_is_answered(self) -> None:
        self.hello(shim.VERSION)
        self.peer.hello(17, 4, "Ray")
        self.assertEqual(self.frames(1), [("Hello", [shim.VERSION, 17, 4.0, "Ray", "10.0.0.1"])])
        self.assertEqual((self.peer.names, self.peer.pid), (["f", "g"], 77))
        self.assertEqual((self.peer.unit, self.peer.stands), (b"u", b"s"))
        self.assertEqual(bytes(self.peer.view(8, 8)), b"the heap")
        with self.assertRaises(TypeError):
            self.peer.view(0, 1)[0] = 1

    def test_another_version_is_told_this_one(self) -> None:
        self.hello(shim.VERSION + 1)
        with self.assertRaises(shim.Gone):
            self.peer.hello(17, 4, "Ray")
        self.assertEqual(self.frames(1)[0][1][0], shim.VERSION)

    def test_another_first_frame_is_refused(self) -> None:
        self.process.send_descriptor(0, self.process.stream.fileno())
        self.process.send("Registered")
        with self.assertRaises(shim.Gone):
            self.peer.hello(17, 4, "Ray")


class Helpers(PeerCase):
    kind = shim.Helper

    def test_a_question_is_answered_when_all_calls_have_ended(self) -> None:
        ref = fake_ray.ObjectRef()
        self.peer.unfinished[1] = ref
        self.peer.on_Idle(5)
        self.no_frame()
        ref.result.set_exception(ray.exceptions.WorkerCrashedError(""))
        self.assertEqual(self.frames(1), [("Idle", 5)])
        self.assertEqual(self.peer.unfinished, {})

    def test_the_end_waits_for_calls_whose_results_nobody_asks_for(self) -> None:
        waited: list[Any] = []
        ref = fake_ray.ObjectRef()
        self.peer.detached[1] = ref
        with mock.patch.object(ray, "wait", lambda refs, **how: waited.append((refs, how))):
            for grace in (2.0, 0.0):
                with self.assertRaises(shim.Gone):
                    self.peer.on_Shutdown(grace)
        self.assertEqual(
            waited, [([ref], {"num_returns": 1, "timeout": 2.0, "fetch_local": False})]
        )


if __name__ == "__main__":
    unittest.main()
