#!/usr/bin/python
"""An etcd that something else has set up on this host: what it is, and its member taken over, or given back."""

from __future__ import annotations

import glob
import json
import os
import re
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.etcd_checks import nearest
from ansible.module_utils.etcd_cluster import Etcdctl, listens
from ansible.module_utils.etcd_files import discard, give_folder, has_log, ids_of, put, read
from ansible.module_utils.etcd_refusal import Refusal, answer
from ansible.module_utils.etcd_service import Systemd

DOCUMENTATION = r"""
module: etcd_adopt
short_description: Take over the member of an etcd that another tool has set up
description:
  - Every action may be cut short and done again. What was there is kept beside the data, in a folder with the ending
    .adopted.
options:
  action:
    description:
      - V(look) reports each etcd that runs here, and what was kept; it changes nothing.
      - V(keep) copies what the role is going to overwrite, and notes how the member ran.
      - V(take) hands leadership over, ends the old service and moves its data to where the role has it.
      - V(back) ends the role's service, puts back what was kept, and starts the old service.
    choices: [look, keep, take, back]
    required: true
    type: str
  wanted:
    description: Where things are on the host; C(etcd_adopt_wanted) in the role's vars.
    required: true
    type: dict
  old:
    description: With V(keep), the unit of the old service or the manifest of the old pod, the arguments of its etcd,
      and its data directory.
    type: dict
"""

RETURN = r"""
etcds:
  description: Each etcd that runs here, with its pid, machine, version, arguments, ETCD_ variables, configuration file,
    working directory and unit; C(container) where it runs in one, C(manifest) where that is a static pod,
    C(elsewhere) with the paths that are others on the host than in its container, C(movable) where its data can be
    moved by a rename, C(in_the_way) where the role's data directory holds other data.
  returned: with action=look
  type: list
kept:
  description: What was noted of the old service; empty where nothing was.
  returned: with action=look
  type: dict
"""

SPEC = {
    "action": {"choices": ["look", "keep", "take", "back"], "required": True},
    "old": {
        "type": "dict",
        "options": {
            "unit": {"type": "str"},
            "manifest": {"type": "path"},
            "args": {"type": "list", "elements": "str"},
            "data_directory": {"type": "path"},
        },
    },
    "wanted": {
        "type": "dict",
        "required": True,
        "options": {
            "id": {"type": "str"},
            "user": {"type": "str"},
            "service": {"type": "str"},
            "data_directory": {"type": "path"},
            "overwritten": {"type": "list", "elements": "path"},
            "config_path": {"type": "path"},
            "etcdctl": {"type": "dict"},
        },
    },
}

# How long the old service may take to end, and to listen again, in seconds. kubelet gives a pod 30 s to end, and looks
# at its manifests every 20 s.
PATIENCE = 120

# Where kubelet has the manifests of static pods; kubeadm puts them there.
MANIFESTS = "/etc/kubernetes/manifests"


class Adoption:
    """The host that the module's arguments describe."""

    def __init__(self, module):
        self.module = module
        self.wanted = module.params["wanted"]
        self.data = self.wanted["data_directory"]
        self.folder = self.data + ".adopted"
        self.noted = json.loads(read(os.path.join(self.folder, "kept.json")) or "{}")
        # One of an earlier adoption of this host says nothing of this one.
        self.kept = self.noted if self.noted.get("id") == self.wanted["id"] else {}
        self.ours = Systemd(module.run_command, self.wanted["service"])
        asked = self.wanted["etcdctl"]
        self.etcdctl = Etcdctl(
            module.run_command,
            asked["program"],
            asked["ssl_directory"],
            asked["endpoint"],
            asked["endpoints"],
            int(asked["timeout"]),
        )

    def note(self, **more):
        """Has the note say so; it is there whole, or as it was."""
        self.kept.update(more)
        put(os.path.join(self.folder, "kept.json"), json.dumps(self.kept), 0o600, (0, 0))

    def copy_of(self, path):
        """Where the copy of what is overwritten lies."""
        return os.path.join(self.folder, "files") + path

    def run(self, *command):
        """Runs a command that must not fail."""
        code, out, err = self.module.run_command(list(command))
        if code != 0:
            raise Refusal("adopt", "%s: %s" % (" ".join(command), (err or out).strip()))
        return out

    def old(self):
        """The old service."""
        return OldPod(self) if self.kept.get("manifest") else OldUnit(self)

    def is_same_unit(self):
        """Whether the old service has the name of the role's."""
        return self.kept["unit"] == self.wanted["service"]

    def spare(self):
        """Raises unless the cluster can do without this member for a moment; another one leads then."""
        self.etcdctl.require_others_healthy()
        self.etcdctl.hand_leadership_over()

    def require_data(self):
        """Raises where the member has lost its data: started with none it could make the others lose writes."""
        if not any(has_log(folder) for folder in (self.kept["data_directory"], self.data)):
            raise Refusal(
                "data-lost",
                "Its etcd was ended to be taken over, and the member's data is gone since.",
                "To make it a new member by hand: etcdctl member remove, then etcdctl member add, then run this again.",
            )

    def wait(self, done, otherwise):
        """Waits until it is so; raises the refusal where it does not come to be."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > deadline:
                raise otherwise
            time.sleep(0.1)

    def move(self, source, target, ids):
        """Moves a member's data by a rename, where it is not done yet, and gives it to its user."""
        here, there = os.path.join(source, "member"), os.path.join(target, "member")
        if here != there and os.path.isdir(here):
            if os.path.exists(there):
                raise Refusal("in-the-way", "%s is in the way." % there, "Move it aside, then run this again.")
            os.rename(here, there)
        give_folder(there, ids)


