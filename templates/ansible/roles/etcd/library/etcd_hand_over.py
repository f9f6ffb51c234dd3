#!/usr/bin/python
"""Puts a consumer's files into a folder of a host, each whole or not at all; or takes them away."""

from __future__ import annotations

import base64
import errno
import grp
import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.etcd_files import differs, discard, ids_of, make_directory, put, read
from ansible.module_utils.etcd_refusal import Refusal, answer

DOCUMENTATION = r"""
module: etcd_hand_over
short_description: Put a consumer's files into a folder of a host, or take them away
options:
  folder:
    description: The folder. It is made, with mode 0755, where it is missing.
    required: true
    type: path
  files:
    description: Rows with name, mode, and content in base64, a private key's among them.
    required: true
    type: list
    elements: dict
  owner:
    description: Whose they are, as USER or USER:GROUP; empty for whoever runs this.
    type: str
  first:
    description: Nothing of ours is in that folder yet, so other files of these names are somebody else's.
    type: bool
  gone:
    description: Take the files away, and the folder where nothing else is in it.
    type: bool
"""

RETURN = ""


def owner_ids(owner):
    """(uid, gid) of USER or USER:GROUP; without a group it is the user's own."""
    user, _, group = owner.partition(":")
    ids = ids_of(user)
    if ids is None:
        raise Refusal("no-user", "There is no user %s on this host. Nothing was changed." % user)
    try:
        return (ids[0], grp.getgrnam(group).gr_gid) if group else ids
    except KeyError as error:
        message = "There is no group %s on this host. Nothing was changed." % group
        raise Refusal("no-user", message) from error


def bring(folder, files, owner, first):
    """Says whether anything was changed."""
    ids = owner_ids(owner)
    others = [path for path, content, _mode in files if first and read(path) not in (None, content)]
    if others:
        raise Refusal(
            "in-the-way",
            "%s is there already. Nothing was changed on this host." % others[0],
            "Name another folder, or move that file aside.",
        )
    if not os.path.isdir(folder):
        make_directory(folder, 0o755, ids)
    due = [file for file in files if differs(*file, ids)]
    for file in due:
        put(*file, ids)
    return bool(due)


def take_away(folder, files):
    """Says whether anything was there."""
    there = [path for path, _content, _mode in files if os.path.lexists(path)]
    for path in there:
        discard(path)
    try:
        os.rmdir(folder)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST):
            raise
    return bool(there)


def work(given):
    """Does what was asked for."""
    folder = given["folder"]
    files = [
        (os.path.join(folder, row["name"]), base64.b64decode(row["content"]).decode(), int(row["mode"], 8))
        for row in given["files"]
    ]
    changed = take_away(folder, files) if given["gone"] else bring(folder, files, given["owner"], given["first"])
    return {"changed": changed}


def main():
    """Ends with whether anything was changed."""
    row = {"name": {"type": "str"}, "mode": {"type": "str"}, "content": {"type": "str", "no_log": True}}
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "dict", "options": row, "required": True},
            "owner": {"type": "str", "default": ""},
            "first": {"type": "bool", "default": False},
            "gone": {"type": "bool", "default": False},
        }
    )
    answer(module, lambda: work(module.params))


if __name__ == "__main__":
    main()
