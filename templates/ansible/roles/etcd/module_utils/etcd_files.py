"""Files of an etcd host: what differs from what is wanted, and putting it in place whole."""

from __future__ import annotations

import errno
import glob
import grp
import hashlib
import os
import pwd
import re
import shutil
import stat
import tempfile
import time

from ansible.module_utils.etcd_refusal import Refusal

# etcd reads these only while its data directory is empty: a member with data needs no restart for them.
BOOTSTRAP = re.compile(r"^.*\bETCD_INITIAL_(?:CLUSTER|CLUSTER_STATE|CLUSTER_TOKEN)=.*$", re.MULTILINE)

# What lets etcd start without data. The service starts it only where this file or a write-ahead log is, whoever starts
# the service: a member that lost its data would rejoin under its old id, having forgotten what it had acknowledged.
FIRST_START = "first-start"

# In the data of a member that was restored from a snapshot: the initial cluster token that it was restored under. It
# tells
# restored data from older data, whenever a run was cut short; etcd itself takes no notice of it.
RESTORED_AS = "restored-as"
LONGEST_TOKEN = 4096

# The name of a file that is being written; one that is found was left by a run that was killed.
TEMPORARY = ".etcd-role-"


def leftovers(folder):
    """The half-written files in a folder."""
    return (
        [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.startswith(TEMPORARY)]
        if os.path.isdir(folder)
        else []
    )


def has_log(data_directory):
    """Whether etcd has a write-ahead log there: then, and only then, it takes up its old life."""
    return bool(glob.glob(os.path.join(glob.escape(data_directory), "member", "wal", "*.wal")))


def restored_as(member):
    """The token that a member's data was restored under; '' where it was not."""
    try:
        with open_plain(os.path.join(member, RESTORED_AS)) as file:
            return file.read(LONGEST_TOKEN).decode(errors="replace")
    except FileNotFoundError:
        return ""


def open_plain(path):
    """Opens a file where the user that runs etcd may write: a link is not followed, and nothing is waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no file, and etcd made none like it", path)
    return os.fdopen(handle, "rb")


def discard(path):
    """Removes a file, a link or a folder, whatever it is."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def ids_of(user):
    """(uid, gid) that files shall have; '' means whoever we are. None where there is no such user."""
    if not user:
        return os.geteuid(), os.getegid()
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


# The comment of a user whom the role made, with a group of the same name.
MADE = "etcd, made by the Ansible role etcd"


def make_user(run_command, user):
    """Makes the system user, which has no home, and its group where there is none; returns its ids."""
    try:
        grp.getgrnam(user)
        group = ["--gid", user]
    except KeyError:
        group = ["--user-group", "--comment", MADE]
    code, out, err = run_command(
        [
            "useradd",
            "--system",
            *group,
            "--home-dir",
            "/nonexistent",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            user,
        ]
    )
    ids = ids_of(user)
    if ids is None:
        raise OSError(
            errno.EPERM,
            "the user could not be made: %s" % ((err or out).strip() or "useradd ended with %d" % code),
            user,
        )
    return ids


def remove_user(run_command, user):
    """Removes the user and the group that the role made; says whether they are gone."""
    if not user or ids_of(user) is None or pwd.getpwnam(user).pw_gecos != MADE:
        return False
    return run_command(["userdel", user])[0] == 0


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
    return "" if _is_owned(path, mode, ids) else "permissions"


def fitting(programs):
    """The rows of programs that are made for this machine; all, where none are, so that the checks can say so."""
    mine = os.uname().machine
    return [row for row in programs if row["machine"] in ("", mine)] or programs


def program_differs(path, sha256, ids):
    """As differs, for a program of which only the hash is known here."""
    try:
        with open(path, "rb") as file:
            there = hashlib.sha256()
            for block in iter(lambda: file.read(1 << 20), b""):
                there.update(block)
    except FileNotFoundError:
        return "missing"
    if there.hexdigest() != sha256:
        return "content"
    return "" if _is_owned(path, 0o755, ids) else "permissions"


def _is_owned(path, mode, ids):
    """Whether mode and owner are as wanted; no file is while its owner is yet to be made (ids None)."""
    status = os.stat(path)
    return ids is not None and (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, *ids)


def needs_restart(old, new):
    """Whether a running etcd must start again to know the new text."""
    return old is None or _lasting(old) != _lasting(new)


def _lasting(config):
    """What of a configuration a running etcd would notice."""
    return BOOTSTRAP.sub("", config)


def make_directory(path, mode, ids):
    """Makes the folder, or corrects its owner and mode."""
    os.makedirs(path, mode=mode, exist_ok=True)
    own(path, mode, ids)


def own(path, mode, ids):
    """Corrects owner and mode."""
    os.chown(path, *ids)
    os.chmod(path, mode)


def give_folder(folder, ids):
    """Hands a member's data, with all that is in its folder, to a user."""
    for path, _folders, files, handle in os.fwalk(folder):
        own(handle, 0o700, ids)
        for name in files:
            _give_file(os.path.join(path, name), name, handle, ids)


def _give_file(path, name, folder, ids):
    """By handles: the user that runs etcd could put a link to somebody else's file in its place meanwhile."""
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refusal("no-file", "%s is no file, and etcd made none like it. Nothing was taken from it." % path)
        own(handle, 0o600, ids)
    finally:
        os.close(handle)


def lies_ahead(path):
    """Whether the file's time lies in the future, by more than a clock that is just being set."""
    return os.stat(path).st_mtime > time.time() + 60


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
