#!/usr/bin/python
"""A member's data on its host: how far it got, moved aside, copied, restored from a snapshot, removed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.etcd_checks import authority, free_bytes, names_cluster, size
from ansible.module_utils.etcd_files import (
    FIRST_START,
    RESTORED_AS,
    TEMPORARY,
    discard,
    give_folder,
    has_log,
    ids_of,
    leftovers,
    make_directory,
    make_user,
    put,
    read,
    remove_user,
    restored_as,
)
from ansible.module_utils.etcd_log import old_requests, progress
from ansible.module_utils.etcd_refusal import Refusal, answer
from ansible.module_utils.etcd_service import refusing_clients, service_of

DOCUMENTATION = r"""
module: etcd_data
short_description: Look after the data of one etcd member
description:
  - Every action may be cut short and done again.
options:
  action:
    description:
      - V(inspect) reports what there is of data, and whose; it changes nothing.
      - V(set_aside) stops etcd and moves its data aside; data that was restored under I(token) stays.
      - V(copy) stops etcd and copies its data.
      - V(stage) restores a snapshot in a folder beside the data, where etcd does not see it. With I(own) it is the
        database that etcd leaves as it is stopped for that.
      - V(take) puts what was staged in the data's place, which must be empty.
      - V(remove) removes this cluster's data for good, also what was moved aside, and its certificates; what others put
        beside them stays.
      - V(leave) removes, after that, the configuration, and the user where the role made it.
    choices: [inspect, set_aside, copy, stage, take, remove, leave]
    required: true
    type: str
  wanted:
    description: Where things are on the host; C(etcd_data_wanted) in the role's vars.
    required: true
    type: dict
  token:
    description: The initial cluster token that a snapshot is restored under; it marks the data as restored.
    default: ""
    type: str
  snapshot:
    description: The snapshot. The action plugin sends it to the host.
    type: path
  own:
    description: With V(stage), whether the member's own database is restored in the place of a snapshot.
    default: false
    type: bool
  tool:
    description: The etcdutl or etcdctl that restores it. The action plugin sends it to the host.
    type: path
  flags:
    description: The tool's flags, but for the data directory.
    elements: str
    type: list
  read_log:
    description: With V(inspect), whether the whole log is read for what a newer etcd could not.
    default: false
    type: bool
  find_refusing:
    description: With V(inspect), whether the clients are looked for that refuse the member's certificates.
    default: false
    type: bool
"""

RETURN = r"""
running:
  description: Whether etcd runs.
  returned: with action=inspect
  type: bool
has_data:
  description: Whether the data directory holds a member's log.
  returned: with action=inspect
  type: bool
commit:
  description: The last raft index that the member knew to be committed.
  returned: with action=inspect
  type: int
last:
  description: The last raft index in its log.
  returned: with action=inspect
  type: int
member:
  description: The ID of the member whose data it is; '' where there is no log.
  returned: with action=inspect
  type: str
removed:
  description: The IDs of members whose removal the newest file of its log holds.
  returned: with action=inspect
  type: list
  elements: str
foreign:
  description: Whether the host has the certificate of another authority.
  returned: with action=inspect
  type: bool
ours:
  description: Whether the role has set the host up for this cluster; its configuration or its authority says so.
  returned: with action=inspect
  type: bool
restored:
  description: The token that the data was restored under, or is staged under; '' where it was not.
  returned: with action=inspect
  type: str
machine:
  description: What uname calls the host's machine.
  returned: with action=inspect
  type: str
free:
  description: The bytes that are free for the data.
  returned: with action=inspect
  type: int
database:
  description: The bytes of the member's database.
  returned: with action=inspect
  type: int
size:
  description: The bytes of all that the member has.
  returned: with action=inspect
  type: int
old_requests:
  description: What in the log stands in the way of etcd 3.6 (V(before_3_6)) and 3.7 (V(before_3_7)); '' where nothing
    does.
  returned: with action=inspect and read_log
  type: dict
programs:
  description: The folder of the etcd that a keeper runs; '' under systemd, where the unit says it.
  returned: with action=inspect and read_log
  type: str
refusing:
  description: How often each client's address has refused the member's certificates since these were installed, by what
    etcd says of failed handshakes.
  returned: with action=inspect and find_refusing
  type: dict
aside:
  description: Where the old data, or its copy, is now; '' where there was none.
  returned: with action=set_aside and action=copy
  type: str
left:
  description: The folders that stay, since they are disks of their own or others have put something there.
  returned: with action=remove
  type: list
  elements: str
