"""How far a member got, read from its write-ahead log: no etcd needs to run for it."""

from __future__ import annotations

import glob
import os
import struct

from ansible.module_utils.etcd_files import open_plain

# The types of a record and the fields of its content, by number (etcd's walpb/record.proto, raftpb/raft.proto).
ENTRY, STATE = 2, 3
RECORD_TYPE, RECORD_DATA = 1, 3
ENTRY_INDEX = 3
STATE_COMMIT = 3


def progress(data_directory):
    """(commit, last): the last raft index known to be committed, and the last one in the log; (0, 0) without a log.

    A log that is read while etcd writes it, or that was torn, counts up to its last whole record.
    """
    commit = last = 0
    for path in reversed(sorted(glob.glob(os.path.join(glob.escape(data_directory), "member", "wal", "*.wal")))):
        with open_plain(path) as file:
            for kind, data in _records(file.read()):
                if kind == STATE:
                    commit = _field(data, STATE_COMMIT) or commit
                elif kind == ENTRY:
                    last = _field(data, ENTRY_INDEX) or last  # one that was overruled by another leader is written again
        if commit:  # a new file begins with the state so far
            break
    return commit, max(commit, last)


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
