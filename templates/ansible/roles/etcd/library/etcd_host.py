#!/usr/bin/python
"""One etcd host, in one step: what differs, put it in place, start, settle, restart."""

from __future__ import annotations

import base64
import contextlib
import glob
import os
import re
import time
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.etcd_checks import authority, holder
from ansible.module_utils.etcd_cluster import LOOKS, Etcdctl, listens
from ansible.module_utils.etcd_files import (
    FIRST_START,
    differs,
    discard,
    fitting,
    has_log,
    ids_of,
    leftovers,
    lies_ahead,
    make_directory,
    make_user,
    needs_restart,
    own,
    program_differs,
    put,
    read,
    restored_as,
)
from ansible.module_utils.etcd_listener import NAME as LISTENER
from ansible.module_utils.etcd_log import unreadable
from ansible.module_utils.etcd_refusal import Refusal, answer
from ansible.module_utils.etcd_service import service_of

DOCUMENTATION = r"""
module: etcd_host
short_description: Keep one etcd host as it should be
description:
  - Compares everything that the role puts on a host in one call, and puts in place what differs.
  - A running etcd is restarted by I(action=restart) only, after the other members were found healthy.
options:
  action:
    description:
      - V(look) reports what differs, whether etcd runs, and who the members are by its word; it changes nothing.
      - V(put) puts files in place, and no more.
      - V(converge) puts files in place and starts etcd where it does not run.
      - V(settle) waits until the member is healthy and marks the cluster as formed in its configuration.
      - V(restart) puts files in place, hands leadership over, restarts etcd and waits until it has caught up.
    choices: [look, put, converge, settle, restart]
    required: true
    type: str
  state:
    description: The initial cluster state for a member without data.
    choices: [new, existing]
    default: existing
    type: str
  settle:
    description: With action=converge, settles the member in the same call.
    default: false
    type: bool
  programs:
    description: For its action plugin: the programs that are sent to the host before; I(programs) of what V(look) saw.
    default: []
    type: list
  wanted:
    description: What the host must hold; C(etcd_wanted) in the role's vars.
    required: true
    type: dict
"""

RETURN = r"""
drift:
  description: What differs, a line for each file or folder.
  returned: always
  type: list
running:
  description: Whether etcd runs.
  returned: with action=look
  type: bool
has_data:
  description: Whether the data directory holds a member's log.
  returned: with action=look
  type: bool
remnants:
  description: The folder where a part of a member is left without its log; '' where there is none.
  returned: with action=look
  type: str
strange:
  description: The folder of a member's data which nothing on the host says that this cluster made; '' where there is
    none.
  returned: with action=look
  type: str
listener:
  description: Whether the checks' own listener is at the client port.
  returned: with action=look
  type: bool
state:
  description: The initial cluster state in the configuration; V(existing) once the cluster was formed.
  returned: with action=look
  type: str
members:
  description: The member list (etcdctl's JSON) by this member's word; '' where it does not run, or cannot say.
  returned: with action=look
  type: str
restart:
  description: Whether a running etcd must start again to know what differs.
  returned: with action=look
  type: bool
version:
  description: Which etcd the next start brings, where one is due; '' where it is not, or nobody knows.
  returned: with action=look
  type: str
unreadable:
  description: Why that etcd would not start on the data (code, detail, remedy); empty where nothing is known against
    it.
  returned: with action=look
  type: dict
programs:
  description: The programs, as wanted, that must be copied to the host.
  returned: with action=look
  type: list
"""

