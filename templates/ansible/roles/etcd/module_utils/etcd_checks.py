"""What a host must offer before etcd is put on it. Each check says what is there, and what helps where it is not
enough."""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
import sys
import time

MIB = 1 << 20

# Less than this and etcd cannot even begin; twice its quota (2 GiB) is what it may come to need (write-ahead log,
# snapshots).
LEAST_DISK, GOOD_DISK = 256 * MIB, 4096 * MIB
# Files that etcd makes: write-ahead logs, snapshots and their temporary files, with some to spare.
LEAST_INODES = 32
LEAST_MEMORY = 256 * MIB

# etcd wants its write-ahead log's fdatasync done within 10 ms (etcd's hardware guide, etcd-io/etcd#12405).
GOOD_FSYNC_MS = 10
FSYNCS, FSYNC_SIZE, FSYNC_SECONDS = 100, 2048, 2

TOKEN = re.compile(r'\bETCD_INITIAL_CLUSTER_TOKEN="?([^"\n,]+)')
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def good(check, detail, warning=False, remedy=""):
    """A check that lets the run go on."""
    return {"check": check, "ok": True, "warning": warning, "detail": detail, "remedy": remedy}


def bad(check, detail, remedy):
    """A check that must stop the run."""
    return {"check": check, "ok": False, "warning": False, "detail": detail, "remedy": remedy}


def python():
    """The version that runs this; one below 3.7 cannot even read the role's modules."""
    return good("Python", "Python %d.%d.%d at %s" % (*sys.version_info[:3], sys.executable))


def rights(needs_root):
    """Whether the play became root."""
    if not needs_root or os.geteuid() == 0:
        return good("rights", "root" if os.geteuid() == 0 else "user %d" % os.geteuid())
    return bad(
        "rights",
        "Ansible is user %d here, not root." % os.geteuid(),
        "Run the play with become: true, as a user who may use sudo.",
    )


def architecture(programs):
    """Whether the programs that are copied here can run here; the row has this machine's name, too."""
    mine = os.uname().machine
    row = good("architecture", mine)
    for program in programs:
        if program["machine"] and program["machine"] != mine and (program["machine"], mine) != ("i686", "x86_64"):
            row = bad(
                "architecture",
                "%s is made for %s, but this host is %s."
                % (os.path.basename(program["path"]), program["machine"], mine),
                "Give etcd_binaries_source a folder with programs for %s." % mine,
            )
            break
    return {**row, "machine": mine}


