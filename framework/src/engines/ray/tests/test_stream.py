"""Frames and descriptors."""

from __future__ import annotations

import os
import socket
import struct
import threading
import unittest
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
