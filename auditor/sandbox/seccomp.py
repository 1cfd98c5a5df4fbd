"""The system-call filter: what is refused, as a table, and its assembly to BPF (seccomp(2), Linux's filter.rst).

A deny-list over *known* calls, because programs as large as torch use some two hundred harmless ones and another set
with each libc; but every call newer than the table is refused as if the kernel did not have it, so that what the
kernel grows tomorrow is closed by default. Calls made through another ABI (i386, x32) kill the process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from auditor.sandbox.confine import prctl

_LAST_KNOWN = 450
"""Highest call number that the table was written for; later ones get ENOSYS, and libcs fall back."""

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

# name: (x86_64, aarch64); None where the architecture never had the call. From asm/unistd_64.h, asm-generic/unistd.h.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bind": (49, 200),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chown": (92, None),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "connect": (42, 203),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "fcntl": (72, 25),
    "finit_module": (313, 273),
    "fremovexattr": (199, 16),
    "fsconfig": (431, 431),
    "fsetxattr": (190, 7),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "futimesat": (261, None),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "lchown": (94, None),
    "listen": (50, 201),
    "lookup_dcookie": (212, 18),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpgid": (109, 154),
    "setpriority": (141, 140),
    "setsid": (112, 157),
    "settimeofday": (164, 170),
    "setxattr": (188, 5),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "truncate": (76, 45),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
    "vhangup": (153, 58),
}


@dataclass(frozen=True, slots=True)
class Test:
    """One condition on the low 32 bits of a call's argument: ``argument & mask`` equals ``value``, or differs."""

    argument: int
    value: int
    mask: int = 0xFFFFFFFF
    equal: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """Calls that fail with ``error`` unless all of ``allow_if`` hold; why is said where the rule stands."""

    names: str
    error: int = errno.EPERM
    allow_if: tuple[Test, ...] = ()


_AF_UNIX, _SOCK_STREAM, _TYPE_MASK = 1, 1, 0xF
_PRIO_PROCESS, _IOPRIO_WHO_PROCESS = 0, 1
_F_SETOWN, _F_SETOWN_EX = 8, 15
# Every CLONE_NEW*, and CLONE_PARENT, which would make the new process a child of the harness.
_CLONE_FORBIDDEN = 0x7E02_0000 | 0x8000
_SELF = (Test(0, 0),)

_ALWAYS = (
    # Other processes: their memory, descriptors and resources.
    Rule("ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp process_madvise process_mrelease"),
    Rule("move_pages migrate_pages"),
    Rule("prlimit64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler", allow_if=_SELF),
    Rule("setpriority", allow_if=(Test(0, _PRIO_PROCESS), Test(1, 0))),
    Rule("ioprio_set", allow_if=(Test(0, _IOPRIO_WHO_PROCESS), Test(1, 0))),
    # Network, and sockets of the host's services. A pair of connected streams can reach nobody else; a pair of
    # datagram sockets could, by sendmsg with an address.
    Rule("socket connect bind listen", errno.EACCES),
    Rule("socketpair", errno.EACCES, (Test(0, _AF_UNIX), Test(1, _SOCK_STREAM, _TYPE_MASK))),
    # Memory that no limit counts, and System V and POSIX objects that outlive their process.
    Rule("memfd_create memfd_secret", errno.ENOSYS),
    Rule("shmget semget msgget mq_open"),
    # Namespaces and mounts. clone3 and openat2 keep flags where a filter cannot look; libcs fall back on ENOSYS.
    Rule("clone", allow_if=(Test(0, 0, _CLONE_FORBIDDEN),)),
    Rule("clone3 openat2", errno.ENOSYS),
    Rule("unshare setns mount umount2 pivot_root chroot mount_setattr"),
    Rule("move_mount open_tree fsopen fsconfig fsmount fspick"),
    # Opening files by handle goes around every path rule.
    Rule("open_by_handle_at name_to_handle_at fanotify_init fanotify_mark"),
    # Kernel interfaces with a long record of holes.
    Rule("io_uring_setup io_uring_enter io_uring_register userfaultfd", errno.ENOSYS),
    Rule("bpf perf_event_open keyctl add_key request_key"),
    # The machine itself. Needs capabilities that the program has not; refused twice.
    Rule("kexec_load kexec_file_load init_module finit_module delete_module reboot swapon swapoff acct syslog"),
    Rule("settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname quotactl quotactl_fd"),
    Rule("iopl ioperm modify_ldt vhangup lookup_dcookie nfsservctl personality uselib"),
)

