"""The service that runs etcd on a host: the same few verbs over systemd and supervisor."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
import xmlrpc.client


class ServiceError(Exception):
    """The service manager refused; the text is for a person."""


# How much of a log is searched for the reason why etcd ended: a stack trace of Go's follows it.
LOG_BYTES, LOG_LINES = 65536, 400
# What etcd ends with: zap's levels as JSON or for the console, those of 3.4 (C, E), and Go's own.
LEVELS = re.compile(r'"level":"(?:panic|dpanic|fatal|error)"|\t(?:PANIC|DPANIC|FATAL|ERROR)\t| [CE] \| |^panic: |^fatal error: ')


def reason_in(log):
    """Why etcd ended: the last line of its log with a level that says so, readable; else its last three lines."""
    lines = log.strip().splitlines()
    telling = [line for line in lines if LEVELS.search(line)]
    return readable(telling[-1]) if telling else "\n".join(lines[-3:]) or "nothing"


def readable(line):
    """Message, error and what else a line in JSON has, without where in etcd's source it came from; any other as it is."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    parts = [fields.pop("msg", "")] + ["%s: %s" % (name, fields[name]) for name in fields if name not in ("level", "ts", "caller", "stacktrace")]
    return "; ".join(part for part in parts if part)


def service_of(run_command, manager, name, supervisor_socket):
    """The service object for the host's service manager."""
    return Systemd(run_command, name) if manager == "systemd" else Supervisor(name, supervisor_socket)


class Systemd:
    """etcd as a systemd unit."""

    def __init__(self, run_command, name):
        self.run_command = run_command
        self.name = name

    def _systemctl(self, *args):
        code, out, err = self.run_command(["systemctl", *args])
        if code != 0:
            raise ServiceError("systemctl %s: %s" % (" ".join(args), (err or out).strip()))
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
        out = self._systemctl("show", self.name, "--property=ActiveState,NRestarts,ConditionResult,ConditionTimestampMonotonic")
        values = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        # The drop-in's conditions (FIRST_START): systemd then starts nothing, and calls that a success.
        if values.get("ActiveState") == "inactive" and values.get("ConditionResult") == "no" and values.get("ConditionTimestampMonotonic", "0") != "0":
            return "systemd did not start it: its data directory holds neither a write-ahead log nor the file that permits a first start."
        if values.get("ActiveState") == "active" or (values.get("ActiveState") != "failed" and int(values.get("NRestarts") or 0) < 2):
            return ""
        # By this match etcd's own lines, without systemd's about it.
        _code, out, _err = self.run_command(["journalctl", "_SYSTEMD_UNIT=%s.service" % self.name, "--lines=%d" % LOG_LINES, "--output=cat", "--no-pager"])
        return reason_in(out)

    def reload(self):
        """Makes the manager read its files again; the running etcd stays as it is."""
        self._systemctl("daemon-reload")

    def start(self):
        """Starts etcd, without waiting for it to be ready."""
        self._systemctl("daemon-reload")
        self.run_command(["systemctl", "reset-failed", self.name])  # a unit that failed too often is not started again without
        self._systemctl("start", "--no-block", self.name)

    def stop(self):
        """Stops etcd and waits until it is gone."""
        if self.status()[0]:  # a host that is new has no unit yet
            self._systemctl("stop", self.name)

    def enable(self):
        """Has etcd started at every boot."""
        self._systemctl("enable", "--no-reload", self.name)  # a boot reads the link from the disk; to reload costs more than all else here

    def restart(self):
        """Stops etcd and starts it with the files as they are now."""
        self._systemctl("daemon-reload")
        self._systemctl("stop", self.name)  # until it is gone: nobody may take the old process for the new one
        self._systemctl("start", "--no-block", self.name)


class Supervisor:
    """etcd as a program of supervisord, over its XML-RPC socket."""

    ALREADY_ADDED, NOT_RUNNING, BAD_NAME, ALREADY_STARTED = 90, 70, 10, 60  # supervisor.xmlrpc.Faults

    def __init__(self, name, path):
        self.name = name
        self.path = path
        self.rpc = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_UnixTransport(path)).supervisor

    def status(self):
        """(running, since in seconds of the epoch, enabled)."""
        try:
            info = self.rpc.getProcessInfo(self.name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == self.BAD_NAME:
                return False, 0, True
            raise ServiceError("supervisor: %s" % fault.faultString) from fault
        except OSError as error:
            raise ServiceError("supervisord does not answer at %s (%s). Start it first: phase vms does." % (self.path, error)) from error
        return info["statename"] in ("RUNNING", "STARTING"), info["start"], True

    def last_words(self):
        """What etcd said last, where it does not stay up; '' while it runs or is starting."""
        try:
            if self.rpc.getProcessInfo(self.name)["statename"] not in ("BACKOFF", "FATAL", "EXITED"):
                return ""
            return reason_in(self.rpc.readProcessStdoutLog(self.name, -LOG_BYTES, 0))
        except (xmlrpc.client.Fault, OSError):
            return ""

    def reload(self):
        """The running etcd stays as it is; supervisord reads the file at the next restart."""

    def start(self):
        """Starts etcd, without waiting for it to be ready."""
        self.restart()

    def stop(self):
        """Stops etcd and waits until it is gone."""
        self._quietly(self.rpc.stopProcess, self.name, True)

    def enable(self):
        """supervisord starts at once whatever it is configured with."""

    def restart(self):
        """Stops etcd and starts it with the configuration as it is now."""
        self._quietly(self.rpc.reloadConfig)  # first: a file that cannot be read must not cost the running etcd
        self._quietly(self.rpc.stopProcess, self.name, True)
        self._quietly(self.rpc.removeProcessGroup, self.name)
        self._quietly(self.rpc.addProcessGroup, self.name)
        self._quietly(self.rpc.startProcess, self.name, False)

    def _quietly(self, call, *args):
        try:
            call(*args)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in (self.ALREADY_ADDED, self.NOT_RUNNING, self.BAD_NAME, self.ALREADY_STARTED):
                raise ServiceError("supervisor: %s" % fault.faultString) from fault


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        """A connection whose socket is the unix one."""
        connection = http.client.HTTPConnection(host)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(60)  # longer than a member may take to stop
        connection.sock.connect(self.path)
        return connection
