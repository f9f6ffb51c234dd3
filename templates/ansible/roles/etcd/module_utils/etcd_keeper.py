"""Keeps one etcd running where no service manager does. Usage: keeper.py FOLDER

The role puts this file on such a host as FOLDER/keeper.py; its modules use the functions here as well. Only Python's
own library is used. In the folder lie member.conf (the program, its log and its ETCD_* variables), keeper.json and
member.json: the pid of each process and its birth, so that no later process with that pid is taken for it.

etcd does not depend on its keeper: it has a session of its own and writes to its log by itself. A keeper that finds
etcd running takes it over as it is. SIGTERM ends etcd and then the keeper; SIGKILL ends the keeper alone.
"""

from __future__ import annotations

import binascii
import fcntl
import glob
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import time

PROGRAM, CONFIG, KEEPER, MEMBER = "keeper.py", "member.conf", "keeper.json", "member.json"
LOOK_EVERY = 0.5  # seconds; the end of its own child wakes a keeper at once
# An etcd that ended within so many seconds is started again after a pause that grows.
QUICK_END, LONGEST_PAUSE = 5, 4
STOP_WITHIN = 30
LOG_BYTES, OLD_LOGS = 10 << 20, 2


def birth_of(pid):
    """What tells a process from a later one with its pid; '' where it has ended. As birthOf in processes.ts."""
    if os.path.exists("/proc/self/stat"):
        try:
            with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    ps = ["env", "LC_ALL=C", "ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
    fields = subprocess.run(ps, stdout=subprocess.PIPE, check=False).stdout.decode(errors="replace").split()
    return "" if not fields or fields[0][0] in "ZX" else " ".join(fields[1:])


def noted(folder, name):
    """What a note says, while the process that it names runs; None otherwise."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            note = json.load(file)
        return note if birth_of(note["pid"]) == note["birth"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_note(folder, name, **values):
    """Notes this process, whole or not at all."""
    note = dict(pid=os.getpid(), birth=birth_of(os.getpid()), started=time.time(), **values)
    put_note(folder, name, note)
    return note


def put_note(folder, name, note):
    """Writes a note as it is given."""
    path = os.path.join(folder, name)
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(note, file)
    os.rename(temporary, path)


def forget(folder, *names):
    """Removes notes."""
    for name in names:
        try:
            os.unlink(os.path.join(folder, name))
        except FileNotFoundError:
            pass


def code_of(folder):
    """A sum of the keeper's program as it lies in the folder."""
    with open(os.path.join(folder, PROGRAM), "rb") as file:
        return binascii.crc32(file.read())


def end(note, within=STOP_WITHIN, waited=lambda: None):
    """Ends a noted process, by force where it does not end in time; returns when it is gone."""
    deadline = time.monotonic() + within
    sent = None
    while note and birth_of(note["pid"]) == note["birth"]:
        wanted = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        if wanted != sent:
            try:
                os.kill(note["pid"], wanted)
            except ProcessLookupError:
                return
            sent = wanted
        time.sleep(0.02)
        waited()


def stop(folder):
    """Ends the keeper and its etcd, for good: nobody but the role starts them again."""
    end(noted(folder, KEEPER), STOP_WITHIN + 5)
    end(noted(folder, MEMBER))
    forget(folder, KEEPER, MEMBER)


def read_config(folder):
    """(program, log, variables) of member.conf: a name and a value on each line."""
    with open(os.path.join(folder, CONFIG), encoding="utf-8") as file:
        values = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line and not line.startswith("#"))
    return values.pop("program"), values.pop("log"), values


def has_data(data):
    """Whether etcd may start there: it never starts without data but the first time (FIRST_START in etcd_files.py)."""
    logs = glob.glob(os.path.join(glob.escape(data), "member", "wal", "*.wal"))
    return bool(logs) or os.path.exists(os.path.join(data, "first-start"))


def rotate(log):
    """Copies a log that has grown and empties it: etcd, which appends to it, writes on."""
    if not os.path.exists(log) or os.path.getsize(log) < LOG_BYTES:
        return
    for number in range(OLD_LOGS, 1, -1):
        if os.path.exists("%s.%d" % (log, number - 1)):
            os.rename("%s.%d" % (log, number - 1), "%s.%d" % (log, number))
    shutil.copyfile(log, log + ".1")
    os.truncate(log, 0)


def say(log, words):
    """A line of the keeper's own in etcd's log."""
    with open(log, "a", encoding="utf-8") as file:
        file.write("%s keeper: %s\n" % (time.strftime("%Y-%m-%dT%H:%M:%S%z"), words))


