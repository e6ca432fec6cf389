"""A job's program for the executor contract tests: it does what its parameters say."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from .job import (  # type: ignore[import-not-found]  # the executor copies this file beside job.py
    Job,
    JobError,
    emit,
    measured,
    progress,
    write_json,
)


def main(job: Job) -> None:  # noqa: C901, PLR0912, PLR0915 - one case per test
    """Do one thing, named by `parameters["do"]`."""
    match job.parameters["do"]:
        case "copy":
            text = (job.inputs["data"] / "rows.txt").read_text()
            progress("probe.step", done=1, total=2)
            measured("probe.speed", 1.5, "rows/s")
            print("plain words")  # noqa: T201 - what a library may do
            (job.output / "rows.txt").write_text(text.upper())
        case "fail":
            raise JobError("row 3 is broken", where="rows.txt:3", advice="mend row 3")
        case "crash":
            raise RuntimeError("boom")
        case "look":
            seen = sorted(p.relative_to(job.inputs["data"]).as_posix() for p in job.inputs["data"].rglob("*"))
            write_json(job.output / "seen.json", {"files": seen, "environment": dict(os.environ), "umask": os.umask(0)})
        case "network":
            try:
                socket.create_connection(("127.0.0.1", job.parameters["port"]), timeout=2).close()
                reached = True
            except OSError:
                reached = False
            write_json(job.output / "reached.json", reached)
        case "hang":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            emit("probe.pids", own=os.getpid(), child=child.pid)
            time.sleep(600)
        case "close and hang":
            emit("probe.pids", own=os.getpid(), child=os.getpid())
            os.close(1)
            os.close(2)
            time.sleep(600)
        case "killed":
            os.kill(os.getpid(), 9)
        case "scratch":
            mark = job.scratch / "mark"
            before = mark.read_text() if mark.exists() else "nothing"
            mark.write_text("was here")
            write_json(job.output / "before.json", before)
        case "scratch and hang":
            (job.scratch / "mark").write_text("was here")
            emit("probe.marked")
            time.sleep(600)
        case "talk":
            for number in range(job.parameters["lines"]):
                emit("probe.line", number=number)
            (job.output / "x").write_text("x")
        case "silence":
            time.sleep(job.parameters["seconds"])
            (job.output / "x").write_text("x")
        case "files":
            tree = {p.relative_to(job.inputs["data"]).as_posix(): p.read_text() for p in files(job.inputs["data"])}
            (job.output / "deep" / "er").mkdir(parents=True)
            write_json(job.output / "deep" / "er" / "tree.json", tree)
        case "write":
            with open(job.parameters["path"], "w") as stream:  # noqa: PTH123 - a path of any form
                stream.write("x")
            (job.output / "x").write_text("x")
        case "track":
            folder = Path(os.environ["TRACKERS_FOLDER"])
            told = (Path(os.environ["TRACKERS_PACKAGES"]) / "package.txt").read_text()
            (folder / "tensorboard" / "events").write_text(f"{told} {os.environ['TRACKERS_RUN']}")
            (job.output / "x").write_text("x")
        case "eat":
            bytearray(job.parameters["bytes"]).count(1)
        case "helper eats":
            eater = f"bytearray({job.parameters['bytes']}).count(1)"
            subprocess.run([sys.executable, "-c", eater], check=False)
            (job.output / "x").write_text("x")
        case "fork":
            while True:
                if os.fork() == 0:
                    time.sleep(600)
        case "rights":
            status = Path("/proc/self/status").read_text().splitlines()
            write_json(job.output / "status.json", dict(line.split(":\t", 1) for line in status if ":\t" in line))
        case "execute":
            script = Path(job.parameters["path"])
            script.write_text("#!/bin/sh\necho ran\n")
            script.chmod(0o755)
            done = subprocess.run([script], capture_output=True, text=True, check=True)
            (job.output / "said.txt").write_text(done.stdout)


def files(folder: Path) -> list[Path]:
    """Return every file below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
