"""The nodes of the cluster, and which of them run a call."""

from __future__ import annotations

import threading
import unittest
from typing import Any
from unittest import mock

import fake_ray
from support import PeerCase, cluster, options, ray, shim

ONE = fake_ray.node("10.0.0.1", "id of one", CPU=4.0)
TWO = fake_ray.node("10.0.0.2", "id of two", CPU=8.0, gpu=1.0)
DEAD = fake_ray.node("10.0.0.3", "id of three", alive=False, CPU=64.0)


def names(nodes: shim.Nodes, anew: bool = False) -> list[str]:
    return [name for name, _, _ in nodes.alive(anew)]


class Names(unittest.TestCase):
    def setUp(self) -> None:
        self.nodes = shim.Nodes()

    def test_the_address_is_the_name(self) -> None:
        cluster(self, ONE, TWO, DEAD)
        self.assertEqual(
            self.nodes.alive(),
            [
                ("10.0.0.1", "id of one", {"CPU": 4.0}),
                ("10.0.0.2", "id of two", {"CPU": 8.0, "gpu": 1.0}),
            ],
        )

    def test_nodes_that_share_an_address_have_their_ids(self) -> None:
        cluster(self, ONE, fake_ray.node("10.0.0.1", "id of four"), TWO)
        self.assertEqual(names(self.nodes), ["id of one", "id of four", "10.0.0.2"])

    def test_a_dead_node_does_not_share_its_address(self) -> None:
        cluster(self, ONE, fake_ray.node("10.0.0.1", "its past", alive=False))
        self.assertEqual(names(self.nodes), ["10.0.0.1"])

    def test_a_node_is_found_by_name_address_or_id(self) -> None:
        cluster(self, ONE, TWO, DEAD)
        for name in ("10.0.0.2", "id of two"):
            self.assertEqual(self.nodes.find(name), "id of two")
        for name in ("10.0.0.3", "id of three", "elsewhere"):
            self.assertIsNone(self.nodes.find(name))

    def test_an_address_that_is_shared_names_no_node(self) -> None:
        cluster(self, ONE, fake_ray.node("10.0.0.1", "id of four"))
        self.assertIsNone(self.nodes.find("10.0.0.1"))
        self.assertEqual(self.nodes.find("id of four"), "id of four")

    def test_a_list_serves_for_a_while(self) -> None:
        looks = cluster(self, ONE)
        now = 100.0
        with mock.patch.object(shim.time, "monotonic", lambda: now):
            self.nodes.alive()
            now += shim.Nodes.FRESH
            self.nodes.alive()
            self.assertEqual(len(looks), 1)
            self.nodes.alive(True)
            self.assertEqual(len(looks), 2)
            now += shim.Nodes.FRESH + 0.01
            self.nodes.alive()
            self.assertEqual(len(looks), 3)

    def test_a_node_that_has_just_come_is_found(self) -> None:
        cluster(self, ONE)
        self.assertIsNone(self.nodes.find("10.0.0.2"))
        looks = cluster(self, ONE, TWO)
        self.assertEqual(self.nodes.find("10.0.0.2"), "id of two")
        self.assertEqual(len(looks), 1)

    def test_the_own_node(self) -> None:
        cluster(self, ONE, TWO)
        self.assertEqual(self.nodes.own(), "10.0.0.1")
        cluster(self, TWO)
        self.assertEqual(self.nodes.own(), "id of one")


