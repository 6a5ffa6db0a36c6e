"""Frames and descriptors."""

from __future__ import annotations

import os
import socket
import struct
import threading
import unittest
from typing import Any
from unittest import mock

import msgpack
from support import pair, shim


class Frames(unittest.TestCase):
    def setUp(self) -> None:
        self.one, self.other = pair()
        self.addCleanup(self.one.close)
        self.addCleanup(self.other.close)

    def raw(self, body: bytes, length: int | None = None) -> None:
        header = struct.pack("<I", len(body) if length is None else length)
        self.one.stream.sendall(header + body)

    def gone(self) -> str:
        with self.assertRaises(shim.Gone) as raised:
            self.other.receive()
        return str(raised.exception)

    def test_a_message_has_the_form_that_the_program_reads(self) -> None:
        # A message without fields is its name; one field stands by itself; more are a list.
        for sent, body in (
            (("Shutdown",), "Shutdown"),
            (("Forget", 7), {"Forget": 7}),
            (("Segment", 1, 4096), {"Segment": [1, 4096]}),
            (("Free", [[1, 2]]), {"Free": [[1, 2]]}),
        ):
            self.one.send(*sent)
            (length,) = struct.unpack("<I", self.other.exactly(4))
            packed = bytes(self.other.exactly(length))
            self.assertEqual(packed, msgpack.packb(body))

    def test_messages_arrive_in_order(self) -> None:
        self.one.send("Shutdown")
        self.one.send("Ready", 5, {"Error": b"\x00\xff"})
        self.one.send("Forget", 7)
        received = [self.other.receive() for _ in range(3)]
        self.assertEqual(
            received,
            [("Shutdown", []), ("Ready", [5, {"Error": b"\x00\xff"}]), ("Forget", 7)],
        )

    def test_a_frame_that_comes_in_pieces_is_one(self) -> None:
        body = b"y" * 3_000_000
        sender = threading.Thread(target=self.one.send, args=("Error", body))
        sender.start()
        self.assertEqual(self.other.receive(), ("Error", body))
        sender.join()

    def test_keys_of_maps_need_not_be_texts(self) -> None:
        self.raw(msgpack.packb({"Done": {1: 2}}))
        self.assertEqual(self.other.receive(), ("Done", {1: 2}))

    def test_frames_of_several_threads_do_not_mix(self) -> None:
        bodies = [bytes([n]) * 200_000 for n in range(4)]
        threads = [threading.Thread(target=self.one.send, args=("Error", b)) for b in bodies]
        for thread in threads:
            thread.start()
        received = [self.other.receive()[1] for _ in bodies]
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(received), bodies)

    def test_a_frame_that_is_too_long_is_refused_before_its_body(self) -> None:
        self.raw(b"", shim.MOST + 1)
        self.assertEqual(self.gone(), f"a frame of {shim.MOST + 1} bytes")

    def test_a_frame_of_the_most_bytes_is_read(self) -> None:
        body = msgpack.packb("Shutdown")
        with mock.patch.object(shim, "MOST", len(body)):
            self.raw(body)
            self.assertEqual(self.other.receive(), ("Shutdown", []))
            self.raw(body, len(body) + 1)
            self.assertIn("bytes", self.gone())

    def test_a_frame_that_nobody_would_read_is_not_sent(self) -> None:
        body = msgpack.packb({"Error": b"x" * 100})
        with mock.patch.object(shim, "MOST", len(body)):
            with self.assertRaises(shim.TooLong) as raised:
                self.one.send("Error", b"x" * 101)
            self.assertIn(f"{len(body) + 1} bytes", str(raised.exception))
            self.one.send("Error", b"x" * 100)
            self.assertEqual(self.other.receive(), ("Error", b"x" * 100))

    def test_a_closed_stream_has_no_sockets(self) -> None:
        self.one.close()
        ends = (self.one.stream, self.one.descriptors)
        self.assertEqual([end.fileno() for end in ends], [-1, -1])

    def test_the_stream_ends_between_frames(self) -> None:
        self.one.close()
        self.assertEqual(self.gone(), "the stream has ended")

    def test_the_stream_ends_within_a_header(self) -> None:
        self.one.stream.sendall(b"\x01\x00")
        self.one.close()
        self.assertEqual(self.gone(), "the stream has ended")

    def test_the_stream_ends_within_a_body(self) -> None:
        self.raw(b"abc", 10)
        self.one.close()
        self.assertEqual(self.gone(), "the stream has ended")

    def test_a_reset_connection_is_an_end(self) -> None:
        # Bytes that the other end has not read make a reset of its close.
        self.other.send("Shutdown")
        self.one.stream.close()
        self.assertEqual(self.gone(), "the stream has ended")

    def test_a_frame_that_is_no_message_is_refused(self) -> None:
        for body in ([1, 2], {"Hold": 1, "Release": 2}, {}, 5, None):
            with self.subTest(body=body):
                self.raw(msgpack.packb(body))
                self.assertEqual(self.gone(), "a frame that is no message")

    def test_nobody_reads_what_is_sent_after_the_end(self) -> None:
        self.other.close()
        # The thread that receives finds the end. The one that sends does not fail.
        self.one.send("Shutdown")
        self.one.send_descriptor(1, self.one.stream.fileno())

    def test_a_close_ends_the_stream_of_every_duplicate(self) -> None:
        # A child process may have one.
        duplicate = self.one.stream.dup()
        self.addCleanup(duplicate.close)
        self.one.close()
        self.assertEqual(self.gone(), "the stream has ended")


