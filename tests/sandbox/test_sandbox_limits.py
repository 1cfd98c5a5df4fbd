"""Programs that take too much, never end, or leave something running: each is stopped, named, and wholly gone."""

from __future__ import annotations

import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auditor.sandbox import Limits, SandboxResult, Status, Tier, run_program

SMALL = Limits(
    wall_seconds=30.0, cpu_seconds=8.0, memory_bytes=400 << 20, processes=16, file_bytes=8 << 20, result_bytes=1 << 20
)
BRIEF = replace(SMALL, wall_seconds=1.5)

CASES: dict[str, tuple[str, Limits, set[Status]]] = {
    "sleep": ("import time; time.sleep(60)", BRIEF, {Status.WALL_LIMIT}),
    "ignore every signal": (
        """
        import signal, time
        for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
            try: signal.signal(number, signal.SIG_IGN)
            except OSError: pass
        time.sleep(60)
        """,
        BRIEF,
        {Status.WALL_LIMIT},
    ),
    "stop oneself": ("import signal; os.kill(os.getpid(), signal.SIGSTOP)", BRIEF, {Status.WALL_LIMIT}),
    "close all pipes and stay": ("import time; os.closerange(0, 10); time.sleep(60)", BRIEF, {Status.WALL_LIMIT}),
    "keep a thread alive": (
        "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",
        BRIEF,
        {Status.WALL_LIMIT},
    ),
    "hang in atexit": ("import atexit, time; atexit.register(time.sleep, 60)", BRIEF, {Status.WALL_LIMIT}),
    "hang in a destructor": (
        """
        import time
        class Trap:
            def __del__(self): time.sleep(60)
        trap = Trap(); trap.itself = trap
        del trap
        import gc; gc.collect()
        """,
        BRIEF,
        {Status.WALL_LIMIT},
    ),
    "stop the clocks": (
        "import time; sleep = time.sleep; time.time = time.monotonic = time.perf_counter = lambda: 0.0; sleep(60)",
        BRIEF,
        {Status.WALL_LIMIT},
    ),
    "write for ever": ("while True: os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)", BRIEF, {Status.WALL_LIMIT}),
    "spin": ("while True: pass", replace(SMALL, cpu_seconds=1.0), {Status.CPU_LIMIT}),
    "spin and ignore SIGXCPU": (
        "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        replace(SMALL, cpu_seconds=1.0),
        {Status.CPU_LIMIT},
    ),
    "spin in many processes": (
        "for _ in range(4): os.fork()\nwhile True: pass",
        replace(SMALL, cpu_seconds=2.0, processes=40, memory_bytes=1 << 30),
        {Status.CPU_LIMIT},
    ),
    "fork bomb": (
        "while True:\n    try: os.fork()\n    except OSError: pass",
        BRIEF,
        {Status.WALL_LIMIT, Status.PROCESS_LIMIT, Status.CPU_LIMIT},
    ),
    "thread bomb": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        SMALL,
        {Status.FAILED, Status.PROCESS_LIMIT},
    ),
    "private memory": ("x = b'x' * (1 << 30)", SMALL, {Status.MEMORY_LIMIT}),
    "private memory, little by little": (
        "x = []\nwhile True: x.append(b'x' * (1 << 20))",
        SMALL,
        {Status.MEMORY_LIMIT},
    ),
    "shared memory": (
        """
        import mmap, time
        shared = mmap.mmap(-1, 1 << 30)
        for offset in range(0, 1 << 30, 4096): shared[offset] = 1
        time.sleep(60)
        """,
        SMALL,
        {Status.MEMORY_LIMIT},
    ),
    "memory in many processes": (
        "import time\nfor _ in range(3): os.fork()\nx = bytearray(os.urandom(1 << 20) * 150); time.sleep(60)",
        SMALL,
        {Status.MEMORY_LIMIT},
    ),
    "one large file": (
        "with open('f', 'wb') as f:\n    while True: f.write(b'x' * (1 << 20))",
        SMALL,
        {Status.FAILED, Status.DISK_LIMIT},
    ),
    "many files": (
        """
        import time
        for n in range(32): open(str(n), 'wb').write(b'x' * (1 << 20))
        time.sleep(60)
        """,
        SMALL,
        {Status.FAILED, Status.DISK_LIMIT},
    ),
    "deleted files": (
        """
        import time
        kept = []
        for n in range(32):
            kept.append(open('f', 'wb')); os.unlink('f'); kept[-1].write(b'x' * (1 << 20)); kept[-1].flush()
        time.sleep(60)
        """,
        SMALL,
        {Status.FAILED, Status.DISK_LIMIT},
    ),
    "empty files without end": (
        "n = 0\nwhile True:\n    n += 1; open(f'{n}', 'w').close()",
        SMALL,
        {Status.FAILED, Status.DISK_LIMIT},
    ),
    "descriptors without end": ("x = []\nwhile True: x.append(os.open('.', os.O_RDONLY))", SMALL, {Status.FAILED}),
    "giant result": (
        "import numpy as np; send(None, {'x': np.zeros(1 << 24, np.uint8)})",
        SMALL,
        {Status.RESULT_LIMIT},
    ),
    "kill the group": ("import signal; os.killpg(0, signal.SIGKILL)", SMALL, {Status.SIGNALLED, Status.FAILED}),
    "kill everything in reach": (
        """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try: os.kill(-1, signal.SIGTERM)
        except OSError: pass
        send(1)
        """,
        SMALL,
        {Status.OK},
    ),
    "exit at once": ("os._exit(7)", SMALL, {Status.FAILED}),
    "another architecture's system calls": (
        "import ctypes; ctypes.CDLL(None).syscall(0x40000000 | 39)",
        SMALL,
        {Status.SIGNALLED},
    ),
}


