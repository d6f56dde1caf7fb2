"""Executes a program under a unit's restrictions, as far as root can apply them without PID 1.

`python restricted.py UNIT PROGRAM [ARGUMENT]...`. Read from the unit and applied: a file system that can only be read,
devices and /proc as a service sees them, namespaces and a user of its own, no capability and no way to get one, no
memory both written and executed, the families of addresses, the filter of system calls. Not applied: `ProtectHome` and
`PrivateTmp` hide where a checkout and its Python live; the file system that cannot be written covers /tmp as well. For
the same reason root stays root, without any of its rights, where others cannot reach the program.
"""

import ctypes
import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

NOBODY: Final = 65534

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER = 0x20000, 0x4000000, 0x8000000, 0x10000000
NAMESPACES: Final = 0x7E020000 | 0x80  # every CLONE_NEW... flag of clone
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = 442, -100, 0x8000, 1, 2
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 24, 38, 65, 1
LAST_CAPABILITY: Final = 63
DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")

ALLOW: Final = 0x7FFF0000
EQUAL, MASKED = 4, 7
"""libseccomp's comparisons: SCMP_CMP_EQ, SCMP_CMP_MASKED_EQ."""

libc = ctypes.CDLL(None, use_errno=True)


def refuse(number: int) -> int:
    """The action of libseccomp that lets a call fail with an errno."""
    return 0x00050000 | number


class Argument(ctypes.Structure):
    """What libseccomp calls scmp_arg_cmp: what one argument of a call must be."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def done(what: str, answer: int) -> None:
    """Ends the process if a call of libc or libseccomp failed."""
    if answer < 0:
        number = ctypes.get_errno() or -answer
        raise SystemExit(f"{what}: {os.strerror(number)}")


def keys(unit: Path) -> dict[str, list[str]]:
    """A unit's keys, each with all its values in their order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def groups() -> dict[str, list[str]]:
    """The groups of system calls, as systemd names them, each with the calls and groups in it."""
    command = ["systemd-analyze", "syscall-filter"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - a constant
    found: dict[str, list[str]] = {}
    group: list[str] = []
    for line in listed.splitlines():
        word = line.strip()
        if line.startswith("@"):
            group = found.setdefault(word, [])
        elif line.startswith(" ") and word and not word.startswith("#"):
            group.append(word)
    return found


def calls(filters: Iterable[str]) -> set[str]:
    """The calls that the unit's `SystemCallFilter` lines leave."""
    known = groups()

    def expanded(word: str) -> set[str]:
        return set().union(*map(expanded, known[word])) if word.startswith("@") else {word}

    left: set[str] = set()
    for line in filters:
        named = set().union(*map(expanded, line.removeprefix("~").split()))
        left = left - named if line.startswith("~") else left | named
    return left


def own_namespaces() -> None:
    """A view of the machine in which nothing can be written, and only the usual devices are there."""
    done("unshare", libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC))
    done("mount /", libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    made = [(name, os.open(f"/dev/{name}", os.O_PATH)) for name in DEVICES]
    done("mount /dev", libc.mount(b"tmpfs", b"/dev", b"tmpfs", 0, b"mode=755"))
    for name, descriptor in made:
        Path("/dev", name).touch()
        source = f"/proc/self/fd/{descriptor}".encode()
        done(f"mount /dev/{name}", libc.mount(source, f"/dev/{name}".encode(), None, MS_BIND, None))
        os.close(descriptor)
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    answer = libc.syscall(MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, ctypes.byref(attributes), size)
    done("mount_setattr", answer)
    # a new one, since the user namespace is written through it
    done("mount /proc", libc.mount(b"proc", b"/proc", b"proc", 0, b"hidepid=invisible,subset=pid"))


def own_users() -> None:
    """A user namespace in which root and nobody are themselves, written by a child that stays outside."""
    parent = os.getpid()
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        theirs.recv(1)
        for kind in ("uid", "gid"):
            Path(f"/proc/{parent}/{kind}_map").write_text(f"0 0 1\n{NOBODY} {NOBODY} 1\n")
        os._exit(0)
    done("unshare users", libc.unshare(CLONE_NEWUSER))
    ours.send(b"!")
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit("the user namespace could not be set up")


def no_privileges(program: Path) -> None:
    """Nobody, without a capability, and never again with one."""
    real = program.resolve()
    open_to_all = all(folder.stat().st_mode & stat.S_IXOTH for each in (program, real) for folder in each.parents)
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # those that the kernel does not know are refused
    os.setgroups([])
    if open_to_all:
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    done("no_new_privs", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    done("memory-deny-write-execute", libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))


def filtered(allowed: set[str], families: Iterable[int]) -> None:
    """Lets only these calls through, sockets only of these families, and no call that makes a namespace."""
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(refuse(errno.EPERM))))
    number: Callable[[str], int] = lambda name: seccomp.seccomp_syscall_resolve_name(name.encode())  # noqa: E731

    def rule(action: int, name: str, *arguments: Argument) -> None:
        made = (Argument * len(arguments))(*arguments)
        answer = seccomp.seccomp_rule_add_array(
            context, ctypes.c_uint32(action), number(name), ctypes.c_uint(len(arguments)), made
        )
        done(f"a rule for {name}", answer)

    # what RestrictNamespaces and RestrictAddressFamilies look at has rules of its own
    for name in sorted(allowed - {"socket", "clone", "clone3", "unshare", "setns"}):
        if number(name) >= 0:  # else this machine has no such call
            rule(ALLOW, name)
    for family in families:
        rule(ALLOW, "socket", Argument(0, EQUAL, family, 0))
    rule(ALLOW, "clone", Argument(0, MASKED, NAMESPACES, 0))
    rule(refuse(errno.ENOSYS), "clone3")  # its flags are in memory, where no filter can look: libc falls back to clone
    done("seccomp", seccomp.seccomp_load(context))


def main(unit: Path, program: list[str]) -> None:
    """Applies all that the unit asks for, then executes the program."""
    asked = keys(unit)
    allowed = calls(asked["SystemCallFilter"])
    families = [int(getattr(socket, name)) for name in asked["RestrictAddressFamilies"][0].split()]
    wanted: dict[tuple[str, str], Callable[[], None]] = {
        ("ProtectSystem", "strict"): own_namespaces,
        ("PrivateUsers", "yes"): own_users,
        ("CapabilityBoundingSet", ""): partial(no_privileges, Path(program[0])),
        ("SystemCallErrorNumber", "EPERM"): partial(filtered, allowed, families),
    }
    for (key, value), apply in wanted.items():
        if asked.get(key) != [value]:
            raise SystemExit(f"{unit}: {key} is not {value!r} any more: apply what it is now")
        apply()
    os.execv(program[0], program)  # noqa: S606 - what it is for


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
