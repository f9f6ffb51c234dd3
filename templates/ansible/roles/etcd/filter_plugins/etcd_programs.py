"""What the controller knows of the programs that it copies to hosts: their sums, sizes and the machine they are for."""

from __future__ import annotations

import hashlib
import os
import re
import struct
import subprocess

from ansible.errors import AnsibleFilterError

NAMES = ("etcd", "etcdctl")

# e_machine of an ELF file, and what uname calls that machine (elf.h).
MACHINES = {3: "i686", 21: "ppc64le", 22: "s390x", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}


def etcd_programs(source, directory):
    """A row for each program: source here, path on the host, sha256, machine, size in bytes, and etcd's version.
    `source`: a folder, or one by machine; none, no rows."""
    folders = source if isinstance(source, dict) else {"": source} if source else {}
    return [
        _row(os.path.join(folder, name), os.path.join(directory, name), machine)
        for machine, folder in folders.items()
        for name in NAMES
    ]


def _row(source, path, machine):
    try:
        with open(source, "rb") as file:
            content = file.read()
    except OSError as error:
        raise AnsibleFilterError("etcd_binaries_source: %s cannot be read (%s)." % (source, error.strerror)) from error
    row = {
        "source": source,
        "path": path,
        "sha256": hashlib.sha256(content).hexdigest(),
        "machine": _machine(content) or machine,
        "size": len(content),
    }
    return {**row, "version": _version(source, content, row["machine"]) if os.path.basename(path) == "etcd" else ""}


def _version(source, content, machine):
    """Which etcd it is, by what Go notes in a program of the modules that it has; else by its own word, where it runs
    here. '' where neither says."""
    noted = re.search(rb"\tgo\.etcd\.io/etcd/api/v3\tv(\d+\.\d+\.\d+)", content)
    if noted:
        return noted.group(1).decode()
    if machine not in ("", os.uname().machine):
        return ""
    try:
        said = subprocess.run([source, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"etcd Version: (\d+\.\d+\.\d+)", said)
    return found.group(1) if found else ""


def _machine(content):
    """The machine as uname calls it; '' for a script, which any may run. A program of another system is for none of our
    hosts."""
    if content[:2] == b"#!":
        return ""
    if content[:4] != b"\x7fELF":
        return "another system"
    number = struct.unpack("<H" if content[5] == 1 else ">H", content[18:20])[0]
    return MACHINES.get(number, "machine %d" % number)


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Their names in templates."""
        return {"etcd_programs": etcd_programs}
