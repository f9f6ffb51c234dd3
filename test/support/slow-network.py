"""A slow and lossy network between hosts, for kernels without netem.

slow-network.py CONTROLLER ADDRESS=PID [ADDRESS=PID ...]

Each host is a network namespace, named by the pid of a process in it; the controller is the namespace that this
program runs in, and CONTROLLER one of its addresses. Each gets a TUN device in the place of its link. Packets go from
device to device through this program, which keeps each for half the round trip and loses some.

A line on standard input sets both from then on: the round trip in ms and the loss in percent. Each is answered by a
line. The program ends with its standard input, and its devices with it.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

DEVICE = "slow0"
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
# A host's queue holds no more packets than that: as a router's, it drops what comes beyond.
MOST = 20000
# By how much of the delay packets differ. None overtakes another one that goes the same way.
JITTER = 0.05

libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    """Makes a network namespace that of this process."""
    handle = os.open(path, os.O_RDONLY)
    if libc.setns(handle, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns " + path)
    os.close(handle)


def attach():
    """A TUN device in the present namespace."""
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    return handle


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def attach_all(controller, hosts):
    """{address: TUN device} of all. A host's own link is emptied; ours stays, with routes beside it."""
    devices = {}
    for address, pid in hosts.items():
        enter("/proc/%s/ns/net" % pid)
        devices[address] = attach()
        ip("address", "flush", "dev", "eth0")
        ip("address", "add", address + "/24", "dev", DEVICE)
        ip("link", "set", DEVICE, "up")
    enter("/proc/%d/ns/net" % os.getppid())
    devices[controller] = attach()
    ip("address", "add", controller + "/32", "dev", DEVICE)  # what Docker's rules masquerade as
    ip("link", "set", DEVICE, "up")
    for address in hosts:
        ip("route", "add", address, "dev", DEVICE, "src", controller)
    return devices


def carry(devices):
    """Moves packets until standard input ends."""
    delay, loss = 0.0, 0.0
    queue, number, last = [], 0, {}
    while True:
        wait = max(0.0, queue[0][0] - time.monotonic()) if queue else None
        for ready in select.select([0, *devices.values()], [], [], wait)[0]:
            if ready == 0:
                line = os.read(0, 100).decode().split()
                if not line:
                    return
                delay, loss = float(line[0]) / 2000, float(line[1]) / 100
                print("round trip %s ms, loss %s %%" % (line[0], line[1]), flush=True)
                continue
            for packet in packets(ready):
                to = ".".join(map(str, packet[16:20])) if packet[0] >> 4 == 4 else ""
                if to not in devices or random.random() < loss or len(queue) > MOST:
                    continue
                due = time.monotonic() + delay * random.uniform(1 - JITTER, 1 + JITTER)
                last[ready, to] = due = max(due, last.get((ready, to), 0.0))
                number += 1
                heapq.heappush(queue, (due, number, to, packet))
        while queue and queue[0][0] <= time.monotonic():
            _due, _number, to, packet = heapq.heappop(queue)
            try:
                os.write(devices[to], packet)
            except OSError:
                pass  # its host is gone


def packets(handle):
    """What waits there, but no more than fits between two looks at the queue."""
    for _ in range(64):
        try:
            yield os.read(handle, 65535)
        except OSError:
            return


def main():
    controller, *hosts = sys.argv[1:]
    devices = attach_all(controller, dict(host.split("=") for host in hosts))
    print("ready", flush=True)
    carry(devices)


main()