# The one variable whose value depends on the moment: new until the cluster was formed.
STATE = re.compile(r'(\bETCD_INITIAL_CLUSTER_STATE="?)(new|existing)')
# Where the system keeps the units that it came with; the one in /etc would hide it.
VENDOR_UNITS = ("/usr/lib/systemd/system", "/lib/systemd/system", "/usr/local/lib/systemd/system")
FILE = {"path": {"type": "str"}, "content": {"type": "str"}, "restart": {"type": "bool", "default": False}}
SPEC = {
    "action": {"choices": ["look", "put", "converge", "settle", "restart"], "required": True},
    "state": {"choices": ["new", "existing"], "default": "existing"},
    "settle": {"type": "bool", "default": False},
    "wanted": {
        "type": "dict",
        "required": True,
        "options": {
            "user": {"type": "str"},
            "data_directory": {"type": "path"},
            "restart": {"type": "bool", "default": False},
            "directories": {"type": "list", "elements": "path"},
            "config": {"type": "dict", "options": {"path": {"type": "str"}, "content": {"type": "str"}}},
            "files": {"type": "list", "elements": "dict", "options": FILE},
            "private_keys": {
                "type": "list",
                "elements": "dict",
                "no_log": False,
                "options": {"path": {"type": "str"}, "content": {"type": "str", "no_log": True}},
            },
            "programs": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "path": {"type": "str"},
                    "sha256": {"type": "str"},
                    "machine": {"type": "str"},
                    "source": {"type": "str"},
                    "size": {"type": "int"},
                    "version": {"type": "str", "default": ""},
                },
            },
            "unit": {"type": "dict", "options": FILE},
            "version": {"type": "str", "default": ""},
            "image": {"type": "str", "default": ""},
            "service": {
                "type": "dict",
                "options": {
                    "manager": {"choices": ["systemd", "keeper"]},
                    "name": {"type": "str"},
                    "keeper": {"type": "str"},
                },
            },
            "etcdctl": {
                "type": "dict",
                "options": {
                    "program": {"type": "str"},
                    "endpoint": {"type": "str"},
                    "endpoints": {"type": "list", "elements": "str"},
                    "ssl_directory": {"type": "str"},
                    "timeout": {"type": "int"},
                    "restored": {"type": "bool", "default": False},
                },
            },
        },
    },
}


