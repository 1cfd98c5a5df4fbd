"""The system-call filter, run by a BPF interpreter for both architectures, and the parts that old kernels need."""

from __future__ import annotations

import errno
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.sandbox import landlock
from auditor.sandbox.seccomp import _NUMBERS, assemble

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL = 0x7FFF0000, 0x80000000


def decide(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the kernel would answer, by the semantics of Linux's filter.rst."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    code = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        operation, if_true, if_false, k = code[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, k)
            case 0x54:
                accumulator &= k
            case 0x15:
                at += if_true if accumulator == k else if_false
            case 0x35:
                at += if_true if accumulator >= k else if_false
            case 0x06:
                return int(k)
            case _:
                raise AssertionError(f"operation {operation:#x}")


@pytest.fixture(params=ARCHITECTURES)
def machine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def strict(machine: str) -> bytes:
    return assemble(machine, stay_in_group=True, keep_metadata=True, signal_only=77)


CONDITIONAL = {"socketpair", "clone", "prlimit64", "kill", "tgkill", "fcntl", "setpriority", "ioprio_set"} | {
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    *(name for name in _NUMBERS if name.startswith("sched_")),
}


def test_every_named_call_is_refused_and_its_neighbours_are_not(machine: str) -> None:
    column = list(ARCHITECTURES).index(machine)
    refused = {numbers[column] for name, numbers in _NUMBERS.items() if name not in CONDITIONAL}
    conditional = {_NUMBERS[name][column] for name in CONDITIONAL}
    for number in range(451):
        answer = decide(strict(machine), ARCHITECTURES[machine], number)
        if number in refused:
            assert answer & 0xFFFF0000 == 0x00050000, number
        elif number not in conditional:
            assert answer == ALLOW, number


def test_unknown_calls_and_other_abis(machine: str) -> None:
    program = strict(machine)
    here = ARCHITECTURES[machine]
    assert decide(program, here, 451) == 0x00050000 | errno.ENOSYS
    assert decide(program, here, 0x40000000 | 39) == KILL
    assert decide(program, 0x40000003, 1) == KILL  # i386


def test_conditions(machine: str) -> None:
    column = list(ARCHITECTURES).index(machine)
    here = ARCHITECTURES[machine]
    program = strict(machine)

    def allowed(name: str, *arguments: int) -> bool:
        number = _NUMBERS[name][column]
        assert number is not None
        return decide(program, here, number, *arguments) == ALLOW

    assert allowed("socketpair", 1, 1 | 0o2000000)
    assert not allowed("socketpair", 1, 2)
    assert not allowed("socketpair", 2, 1)
    assert allowed("clone", 0x01200011)  # fork
    assert allowed("clone", 0x003D0F00)  # a thread
    for flag in (0x20000, 0x8000, *(1 << bit for bit in range(25, 31))):
        assert not allowed("clone", 0x11 | flag)
    assert allowed("kill", 77, 9)
    assert not allowed("kill", 78, 9)
    assert not allowed("kill", 2**32 - 1, 9)
    assert allowed("fcntl", 3, 2)
    assert not allowed("fcntl", 3, 8)
    assert allowed("prlimit64", 0)
    assert not allowed("prlimit64", 1)


def test_an_unknown_machine_is_an_error() -> None:
    with pytest.raises(OSError, match="riscv64"):
        assemble("riscv64", stay_in_group=False, keep_metadata=False, signal_only=None)


OWN_SIGNALS = """
import os, signal, sys
from auditor.sandbox import confine, seccomp
confine.forbid_new_privileges()
seccomp.install_here(stay_in_group=True, keep_metadata=True, own_signals_only=True)
for attempt in (lambda: os.kill(os.getppid(), 0), lambda: os.killpg(os.getppid(), 0), lambda: os.kill(-1, 0),
                os.setsid, lambda: os.setpgid(0, 0), lambda: os.chmod(sys.argv[1], 0o777),
                lambda: os.utime(sys.argv[1]), lambda: os.truncate(sys.argv[1], 0)):
    try:
        attempt()
    except PermissionError:
        continue
    sys.exit("not refused")
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_signals_stay_inside_without_landlocks_help(tmp_path: Path) -> None:
    """Before Landlock ABI 6 the filter must do it; the program may still signal itself."""
    file = tmp_path / "file"
    file.write_text("x")
    ended = subprocess.run([sys.executable, "-c", OWN_SIGNALS, str(file)], check=False, capture_output=True, text=True)
    assert ended.returncode == -15, ended.stderr
    assert file.read_text() == "x"


OLDER_LANDLOCK = """
import os, sys
from auditor.sandbox import confine, landlock
landlock.abi_version = lambda: int(sys.argv[1])
confine.forbid_new_privileges()
landlock.restrict([sys.argv[2] + "/read"], [sys.argv[2] + "/write"], ["/dev/null"])
open(sys.argv[2] + "/read/file").read()
open(sys.argv[2] + "/write/file", "w").write("x")
open("/dev/null", "w").write("x")
for path, mode in (("/secret", "r"), ("/read/file", "w"), ("/new", "w")):
    try:
        open(sys.argv[2] + path, mode)
    except PermissionError:
        continue
    sys.exit(path)
"""


@pytest.mark.parametrize("abi", range(1, 8))
def test_landlock_with_each_abi(tmp_path: Path, abi: int) -> None:
    if abi > landlock.abi_version():
        pytest.skip(f"this kernel's Landlock has ABI {landlock.abi_version()}, not {abi}")
    for folder in ("read", "write"):
        (tmp_path / folder).mkdir()
    for file in ("read/file", "secret"):
        (tmp_path / file).write_text("x")
    ended = subprocess.run(
        [sys.executable, "-c", OLDER_LANDLOCK, str(abi), str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")
