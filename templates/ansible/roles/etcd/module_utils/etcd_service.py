"""The service that runs etcd on a host: the same few verbs over systemd and a keeper of our own."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from datetime import datetime

from ansible.module_utils import etcd_keeper as keeper
from ansible.module_utils.etcd_refusal import Refusal

# How much of a log is searched for the reason why etcd ended: a stack trace of Go's follows it.
LOG_BYTES, LOG_LINES = 65536, 400
# What etcd ends with: zap's levels as JSON or for the console, those of 3.4 (C, E), and Go's own; wrong flags, which
# are but
# a warning; and what the keeper says where it started nothing.
LEVELS = re.compile(
    r'"level":"(?:panic|dpanic|fatal|error)"|\t(?:PANIC|DPANIC|FATAL|ERROR)\t| [CE] \| |^panic: |^fatal error: '
    r"|failed to verify flags| keeper: "
)
# Of a handshake that failed: the client refused the member's certificate. What OpenSSL says of it etcd cannot read.
REFUSED = re.compile(r"remote error: tls: |local error: tls: bad record MAC")
# How much of a log is searched for that, in bytes.
SEARCHED_BYTES = 1 << 24
# The line with which etcd starts, of 3.5 and later, and of 3.4: an error before it is of an earlier run.
BEGIN = re.compile(r'"msg":"Running: "|\tRunning: |etcdmain: etcd Version: ')


def reason_in(log):
    """Why etcd ended: the last line of its last run with a level that says so, readable; else its last three lines."""
    lines = log.strip().splitlines()
    begin = max((number for number, line in enumerate(lines) if BEGIN.search(line)), default=0)
    telling = [line for line in lines[begin:] if LEVELS.search(line)]
    return readable(telling[-1]) if telling else "\n".join(lines[-3:]) or "nothing"


def readable(line):
    """Message, error and what else a line in JSON has, without where in etcd's source it came from; any other as it
    is."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    parts = [fields.pop("msg", "")] + [
        "%s: %s" % (name, fields[name]) for name in fields if name not in ("level", "ts", "caller", "stacktrace")
    ]
    return "; ".join(part for part in parts if part)


def refusing_clients(log, since):
    """{address: times} of the clients that refused the member's certificate since then (seconds of the epoch)."""
    times = {}
    for line in log.splitlines():
        # A peer's handshake is named as one only from etcd 3.5.14 on; a peer has what we gave it.
        if "rejected connection" not in line or "on peer endpoint" in line or not REFUSED.search(line):
            continue
        try:
            fields = json.loads(line)
            at = datetime.strptime(re.sub(r"\.\d+", "", fields["ts"]), "%Y-%m-%dT%H:%M:%S%z").timestamp()
            address = fields["remote-addr"].rpartition(":")[0].strip("[]")
        except (ValueError, KeyError):
            continue
        if at >= int(since):
            times[address] = times.get(address, 0) + 1
    return times


def service_of(run_command, manager, name, keeper_folder):
    """The service object for the host's service manager."""
    return Systemd(run_command, name) if manager == "systemd" else Keeper(run_command, keeper_folder)