# The process group is how the harness holds the tree when there is no pid namespace.
_STAY_IN_GROUP = (Rule("setsid setpgid"),)

# Landlock does not govern what needs only ownership, nor truncation before ABI 3. A program that runs as our own uid
# could spoil our files.
_KEEP_METADATA = (
    Rule("chmod fchmod fchmodat chown fchown lchown fchownat"),
    Rule("setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr"),
    Rule("utime utimes utimensat futimesat truncate"),
)


def _signal_only(pid: int) -> tuple[Rule, ...]:
    owners = (Test(1, _F_SETOWN, equal=False), Test(1, _F_SETOWN_EX, equal=False))
    return (
        Rule("kill tgkill rt_sigqueueinfo rt_tgsigqueueinfo", allow_if=(Test(0, pid),)),
        Rule("tkill pidfd_send_signal"),
        Rule("fcntl", allow_if=owners),
    )


def assemble(machine: str, *, stay_in_group: bool, keep_metadata: bool, signal_only: int | None) -> bytes:
    """The filter as BPF instructions.

    Args:
        machine: ``os.uname().machine``.
        stay_in_group: refuse to leave the session and the process group.
        keep_metadata: refuse to change the mode, owner, times and attributes of files.
        signal_only: the one process that signals may go to; None leaves signals to uids, namespaces and Landlock.

    Raises:
        OSError: no table for this machine.
    """
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system-call table for {machine}")
    column = list(_ARCHITECTURES).index(machine)
    rules = _ALWAYS + (_STAY_IN_GROUP if stay_in_group else ())
    rules += _KEEP_METADATA if keep_metadata else ()
    rules += _signal_only(signal_only) if signal_only is not None else ()
    code = [
        _load(_ARCHITECTURE),
        _jump_equal(_ARCHITECTURES[machine], 1, 0),
        _return(_KILL_PROCESS),
        _load(_NUMBER),
        _jump_at_least(_X32_BIT, 0, 1),
        _return(_KILL_PROCESS),
        _jump_at_least(_LAST_KNOWN + 1, 0, 1),
        _return(_ERRNO | errno.ENOSYS),
    ]
    for rule in rules:
        for name in rule.names.split():
            number = _NUMBERS[name][column]
            if number is not None:
                code += _block(number, rule)
    return b"".join([*code, _return(_ALLOW)])


def install(program: bytes) -> None:
    """Put a filter in force for this process and all it starts; needs no_new_privs.

    Raises:
        OSError: the kernel refused.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: unsigned short, padding, pointer
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer)))
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(header))


def install_here(*, stay_in_group: bool, keep_metadata: bool, own_signals_only: bool) -> None:
    """Assemble for this machine and process, and install."""
    signal_only = os.getpid() if own_signals_only else None
    machine = os.uname().machine
    install(assemble(machine, stay_in_group=stay_in_group, keep_metadata=keep_metadata, signal_only=signal_only))


# struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6], little-endian on both architectures.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def _block(number: int, rule: Rule) -> Iterator[bytes]:
    """Decide call ``number`` for good; other calls pass over the block with the number still loaded."""
    body: list[bytes] = []
    # Built from the end, so that each test knows how far it is to the refusal.
    for test in reversed(rule.allow_if):
        refuse = len(body) + 1  # over the tests that follow and the permission
        hit, miss = (0, refuse) if test.equal else (refuse, 0)
        body = [_load(_ARGUMENTS + 8 * test.argument), _and(test.mask), _jump_equal(test.value, hit, miss), *body]
    if rule.allow_if:
        body.append(_return(_ALLOW))
    body.append(_return(_ERRNO | rule.error))
    yield _jump_equal(number, 0, len(body))
    yield from body


def _instruction(code: int, k: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jump_true, jump_false, k)


def _load(offset: int) -> bytes:
    return _instruction(0x20, offset)  # BPF_LD | BPF_W | BPF_ABS


def _and(mask: int) -> bytes:
    return _instruction(0x54, mask)  # BPF_ALU | BPF_AND | BPF_K


def _jump_equal(value: int, if_true: int, if_false: int) -> bytes:
    return _instruction(0x15, value, if_true, if_false)  # BPF_JMP | BPF_JEQ | BPF_K


def _jump_at_least(value: int, if_true: int, if_false: int) -> bytes:
    return _instruction(0x35, value, if_true, if_false)  # BPF_JMP | BPF_JGE | BPF_K


def _return(action: int) -> bytes:
    return _instruction(0x06, action)  # BPF_RET | BPF_K