class OldUnit:
    """The old etcd as a systemd unit."""

    def __init__(self, host):
        self.host = host
        self.name = host.kept["unit"]
        self.systemd = Systemd(host.module.run_command, self.name)

    def end(self):
        """Until it is gone; it does not come back at boot."""
        self.systemd.stop()
        if self.host.is_same_unit():
            remove_other_drop_ins(self.host)
        else:
            self.host.run("systemctl", "disable", self.name)

    def begin(self):
        """As it was at boot."""
        if self.host.kept["enabled"]:
            self.host.run("systemctl", "enable", self.name)
        self.systemd.start()


class OldPod:
    """The old etcd as a static pod: kubelet runs it while its manifest is there."""

    def __init__(self, host):
        self.host = host
        self.manifest = self.name = host.kept["manifest"]

    def end(self):
        """Until it is gone; kubelet forgets it."""
        discard(self.manifest)
        self.host.wait(
            lambda: not self.runs(),
            Refusal("ends", "The pod of %s does not end." % self.manifest, "See whether kubelet runs there."),
        )

    def runs(self):
        """Whether its etcd still runs."""
        return any(found["args"] == self.host.kept["args"] for found in etcds_of(self.host))

    def begin(self):
        """The manifest comes back whole; kubelet passes over a name that begins with a dot."""
        if os.path.exists(self.manifest):
            return
        hidden = os.path.join(os.path.dirname(self.manifest), "." + os.path.basename(self.manifest))
        self.host.run("cp", "-a", self.host.copy_of(self.manifest), hidden)
        os.rename(hidden, self.manifest)


def look(host):
    """What runs here; changes nothing."""
    return {"changed": False, "etcds": etcds_of(host), "kept": host.noted}


