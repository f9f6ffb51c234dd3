"""The service that runs etcd on a host: the same few verbs over systemd and supervisor."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client


class ServiceError(Exception):
    """The service manager refused; the text is for a person."""


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
        since = 0
        if values.get("ActiveState") == "active":
            with open("/proc/uptime", encoding="ascii") as uptime:
                up = float(uptime.read().split()[0])
            import time

            since = time.time() - up + int(values["ExecMainStartTimestampMonotonic"]) / 1e6
        return values.get("ActiveState") == "active", since, values.get("UnitFileState") == "enabled"

    def reload(self):
        """Makes the manager read its files again; the running etcd stays as it is."""
        self._systemctl("daemon-reload")

    def start(self):
        """Starts etcd, now and at every boot, without waiting for it to be ready."""
        self._systemctl("daemon-reload")
        self._systemctl("enable", self.name)
        self._systemctl("start", "--no-block", self.name)

    def restart(self):
        """Stops etcd and starts it with the files as they are now."""
        self._systemctl("daemon-reload")
        self._systemctl("restart", "--no-block", self.name)


class Supervisor:
    """etcd as a program of supervisord, over its XML-RPC socket."""

    ALREADY_ADDED, NOT_RUNNING, BAD_NAME, ALREADY_STARTED = 90, 70, 10, 60

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

    def reload(self):
        """The running etcd stays as it is; supervisord reads the file at the next restart."""

    def start(self):
        """Starts etcd, without waiting for it to be ready."""
        self.restart()

    def restart(self):
        """Stops etcd and starts it with the configuration as it is now."""
        self._quietly(self.rpc.stopProcess, self.name, True)
        self.rpc.reloadConfig()
        self._quietly(self.rpc.removeProcessGroup, self.name)
        self.rpc.addProcessGroup(self.name)
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
        connection.sock.connect(self.path)
        return connection
