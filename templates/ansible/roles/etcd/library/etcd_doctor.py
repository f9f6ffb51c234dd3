#!/usr/bin/python
"""Checks what a host must offer to etcd, before anything is changed on it."""

from __future__ import annotations

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils import etcd_checks as checks
from ansible.module_utils import etcd_listener as listener
from ansible.module_utils.etcd_files import fitting, has_log, ids_of, read
from ansible.module_utils.etcd_refusal import answer
from ansible.module_utils.etcd_service import service_of

DOCUMENTATION = r"""
module: etcd_doctor
short_description: Check what a host must offer to etcd
description:
  - Changes nothing. A listener on the client and the peer port, where nothing listens, ends by itself within two
    minutes.
options:
  action:
    description:
      - V(look) checks this host by itself.
      - V(reach) calls every other host's client and peer port.
    choices: [look, reach]
    required: true
    type: str
  name:
    description: This host's name in the inventory.
    required: true
    type: str
  sent:
    description: The controller's clock as the module was sent, in seconds of the epoch.
    type: float
  wanted:
    description: What the host is to hold; C(etcd_doctor_wanted) in the role's vars.
    type: dict
  targets:
    description: With action=reach, whom to call.
    type: list
    elements: dict
"""

RETURN = r"""
checks:
  description: A row for each check with check, ok, warning, detail and remedy.
  returned: always
  type: list
listens:
  description: The ports that other hosts may call, of the client and the peer port, and who answers there, V(etcd) or
    V(listener).
  returned: with action=look
  type: dict
clock:
  description: This host's clock as the module began and as it ended, and the controller's as it was sent.
  returned: with action=look
  type: dict
offsets:
  description: By how many seconds other hosts' clocks are ahead of this one's, where that was measured.
  returned: with action=reach
  type: dict
"""

SPEC = {
    "action": {"choices": ["look", "reach"], "required": True},
    "name": {"type": "str", "required": True},
    "sent": {"type": "float"},
    "wanted": {
        "type": "dict",
        "options": {
            "user": {"type": "str"},
            "address": {"type": "str"},
            "client_port": {"type": "int"},
            "peer_port": {"type": "int"},
            "metrics_port": {"type": "int"},
            "loopback_ports": {"type": "list", "elements": "int"},
            "data_directory": {"type": "path"},
            "space": {"type": "int"},
            "programs": {"type": "list", "elements": "dict"},
            "service": {"type": "dict"},
            "config_path": {"type": "str"},
            "token": {"type": "str"},
            "former_tokens": {"type": "list", "elements": "str"},
            "ca_path": {"type": "str"},
            "ca": {"type": "str"},
            "awaited": {"type": "list", "elements": "str"},
        },
    },
    "targets": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str"},
            "address": {"type": "str"},
            "port": {"type": "int"},
            "greets": {"type": "bool"},
        },
    },
}


def look(module):
    """This host by itself."""
    began = time.time()
    wanted = module.params["wanted"]
    programs = fitting(wanted["programs"])
    service = wanted["service"]
    running = service_of(module.run_command, service["manager"], service["name"], service["keeper"]).status()[
        0
    ] and has_log(wanted["data_directory"])
    _end_old_listener(wanted["address"], wanted["peer_port"])
    endpoints = [
        (wanted["address"], wanted["client_port"]),
        *(("127.0.0.1", port) for port in wanted["loopback_ports"]),
        *((wanted["address"], port) for port in (wanted["peer_port"], wanted["metrics_port"]) if port),
    ]
    found = [
        checks.python(),
        checks.rights(service["manager"] == "systemd"),
        checks.architecture(programs),
        checks.address(wanted["address"]),
        checks.ports(endpoints, running, uid_of(wanted["user"])),
        checks.cluster(read(wanted["config_path"]), wanted["token"], wanted["former_tokens"]),
        checks.disk(wanted["data_directory"], programs, running, wanted["space"]),
        checks.memory(running),
    ]
    if not module.check_mode:
        found.append(checks.disk_speed(wanted["data_directory"]))
    return {
        "changed": False,
        "checks": found,
        "listens": _listens(module, running),
        "running": running,
        "authority": checks.authority(read(wanted["ca_path"]), wanted["ca"]),
        "clock": {"began": began, "ended": time.time(), "sent": module.params["sent"]},
    }


def uid_of(user):
    """The uid of the user that runs etcd; None where that user is yet to be made."""
    ids = ids_of(user)
    return ids and ids[0]


def _end_old_listener(address, port):
    """This host's alone: on one machine each host has its own address."""
    pid, command, _uid = checks.holder(address, port)
    if command == listener.NAME:
        listener.end(pid)


def _listens(module, running):
    """Who listens on which port; where etcd does not run, our listener from now on. An etcd without a quorum serves no
    clients."""
    wanted = module.params["wanted"]
    ports = [wanted["client_port"], wanted["peer_port"]]
    if running:
        return {port: "etcd" for port in ports if checks.is_etcd(wanted["address"], port, uid_of(wanted["user"]))}
    if module.check_mode or not wanted["awaited"]:
        return {}
    try:
        listener.start(wanted["address"], ports, module.params["name"], wanted["awaited"])
        return {port: "listener" for port in ports}
    except OSError:
        return {}  # the checks say why


def reach(module):
    """Every other host's ports, from here: peers talk at one; at the other the role asks, before it takes a member
    down, how the others are."""
    offsets, lost, sources = {}, {}, set()
    for target in module.params["targets"]:
        wrong, offset, source = listener.call(
            target["address"], target["port"], module.params["name"], target["greets"]
        )
        sources |= {source} if source else set()
        if wrong:
            lost.setdefault((target["name"], target["address"], wrong), []).append("port %d" % target["port"])
        elif offset is not None:
            offsets[target["name"]] = offset
    row = (
        checks.bad(
            "peers",
            "This host cannot reach %s."
            % "; ".join(
                "%s at %s, %s (%s)" % (name, address, " and ".join(ports), wrong)
                for (name, address, wrong), ports in lost.items()
            ),
            "Open etcd's client port and its peer port between all hosts, in their firewalls and in the network's.",
        )
        if lost
        else checks.good(
            "peers", "reaches %s" % ", ".join(dict.fromkeys(target["name"] for target in module.params["targets"]))
        )
    )
    return {"changed": False, "checks": [row], "offsets": offsets, "sources": sorted(sources)}


def main():
    """Runs the action that the task asks for."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    answer(module, lambda: {"look": look, "reach": reach}[module.params["action"]](module))


if __name__ == "__main__":
    main()
