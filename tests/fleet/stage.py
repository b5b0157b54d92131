"""What the tests of a fleet stand on: processes in a private directory, checks, and an end that leaves
nothing behind."""

import atexit
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request


class Skipped(Exception):
    """A check cannot be made here, for this reason."""


class Stage:
    """A private directory, and everything that was started for it."""

    def __init__(self, ebtools, packages):
        self.ebtools = str(pathlib.Path(ebtools).resolve())
        self.packages = pathlib.Path(packages)
        self.source = pathlib.Path(__file__).resolve().parents[2]
        self.contrib = self.source / "contrib"
        # Other users' engines must get through it, and see nothing.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="ebtools-fleet.", dir="/var/tmp"))
        self.dir.chmod(0o711)
        self.cgroup = None
        self.database = None
        self.started = []
        self.undo = []
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        atexit.register(self.clean)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))

    # --- checks -------------------------------------------------------------------------------

    def check(self, name, function):
        """Prints its line; returns what the function returns, or None where it failed."""
        begun = time.monotonic()
        try:
            result = function()
            self.counts["passed"] += 1
            took = time.monotonic() - begun
            said = f": {result}" if isinstance(result, str) else ""
            print(f"test {name} ... ok ({took:.1f} s){said}", flush=True)
            return result if result is not None else True
        except Skipped as why:
            self.counts["skipped"] += 1
            print(f"test {name} ... skipped: {why}", flush=True)
        except Exception as error:  # whatever it is, the others go on
            self.counts["failed"] += 1
            print(f"test {name} ... FAILED", flush=True)
            print(f"    {type(error).__name__}: {error}".replace("\n", "\n    "), flush=True)
        return None

    def close(self):
        """The last line, and the exit code."""
        c = self.counts
        print(f"fleet: {c['passed']} passed, {c['failed']} failed, {c['skipped']} skipped")
        return 1 if c["failed"] else 0

    # --- programs -----------------------------------------------------------------------------

    def program(self, pattern):
        """An engine's program: this machine's own, or one of the cache."""
        for root in (pathlib.Path("/"), self.packages):
            found = sorted(root.glob(pattern))
            if found:
                return str(found[-1])
        raise Skipped(f"there is no {pattern}: tests/fleet/fetch")

    def environment(self):
        """Programs of the cache find their libraries there, and Python its packages."""
        libraries = sorted(self.packages.glob("usr/lib/*-linux-gnu*")) + sorted(self.packages.glob("lib/*-linux-gnu*"))
        paths = ":".join(str(path) for path in libraries)
        return dict(os.environ, LD_LIBRARY_PATH=paths, PYTHONPATH=str(self.packages / "python"), LC_ALL="C.UTF-8")

    def directory(self, name, uid=None):
        path = self.dir / name
        path.mkdir(parents=True, exist_ok=True)
        if uid is not None:
            os.chown(path, uid, uid)
        return path

    def start(self, name, args, **more):
        """Starts it; what it says is in NAME.log. It ends with us, whatever ends us."""
        log = open(self.dir / f"{name}.log", "ab")
        args = ["setpriv", "--pdeathsig", "KILL", "--"] + [str(arg) for arg in args]
        more.setdefault("env", self.environment())
        process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)
        process.name = name
        self.started.append(process)
        return process

    def stop(self, process, number=signal.SIGTERM, seconds=20):
        """Ends it; returns its exit code."""
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{process.name} did not end within {seconds} s") from None

    def run(self, args, seconds=120, **more):
        """Runs it to its end; returns what it said, and raises that where it failed."""
        more.setdefault("env", self.environment())
        done = subprocess.run(
            [str(arg) for arg in args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds,
            check=False, **more)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, args))}: exit code {done.returncode}\n{done.stdout[-3000:]}")
        return done.stdout

    def said(self, name):
        return (self.dir / f"{name}.log").read_text(errors="replace")

    def make_cgroup(self, name):
        """A new cgroup, removed at the end."""
        if not self.cgroup:
            mounts = [line.split() for line in open("/proc/self/mounts", encoding="utf-8")]
            root = [words[1] for words in mounts if words[2] == "cgroup2"]
            if not root:
                raise Skipped("there is no cgroup2")
            self.cgroup = pathlib.Path(root[0]) / f"ebtools-fleet-{os.getpid()}"
            self.cgroup.mkdir()
            self.undo.append(self.remove_cgroups)
        (self.cgroup / name).mkdir()
        return self.cgroup / name

    def remove_cgroups(self):
        for path in [*self.cgroup.glob("*"), self.cgroup]:
            if path.is_dir():
                until("processes have left the cgroup", lambda path=path: not (path / "cgroup.procs").read_text(), 10)
                path.rmdir()

    @staticmethod
    def in_cgroup(cgroup):
        """What runs a command in it."""
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', f"{cgroup}/cgroup.procs"]

    def postgres_once(self):
        """A PostgreSQL of our own: the directory of its socket, and how psql is called."""
        if not self.database:
            self.database = self.postgres()
        return self.database

    def postgres(self):
        nobody = 65534
        bin_dir = pathlib.Path(self.program("usr/lib/postgresql/*/bin/initdb")).parent
        share = bin_dir.parents[3] / "share/postgresql" / bin_dir.parent.name
        data = self.directory("postgres", nobody)
        as_nobody = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups", "--"]
        self.run([*as_nobody, bin_dir / "initdb", "-L", share, "-D", data / "data", "-U", "rsyslog", "-A", "trust",
                  "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
        self.start("postgres-server", [
            *as_nobody, bin_dir / "postgres", "-D", data / "data", "-k", data, "-c", "listen_addresses=", "-c", "shared_buffers=256MB",
            "-c", "max_wal_size=4GB"])
        psql = [bin_dir / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", data, "-U", "rsyslog"]
        until("postgres is there", lambda: subprocess.run(
            [*psql, "-d", "postgres", "-c", "select 1"], capture_output=True, check=False).returncode == 0)
        self.run([*psql, "-d", "postgres", "-c", "create database fleet"])
        self.run([*psql, "-d", "fleet", "-c", "create extension if not exists pg_trgm", "-f", self.contrib / "sql/postgresql.sql"])
        return data, [*psql, "-d", "fleet"]

    # --- the end ------------------------------------------------------------------------------

    def clean(self):
        """Ends everything that was started, the last first, and removes what is left."""
        for process in reversed(self.started):
            try:
                self.stop(process, seconds=5)
            except (AssertionError, ProcessLookupError):
                pass
        for undo in reversed(self.undo):
            undo()
        self.undo = []
        if os.environ.get("FLEET_KEEP"):
            print(f"kept: {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


def until(what, condition, seconds=30, every=0.1):
    """Waits for it; returns what it returned at last."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            last = condition()
        except (OSError, ValueError, KeyError) as error:
            last, shown = None, error
        else:
            if last:
                return last
            shown = last
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds} s; the last was {shown!r}")


def get(url, seconds=5):
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        return answer.read().decode()


def query(prometheus, expression):
    """The instant vector: a list of (labels, value)."""
    url = f"{prometheus}/api/v1/query?query={urllib.request.quote(expression)}"
    try:
        answer = json.loads(get(url))
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{expression}: {error.read().decode()}") from None
    return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]


def alerts(prometheus, name):
    """Alerts of this name that fire: their labels."""
    answer = json.loads(get(f"{prometheus}/api/v1/alerts"))
    return [a["labels"] for a in answer["data"]["alerts"] if a["labels"]["alertname"] == name and a["state"] == "firing"]


def metrics(text):
    """Samples of a text in Prometheus's format: {(name, labels as text): value}."""
    found = re.findall(r'^(\w+)(?:\{(.*)\})? (\S+)$', text, re.M)
    return {(name, labels): float(value) for name, labels, value in found}


def records(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