class Host:
    """The host as the module's arguments describe it."""

    def __init__(self, module):
        wanted = module.params["wanted"]
        self.module = module
        self.wanted = {**wanted, "programs": fitting(wanted["programs"])}
        self.ids = ids_of(wanted["user"])
        self.config = wanted["config"]
        self.data = wanted["data_directory"]
        self.seen = None
        service = wanted["service"]
        self.service = service_of(module.run_command, service["manager"], service["name"], service["keeper"])
        etcdctl = wanted["etcdctl"]
        self.etcdctl = Etcdctl(
            module.run_command,
            etcdctl["program"],
            etcdctl["ssl_directory"],
            etcdctl["endpoint"],
            etcdctl["endpoints"],
            etcdctl["timeout"],
            etcdctl["restored"],
        )

    def has_data(self):
        """Whether the data directory holds a member's log."""
        return has_log(self.data)

    def received(self):
        """How many bytes lie where etcd writes its database, and one that it is sent."""
        size = 0
        for path in glob.glob(os.path.join(self.data, "member", "snap", "*")):
            with contextlib.suppress(OSError):  # renamed meanwhile
                size += os.path.getsize(path)
        return size

    def permit(self):
        """The path of the file that lets etcd start without data."""
        return os.path.join(self.data, FIRST_START)

    def remnants(self):
        """Whether a part of a member is left without its log, and not by a first start that was cut short."""
        return (
            not self.has_data()
            and os.path.exists(os.path.join(self.data, "member"))
            and not os.path.exists(self.permit())
        )

    def strange(self):
        """Whether there is data, but neither a configuration of the role's, nor our authority, nor the mark of a
        restored member."""
        there_ca = read(os.path.join(self.etcdctl.ssl_directory, "ca.crt"))
        ours = next(entry["content"] for entry in self.wanted["files"] if os.path.basename(entry["path"]) == "ca.crt")
        known = (
            bool(self.state())
            or authority(there_ca, ours) == "ours"
            or bool(restored_as(os.path.join(self.data, "member")))
        )
        return self.has_data() and not known

    def state(self):
        """The initial cluster state that the configuration gives: '', 'new' or 'existing'."""
        there = read(self.config["path"]) or ""
        found = STATE.search(there)
        return found.group(2) if found else "existing" if there else ""

    def config_content(self, state):
        """The configuration's text for that state."""
        return STATE.sub(lambda found: found.group(1) + state, self.config["content"])

    def owned_directories(self):
        """(path, mode) of the folders that are etcd's own; only the data is private."""
        return [(self.data, 0o700), (self.etcdctl.ssl_directory, 0o755)]

    def missing_directories(self):
        """Other folders that files go into; one that is there stays as the system has it."""
        return [path for path in self.wanted["directories"] if not os.path.isdir(path)]

    def all_files(self, state):
        """(path, content, mode, ids, does a running etcd need to start again for it)."""
        files = [(entry["path"], entry["content"], 0o644, self.ids, entry["restart"]) for entry in self.wanted["files"]]
        files += [
            (entry["path"], base64.b64decode(entry["content"]).decode(), 0o600, self.ids, False)
            for entry in self.wanted["private_keys"]
        ]
        if self.wants_unit():
            files.append(
                (
                    self.wanted["unit"]["path"],
                    self.wanted["unit"]["content"],
                    0o644,
                    self.ids,
                    self.wanted["unit"]["restart"],
                )
            )
        there = read(self.config["path"])
        files.append(
            (
                self.config["path"],
                self.config_content(state),
                0o644,
                self.ids,
                needs_restart(there, self.config["content"]),
            )
        )
        return files

    def wants_unit(self):
        """Whether the unit is ours to write: an OS that has its own (Flatcar) keeps it."""
        path = self.wanted["unit"]["path"]
        return bool(path) and not any(
            os.path.exists(os.path.join(folder, os.path.basename(path))) for folder in VENDOR_UNITS
        )

    def programs(self):
        """(path, what differs) of the programs that are copied to this host; read once, since they are large."""
        if self.seen is None:
            self.seen = [
                (entry["path"], program_differs(entry["path"], entry["sha256"], self.ids))
                for entry in self.wanted["programs"]
            ]
        return self.seen

    def drift(self, state):
        """(lines, restart, diffs): what differs and what it means for a running etcd."""
        lines, diffs, restart = [], [], False
        if self.ids is None:
            lines.append("%s: there is no such user" % self.wanted["user"])
        for path, why in self.programs():
            if why:
                lines.append("%s: %s" % (path, why))
                diffs.append({"prepared": "--- before: %s\n+++ after: %s\n(the program)\n" % (path, path)})
                restart = restart or (why in ("missing", "content") and path == self.etcd_program())
        for path, mode in self.owned_directories():
            why = differs(path, None, mode, self.ids)
            if why:
                lines.append("%s: %s" % (path, why))
        lines += ["%s: missing" % path for path in self.missing_directories()]
        for path, content, mode, ids, needs in self.all_files(state):
            why = differs(path, content, mode, ids)
            if why:
                lines.append("%s: %s" % (path, why))
                restart = restart or (needs and why != "permissions")
                diffs.append(diff_of(path, content, mode))
        lines += ["%s: its time lies in the future" % path for path in self.read_at_start() if lies_ahead(path)]
        if state == "existing" and self.has_data() and os.path.exists(self.permit()):
            lines.append("%s: no longer needed" % self.permit())
        lines += ["%s: left half-written" % path for path in self.leftovers()]
        return lines, restart, diffs

    def etcd_program(self):
        """The path of the etcd that is copied to this host; '' where the host has its own."""
        return next(
            (entry["path"] for entry in self.wanted["programs"] if os.path.basename(entry["path"]) == "etcd"), ""
        )

    def version(self):
        """Which etcd the next start brings; '' where nobody knows."""
        copied = [entry["version"] for entry in self.wanted["programs"] if entry["path"] == self.etcd_program()]
        if self.wanted["version"] or copied:
            return self.wanted["version"] or copied[0]
        try:
            _code, out, _err = self.module.run_command(
                [os.path.join(os.path.dirname(self.etcdctl.program), "etcd"), "--version"], handle_exceptions=False
            )
        except OSError:
            return ""
        found = re.search(r"etcd Version: (\d+\.\d+\.\d+)", out)
        return found.group(1) if found else ""

    def get_image(self):
        """Gets the image that the OS's own unit runs etcd from. The unit would get it between stopping the member and
        starting it, however long that takes."""
        image, run = self.wanted["image"], self.module.run_command
        if image and run(["docker", "image", "inspect", image])[0] != 0:
            code, _out, err = run(["docker", "pull", "--quiet", image])
            if code != 0:
                raise Refusal("image", "%s could not be pulled." % image, "Run this again.", err)

    def write(self, state, only_now=False):
        """Puts in place what differs. only_now: no file for which a running etcd must start again."""
        if self.ids is None:
            self.ids = make_user(self.module.run_command, self.wanted["user"])
        for path, why in self.programs():
            if why == "permissions":
                own(path, 0o755, self.ids)
        self.seen = [(path, "" if why == "permissions" else why) for path, why in self.programs()]
        for path in self.missing_directories():
            os.makedirs(path, mode=0o755)
        for path, mode in self.owned_directories():
            if differs(path, None, mode, self.ids):
                make_directory(path, mode, self.ids)
        self.write_files([file for file in self.all_files(state) if not only_now or not file[-1]])
        self.put_times_right()
        if state == "existing" and self.has_data() and os.path.exists(self.permit()):
            os.unlink(self.permit())
        for path in self.leftovers():
            discard(path)

    def write_files(self, files):
        """Writes those files that differ. The time of one that etcd need not read again stays."""
        for path, content, mode, ids, needs in files:
            why = differs(path, content, mode, ids)
            if why:
                put(path, content, mode, ids, keep_time=not needs or why == "permissions")

    def put_times_right(self):
        """A time in the future says nothing, and the content was compared: that etcd has read it."""
        running, since, _enabled = self.service.status()
        moment = since if running else time.time()
        for path in self.read_at_start():
            if lies_ahead(path):
                os.utime(path, (moment, moment))

    def leftovers(self):
        """Half-written files in the folders that we write to."""
        return [path for folder in [self.data, *self.wanted["directories"]] for path in leftovers(folder)]

    def read_at_start(self):
        """The files that etcd reads at its start only."""
        files = [
            path
            for path, _content, _mode, _ids, needs in self.all_files("existing")
            if needs or path == self.config["path"]
        ]
        return [path for path in files + [self.etcd_program()] if path and os.path.exists(path)]

    def stale(self, since):
        """Whether one of them was written after this etcd started. A time in the future says nothing."""
        return any(not lies_ahead(path) and int(os.stat(path).st_mtime) > since for path in self.read_at_start())

    def has_listener(self):
        """Whether the listener of checks that failed lives on at the client port, for a moment; others take it for an
        etcd."""
        place = urlsplit(self.etcdctl.endpoint)
        return holder(place.hostname, place.port)[1] == LISTENER

    def neighbours(self):
        """The other members' client endpoints at which somebody listens."""
        return [url for url in self.etcdctl.endpoints if url != self.etcdctl.endpoint and listens(url)]


