#!/usr/bin/python
"""Puts programs that were sent to this host in their place, each whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.etcd_files import TEMPORARY, program_differs
from ansible.module_utils.etcd_refusal import Refusal, answer

DOCUMENTATION = r"""
module: etcd_programs
short_description: Put programs in place on a host
description:
  - The action plugin of M(etcd_host) sends the programs first. A running program is replaced beside itself and goes on
    running.
  - They belong to root until M(etcd_host) gives them to the user that runs etcd, who may not be there yet.
options:
  programs:
    description: Rows with sent, the file that was sent, path, where it belongs, and sha256, its sum.
    required: true
    type: list
    elements: dict
"""

RETURN = ""


def place(program):
    """Moves one program to its place, after its sum was found right."""
    if program_differs(program["sent"], program["sha256"], None) == "content":
        raise Refusal("transfer", "%s arrived damaged." % program["path"], "Run this again.")
    folder = os.path.dirname(program["path"])
    os.makedirs(folder, mode=0o755, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=TEMPORARY)
    os.close(handle)
    try:
        shutil.copyfile(program["sent"], temporary)
        os.chmod(temporary, 0o755)
        os.rename(temporary, program["path"])
    except BaseException:
        os.unlink(temporary)
        raise


def main():
    """Puts each in place."""
    spec = {"sent": {"type": "str"}, "path": {"type": "str"}, "sha256": {"type": "str"}}
    module = AnsibleModule(
        argument_spec={
            "programs": {"type": "list", "elements": "dict", "options": spec, "required": True}
        }
    )
    answer(module, lambda: {"changed": bool([place(program) for program in module.params["programs"]])})


if __name__ == "__main__":
    main()
