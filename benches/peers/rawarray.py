"""The standard library's shared memory: `multiprocessing.RawArray`, with its locks and barriers.

The particles and the plate are those of `benches/src/particles.rs` and `benches/src/plate.rs`. The
arithmetic has the same order, so the results and their checksums are equal bit by bit.
"""

import ctypes
import multiprocessing
import os
import time

import numpy

from common import MIB, WORKERS, Peer, python_version

CONTEXT = multiprocessing.get_context("fork")

U64 = numpy.uint64
GAMMA = U64(0x9E3779B97F4A7C15)
PLATE = 2048


def mix(bits, scratch):
    """Mixes each bit into all others, in place."""
    for shift, factor in [(30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, None)]:
        numpy.right_shift(bits, U64(shift), out=scratch)
        numpy.bitwise_xor(bits, scratch, out=bits)
        if factor:
            numpy.multiply(bits, U64(factor), out=bits)


class Particles:
    """Views of the particles' places, speeds and random numbers, in shared or private memory."""

    def __init__(self, x, v, random):
        self.x, self.v, self.random = x, v, random

    @classmethod
    def shared(cls, count):
        def array(kind, dtype):
            return numpy.frombuffer(CONTEXT.RawArray(kind, count), dtype)

        return cls(
            array(ctypes.c_double, float),
            array(ctypes.c_double, float),
            array(ctypes.c_uint64, U64),
        )

    @classmethod
    def private(cls, count):
        return cls(numpy.zeros(count), numpy.zeros(count), numpy.zeros(count, U64))

    def part(self, worker):
        size = -(-len(self.x) // WORKERS)
        own = slice(worker * size, (worker + 1) * size)
        return Particles(self.x[own], self.v[own], self.random[own])

    def begin(self):
        seed = numpy.array([1], U64)
        mix(seed, seed.copy())
        self.x[:] = 0
        self.v[:] = 0
        self.random[:] = numpy.arange(len(self.x), dtype=U64) + seed
        mix(self.random, numpy.empty_like(self.random))

    def advance(self, steps):
        """Moves all particles at once by this many steps. Single particles are slow in numpy."""
        bits, scratch = numpy.empty_like(self.random), numpy.empty_like(self.random)
        change = numpy.empty_like(self.x)
        for _ in range(steps):
            numpy.add(self.random, GAMMA, out=self.random)
            bits[:] = self.random
            mix(bits, scratch)
            numpy.right_shift(bits, U64(11), out=bits)
            numpy.multiply(bits, 1.0 / (1 << 53), out=change, casting="unsafe")
            numpy.subtract(change, 0.5, out=change)
            numpy.multiply(self.v, 0.99, out=self.v)
            numpy.add(self.v, change, out=self.v)
            numpy.multiply(self.v, 0.01, out=change)
            numpy.add(self.x, change, out=self.x)

    def checksum(self):
        return int(numpy.bitwise_xor.reduce(self.x.view(U64)))


class Team:
    """Processes that are forked once, and call one function in each run."""

    def __init__(self, work):
        """Forks the processes. Each calls `work(worker)` for each `run`."""
        self._begin, self._end = CONTEXT.Barrier(WORKERS + 1), CONTEXT.Barrier(WORKERS + 1)
        self._over = CONTEXT.RawValue(ctypes.c_bool, False)
        self._processes = [
            CONTEXT.Process(target=self._serve, args=(work, n), daemon=True) for n in range(WORKERS)
        ]
        for process in self._processes:
            process.start()

    def _serve(self, work, worker):
        while True:
            self._begin.wait()
            if self._over.value:
                return
            work(worker)
            self._end.wait()

    def run(self):
        self._begin.wait()
        self._end.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._over.value = True
        self._begin.wait()
        for process in self._processes:
            process.join()


def particles(peer, row, count, rounds, steps):
    """Checks the result against that of one process, and measures the speed of `WORKERS`."""
    expected = Particles.private(count)
    expected.begin()
    for _ in range(rounds):
        expected.advance(steps)
    shared = Particles.shared(count)
    taken = []
    with Team(lambda worker: shared.part(worker).advance(steps)) as team:
        for _ in range(peer.size(5, 2)):
            shared.begin()
            start = time.perf_counter()
            for _ in range(rounds):
                team.run()
            taken.append(time.perf_counter() - start)
            if shared.checksum() != expected.checksum():
                raise RuntimeError("the processes came to something else")
    rates = [count * rounds * steps / seconds for seconds in taken]
    peer.emit(row, "1/s", rates, f"checksum {shared.checksum():016x}")


def fill(peer):
    """Measures one process with a whole array."""
    array = numpy.frombuffer(CONTEXT.RawArray(ctypes.c_double, 64 * MIB // 8))
    results = CONTEXT.SimpleQueue()

    def work():
        array.fill(1.0)
        taken = []
        for n in range(peer.size(60, 6)):
            start = time.perf_counter()
            array.fill(n)
            taken.append(time.perf_counter() - start)
        results.put(taken)

    process = CONTEXT.Process(target=work)
    process.start()
    taken = results.get()
    process.join()
    if array[-1] != len(taken) - 1:
        raise RuntimeError("the array is not filled")
    peer.emit("part_fill", "B/s", [64 * MIB / seconds for seconds in taken])


def lock_alone(peer):
    """Measures locks without contention."""
    lock, calls = CONTEXT.Lock(), 1000

    def work():
        for _ in range(calls):
            lock.acquire()
            lock.release()

    peer.row(
        "mutex", lambda: peer.emit("mutex", "s", [taken / calls for taken in peer.samples(work)])
    )


def hand_over(peer):
    """Measures hand-overs: in turn `n`, player `n % 2` hands lock `n % 3` over.

    The game is that of `benches/src/handover.rs`."""
    locks, barrier = [CONTEXT.Lock() for _ in range(3)], CONTEXT.Barrier(2)
    games, turns = peer.size(20, 5), peer.size(3000, 300)
    results = CONTEXT.SimpleQueue()
    taken_over = CONTEXT.RawValue(ctypes.c_uint64, 0)

    def play(player):
        taken = []
        for _ in range(games):
            barrier.wait()
            for n in range(player, 3, 2):
                locks[n].acquire()
            barrier.wait()
            start = time.perf_counter()
            for turn in range(turns):
                if turn % 2 == player:
                    locks[turn % 3].release()
                else:
                    locks[turn % 3].acquire()
                    taken_over.value += 1
            taken.append((time.perf_counter() - start) / turns)
            for n in range(3):
                if held_at_end(n, turns) == player:
                    locks[n].release()
        if player == 0:
            results.put(taken)

    processes = [CONTEXT.Process(target=play, args=(player,)) for player in range(2)]
    for process in processes:
        process.start()
    taken = results.get()
    for process in processes:
        process.join()
    if taken_over.value != games * turns:
        raise RuntimeError("a lock was not handed over each time")
    peer.emit("mutex_handover", "s", taken)


def held_at_end(lock, turns):
    """Returns the player that has got a lock in its last turn."""
    last = max(turn for turn in range(turns - 3, turns) if turn % 3 == lock)
    return 1 - last % 2


def atomics(peer):
    """Measures values with locks, since the library has no atomics."""
    times = peer.size(50_000, 5_000)

    def measure(row, values):
        def work(worker):
            # Each process is pinned to a core, as in Mobula's row.
            cores = sorted(os.sched_getaffinity(0))
            if len(cores) >= WORKERS:
                os.sched_setaffinity(0, {cores[worker]})
            value = values[worker % len(values)]
            for _ in range(times):
                with value.get_lock():
                    value.value += 1

        taken = []
        with Team(work) as team:
            for _ in range(peer.size(5, 2)):
                start = time.perf_counter()
                team.run()
                taken.append(time.perf_counter() - start)
        if sum(value.value for value in values) != len(taken) * WORKERS * times:
            raise RuntimeError("an increment was lost")
        peer.emit(
            row, "1/s", [WORKERS * times / seconds for seconds in taken], "`Value` with its lock"
        )

    peer.row("atomic_one", lambda: measure("atomic_one", [CONTEXT.Value(ctypes.c_uint64)]))
    apart = [CONTEXT.Value(ctypes.c_uint64) for _ in range(WORKERS)]
    peer.row("atomic_apart", lambda: measure("atomic_apart", apart))


def step(old, new, scratch):
    """Computes one step of rows. `old` has one more row at both ends.

    The first and the last column do not change."""
    here = old[1:-1]
    inner = new[:, 1:-1]
    numpy.add(old[:-2, 1:-1], old[2:, 1:-1], out=inner)
    numpy.add(here[:, :-2], here[:, 2:], out=scratch)
    numpy.add(inner, scratch, out=inner)
    numpy.multiply(here[:, 1:-1], 4.0, out=scratch)
    numpy.subtract(inner, scratch, out=inner)
    numpy.multiply(inner, 0.2, out=inner)
    numpy.add(here[:, 1:-1], inner, out=inner)
    new[:, 0], new[:, -1] = here[:, 0], here[:, -1]


def heat(peer):
    """Measures the plate. All processes see both grids, so only the whole grid has ghost rows."""
    grids = [
        numpy.frombuffer(CONTEXT.RawArray(ctypes.c_double, (PLATE + 2) * PLATE)).reshape(
            PLATE + 2, PLATE
        )
        for _ in range(2)
    ]
    beginning = ((numpy.arange(PLATE + 2)[:, None] * 31 + numpy.arange(PLATE) * 17) % 101).astype(
        float
    )
    steps, rows = peer.size(20, 4), PLATE // WORKERS
    barrier = CONTEXT.Barrier(WORKERS)

    def work(worker):
        scratch = numpy.empty((rows, PLATE - 2))
        own = slice(worker * rows + 1, (worker + 1) * rows + 1)
        around = slice(worker * rows, (worker + 1) * rows + 2)
        for number in range(steps):
            step(grids[number % 2][around], grids[1 - number % 2][own], scratch)
            barrier.wait()

    expected = [beginning.copy(), beginning.copy()]
    scratch = numpy.empty((PLATE, PLATE - 2))
    for number in range(steps):
        step(expected[number % 2], expected[1 - number % 2][1:-1], scratch)
    taken = []
    with Team(work) as team:
        for _ in range(peer.size(5, 2)):
            for grid in grids:
                grid[:] = beginning
            start = time.perf_counter()
            team.run()
            taken.append((time.perf_counter() - start) / steps)
            if not numpy.array_equal(grids[0].view(U64), expected[0].view(U64)):
                raise RuntimeError("the processes came to something else")
    checksum = int(numpy.bitwise_xor.reduce(grids[0][1:-1].view(U64), axis=None))
    peer.emit("heat_barrier", "s", taken, f"checksum {checksum:016x}")


def main():
    peer = Peer("multiprocessing.RawArray", python_version())
    peer.row("part_fill", lambda: fill(peer))
    lock_alone(peer)
    peer.row("mutex_handover", lambda: hand_over(peer))
    atomics(peer)
    few = peer.size(10_000, 1_000)
    peer.row("particles_few", lambda: particles(peer, "particles_few", 1000, 1, few))
    peer.row("particles_many", lambda: particles(peer, "particles_many", 1_000_000, 4, 5))
    peer.row("heat_barrier", lambda: heat(peer))


if __name__ == "__main__":
    main()
