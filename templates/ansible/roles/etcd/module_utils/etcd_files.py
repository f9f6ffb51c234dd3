"""Files of an etcd host: what differs from what is wanted, and putting it in place whole."""

from __future__ import annotations

import errno
import glob
import os
import pwd
import re
import tempfile

# etcd reads these only while its data directory is empty: a member with data needs no restart for them.
BOOTSTRAP = re.compile(r"^.*\bETCD_INITIAL_(?:CLUSTER|CLUSTER_STATE|CLUSTER_TOKEN)=.*$", re.MULTILINE)

# What lets etcd start without data. The service starts it only where this file or a write-ahead log is, whoever starts
# the service: a member that lost its data would rejoin under its old id, having forgotten what it had acknowledged.
FIRST_START = "first-start"

# The name of a file that is being written; one that is found was left by a run that was killed.
TEMPORARY = ".etcd-role-"


def leftovers(folder):
    """The half-written files in a folder."""
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.startswith(TEMPORARY)] if os.path.isdir(folder) else []


def has_log(data_directory):
    """Whether etcd has a write-ahead log there: then, and only then, it takes up its old life."""
    return bool(glob.glob(os.path.join(glob.escape(data_directory), "member", "wal", "*.wal")))


def ids_of(user):
    """(uid, gid) that files shall have; '' means whoever we are."""
    if not user:
        return os.geteuid(), os.getegid()
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise OSError(errno.ENOENT, "there is no such user on this host", user) from error
    return entry.pw_uid, entry.pw_gid


def read(path):
    """The file's text, or None where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None


def differs(path, content, mode, ids):
    """What differs: '', 'missing', 'content', or 'permissions'."""
    if content is not None:
        there = read(path)
        if there is None:
            return "missing"
        if there != content:
            return "content"
    elif not os.path.isdir(path):
        return "missing"
    status = os.stat(path)
    return "" if (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, *ids) else "permissions"


def needs_restart(old, new):
    """Whether a running etcd must start again to know the new text."""
    return old is None or _lasting(old) != _lasting(new)


def _lasting(config):
    """What of a configuration a running etcd would notice."""
    return BOOTSTRAP.sub("", config)


def make_directory(path, mode, ids):
    """Makes the folder, or corrects its owner and mode."""
    os.makedirs(path, mode=mode, exist_ok=True)
    os.chmod(path, mode)
    os.chown(path, *ids)


def put(path, content, mode, ids, keep_time=False):
    """Writes the file whole or not at all. keep_time: the running etcd need not know of it."""
    before = os.stat(path).st_mtime if keep_time and os.path.exists(path) else None
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=TEMPORARY)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fchown(file.fileno(), *ids)
            os.fsync(file.fileno())
        if before is not None:
            os.utime(temporary, (before, before))
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
