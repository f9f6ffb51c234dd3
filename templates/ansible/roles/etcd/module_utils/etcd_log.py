"""What a member's write-ahead log says: how far it got, and what a newer etcd could not read. No etcd needs to run for
it."""

from __future__ import annotations

import glob
import json
import os
import re
import struct

from ansible.module_utils.etcd_files import open_plain

# The types of a record and the fields of its content, by number (etcd's walpb/record.proto, raftpb/raft.proto).
METADATA, ENTRY, STATE, SNAPSHOT = 1, 2, 3, 5
RECORD_TYPE, RECORD_DATA = 1, 3
METADATA_MEMBER = 1
ENTRY_TYPE, ENTRY_INDEX, ENTRY_DATA = 1, 3, 4
STATE_COMMIT = 3
# An entry that changes who is a member (raftpb.ConfChange).
CONF_CHANGE = 1
CHANGE_TYPE, CHANGE_MEMBER = 2, 3
REMOVES = 1
SNAPSHOT_INDEX = 1
# Of a snapshot's file (snap/snappb/snap.proto), and of the raft snapshot in it.
FILE_DATA, FILE_SNAPSHOT = 2, 1

# A request to the v2 store (etcdserverpb.Request), as it is or as the second field of a later one.
METHOD, PATH = 2, 3
REQUEST_V2 = 2
# What etcd 3.6 still understands of them (v2ToV3Request in etcd's server/etcdserver/apply_v2.go).
OF_THE_CLUSTER = re.compile(rb"^/0/(version$|members/[0-9a-f]{1,16}/attributes$)")

# What helps against what old_requests finds, for whoever uses the role alone.
WITHOUT_V2 = (
    "Run this role with etcd 3.5, keep what you need of the v2 store, and restore a snapshot "
    "(playbooks/stage-snapshot.yml): it has nothing of that store."
)
WITH_SNAPSHOT = (
    'Run this role with etcd 3.6 and ETCD_SNAPSHOT_COUNT: "10" in etcd_environment, write a few keys so that each '
    "member takes a snapshot, "
    "and take that setting out; then run this again."
)


def progress(data_directory):
    """{"commit", "last", "member", "removed"}: the last raft index known to be committed, and the last one in the log
    (0 without a log); the member's ID, and the IDs of members whose removal it knows to be committed, by its newest
    file.

    A log that is read while etcd writes it, or that was torn, counts up to its last whole record.
    """
    commit = last = 0
    member, removals = "", {}
    for path in reversed(sorted(glob.glob(os.path.join(glob.escape(data_directory), "member", "wal", "*.wal")))):
        with open_plain(path) as file:
            for kind, data in _records(file.read()):
                if kind == STATE:
                    commit = _field(data, STATE_COMMIT) or commit
                elif kind == ENTRY:
                    # one that was overruled by another leader is written again
                    last = _field(data, ENTRY_INDEX) or last
                    removals.pop(last, None)
                    if _field(data, ENTRY_TYPE) == CONF_CHANGE:
                        removals[last] = _removed_by(data)
                elif kind == METADATA:
                    member = _id(_field(data, METADATA_MEMBER))
        if commit:  # a new file begins with the state so far
            break
    removed = sorted({gone for index, gone in removals.items() if gone and index <= commit})
    return {"commit": commit, "last": max(commit, last), "member": member, "removed": removed}


def _removed_by(entry):
    """The ID of the member that the entry removes; '' where it does something else."""
    change = _field(entry, ENTRY_DATA) or b""
    return _id(_field(change, CHANGE_MEMBER)) if _field(change, CHANGE_TYPE) == REMOVES else ""


def _id(number):
    """As etcdctl prints it."""
    return "%x" % (number or 0)


def old_requests(data_directory):
    """{"before_3_6", "before_3_7"}: what stands in the way of that version; '' where nothing does.

    etcd reads its newest snapshot, and then the entries after it. Up to 3.5 it wrote requests to the v2 store there: of
    these 3.6 understands only what concerns the cluster itself, and 3.7 none (its startup panics). 3.6 does not start
    either where the store in the snapshot holds a person's keys (AssertNoV2StoreContent in etcd's
    server/storage/util.go).
    """
    member = os.path.join(data_directory, "member")
    newest, entries = _since_newest_snapshot(member)
    requests = [request for request in map(_v2_request, entries) if request]
    foreign = [request for request in requests if request[0] != b"PUT" or not OF_THE_CLUSTER.match(request[1])]
    keys = newest != "" and _has_keys(newest)
    return {
        "before_3_6": "its v2 store holds keys" if keys else "its log has requests to the v2 store" if foreign else "",
        "before_3_7": "its log has requests of etcd 3.5 that no snapshot covers" if requests or keys else "",
    }