def diff_of(path, content, mode):
    """One file's difference for --diff; a private key's is not shown, nor a certificate's, which nobody could read."""
    if mode == 0o600 or path.endswith(".crt"):
        return {
            "prepared": "--- before: %s\n+++ after: %s\n%s\n"
            % (path, path, "(a new private key)" if mode == 0o600 else "(a new certificate)")
        }
    return {"before_header": path, "after_header": path, "before": read(path) or "", "after": content}


def look(host):
    """What the host is like; changes nothing."""
    running, since, enabled = host.service.status()
    has_data = host.has_data()
    running = running and has_data  # without data its service may look like starting, over and over (FIRST_START)
    state = host.state()
    lines, restart, diffs = host.drift("new" if state == "new" and not has_data else "existing")
    if running and host.stale(since):
        lines, restart = lines + ["etcd has run since before its configuration or its program was written"], True
    if running and host.wanted["restart"]:
        lines, restart = lines + ["a restart of etcd was asked for"], True
    if not enabled:
        lines.append(host.service.NOT_ENABLED)
    status = host.etcdctl.status(host.etcdctl.endpoint) if running and restart else None
    version = host.version() if has_data and (restart or not running) else ""
    return {
        "changed": False,
        "drift": lines,
        "diff": diffs,
        "running": running,
        "has_data": has_data,
        "remnants": os.path.join(host.data, "member") if host.remnants() else "",
        "strange": os.path.join(host.data, "member") if host.strange() else "",
        "state": state,
        "members": members(host, LOOKS if lines else 1) if running else "",
        "restart": restart,
        "version": version,
        "unreadable": unreadable(host.data, version, status["version"] if status else "") if version else {},
        "healthy": status is not None,
        "leader": bool(status and status["leader"] == status["member_id"]),
        "programs": [
            entry
            for entry, (_path, why) in zip(host.wanted["programs"], host.programs())
            if why in ("missing", "content")
        ],
        "neighbours": host.neighbours() if not has_data and not running else [],
        "endpoint": host.etcdctl.endpoint,
        "listener": not running and host.has_listener(),
    }