"""

SPEC = {
    "action": {"choices": ["inspect", "set_aside", "copy", "stage", "take", "remove", "leave"], "required": True},
    "wanted": {
        "type": "dict",
        "required": True,
        "options": {
            "user": {"type": "str"},
            "data_directory": {"type": "path"},
            "service": {"type": "dict"},
            "ca_path": {"type": "str"},
            "ca": {"type": "str"},
            "config_path": {"type": "str"},
            "tokens": {"type": "list", "elements": "str"},
            "certificates": {"type": "list", "elements": "path"},
        },
    },
    "token": {"type": "str", "default": "", "no_log": False},
    "snapshot": {"type": "path"},
    "own": {"type": "bool", "default": False},
    "tool": {"type": "path"},
    "flags": {"type": "list", "elements": "str"},
    "read_log": {"type": "bool", "default": False},
    "find_refusing": {"type": "bool", "default": False},
}


# Bytes of a reason that a process of ours gives: fewer than a pipe holds.
LONGEST_REASON = 4096


class Data:
    """The data of the host that the module's arguments describe."""

    def __init__(self, module):
        wanted = module.params["wanted"]
        service = wanted["service"]
        self.module = module
        self.token = module.params["token"]
        self.ids = ids_of(wanted["user"])
        self.user = wanted["user"]
        self.folder = wanted["data_directory"]
        self.member = os.path.join(self.folder, "member")
        self.staged = os.path.join(self.folder, "restored")
        self.certificates = wanted["certificates"] or []
        self.programs = kept_programs(read(wanted["config_path"]) or "")
        self.service = service_of(module.run_command, service["manager"], service["name"], service["keeper"])
        there_ca = read(wanted["ca_path"])
        self.foreign = bool(wanted["ca"]) and authority(there_ca, wanted["ca"]) == "another"
        self.ours = not self.foreign and (
            bool(there_ca and wanted["ca"]) or names_cluster(read(wanted["config_path"]), wanted["tokens"])
        )

    def aside(self):
        """Where the data goes that is moved aside or copied now."""
        return "%s.%s" % (self.member, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))

    def require_ours(self):
        """Raises where another cluster's certificates are."""
        if self.foreign:
            raise Refusal(
                "foreign",
                "its certificates are of another authority: this host belongs to another cluster.",
                "Take it out of the inventory.",
            )

    def is_restored(self):
        """Whether the data is what was restored under our token."""
        return bool(self.token) and restored_as(self.member) == self.token

    def is_staged(self):
        """Whether what was restored under our token waits to be put in place."""
        return restored_as(os.path.join(self.staged, "member")) == self.token


def kept_programs(config):
    """The folder of the etcd that a keeper runs; '' for any other configuration."""
    found = re.search(r"^program=(.*)/etcd$", config, re.MULTILINE)
    return found.group(1) if found else ""


def inspect(data):
    """What there is; changes nothing."""
    running, _since, _enabled = data.service.status()
    restored = restored_as(data.member) or restored_as(os.path.join(data.staged, "member"))
    has_data = has_log(data.folder)
    found = {
        "changed": False,
        "running": running and has_data,
        "has_data": has_data,
        **progress(data.folder),
        "foreign": data.foreign,
        "ours": data.ours,
        "restored": restored,
        "machine": os.uname().machine,
        "free": free_bytes(data.folder),
        "database": size(os.path.join(data.member, "snap", "db")),
        "size": size(data.member),
    }
    if data.module.params.get("read_log"):
        found["old_requests"] = old_requests(data.folder)
        found["programs"] = data.programs
    if data.module.params.get("find_refusing"):
        since = max([os.stat(path).st_mtime for path in data.certificates if os.path.exists(path)], default=0)
        found["refusing"] = refusing_clients(data.service.log(since), since)
    return found


def set_aside(data):
    """etcd stopped, and what is left of its data moved away."""
    data.require_ours()
    if data.is_restored():
        return {"changed": False, "aside": ""}
    running, _since, _enabled = data.service.status()
    aside = data.aside() if os.path.exists(data.member) else ""
    if not data.module.check_mode:
        data.service.stop()
        permit = os.path.join(data.folder, FIRST_START)
        if os.path.exists(permit):
            os.unlink(permit)
        if aside:
            os.rename(data.member, aside)
            os.sync()  # else a power cut could bring the old data back, beside what is formed without it
    return {"changed": running or bool(aside), "aside": aside}


def copy(data):
    """etcd stopped, and its data copied, whole or not at all."""
    aside = data.aside()
    if not data.module.check_mode:
        data.service.stop()
        part = data.member + ".part"
        as_user(data.ids, lambda: copy_folder(data.member, part))
        os.sync()
        os.rename(part, aside)
    return {"changed": True, "aside": aside}


def copy_folder(source, part):
    """A copy that only its owner may enter."""
    discard(part)
    shutil.copytree(source, part, symlinks=True)
    os.chmod(part, 0o700)


def as_user(ids, work):
    """Does it with the rights of the user that runs etcd: what that user may have put there, links say, opens nothing
    more to it."""
    said, says = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0 and ids[0] != 0:
                os.setgroups([])
                os.setgid(ids[1])
                os.setuid(ids[0])
            work()
        except BaseException as error:  # the parent raises it
            os.write(says, str(error).encode()[:LONGEST_REASON])
            os._exit(1)
        os._exit(0)
    os.close(says)
    with os.fdopen(said, "rb") as pipe:
        reason = pipe.read().decode(errors="replace")
    if os.waitpid(child, 0)[1] != 0:
        raise Refusal("copy", "The data could not be copied: %s" % (reason or "the copying process was killed."))