def etcds_of(host):
    """Each etcd that runs here."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [found for found in (etcd_of(host, pid) for pid in sorted(pids)) if found]


def etcd_of(host, pid):
    """How the process was started, where it is an etcd; None where it is none, or has ended."""
    try:
        return described(host, pid) if (read("/proc/%d/comm" % pid) or "").strip() == "etcd" else None
    except PermissionError as error:
        raise Refusal(
            "adopt", "The process %d is an etcd, and its settings cannot be read." % pid, "It takes CAP_SYS_PTRACE."
        ) from error
    except OSError:
        if os.path.exists("/proc/%d/exe" % pid):
            raise
        return None  # it has ended


def described(host, pid):
    """How that etcd was started; raises OSError where it has ended."""
    args = words_of("/proc/%d/cmdline" % pid)[1:]
    environment = dict(word.split("=", 1) for word in words_of("/proc/%d/environ" % pid) if "=" in word)
    cwd = os.readlink("/proc/%d/cwd" % pid)
    groups = read("/proc/%d/cgroup" % pid) or ""
    _code, out, _err = host.module.run_command(["/proc/%d/exe" % pid, "--version"], handle_exceptions=False)
    version = re.search(r"etcd Version: (\S+)", out)
    units = re.findall(r"([^/\n]+)\.service$", groups, re.MULTILINE)
    container = bool(re.search(r"/(?:docker|kubepods|libpod|crio|cri-containerd)", groups)) or chrooted(pid)
    environment = {name: value for name, value in environment.items() if name.startswith("ETCD_")}
    file = flag_of(args, "config-file") or environment.get("ETCD_CONFIG_FILE", "")
    config = read(os.path.join(cwd, file)) if file else None
    said = re.search(r"""^data-dir:\s*["']?([^"'#\n]*)""", config or "", re.MULTILINE)
    asked = said.group(1).strip() if said else flag_of(args, "data-dir") or environment.get("ETCD_DATA_DIR", "")
    ours = os.path.join(host.data, "member")
    return {
        "pid": pid,
        "machine": os.uname().machine,
        "version": version.group(1) if version else "",
        "args": args,
        "environment": environment,
        "config": config,
        "cwd": cwd,
        "unit": units[-1] if units else "",
        "container": container,
        "manifest": manifest_of(args) if container else "",
        "elsewhere": elsewhere(pid, [*args, *environment.values(), os.path.join(cwd, asked)]) if container else [],
        "movable": os.stat(nearest(os.path.join(cwd, asked))).st_dev == os.stat(nearest(host.data)).st_dev,
        "in_the_way": ours if os.path.isdir(ours) and os.path.join(cwd, asked, "member") != ours else "",
    }


def words_of(path):
    """The words of a file of /proc that are parted by zeros."""
    with open(path, "rb") as file:
        return file.read().decode(errors="replace").rstrip("\0").split("\0")


def chrooted(pid):
    """Whether the process sees other files than we do."""
    mine, its = os.stat("/"), os.stat("/proc/%d/root" % pid)
    return (mine.st_dev, mine.st_ino) != (its.st_dev, its.st_ino)


def manifest_of(args):
    """The manifest of the static pod that runs etcd with these arguments; '' where there is none."""
    for path in sorted(glob.glob(os.path.join(MANIFESTS, "[!.]*"))):
        text = read(path) or ""
        if args and all(arg in text for arg in args):
            return path
    return ""


def elsewhere(pid, texts):
    """The paths of a container's that are not the same files on the host."""
    paths = sorted({path for text in texts for path in re.findall(r"""(?:^|[=\s"'])(/[^\s"',]+)""", text)})
    inside = "/proc/%d/root" % pid
    return [
        path
        for path in paths
        if os.path.exists(inside + path) and not (os.path.exists(path) and os.path.samefile(path, inside + path))
    ]


def flag_of(args, name):
    """The value of a flag on a command line; '' where it is not given."""
    found = re.search(r"(?:^|\0)--?%s[=\0]([^\0]*)" % name, "\0".join(args))
    return found.group(1) if found else ""


def keep(host):
    """Copies of what is going to be overwritten, and a note of how the member ran."""
    if host.kept:
        if host.kept.get("stopping"):
            host.require_data()
        return {"changed": False}
    old = host.module.params["old"]
    if host.noted:
        os.rename(host.folder, "%s.%s" % (host.folder, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())))
    discard(host.folder)
    os.makedirs(os.path.join(host.folder, "files"), mode=0o700)
    manifest = [old["manifest"]] if old["manifest"] else []
    there = [path for path in host.wanted["overwritten"] if os.path.lexists(path)]
    for path in there + manifest:
        os.makedirs(os.path.dirname(host.copy_of(path)), exist_ok=True)
        host.run("cp", "-a", path, host.copy_of(path))
    os.sync()
    status = os.stat(os.path.join(old["data_directory"], "member"))
    host.note(
        id=host.wanted["id"],
        unit=old["unit"],
        manifest=old["manifest"],
        args=old["args"],
        data_directory=old["data_directory"],
        ids=[status.st_uid, status.st_gid],
        enabled=not manifest and Systemd(host.module.run_command, old["unit"]).status()[2],
        overwritten={path: path in there for path in host.wanted["overwritten"]},
    )
    return {"changed": True}


def take(host):
    """The old service ended, its data where the role has it."""
    if host.kept.get("taken"):
        return {"changed": False}
    host.spare()
    host.note(stopping=True)
    host.old().end()
    host.move(host.kept["data_directory"], host.data, ids_of(host.wanted["user"]))
    os.sync()
    host.note(taken=True)
    return {"changed": True}


def remove_other_drop_ins(host):
    """They would be heard by the role's own unit; their copies are kept."""
    folder = os.path.dirname(host.wanted["config_path"])
    for name in os.listdir(folder):
        if os.path.join(folder, name) != host.wanted["config_path"]:
            discard(os.path.join(folder, name))


def back(host):
    """The role's service ended, what was there put back, the old service started."""
    if not host.kept:
        return {"changed": False}
    stopping = host.kept.get("stopping")
    if stopping:
        host.require_data()
        host.spare()
        host.ours.stop()
        if not host.is_same_unit():
            host.module.run_command(["systemctl", "disable", host.wanted["service"]])
        host.move(host.data, host.kept["data_directory"], tuple(host.kept["ids"]))
    for path, there in host.kept["overwritten"].items():
        discard(path)
        if there:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            host.run("cp", "-a", host.copy_of(path), path)
    host.ours.reload()
    if stopping:
        start_old(host)
    discard(host.folder)
    return {"changed": True}


def start_old(host):
    """The old service, started as it was at boot, and waited for."""
    old = host.old()
    old.begin()
    host.wait(
        lambda: listens(host.etcdctl.endpoint),
        Refusal("ends", "%s does not listen again." % old.name, "Its log says why."),
    )


def main():
    """Runs the action that the task asks for."""
    module = AnsibleModule(argument_spec=SPEC)
    actions = {"look": look, "keep": keep, "take": take, "back": back}
    answer(module, lambda: actions[module.params["action"]](Adoption(module)))


if __name__ == "__main__":
    main()
