"""A forked child does not keep what proves that its parent lives."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

from runs.forks import not_inherited

CODE = """
import fcntl, os, sys, time
from runs.forks import not_inherited
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
with not_inherited(file.fileno()):
    child = os.fork()
    if child == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
    time.sleep(60)
"""


def test_the_lock_of_a_killed_process_is_free_although_its_child_lives(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    parent = subprocess.Popen([sys.executable, "-c", CODE, str(lock)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        with lock.open("a+") as file:
            parent.kill()
            parent.wait(10)
            os.kill(child, 0)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()


def test_after_the_context_a_descriptor_is_inherited_again(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        with not_inherited(file.fileno()):
            pass
        child = os.fork()
        if child == 0:
            file.write("from the child")
            file.flush()
            os._exit(0)
        os.waitpid(child, 0)
    assert (tmp_path / "file").read_text() == "from the child"