class Places(PeerCase):
    def setUp(self) -> None:
        super().setUp()
        self.looks = cluster(self, ONE, TWO)

    def spawn(self, number: int, **chosen: Any) -> Any:
        self.peer.on_Spawn(number, 1, [], options(**chosen), None, None)
        return self.peer.objects[number]

    def strategies(self) -> list[Any]:
        """Returns the strategy of each call."""
        return [chosen.get("scheduling_strategy") for chosen, _ in self.remote.call.calls]

    def test_a_call_may_name_its_node(self) -> None:
        kinds: list[dict[str, Any]]
        kinds = [{"node": "10.0.0.2"}, {"node": "id of one"}, {"spread": True}, {}]
        for number, chosen in enumerate(kinds):
            self.assertIsNone(self.spawn(number, **chosen).failed)
        self.assertEqual(
            self.strategies(), [("id of two", False), ("id of one", False), "SPREAD", None]
        )

    def test_a_node_comes_before_a_spread(self) -> None:
        self.spawn(1, node="10.0.0.2", spread=True)
        self.assertEqual(self.strategies(), [("id of two", False)])

    def test_a_node_that_is_not_there_is_refused(self) -> None:
        failed = self.spawn(1, node="10.0.0.9").failed
        text = "there is no node `10.0.0.9`; the nodes of the cluster are `10.0.0.1`, `10.0.0.2`"
        self.assertEqual(failed, shim.failure("usage", text, 1))
        self.assertEqual((self.remote.call.calls, self.peer.unfinished), ([], {}))

    def test_an_actor_on_a_node_that_is_not_there_is_refused(self) -> None:
        given = options(node="10.0.0.9")
        self.peer.on_CreateActor(1, 0, [], [None, 0, 0, 1, [], None, 0.5], given, None)
        self.assertEqual(self.peer.objects[1].failed[1], "usage")

    def test_an_actor_may_name_its_node(self) -> None:
        made: list[Any] = []

        def chosen(**chosen: Any) -> Any:
            made.append(chosen)
            return mock.Mock(remote=lambda *_: fake_ray.Actor("id"))

        self.remote.Actor.options = chosen
        given = options(node="10.0.0.2")
        self.peer.on_CreateActor(1, 0, [], [None, 0, 0, 1, [], None, 0.5], given, None)
        self.assertEqual(made[0]["scheduling_strategy"], ("id of two", False))

    def test_calls_with_the_same_options_share_a_remote_function(self) -> None:
        made: list[Any] = []
        real = self.remote.call.options

        def counted(**chosen: Any) -> Any:
            made.append(chosen)
            return real(**chosen)

        with mock.patch.object(self.remote.call, "options", counted):
            for number in range(3):
                self.spawn(number, retries=2, timeout=float(number))
            self.assertEqual(len(made), 1)
            others: list[dict[str, Any]] = [{"retries": 3}, {"spread": True}, {"cpus": 1.0}]
            for number, other in enumerate(others):
                self.spawn(10 + number, **other)
            self.assertEqual(len(made), 4)
        self.assertEqual(len(self.remote.call.calls), 6)

    def test_a_place_is_looked_for_anew_after_a_while(self) -> None:
        now = 100.0
        with mock.patch.object(shim.time, "monotonic", lambda: now):
            for _ in range(2):
                self.spawn(1, node="10.0.0.2")
                self.spawn(2)
            self.assertEqual(len(self.looks), 1)
            cluster(self, ONE)
            now += shim.Nodes.FRESH
            self.assertEqual(self.spawn(3, node="10.0.0.2").failed[1], "usage")
            # A call that needs no node in particular asks for none.
            self.assertIsNone(self.spawn(4).failed)

    def test_remote_functions_are_not_kept_without_end(self) -> None:
        for number in range(1100):
            self.spawn(number, retries=number)
        self.assertLessEqual(len(self.peer.chosen), 1000)


class Answers(PeerCase):
    kind = shim.Helper

    def test_the_program_learns_of_the_nodes(self) -> None:
        cluster(self, ONE, TWO, DEAD)
        self.peer.on_Nodes(5)
        self.assertEqual(
            self.frames(1),
            [("Nodes", [5, [["10.0.0.1", 4.0, True], ["10.0.0.2", 8.0, False]]])],
        )

    def test_the_progress_of_calls_reaches_the_program(self) -> None:
        poll = self.remote.hub.progressed
        self.peer.follow_progress()
        self.assertEqual(poll.calls, [({}, ())])
        poll.refs[0].result.set_result([(f"{self.peer.sender}.7", 1, 3), ("other.8", 2, 2)])
        self.assertEqual(self.frames(2), [("Progress", [7, 1, 3]), ("Progress", [8, 2, 2])])
        # The next question is there. The end of the hub is the last answer.
        self.assertEqual(len(poll.calls), 2)
        poll.refs[1].result.set_exception(ray.exceptions.ActorDiedError("the hub"))
        self.assertEqual(len(poll.calls), 2)


class Threads(PeerCase):
    """A small result is answered on Ray's thread, and a thread of the pool fetches others."""

    def watched(self, **chosen: Any) -> Any:
        thing = self.peer.add(1, shim.Object(fake_ray.ObjectRef(), **chosen))
        self.peer.on_Watch(1)
        return thing

    def test_small_results_need_no_other_thread(self) -> None:
        later: list[Any] = []
        with mock.patch.object(self.peer, "later", lambda *work: later.append(work)):
            self.watched().meta.result.set_result(b"vx")
            self.assertEqual(self.frames(1), [("Ready", [1, {"Value": [b"x", [], []]}])])
            self.watched().meta.result.set_result(b"ex")
            self.assertEqual(self.frames(1), [("Ready", [1, {"Error": b"x"}])])
            self.assertEqual(later, [])
            inner = (("v", b"", (), False), None, False, None, None, None)
            for meta in (
                ("v", b"x", (inner,), False),
                ("v", b"x", (), True),
                shim.failure("crash", ""),
            ):
                self.watched().meta.result.set_result(meta)
            self.watched(payload=0).meta.result.set_result(("v", b"", (inner,), False))
            self.watched().meta.result.set_exception(ray.exceptions.WorkerCrashedError(""))
            thing = self.watched()
            thing.failed = shim.failure("timeout", "")
            thing.meta.result.set_result(b"vx")
        self.assertEqual([work[0] for work in later], [self.peer.ready] * 6)
        self.no_frame()

    def test_a_result_does_not_wait_for_the_lock(self) -> None:
        thing = self.watched()
        holds, free = threading.Event(), threading.Event()

        def hold() -> None:
            with self.peer.lock:
                holds.set()
                free.wait(5)

        holder = threading.Thread(target=hold, daemon=True)
        holder.start()
        holds.wait(5)
        thing.meta.result.set_result(b"vx")
        self.assertEqual(len(self.frames(1)), 1)
        free.set()
        holder.join()


if __name__ == "__main__":
    unittest.main()