def unreadable(data_directory, version, running=""):
    """Why this version of etcd would not start on the member's data: {code, detail, remedy}; {} where nothing is known
    against it.

    running: the version that runs on it now. One of the same minor version has shown that it can.
    """
    to = _minor(version)
    if to < (3, 6) or to == _minor(running):
        return {}
    found = old_requests(data_directory)
    if found["before_3_6"]:
        return {"code": "v2-data", "detail": found["before_3_6"], "remedy": WITHOUT_V2}
    if found["before_3_7"] and to >= (3, 7):
        return {"code": "no-snapshot", "detail": found["before_3_7"], "remedy": WITH_SNAPSHOT}
    return {}


def _minor(version):
    """(3, 6) of 3.6.14; () where it is not known."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _since_newest_snapshot(member):
    """(file, entries): the newest snapshot that the log knows of ('' for none), and the normal entries after it, each
    one's data."""
    logs = sorted(glob.glob(os.path.join(glob.escape(member), "wal", "*.wal")))
    snapshots = sorted(glob.glob(os.path.join(glob.escape(member), "snap", "*.snap")), key=_index_of, reverse=True)
    for path in [*snapshots, ""]:
        index = _index_of(path) if path else 0
        # Each log's name says with which index it begins: those before the last one that begins in time are not needed.
        first = max([number for number, log in enumerate(logs) if _index_of(log) <= index] or [0])
        known, entries = _read_since(logs[first:], index)
        if known or not path:
            return path, list(entries.values())
    return "", []


def _index_of(path):
    """The raft index in a file's name: term-index.snap, sequence-index.wal."""
    found = re.search(r"-([0-9a-f]{16})\.(?:snap|wal)$", path)
    return int(found.group(1), 16) if found else 0


def _read_since(logs, index):
    """(known, entries): whether the log notes a snapshot at the index, and the data of the normal entries after it by
    index."""
    known, entries = False, {}
    for path in logs:
        with open_plain(path) as file:
            for kind, data in _records(file.read()):
                if kind == SNAPSHOT:
                    known = known or (_field(data, SNAPSHOT_INDEX) or 0) == index
                elif kind == ENTRY:
                    at = _field(data, ENTRY_INDEX) or 0
                    normal = not _field(data, ENTRY_TYPE)
                    if at > index:
                        entries[at] = (_field(data, ENTRY_DATA) or b"") if normal else b""
    return known, entries


def _v2_request(data):
    """(method, path) of an entry that is a request to the v2 store; None for any other."""
    inner = _field(data, REQUEST_V2)
    if not isinstance(inner, memoryview):
        return None
    request = data if re.match(rb"[A-Z]+$", inner) else inner  # as it is: the second field is the method, such as PUT
    method, path = _field(request, METHOD), _field(request, PATH)
    return bytes(method or b""), bytes(path or b"")


def _has_keys(path):
    """Whether the v2 store in a snapshot's file holds more than the cluster itself (IsMetaStoreOnly in etcd's
    membership/storev2.go)."""
    with open_plain(path) as file:
        store = json.loads(bytes(_field(_field(memoryview(file.read()), FILE_DATA) or b"", FILE_SNAPSHOT) or b"{}"))
    for name, node in (store.get("Root", {}).get("Children") or {}).items():
        children = node.get("Children") or {}
        if name == "2":  # users of the v2 store: its folders stay when the last one goes
            children = [child for key in ("roles", "users") for child in (children.get(key, {}).get("Children") or {})]
        if name != "0" and children:
            return True
    return False


def _records(content):
    """(type, data) of each record: eight bytes that give its length and padding, and then the record."""
    at = 0
    while at + 8 <= len(content):
        (head,) = struct.unpack_from("<q", content, at)
        size = head & ((1 << 56) - 1)
        padding = (head >> 56) & 7 if head < 0 else 0
        if size == 0 or at + 8 + size > len(content):
            return
        record = memoryview(content)[at + 8 : at + 8 + size]
        yield _field(record, RECORD_TYPE), _field(record, RECORD_DATA) or b""
        at += 8 + size + padding


def _field(message, wanted):
    """A field of a protobuf message: a number, or the bytes; None where it is not there or the message is cut off."""
    at = 0
    try:
        while at < len(message):
            key, at = _varint(message, at)
            value, at = _varint(message, at)
            if key & 7 == 2:
                value, at = message[at : at + value], at + value
            if key >> 3 == wanted:
                return value
    except IndexError:
        pass
    return None


def _varint(message, at):
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
