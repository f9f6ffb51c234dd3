"""A listener that lives for a moment, so that hosts can be seen to reach each other before etcd is there."""

from __future__ import annotations

import os
import select
import signal
import socket
import time

# It goes when every other host has called, and after this many seconds in any case: a slow host (an emulated one, say)
# takes 20 and more for a task, and the first to listen waits for the last.
LIFE = 120
NAME = "etcd-doctor"
# Time for three lost packets: each is sent again, after 1, 2 and 4 s (RFC 6298).
CALL_SECONDS = 8


def start(address, ports, me, awaited):
    """Listens in a process of its own, which outlives the module. Answers each caller with our name and time."""
    servers = [_listen(address, port) for port in ports]
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        for server in servers:
            server.close()
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIFE)
        null = os.open(os.devnull, os.O_RDWR)
        for handle in (0, 1, 2):
            os.dup2(null, handle)  # Ansible waits until nobody holds these
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write(NAME)
        _serve(servers, me, {(name, port) for name in awaited for port in ports})
    finally:
        os._exit(0)


def _listen(address, port):
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen(64)
    return server


def _serve(servers, me, awaited):
    while awaited:
        for server in select.select(servers, [], [])[0]:
            caller, _address = server.accept()
            try:
                caller.settimeout(CALL_SECONDS)
                name = caller.recv(256).decode().strip()
                caller.sendall(("%s %s %.6f\n" % (NAME, me, time.time())).encode())
                awaited.discard((name, server.getsockname()[1]))
            except (OSError, UnicodeDecodeError):
                pass
            finally:
                caller.close()


def end(pid):
    """Ends a listener that an earlier run left, and waits until its port is free."""
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 2
    while os.path.exists("/proc/%d" % pid) and time.monotonic() < deadline:
        time.sleep(0.02)


def call(address, port, me, greets):
    """Calls a host: ('', offset of its clock in seconds or None, the address called from), or (what went wrong, None,
    '')."""
    try:
        with socket.create_connection((address, port), timeout=CALL_SECONDS) as connection:
            source = connection.getsockname()[0]
            if not greets:
                return "", None, source  # an etcd, which need not be spoken to
            sent = time.time()
            connection.sendall(("%s\n" % me).encode())
            answer = connection.makefile(encoding="utf-8", errors="replace").readline().split()
            back = time.time()
    except OSError as error:
        return error.strerror or str(error), None, ""
    if len(answer) != 3 or answer[0] != NAME:
        return "something else answers there", None, ""
    return "", float(answer[2]) - (sent + back) / 2, source