def survivors(token: str) -> list[str]:
    """Processes that carry ``token`` in their command line, as every fork of a program under test does."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if token.encode() in path.read_bytes():
                found.append(str(path))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def ends(tier: Tier, run_source: Any) -> dict[str, tuple[SandboxResult, list[str]]]:
    """How each program ended, and what of it still lived then; several at once, as most of them only wait."""

    def end(case: tuple[str, Limits, set[Status]]) -> tuple[SandboxResult, list[str]]:
        source, limits, _ = case
        token = secrets.token_hex(16)
        return run_source(source, tier=tier, limits=limits, arguments=[token]), survivors(token)

    with ThreadPoolExecutor(6) as pool:
        return dict(zip(CASES, pool.map(end, CASES.values()), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_it_is_stopped_and_gone(ends: dict[str, tuple[SandboxResult, list[str]]], name: str) -> None:
    _, limits, expected = CASES[name]
    result, left = ends[name]
    assert result.status in expected, result
    assert result.wall_seconds < limits.wall_seconds + 3.0
    assert left == []


def test_a_daemon_does_not_survive_success(tier: Tier, run_source: Any) -> None:
    token = secrets.token_hex(16)
    result = run_source(
        """
        import time
        ready, done = os.pipe()
        if os.fork() == 0:
            try: os.setsid()
            except OSError: pass
            if os.fork() == 0:
                os.write(done, b'x')
                time.sleep(60)
            os._exit(0)
        os.read(ready, 1)
        send("done")
        """,
        tier=tier,
        arguments=[token],
    )
    assert (result.status, result.json) == (Status.OK, "done")
    assert survivors(token) == []


def test_survivors_are_seen(run_source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of every ``survivors`` above: a living program is found."""
    monkeypatch.delenv("CI", raising=False)
    token = secrets.token_hex(16)
    options = {"tier": Tier.NONE, "allow_unsandboxed": True, "limits": BRIEF, "arguments": [token]}
    thread = threading.Thread(target=run_source, args=("import time; time.sleep(60)",), kwargs=options)
    thread.start()
    time.sleep(0.8)
    seen = survivors(token)
    thread.join()
    assert seen
    assert survivors(token) == []


def test_endless_output_to_a_file_is_cut(tier: Tier, tmp_path: Path) -> None:
    target = tmp_path / "out"
    result = run_program(["/bin/cat", "/dev/zero"], tier=tier, limits=SMALL, stdout_file=target)
    assert result.status is Status.RESULT_LIMIT
    assert target.stat().st_size <= SMALL.result_bytes


def test_only_the_end_of_standard_error_is_kept(tier: Tier, run_source: Any) -> None:
    result = run_source("os.write(2, b'a' * 5_000_000 + b'\\xffend')", tier=tier)
    assert result.status is Status.OK
    assert len(result.stderr) == Limits().stderr_bytes
    assert result.stderr.endswith("a\N{REPLACEMENT CHARACTER}end")


def test_unread_input_does_not_block(tier: Tier, run_source: Any) -> None:
    result = run_source("send(1)", tier=tier, stdin=b"x" * 20_000_000)
    assert result.json == 1