def stage(data):
    """The snapshot restored beside the data. Nothing that etcd uses is touched."""
    data.require_ours()
    if data.is_restored() or data.is_staged():
        return {"changed": False}
    if not data.module.check_mode:
        if data.ids is None:
            data.ids = make_user(data.module.run_command, data.user)
        make_directory(data.folder, 0o700, data.ids)
        discard(data.staged)
        restore_beside(data)
    return {"changed": True}


def restore_beside(data):
    """In a folder that etcd's user cannot enter, by its handle: nobody can put a link in the tool's way. Then it is
    etcd's."""
    closed = os.path.join(data.folder, TEMPORARY + "restored")
    discard(closed)
    os.mkdir(closed, 0o700)
    handle = os.open(closed, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(handle).st_uid != os.geteuid():
            raise Refusal("restore", "%s was taken away meanwhile." % closed, "Run this again.")
        os.fchdir(handle)
        if data.module.params["own"]:
            data.service.stop()
            with open("database", "xb") as copied:
                as_user(data.ids, lambda: copy_database(data.member, copied))
            run_tool(data, "database", ["--skip-hash-check"])
        else:
            run_tool(data, data.module.params["snapshot"], [])
        put(os.path.join("restored", "member", RESTORED_AS), data.token, 0o600, data.ids)
        give_folder("restored", data.ids)
        os.sync()
        os.rename("restored", data.staged)
    finally:
        os.chdir("/")
        os.close(handle)
        discard(closed)


def copy_database(member, copied):
    """What etcd leaves as it is stopped: all that it has applied. It has no checksum, as a snapshot has."""
    with open(os.path.join(member, "snap", "db"), "rb") as database:
        shutil.copyfileobj(database, copied)
    copied.flush()
    os.fsync(copied.fileno())


def run_tool(data, snapshot, flags):
    """etcd's own restore, into the folder that we are in; what a person's ETCDCTL_* say is not heard."""
    params = data.module.params
    others = {name: "" for name in os.environ if name.startswith("ETCDCTL_")}
    flags = [*params["flags"], *flags, "--data-dir", "restored"]
    command = [params["tool"], "snapshot", "restore", snapshot, *flags]
    try:
        code, out, err = data.module.run_command(command, environ_update=others, handle_exceptions=False)
    except OSError as error:
        raise Refusal(
            "restore", "%s does not run here: %s." % (os.path.basename(params["tool"]), error.strerror)
        ) from error
    if code != 0:
        raise Refusal(
            "restore",
            "The snapshot could not be restored here.",
            output="\n".join((err or out).strip().splitlines()[-3:]),
        )


def take(data):
    """What was staged, in the data's place."""
    if data.is_restored():
        return {"changed": False}
    if not data.module.check_mode:
        if os.path.exists(data.member):
            raise Refusal("in-the-way", "%s is in the way." % data.member, "Set it aside first.")
        if not data.is_staged():
            raise Refusal("not-staged", "No snapshot was staged here.", "Stage it first.")
        os.rename(os.path.join(data.staged, "member"), data.member)
        os.sync()
        shutil.rmtree(data.staged)
    return {"changed": True}


def remove(data):
    """Our data and our certificates, and their folders too where nothing else is in them. The service was stopped
    before."""
    there = os.listdir(data.folder) if os.path.isdir(data.folder) else []
    ours = [
        os.path.join(data.folder, name)
        for name in there
        if name in ("member", "restored", FIRST_START) or name.startswith("member.")
    ]
    ours += [path for path in data.certificates if os.path.lexists(path)]
    folders = [
        path
        for path in {data.folder: 0, **{os.path.dirname(path): 0 for path in data.certificates}}
        if os.path.isdir(path)
    ]
    if data.module.check_mode:
        return {"changed": bool(folders), "left": []}
    for path in [*ours, *(path for folder in folders for path in leftovers(folder))]:
        discard(path)
    return {"changed": bool(folders), "left": [path for path in folders if not remove_folder(path)]}


def leave(data):
    """The user, unless files of his may be left; then the configuration, by which a run that was cut short knows the
    host again, and its folder."""
    config = data.module.params["wanted"]["config_path"]
    if data.module.check_mode:
        return {"changed": os.path.lexists(config)}
    if not os.path.isdir(data.folder) or not os.listdir(data.folder):
        remove_user(data.module.run_command, data.user)
    there = os.path.lexists(config)
    discard(config)
    if os.path.isdir(os.path.dirname(config)):
        remove_folder(os.path.dirname(config))
    return {"changed": there}


def remove_folder(path):
    """Removes a folder that is empty, or the link to one; False where it is not empty, or a disk of its own."""
    try:
        if os.path.islink(path):
            os.unlink(path)
        else:
            os.rmdir(path)
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
            return False
        raise


def main():
    """Runs the action that the task asks for."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    actions = {
        "inspect": inspect,
        "set_aside": set_aside,
        "copy": copy,
        "stage": stage,
        "take": take,
        "remove": remove,
        "leave": leave,
    }
    answer(module, lambda: actions[module.params["action"]](Data(module)))


if __name__ == "__main__":
    main()