def disk(data_directory, programs, running, needed=0):
    """Free space where the data and the programs go. A running member is not held up: it may be what frees space; but
    for one that is to get others' data, the needed bytes besides: its own data stays, moved aside."""
    for program in programs:
        free = free_bytes(os.path.dirname(program["path"]))
        if size(program["path"]) != program["size"] and free < program["size"]:
            return bad(
                "disk space",
                "%s, which needs %d MiB." % (_left(free, program["path"]), program["size"] // MIB + 1),
                "Free some space there, then run this again.",
            )
    free = free_bytes(data_directory)
    detail = _left(free, data_directory) + "."
    if free < LEAST_DISK + needed and (needed or not running):
        return bad(
            "disk space",
            "Only %s etcd needs %d MiB to begin with." % (detail.replace(".", ";"), (LEAST_DISK + needed) // MIB),
            "Free some space there, then run this again.",
        )
    if free < LEAST_DISK or free < GOOD_DISK and not running:
        return good(
            "disk space",
            detail,
            warning=True,
            remedy="etcd may come to need twice its quota of 2 GiB: give it a larger disk.",
        )
    return good("disk space", detail)


def memory(running):
    """Memory that can be had now."""
    with open("/proc/meminfo", encoding="ascii") as file:
        kilobytes = dict(re.findall(r"^(\w+):\s+(\d+) kB", file.read(), re.MULTILINE))
    available = int(kilobytes.get("MemAvailable", 0)) * 1024
    detail = "%d MiB of memory are available." % (available // MIB)
    if available < LEAST_MEMORY and not running:
        return good("memory", detail, warning=True, remedy="etcd works best with 1 GiB and more for itself.")
    return good("memory", detail)


def disk_speed(data_directory):
    """How long the slowest but one of a hundred small writes takes to reach the disk."""
    folder = nearest(data_directory)
    path = os.path.join(folder, ".etcd-role-fsync-%d" % os.getpid())
    took = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        began = time.monotonic()
        while len(took) < FSYNCS and time.monotonic() < began + FSYNC_SECONDS:
            start = time.monotonic()
            os.write(handle, b"\0" * FSYNC_SIZE)
            os.fdatasync(handle)
            took.append(time.monotonic() - start)
    except OSError as error:
        return bad(
            "disk speed",
            "%s cannot be written: %s." % (folder, error.strerror),
            "Free some space there, then run this again.",
        )
    finally:
        os.close(handle)
        os.unlink(path)
    slow = sorted(took)[max(0, int(len(took) * 0.99) - 1)] * 1000
    detail = "fdatasync takes %.1f ms (99th percentile of %d)." % (slow, len(took))
    return good(
        "disk speed",
        detail,
        warning=slow >= GOOD_FSYNC_MS,
        remedy=(
            "etcd wants less than %d ms: use a faster disk, or one that nothing else writes to." % GOOD_FSYNC_MS
            if slow >= GOOD_FSYNC_MS
            else ""
        ),
    )


def address(private):
    """Whether the host has the address that the inventory gives it."""
    try:
        _bind(private, 0).close()
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            return bad(
                "address",
                "This host does not have the address %s." % private,
                "Correct private_ipv4 (private_ipv6) in the inventory, or give the host that address.",
            )
        return bad(
            "address",
            "%s cannot be used here: %s." % (private, error.strerror),
            "Correct private_ipv4 (private_ipv6) in the inventory.",
        )
    return good("address", private)


def ports(endpoints, running, uid):
    """Whether etcd's ports are free, or held by our own running etcd. uid: of the user that runs it."""
    for host, port in endpoints:
        try:
            _bind(host, port).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                continue  # the address itself is what is wrong: see address
            if running and is_etcd(host, port, uid):
                continue
            pid, command, owner = holder(host, port)
            who = "%s (process %d)" % (command, pid) if pid else "a program of user %s" % owner
            names = ("etcd_client_port", "etcd_peer_port", "etcd_metrics_port", "etcd_loopback_ports")
            ports_of_ours = "give etcd another port (%s)." % ", ".join(names)
            is_theirs = command == "etcd"
            remedy = "If it is to be a member of this cluster, adopt it. If not: " if is_theirs else "Stop it, or "
            return bad("ports", "Port %d of %s is taken by %s." % (port, host, who), remedy + ports_of_ours)
    return good("ports", "%s" % ", ".join(sorted({str(port) for _host, port in endpoints})))


def authority(there_ca, our_ca):
    """Whose a host's ca.crt is: "ours" where it holds a certificate of ours, "another"; "none" where it has none."""
    if not there_ca:
        return "none"
    return "ours" if set(CERTIFICATE.findall(there_ca)) & set(CERTIFICATE.findall(our_ca)) else "another"


def names_cluster(config, tokens):
    """Whether the host's configuration is there, and is of a cluster with one of these tokens."""
    theirs = TOKEN.search(config or "")
    return bool(theirs) and theirs.group(1) in tokens


def cluster(config, token, former_tokens):
    """Whether the host's configuration names our cluster."""
    theirs = TOKEN.search(config or "")
    if theirs and not names_cluster(config, [token, *former_tokens]):
        return bad(
            "cluster",
            "This host belongs to another cluster, %s; the inventory would make it one of %s."
            % (theirs.group(1), token),
            "Correct the inventory or etcd_cluster_token. If %s is gone for good, stop etcd here and move its data "
            "and its configuration aside." % theirs.group(1),
        )
    return good("cluster", token if theirs else "none yet")


def is_etcd(address, port, uid):
    """Whether etcd listens there: by its name, or by its user where another's processes cannot be seen into."""
    pid, command, owner = holder(address, port)
    return command == "etcd" or (not pid and owner == uid)


def holder(address, port):
    """(pid, command, uid) of who listens at the port of the address, or of all; (0, '', …) where the process cannot be
    known, uid None for nobody."""
    inodes, owner = set(), None
    places = ["%s:%04X" % (place, port) for place in _places(address)]
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            with open(table, encoding="ascii") as file:
                rows = [line.split() for line in file.readlines()[1:]]
            rows = [row for row in rows if row[3] == "0A" and row[1] in places]
            inodes |= {"socket:[%s]" % row[9] for row in rows}
            owner = int(rows[0][7]) if rows else owner
    if not inodes:
        return 0, "", None
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            held = {
                os.readlink(os.path.join("/proc", pid, "fd", name))
                for name in os.listdir(os.path.join("/proc", pid, "fd"))
            }
            if inodes & held:
                with open(os.path.join("/proc", pid, "comm"), encoding="utf-8", errors="replace") as file:
                    return int(pid), file.read().strip(), owner
        except OSError:
            continue  # gone meanwhile, or another user's
    return 0, "", owner


def _places(address):
    """The address as the kernel's tables write it, beside those that stand for all."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    mapped = [] if family == socket.AF_INET6 else [b"\0" * 10 + b"\xff" * 2 + packed]
    every = [b"\0" * 4, b"\0" * 16]
    return [
        "".join("%08X" % word for word in struct.unpack("=%dI" % (len(one) // 4), one))
        for one in [packed, *mapped, *every]
    ]


def _bind(host, port):
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(16)  # two may bind to a port, with SO_REUSEADDR; only one may listen
    except OSError:
        found.close()
        raise
    return found


def size(path):
    """Of a file, or of all files in a folder, in bytes; 0 where there is none."""
    files = [os.path.join(folder, name) for folder, _folders, names in os.walk(path) for name in names]
    return sum(map(_size, files or [path]))


def _size(path):
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0  # etcd removes old logs


def nearest(path):
    """The folder, or the nearest one above it that is there already."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def free_bytes(path):
    """What users who are not root may still write there."""
    return room_in(os.statvfs(nearest(path)))


def _left(free, path):
    return "%s free for %s" % ("%d MiB are" % (free // MIB) if free else "no space or no inodes are", path)


def room_in(status):
    """In bytes, by what statvfs says: none where no file can be made. Some file systems have no number of inodes."""
    lacks_inodes = status.f_files > 0 and status.f_favail < LEAST_INODES
    return 0 if lacks_inodes else status.f_bavail * status.f_frsize