def members(host, attempts):
    """Who the members are, by this member's word; '' when it cannot say, even asked again: a busy machine may miss one
    call's time."""
    for _attempt in range(attempts):
        code, out, _err = host.etcdctl.call(host.etcdctl.endpoint, "member", "list")
        if code == 0:
            return out
    return ""


def put_files(host):
    """Files in place, for a service that is to be started later."""
    lines, _restart, diffs = host.drift("existing")
    if not host.module.check_mode:
        host.get_image()
        host.write("existing")
    return {"changed": bool(lines), "drift": lines, "diff": diffs}


def converge(host):
    """Files in place, etcd started where it does not run, and, if asked, waited for.

    A running etcd that must start again comes here only while the cluster was never formed (etcd_plan).
    """
    running, since, enabled = host.service.status()
    state = host.module.params["state"]
    had_data = host.has_data()
    lines, restart_needed, diffs = host.drift(state)
    restart_needed = restart_needed or (running and host.stale(since))
    if not host.module.check_mode:
        host.get_image()
        host.write(state)
        if not had_data:
            put(host.permit(), "", 0o600, host.ids)
        if not enabled:
            host.service.enable()
        if not running:
            host.service.start()
        elif restart_needed or not had_data:
            host.service.restart()
        elif lines:
            host.service.reload()
        if host.module.params["settle"]:
            settle(host)
    return {"changed": bool(lines) or not running or not enabled, "drift": lines, "diff": diffs}


def settle(host):
    """Waits for health, then marks in the configuration that the cluster is formed."""
    joins = host.state() == "existing" and os.path.exists(host.permit())
    host.etcdctl.wait_until_healthy(host.service, joins=joins, received=host.received)
    lines, _restart, _diffs = host.drift("existing")
    if lines:
        host.write("existing")
        host.service.reload()
    return {"changed": bool(lines), "drift": lines}


def restart(host):
    """Files in place and etcd started again, when the other members can spare it."""
    lines, _restart, diffs = host.drift("existing")
    if not host.module.check_mode:
        host.get_image()
        host.write("existing", only_now=True)  # renewed leaves first: they may be what makes members healthy again
        host.etcdctl.require_others_healthy()
        host.etcdctl.hand_leadership_over()
        host.write("existing")
        host.service.restart()
        host.etcdctl.wait_until_healthy(host.service, caught_up=True, received=host.received)
    return {"changed": True, "drift": lines, "diff": diffs}


def main():
    """Runs the action that the task asks for."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    actions = {"look": look, "put": put_files, "converge": converge, "settle": settle, "restart": restart}
    answer(module, lambda: actions[module.params["action"]](Host(module)))


if __name__ == "__main__":
    main()