class Keeper:
    """One etcd and how it fares."""

    def __init__(self, folder):
        self.folder = folder
        self.place = os.open(folder, os.O_RDONLY)
        self.child = None
        self.since = time.monotonic() - QUICK_END
        self.failures = 0
        self.next_start = 0.0
        self.note = {}
        self.member = noted(folder, MEMBER)

    def is_only_one(self):
        """Takes the folder's lock, which ends with this process, however that ends."""
        try:
            fcntl.flock(self.place, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            return False

    def tell(self):
        """Notes this keeper."""
        python = os.path.realpath(sys.executable)
        self.note = write_note(self.folder, KEEPER, python=python, code=code_of(self.folder), failures=self.failures)

    def is_stranded(self):
        """Whether the folder is gone, or another one lies in its place: nobody would find this keeper any more."""
        try:
            there, mine = os.stat(self.folder), os.fstat(self.place)
            return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)
        except FileNotFoundError:
            return True

    def reap(self):
        """Lets the system forget a child that has ended. Returns whether the member, a child or not, is gone."""
        if self.child:
            return self.child.poll() is not None
        return birth_of(self.member["pid"]) != self.member["birth"] if self.member else False

    def look(self):
        """One look: starts etcd where it does not run, notes what changed, keeps the log short."""
        now = time.monotonic()
        if self.member and self.reap():
            self.has_ended(now)
        elif self.member and self.failures and now - self.since >= QUICK_END:
            self.count(0)
        if not self.member and now >= self.next_start:
            self.start(now)
        for name, note in ((KEEPER, self.note), (MEMBER, self.member)):
            if note and not os.path.exists(os.path.join(self.folder, name)):
                put_note(self.folder, name, note)
        rotate(read_config(self.folder)[1])

    def has_ended(self, now):
        """etcd is gone: it starts again at once, unless it does not stay up."""
        code = self.child.returncode if self.child else None
        how = "" if code is None else " by signal %d" % -code if code < 0 else " with exit code %d" % code
        self.member, self.child = None, None
        if now - self.since < QUICK_END:
            self.fails(now)
        say(read_config(self.folder)[1], "etcd ended%s." % how)

    def fails(self, now):
        """etcd does not stay up: the next start waits, each time longer."""
        self.next_start = now + min(0.5 * 2 ** min(self.failures, 8), LONGEST_PAUSE)
        self.count(self.failures + 1)

    def count(self, failures):
        """Notes how often in a row etcd did not stay up."""
        self.failures = self.note["failures"] = failures
        put_note(self.folder, KEEPER, self.note)

    def start(self, now):
        """Starts etcd with its configuration as it is now."""
        program, log, variables = read_config(self.folder)
        self.since = now
        data = variables["ETCD_DATA_DIR"]
        if not has_data(data):
            self.fails(now)
            say(log, "Not started: %s holds no data. Run up, or the role: it says what to do." % data)
            return
        home = pwd.getpwuid(os.getuid()).pw_dir
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "LANG": "C.UTF-8", **variables}
        try:
            with open(log, "ab") as output:
                # It notes itself before it becomes etcd: a keeper that is killed meanwhile leaves no etcd unnoted.
                self.child = subprocess.Popen(
                    [program],
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    preexec_fn=lambda: write_note(self.folder, MEMBER),
                )
            self.member = noted(self.folder, MEMBER)
        except (OSError, subprocess.SubprocessError) as error:
            say(log, "%s could not be started: %s" % (program, error))
        if not self.member:
            self.fails(now)


def keep(folder, ready):
    """Keeps etcd running until SIGTERM comes or the folder is gone. ready: called after the first look."""
    asked = []
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    keeper = Keeper(folder)
    if not keeper.is_only_one():
        return ready()
    keeper.tell()
    while not asked and not keeper.is_stranded():
        try:
            keeper.look()
        except (OSError, KeyError, ValueError):
            pass  # a full disk, or no configuration: etcd runs on, and the next look may fare better
        if ready:
            ready()
            ready = None
        select.select([woken], [], [], LOOK_EVERY)
        while select.select([woken], [], [], 0)[0]:
            os.read(woken, 512)
    end(keeper.member, waited=keeper.reap)
    if not keeper.is_stranded():
        forget(folder, MEMBER)  # the other note stays: after a boot it says that this etcd was meant to run
    return None


def main(folder):
    """Starts a keeper that lives on by itself; returns once it has looked after its etcd. One that is there already
    stays."""
    heard, told = os.pipe()
    if os.fork():
        os.close(told)
        return 0 if os.read(heard, 1) else 1
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    keep(folder, lambda: (os.write(told, b"."), os.close(told)))
    return 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
