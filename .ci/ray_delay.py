"""Delays what crosses a link, where the kernel has no netem. `ray_net` runs this program.

    ray_delay.py LINK TAP MS PID

The program makes the device TAP, and returns when a process in the background carries frames
between LINK and TAP. Each frame leaves MS milliseconds after it came. The process ends with TAP,
and with the process PID.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from typing import Callable

# Of `linux/if_tun.h`.
TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN = 1, 2, 4, 8
# Of `linux/if_packet.h`.
SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
ETH_P_ALL = 3
# Of `asm-generic/socket.h`.
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33

# A frame and its header have fewer bytes. One that a device is to segment has up to 64 KiB.
FRAME = 1 << 17
# So many frames wait in one direction. Further ones are lost, as in a router.
QUEUE = 10_000
# So many frames are read in a row.
TURN = 64
# The kernel keeps so many bytes for the process.
BUFFER = 1 << 26

# A device that is down, full or refuses a frame loses it.
LOST = (errno.ENETDOWN, errno.ENOBUFS, errno.EIO, errno.EINVAL, errno.EMSGSIZE)


def open_tap(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    fcntl.ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)
    return tap


def open_link(name: str) -> socket.socket:
    # Protocol 0 keeps frames away until the socket is bound.
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    link.setblocking(False)
    # Checksums and segmentation may be left to the device. A header before each frame says what is
    # left. The TAP device takes and gives the same header.
    link.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    link.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    link.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER)
    link.bind((name, ETH_P_ALL))
    return link


class Direction:
    """Frames of one direction, with the times at which they leave."""

    def __init__(
        self, read: Callable[[], bytes], write: Callable[[bytes], int], delay: float
    ) -> None:
        self.read = read
        self.write = write
        self.delay = delay
        self.frames: deque[tuple[float, bytes]] = deque()

    def take(self) -> None:
        """Takes what has come."""
        for _ in range(TURN):
            try:
                frame = self.read()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in LOST:
                    raise
                continue
            if len(self.frames) < QUEUE:
                self.frames.append((time.monotonic() + self.delay, frame))

    def send(self) -> None:
        """Sends what has waited."""
        while self.frames and self.frames[0][0] <= time.monotonic():
            try:
                self.write(self.frames.popleft()[1])
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno not in LOST:
                    raise


def carry(link: socket.socket, tap: int, delay: float, owner: int) -> None:
    directions = (
        Direction(lambda: link.recv(FRAME), lambda frame: os.write(tap, frame), delay),
        Direction(lambda: os.read(tap, FRAME), link.send, delay),
    )
    sources: list[int | socket.socket] = [link, tap, owner]
    while True:
        due = [direction.frames[0][0] for direction in directions if direction.frames]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        ready, _, _ = select.select(sources, [], [], timeout)
        if owner in ready:
            return
        for direction in directions:
            direction.take()
            direction.send()


def main() -> None:
    link_name, tap_name, ms, pid = sys.argv[1:]
    try:
        owner = os.pidfd_open(int(pid))
        tap = open_tap(tap_name)
        link = open_link(link_name)
    except OSError as error:
        sys.exit(f"{link_name} cannot be delayed: {error}")
    if os.fork() != 0:
        return
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    try:
        carry(link, tap, float(ms) / 1000, owner)
    except OSError as error:
        # This error says that the TAP device is gone.
        if error.errno != errno.EBADFD:
            raise


if __name__ == "__main__":
    main()
