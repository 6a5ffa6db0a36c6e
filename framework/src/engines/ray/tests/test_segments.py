"""Payloads get to the process by a file that both map, or by a copy."""

from __future__ import annotations

import ctypes
import mmap
import os
import pathlib
import tempfile
import unittest
from unittest import mock

from support import pair, shim

PAGE = mmap.PAGESIZE


class Places(unittest.TestCase):
    def setUp(self) -> None:
        mine, self.process = pair()
        self.addCleanup(mine.close)
        self.addCleanup(self.process.close)
        self.segments = shim.Segments(mine)

    def received(self) -> tuple[list[int], int]:
        """Returns number and size of a segment that has come, and its file."""
        kind, fields = self.process.receive()
        self.assertEqual(kind, "Segment")
        fd = self.process.receive_descriptor()
        self.addCleanup(os.close, fd)
        return fields, fd

    def shared(self, pages: int, offset: int = 0, stays: bool = True) -> tuple[int, mmap.mmap]:
        """A file of pages that differ, and a mapping of it from the offset on.

        Ray's main file `stays`. It is below /dev/shm.
        """
        if stays:
            fd, path = tempfile.mkstemp(dir="/dev/shm", prefix="mobula-test-")
            os.unlink(path)
        else:
            fd = os.memfd_create("store")
        self.addCleanup(os.close, fd)
        os.write(fd, b"".join(bytes([n + 1]) * PAGE for n in range(pages)))
        return fd, mmap.mmap(fd, pages * PAGE - offset, offset=offset)

    def place(self, view: memoryview, fd: int | None) -> tuple[list[int], int | None]:
        """Places a view; `fd` is the file that the raylet has open."""
        parent = os.getpid() if fd is not None else 1

        def processes() -> list[int]:
            return [parent] if fd is not None else []

        with mock.patch.object(shim, "raylets", processes):
            return self.segments.place(view)

    def test_a_copy_has_the_bytes(self) -> None:
        place, own = self.segments_place_private(b"some bytes of the heap")
        fields, fd = self.received()
        self.assertEqual(place, [1, 0, 22])
        self.assertEqual(own, 1)
        self.assertEqual(fields, [1, 22])
        self.assertEqual(os.pread(fd, 100, 0), b"some bytes of the heap")

    def segments_place_private(self, data: bytes) -> tuple[list[int], int | None]:
        return self.place(memoryview(data), None)

    def test_a_copy_of_nothing_is_a_segment_of_a_byte(self) -> None:
        place, own = self.segments_place_private(b"")
        fields, _ = self.received()
        self.assertEqual((place, own, fields), ([1, 0, 0], 1, [1, 1]))

    def test_a_copy_of_wider_elements_has_all_bytes(self) -> None:
        numbers = (ctypes.c_uint32 * 3)(1, 2, 3)
        place, _ = self.place(memoryview(numbers), None)
        _, fd = self.received()
        self.assertEqual(place[2], 12)
        self.assertEqual(os.pread(fd, 100, 0), bytes(numbers))

    def test_each_copy_is_a_segment_of_its_own(self) -> None:
        places = [self.segments_place_private(b"a") for _ in range(3)]
        self.assertEqual(
            places, [([1, 0, 1], 1), ([2, 0, 1], 2), ([3, 0, 1], 3)], "numbers from 1 on"
        )

    def test_bytes_of_a_file_of_the_raylet_are_not_copied(self) -> None:
        fd, mapped = self.shared(3)
        view = memoryview(mapped)[PAGE + 100 : PAGE + 150]
        place, own = self.place(view, fd)
        fields, got = self.received()
        self.assertEqual((place, own), ([1, PAGE + 100, 50], None))
        self.assertEqual(fields, [1, 3 * PAGE])
        self.assertEqual(os.fstat(got).st_ino, os.fstat(fd).st_ino)
        self.assertEqual(os.pread(got, 50, place[1]), bytes(view))

    def test_the_offset_of_the_mapping_counts(self) -> None:
        fd, mapped = self.shared(3, offset=PAGE)
        view = memoryview(mapped)[PAGE : PAGE + 10]
        place, _ = self.place(view, fd)
        _, got = self.received()
        self.assertEqual(place, [1, 2 * PAGE, 10])
        self.assertEqual(os.pread(got, 10, place[1]), b"\x03" * 10)
        # The second time, from memory.
        again, _ = self.place(memoryview(mapped)[5:9], fd)
        self.assertEqual(again, [1, PAGE + 5, 4])

    def test_a_file_is_passed_once(self) -> None:
        fd, mapped = self.shared(2)
        first, _ = self.place(memoryview(mapped)[:10], fd)
        # Even when the raylet is not found any more.
        second, own = self.place(memoryview(mapped)[PAGE : PAGE + 7], None)
        self.assertEqual((first, second, own), ([1, 0, 10], [1, PAGE, 7], None))
        self.received()
        self.process.stream.setblocking(False)
        with self.assertRaises(BlockingIOError):
            self.process.receive()

    def test_a_mapping_that_may_go_is_looked_up_each_time(self) -> None:
        fd, mapped = self.shared(2, stays=False)
        for number in (1, 2):
            place, own = self.place(memoryview(mapped)[PAGE : PAGE + 7], fd)
            # The segment goes with the payload.
            self.assertEqual((place, own), ([number, PAGE, 7], number))
            fields, got = self.received()
            self.assertEqual(fields, [number, 2 * PAGE])
            self.assertEqual(os.fstat(got).st_ino, os.fstat(fd).st_ino)
        self.assertEqual(self.segments.known, [])

    def test_the_whole_of_a_mapping_is_found(self) -> None:
        fd, mapped = self.shared(1)
        place, own = self.place(memoryview(mapped), fd)
        self.assertEqual((place, own), ([1, 0, PAGE], None))

    def test_a_file_that_the_raylet_has_not_open_is_copied(self) -> None:
        _, mapped = self.shared(1)
        place, own = self.place(memoryview(mapped)[3:5], None)
        _, got = self.received()
        self.assertEqual((place, own), ([1, 0, 2], 1))
        self.assertEqual(os.pread(got, 10, 0), b"\x01\x01")

    def test_private_mappings_are_no_shared_ones(self) -> None:
        fd = os.memfd_create("store")
        self.addCleanup(os.close, fd)
        os.truncate(fd, PAGE)
        mapped = mmap.mmap(fd, PAGE, flags=mmap.MAP_PRIVATE)
        mapped[0] = 7
        place, own = self.place(memoryview(mapped)[:1], fd)
        _, got = self.received()
        self.assertEqual((place, own), ([1, 0, 1], 1))
        self.assertEqual(os.pread(got, 1, 0), b"\x07")

    def test_the_descriptor_does_not_stay_here(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        fd, mapped = self.shared(1)
        self.place(memoryview(mapped), fd)
        self.segments_place_private(b"x")
        self.assertEqual(len(os.listdir("/proc/self/fd")), before + 2)


class Files(unittest.TestCase):
    def test_a_file_is_found_among_the_descriptors_of_a_process(self) -> None:
        fd = os.memfd_create("store")
        self.addCleanup(os.close, fd)
        status = os.fstat(fd)
        with mock.patch.object(shim, "raylets", lambda: [os.getpid()]):
            found = shim.raylet_file(status.st_dev, status.st_ino)
            assert found is not None
            self.assertNotEqual(found, fd)
            self.assertEqual(os.fstat(found).st_ino, status.st_ino)
            self.assertFalse(os.get_inheritable(found))
            os.close(found)
            self.assertIsNone(shim.raylet_file(status.st_dev, (1 << 60) + 1))
            self.assertIsNone(shim.raylet_file(status.st_dev + 1, status.st_ino))

    def test_a_process_that_is_gone_is_passed_over(self) -> None:
        fd = os.memfd_create("store")
        self.addCleanup(os.close, fd)
        status = os.fstat(fd)
        gone = int(pathlib.Path("/proc/sys/kernel/pid_max").read_text()) + 1
        with mock.patch.object(shim, "raylets", lambda: [gone, os.getpid()]):
            found = shim.raylet_file(status.st_dev, status.st_ino)
        assert found is not None
        os.close(found)

    def test_the_parent_comes_first(self) -> None:
        self.assertEqual(next(shim.raylets()), os.getppid())

    def test_the_address_is_that_of_the_first_byte(self) -> None:
        data = (ctypes.c_char * 100)()
        view = memoryview(data)
        self.assertEqual(shim.address_of(view), ctypes.addressof(data))
        self.assertEqual(shim.address_of(view[30:]), ctypes.addressof(data) + 30)
        # The view is released again.
        view.release()


if __name__ == "__main__":
    unittest.main()