class Systemd:
    """etcd as a systemd unit."""

    NOT_ENABLED = "etcd is not started at boot"

    def __init__(self, run_command, name):
        self.run_command = run_command
        self.name = name

    def _systemctl(self, *args):
        code, out, err = self.run_command(["systemctl", *args])
        if code != 0:
            raise Refusal("service", "systemctl %s: %s" % (" ".join(args), (err or out).strip()))
        return out

    def status(self):
        """(running, since in seconds of the epoch, enabled)."""
        out = self._systemctl("show", self.name, "--property=ActiveState,ExecMainStartTimestampMonotonic,UnitFileState")
        values = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        running = values.get("ActiveState") in ("active", "activating", "reloading")
        # Both by the clock that stands still while the machine sleeps.
        age = time.clock_gettime(time.CLOCK_MONOTONIC) - int(values.get("ExecMainStartTimestampMonotonic", 0)) / 1e6
        return running, time.time() - age if running else 0, values.get("UnitFileState") == "enabled"

    def last_words(self):
        """What etcd said last, where it does not stay up; '' while it runs or is starting."""
        out = self._systemctl(
            "show", self.name, "--property=ActiveState,NRestarts,ConditionResult,ConditionTimestampMonotonic"
        )
        values = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        # The drop-in's conditions (FIRST_START): systemd then starts nothing, and calls that a success.
        if (
            values.get("ActiveState") == "inactive"
            and values.get("ConditionResult") == "no"
            and values.get("ConditionTimestampMonotonic", "0") != "0"
        ):
            return (
                "systemd did not start it: its data directory holds neither a write-ahead log "
                "nor the file that permits a first start."
            )
        if values.get("ActiveState") == "active" or (
            values.get("ActiveState") != "failed" and int(values.get("NRestarts") or 0) < 2
        ):
            return ""
        # By this match etcd's own lines, without systemd's about it.
        _code, out, _err = self.run_command(
            [
                "journalctl",
                "_SYSTEMD_UNIT=%s.service" % self.name,
                "--lines=%d" % LOG_LINES,
                "--output=cat",
                "--no-pager",
            ]
        )
        return reason_in(out)

    def log(self, since):
        """What etcd said since then, in seconds of the epoch."""
        _code, out, _err = self.run_command(
            [
                "journalctl",
                "_SYSTEMD_UNIT=%s.service" % self.name,
                "--since=@%d" % since,
                "--output=cat",
                "--no-pager",
            ]
        )
        return out[-SEARCHED_BYTES:]

    def reload(self):
        """Makes the manager read its files again; the running etcd stays as it is."""
        self._systemctl("daemon-reload")

    def start(self):
        """Starts etcd, without waiting for it to be ready."""
        self._systemctl("daemon-reload")
        self.run_command(
            ["systemctl", "reset-failed", self.name]
        )  # a unit that failed too often is not started again without
        self._systemctl("start", "--no-block", self.name)

    def stop(self):
        """Stops etcd and waits until it is gone."""
        if self.status()[0]:  # a host that is new has no unit yet
            self._systemctl("stop", self.name)

    def enable(self):
        """Has etcd started at every boot."""
        self._systemctl(
            "enable", "--no-reload", self.name
        )  # a boot reads the link from the disk; to reload costs more than all else here

    def restart(self):
        """Stops etcd and starts it with the files as they are now."""
        self._systemctl("daemon-reload")
        self._systemctl("stop", self.name)  # until it is gone: nobody may take the old process for the new one
        self._systemctl("start", "--no-block", self.name)


class Keeper:
    """etcd under a keeper of our own (etcd_keeper.py), where there is no service manager."""

    NOT_ENABLED = "etcd has no keeper, which would start it again"

    def __init__(self, run_command, folder):
        self.run_command = run_command
        self.folder = folder

    def status(self):
        """(running, since in seconds of the epoch, enabled)."""
        member = keeper.noted(self.folder, keeper.MEMBER)
        kept = not member or bool(keeper.noted(self.folder, keeper.KEEPER))
        return bool(member), member["started"] if member else 0, kept

    def last_words(self):
        """What etcd said last, where it does not stay up; '' while it runs or is starting."""
        note = keeper.noted(self.folder, keeper.KEEPER)
        if not note or note["failures"] < 2:
            return ""
        lines = self._end_of_log(LOG_BYTES).strip().splitlines()
        # Its own lines; but where it was never started, what the keeper says of that.
        return reason_in("\n".join(line for line in lines if " keeper: etcd ended" not in line))

    def log(self, _since):
        """What etcd said last: each line says when."""
        return self._end_of_log(SEARCHED_BYTES)

    def _end_of_log(self, most):
        try:
            with open(keeper.read_config(self.folder)[1], "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - most))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def reload(self):
        """The running etcd stays as it is. A keeper of an older program makes room for one of the new."""
        note = keeper.noted(self.folder, keeper.KEEPER)
        if note and note["code"] != keeper.code_of(self.folder):
            os.kill(note["pid"], signal.SIGKILL)
            while keeper.noted(self.folder, keeper.KEEPER):
                time.sleep(0.01)
            self.enable()

    def start(self):
        """Starts etcd, without waiting for it to be ready."""
        self.restart()

    def stop(self):
        """Stops etcd and waits until it is gone."""
        keeper.stop(self.folder)

    def enable(self):
        """Starts a keeper where there is none. It takes over an etcd that runs, and starts one that does not."""
        program = [os.path.realpath(sys.executable), "-IS", os.path.join(self.folder, keeper.PROGRAM), self.folder]
        code, out, err = self.run_command(program)
        if code != 0:
            raise Refusal(
                "service", "The keeper of etcd did not start: %s" % ((err or out).strip() or "it says nothing")
            )

    def restart(self):
        """Stops etcd and starts it with the configuration as it is now."""
        keeper.stop(self.folder)
        self.enable()