class Pieces:
    """A socket at which bytes arrive in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        # How many bytes were asked for, each time.
        self.asked: list[int] = []

    def recv(self, most: int) -> bytes:
        self.asked.append(most)
        piece = self.pieces.pop(0) if self.pieces else b""
        assert len(piece) <= most
        return piece


def frame(message: object) -> bytes:
    body = msgpack.packb(message)
    return struct.pack("<I", len(body)) + bytes(body)


class Chunks(unittest.TestCase):
    def stream(self, *pieces: bytes) -> tuple[shim.Stream, Pieces]:
        end: Any = Pieces(*pieces)
        return shim.Stream(end, end), end

    def ends(self, stream: shim.Stream) -> None:
        """Nothing is left of what has arrived."""
        self.assertEqual((stream.arrived, stream.read), (b"", 0))
        with self.assertRaises(shim.Gone):
            stream.receive()

    def test_frames_that_come_together_are_read_one_by_one(self) -> None:
        stream, end = self.stream(b"".join(frame({"Hold": number}) for number in range(3)))
        for number in range(3):
            self.assertEqual(stream.receive(), ("Hold", number))
        self.assertEqual(end.asked, [shim.CHUNK])
        self.ends(stream)

    def test_a_frame_may_come_byte_by_byte(self) -> None:
        data = frame({"Hold": 1}) + frame("Shutdown")
        stream, end = self.stream(*(bytes([byte]) for byte in data))
        self.assertEqual([stream.receive() for _ in range(2)], [("Hold", 1), ("Shutdown", [])])
        self.assertEqual(len(end.asked), len(data))
        self.ends(stream)

    def test_a_piece_may_end_at_any_place(self) -> None:
        frames = [frame({"Error": bytes([number]) * 9}) for number in range(3)]
        data = b"".join(frames)
        for first in range(1, len(data) - 1):
            for second in range(first + 1, len(data)):
                stream, _ = self.stream(data[:first], data[first:second], data[second:])
                for number in range(3):
                    self.assertEqual(stream.receive(), ("Error", bytes([number]) * 9))
                self.ends(stream)

    def test_all_of_a_long_frame_is_asked_for(self) -> None:
        body = bytes(range(256)) * (shim.CHUNK // 64)
        data = frame("Shutdown") + frame({"Error": body})
        rest = data[shim.CHUNK :]
        stream, end = self.stream(data[: shim.CHUNK], rest[:1000], rest[1000:])
        self.assertEqual(stream.receive(), ("Shutdown", []))
        self.assertEqual(stream.receive(), ("Error", body))
        self.assertEqual(end.asked, [shim.CHUNK, len(rest), len(rest) - 1000])
        self.ends(stream)

    def test_the_end_within_a_frame_comes_after_the_frames_before_it(self) -> None:
        data = frame({"Hold": 1}) + frame({"Hold": 2})
        for cut in range(1, len(frame({"Hold": 2}))):
            stream, _ = self.stream(data[:-cut])
            self.assertEqual(stream.receive(), ("Hold", 1))
            with self.assertRaises(shim.Gone):
                stream.receive()

    def test_what_was_read_does_not_change(self) -> None:
        stream, _ = self.stream(b"abcdef", b"ghi")
        first = stream.exactly(2)
        self.assertEqual(
            (stream.exactly(6), stream.exactly(0), stream.exactly(1)), (b"cdefgh", b"", b"i")
        )
        self.assertEqual(first, b"ab")


class Packers(unittest.TestCase):
    def setUp(self) -> None:
        patch = mock.patch.object(shim, "PACKERS", threading.local())
        patch.start()
        self.addCleanup(patch.stop)

    def packer(self) -> Any:
        return getattr(shim.PACKERS, "own", None)

    def test_a_thread_has_one_packer(self) -> None:
        self.assertIsNone(self.packer())
        packers = []
        for message in ("Shutdown", {"Hold": 1}, [b"x", None, 0.5]):
            self.assertEqual(shim.packed(message), msgpack.packb(message))
            packers.append(self.packer())
        self.assertIsNotNone(packers[0])
        self.assertEqual(packers, packers[:1] * 3)

        def work() -> None:
            shim.packed("Shutdown")
            packers.append(self.packer())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertIsNotNone(packers[3])
        self.assertIsNot(packers[3], packers[0])

    def test_a_packer_goes_with_a_long_message(self) -> None:
        # The form has three bytes more than the content.
        longest = b"x" * (shim.CHUNK - 3)
        self.assertEqual(shim.packed(longest), msgpack.packb(longest))
        self.assertIsNotNone(self.packer())
        self.assertEqual(shim.packed(longest + b"x"), msgpack.packb(longest + b"x"))
        self.assertIsNone(self.packer())
        self.assertEqual(shim.packed("Shutdown"), msgpack.packb("Shutdown"))
        self.assertIsNotNone(self.packer())

    def test_nothing_is_left_of_a_message_that_cannot_be_packed(self) -> None:
        with self.assertRaises(TypeError):
            shim.packed([b"first", object()])
        self.assertEqual(shim.packed("Shutdown"), msgpack.packb("Shutdown"))


class Descriptors(unittest.TestCase):
    def setUp(self) -> None:
        self.one, self.other = pair()
        self.addCleanup(self.one.close)
        self.addCleanup(self.other.close)

    def test_a_descriptor_arrives_as_one_of_the_same_file(self) -> None:
        fd = os.memfd_create("test")
        os.write(fd, b"hello")
        self.one.send_descriptor(3, fd)
        got = self.other.receive_descriptor()
        self.assertNotEqual(got, fd)
        self.assertEqual(os.pread(got, 10, 0), b"hello")
        os.close(got)
        # The sender still has its own.
        self.assertEqual(os.pread(fd, 10, 0), b"hello")
        os.close(fd)

    def test_the_number_of_the_segment_goes_with_it(self) -> None:
        self.one.send_descriptor(0x01020304, self.one.stream.fileno())
        data, fds, _, _ = socket.recv_fds(self.other.descriptors, 16, 2)
        self.assertEqual((data, len(fds)), (b"\x04\x03\x02\x01", 1))
        os.close(fds[0])

    def test_something_else_is_refused(self) -> None:
        self.one.descriptors.send(b"\x00\x00\x00\x00")
        with self.assertRaises(shim.Gone):
            self.other.receive_descriptor()

    def test_the_end_of_the_socket_is_refused(self) -> None:
        self.one.close()
        with self.assertRaises(shim.Gone):
            self.other.receive_descriptor()


if __name__ == "__main__":
    unittest.main()
