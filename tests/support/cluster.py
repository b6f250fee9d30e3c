"""A real SLURM cluster on loopback, without systemd, in one folder: controller, nodes and optional accounting.

Every daemon runs in the foreground as a child of this process. Daemons run as root, since nodes start jobs as the users
who submitted them. Each node is a slurmd on this machine, with its own port.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

DAEMONS = ("munged", "slurmctld", "slurmd", "slurmdbd", "mariadbd")
ACCOUNT = "lab"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

SLURM = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
SlurmctldPort={port}
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd-%n.log
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_min_interval=100000,bf_interval=2
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
KillWait=10
SlurmdTimeout=10
SlurmctldTimeout=10
InactiveLimit=0
MinJobAge=900
SlurmdParameters=config_overrides
GresTypes=gpu
{accounting}
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port={first}-{last} CPUs=2 RealMemory=6000 Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES MaxTime=4:00:00 State=UP
"""

ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={root}/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
"""

SLURMDBD = """\
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
LogFile={root}/slurmdbd.log
PidFile={root}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""


def why_not() -> str | None:
    """Return the reason why no cluster can run here, or `None` if one can."""
    if os.geteuid() != 0:
        return "a SLURM cluster for tests needs root"
    missing = [daemon for daemon in DAEMONS if shutil.which(daemon, path=PATH) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


@dataclass
class Cluster:
    """Cluster of nodes with two CPUs and one pretended GPU each.

    Attributes:
        root: empty folder for all files of the daemons.
        port: first port that the daemons listen on. The nine ports after it are used too.
        has_accounting: whether `sacct` has a database.
        nodes: number of nodes.
        daemons: running daemons, by name.
    """

    root: Path
    port: int
    has_accounting: bool = True
    nodes: int = 2
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables by which a user's commands find the cluster."""
        return {"SLURM_CONF": str(self.root / "slurm.conf"), "PATH": f"{self.root / 'bin'}:{PATH}"}

    def up(self) -> Cluster:
        """Start the cluster. Return when jobs can be submitted."""
        host = socket.gethostname().split(".")[0]
        names = {"root": self.root, "host": host, "nodes": self.nodes, "port": self.port}
        first = self.port + 3
        for folder in ("state", "bin", *(f"spool-n{node + 1}" for node in range(self.nodes))):
            (self.root / folder).mkdir()
        accounting = ACCOUNTING.format(root=self.root, port=self.port + 1) if self.has_accounting else ""
        conf = SLURM.format(**names, accounting=accounting, first=first, last=first + self.nodes - 1)
        self._write("slurm.conf", conf)
        # The GPU is pretended: a job that looks for one finds none.
        self._write("gres.conf", f"NodeName=n[1-{self.nodes}] Name=gpu File=/dev/null\n")
        self._write("cgroup.conf", "")
        # The executor's job step drops SLURM_CONF, since clusters with /etc/slurm need none. This srun sets it again.
        real = shutil.which("srun", path=PATH)
        self._write("bin/srun", f'#!/bin/sh\nSLURM_CONF={self.root}/slurm.conf exec {real} "$@"\n', mode=0o755)
        (self.root / "munge.key").write_bytes(os.urandom(128))
        (self.root / "munge.key").chmod(0o400)
        munge = [f"--{name}={self.root}/munge.{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
        self._start("munged", "--foreground", "--force", f"--key-file={self.root}/munge.key", *munge)
        self._wait_for("munged", lambda: (self.root / "munge.socket").is_socket())
        if self.has_accounting:
            self._start_accounting(names)
        self._start("slurmctld", "-D")
        self._wait_for("slurmctld", lambda: self.command("scontrol", "ping").returncode == 0)
        for node in range(1, self.nodes + 1):
            self.start_node(node)
        self._wait_for("nodes", lambda: self.states() == ["idle"] * self.nodes)
        return self

    def down(self) -> None:
        """End every daemon. Every job ends with its node."""
        if "slurmctld" in self.daemons:
            self.command("scancel", "--user=root")
        for name in reversed(self.daemons):
            _end(self.daemons[name])
        self.daemons.clear()

    def start_node(self, node: int) -> None:
        """Start a node's daemon."""
        self._start("slurmd", "-D", "-N", f"n{node}", name=f"n{node}")

    def lose_node(self, node: int) -> None:
        """Act like a power failure: the daemon and every process of its jobs vanish, and nobody is told."""
        daemon = self.daemons.pop(f"n{node}")
        daemon.kill()
        daemon.wait()
        jobs = [process for process in psutil.process_iter() if _node_of(process) == f"n{node}"]
        # The processes that watch over jobs go first, since they would report the end of the jobs.
        keepers = {parent for job in jobs if (parent := job.parent()) and parent.name().startswith("slurmstepd")}
        for process in [*keepers, *jobs]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def states(self) -> list[str]:
        """Return the states of the nodes, in order."""
        return self.command("sinfo", "--noheader", "-N", "--format", "%T").stdout.split()

    def jobs(self, form: str, *options: str) -> list[list[str]]:
        """Return the fields of this format for every job in the queue, one row per job."""
        out = self.command("squeue", "--noheader", "--array", "--format", form, *options).stdout
        return [line.split() for line in out.splitlines()]

    def account(self, folder: Path, *fields: str) -> list[list[str]]:
        """Return these fields of every job that a folder has had, one row per job."""
        form = ["--format", ",".join([f"WorkDir%{len(str(folder)) + 1}", *fields])]
        out = self.command("sacct", "-X", "--parsable2", "--noheader", "--starttime", "now-1days", *form).stdout
        rows = [line.split("|") for line in out.splitlines()]
        return [row[1:] for row in rows if row[0] == str(folder)]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a SLURM command."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def _start_accounting(self, names: dict[str, object]) -> None:
        folder, where = self.root / "database", f"--socket={self.root}/database.socket"
        client = ["--no-defaults", "-uroot", where]
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={folder}", "--skip-test-db"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        self._start(
            "mariadbd",
            *["--no-defaults", "--user=root", f"--datadir={folder}", where],
            *["--bind-address=127.0.0.1", f"--port={self.port + 2}", f"--pid-file={self.root}/database.pid"],
            *["--innodb-flush-log-at-trx-commit=0", "--innodb-lock-wait-timeout=900"],
        )
        self._wait_for("mariadbd", lambda: self.command("mariadb-admin", *client, "ping").returncode == 0)
        for host in ("127.0.0.1", "localhost"):
            statement = f"create user slurm@{host} identified by 'slurm'; grant all on slurm.* to slurm@{host}"
            assert self.command("mariadb", *client, "-e", statement).returncode == 0
        conf = SLURMDBD.format(**{**names, "port": self.port + 1, "database": self.port + 2})
        self._write("slurmdbd.conf", conf, mode=0o600)
        self._start("slurmdbd", "-D")
        self._wait_for("slurmdbd", lambda: self.command("sacctmgr", "-n", "show", "cluster").returncode == 0)
        for what in (["cluster", "tests"], ["account", ACCOUNT], ["user", "root", f"account={ACCOUNT}"]):
            assert self.command("sacctmgr", "-i", "add", *what).returncode == 0, what

    def _write(self, name: str, text: str, mode: int = 0o644) -> None:
        (self.root / name).write_text(text)
        (self.root / name).chmod(mode)

    def _start(self, daemon: str, *arguments: str, name: str = "") -> None:
        environment = {**os.environ, **self.environment}
        program = shutil.which(daemon, path=PATH)
        assert program is not None
        with (self.root / f"{name or daemon}.out").open("ab") as out:
            self.daemons[name or daemon] = subprocess.Popen(
                [program, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _wait_for(self, what: str, is_there: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not is_there():
            dead = [name for name, daemon in self.daemons.items() if daemon.poll() is not None]
            assert not dead, f"{dead} ended: see {self.root}"
            assert time.monotonic() < deadline, f"{what}: not there after {seconds} s: see {self.root}"
            time.sleep(0.1)


def _node_of(process: psutil.Process) -> str:
    """Return the node on which a job's process runs, or an empty string for other processes."""
    try:
        return process.environ().get("SLURMD_NODENAME", "")
    except psutil.Error:
        return ""


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(timeout=15)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
