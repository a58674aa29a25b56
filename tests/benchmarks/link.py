"""A link between two network namespaces, of limited rate and with delay: TUN devices, and a process
that carries packets from one to the other. Linux, root; nothing of the kernel's traffic control.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
MTU = 9000
QUEUED_SECONDS = 0.5
"""A packet that would have to wait longer for its turn is dropped, as a router does."""


@dataclass
class Speed:
    """Of a link, each way: bits per second, and seconds of delay."""

    rate: float = 1e9
    delay: float = 0.0


@contextmanager
def linked(names: tuple[str, str], addresses: tuple[str, str], speed: Speed) -> Iterator[None]:
    """Two namespaces with a link between them, called eth0 in both.

    Args:
        names: of the namespaces, which are made and removed.
        addresses: of the two ends.
        speed: of the link; may be changed at any time.
    """
    with ExitStack() as stack:
        ends = []
        for name, address in zip(names, addresses, strict=True):
            _run("ip", "netns", "add", name)
            stack.callback(_run, "ip", "netns", "delete", name)
            ends.append(_device(name))
            stack.callback(os.close, ends[-1])
            inside = ("ip", "-n", name)
            _run(*inside, "link", "set", name, "name", "eth0")
            _run(*inside, "address", "add", f"{address}/24", "dev", "eth0")
            _run(*inside, "link", "set", "eth0", "mtu", str(MTU))
            for device in ("lo", "eth0"):
                _run(*inside, "link", "set", device, "up")
        for source, target in (ends, ends[::-1]):
            _Carrier(source, target, speed).start()
        yield


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _device(name: str) -> int:
    """A TUN device in the namespace `name` -> descriptor to read and write its packets."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    _run("ip", "link", "set", name, "netns", name)
    return descriptor


class _Carrier:
    """Carries packets one way: each is sent when the link is free, and arrives after the delay."""

    def __init__(self, source: int, target: int, speed: Speed) -> None:
        self._source, self._target, self._speed = source, target, speed
        self._packets: deque[tuple[float, bytes]] = deque()
        self._waiting = threading.Semaphore(0)
        self._free = 0.0

    def start(self) -> None:
        """Begin; the threads end with the process."""
        for work in (self._receive, self._deliver):
            threading.Thread(target=work, daemon=True).start()

    def _receive(self) -> None:
        while True:
            try:
                packet = os.read(self._source, MTU)
            except OSError:  # the device is gone
                return
            now = time.perf_counter()
            if self._free - now > QUEUED_SECONDS:
                continue
            self._free = max(now, self._free) + len(packet) * 8 / self._speed.rate
            self._packets.append((self._free + self._speed.delay, packet))
            self._waiting.release()

    def _deliver(self) -> None:
        while True:
            self._waiting.acquire()
            due, packet = self._packets.popleft()
            time.sleep(max(0.0, due - time.perf_counter()))
            try:
                os.write(self._target, packet)
            except OSError:
                return
