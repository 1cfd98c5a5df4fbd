"""Landlock: an allow-list of paths, for this process and all it will start (see landlock(7)).

Everything that the running kernel can restrict is restricted: files (ABI 1), moving between directories (2),
truncation (3), TCP bind and connect (4), device ioctls (5), signals and abstract sockets to outsiders (6).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

_libc = ctypes.CDLL(None, use_errno=True)

# The same numbers on x86_64 and aarch64: both came after the unified numbering.
_SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_SOCK, _MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR

_FS_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_FS_RIGHTS = (1 << 16) - 1  # ABI 5 and later
_NET_RIGHTS = 0b11  # bind, connect: ABI 4 and later
_SCOPES = 0b11  # abstract sockets, signals: ABI 6 and later

SIGNALS_ABI = 6
"""First ABI that keeps signals inside."""


def abi_version() -> int:
    """Landlock's ABI version of the running kernel; 0 if it has none or it is switched off."""
    version: int = _libc.syscall(_SYS_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_CREATE_RULESET_VERSION))
    return max(version, 0)


def restrict(read: Iterable[str], write: Iterable[str], devices: Iterable[str]) -> None:
    """Forbid, for good, all files but those listed; needs no_new_privs.

    Args:
        read: beneath these, reading and executing is allowed. A path that does not exist is skipped, here and below.
        write: beneath these, everything but making device nodes and sockets.
        devices: these files may be read and written.

    Raises:
        OSError: the kernel has no Landlock or refused.
    """
    abi = abi_version()
    filesystem = _FS_RIGHTS.get(abi, _ALL_FS_RIGHTS)
    attributes = struct.pack("=Q", filesystem)
    if abi >= 4:
        attributes += struct.pack("=Q", _NET_RIGHTS)
    if abi >= SIGNALS_ABI:
        attributes += struct.pack("=Q", _SCOPES)
    ruleset = _call(_SYS_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        everything = filesystem & ~(_MAKE_CHAR | _MAKE_BLOCK | _MAKE_SOCK | _IOCTL_DEV)
        for paths, rights in ((read, _READ), (write, everything), (devices, _READ_FILE | _WRITE_FILE)):
            for path in paths:
                _allow(ruleset, path, rights & filesystem)
        _call(_SYS_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _FILE_RIGHTS  # the kernel refuses directory rights on a file
        rule = struct.pack("=Qi", rights, handle)
        _call(_SYS_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint(0))
    finally:
        os.close(handle)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"landlock (syscall {number}): {os.strerror(error)}")
    return result
