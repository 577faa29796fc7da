"""Landlock: a Linux process gives up access to files, for itself and all that it starts, for good.

https://docs.kernel.org/userspace-api/landlock.html. Since Linux 5.13; no privilege is needed. Only the standard library
is imported, since workers are forked from a process that imports this.
"""

import ctypes
import os
import sys
from collections.abc import Mapping
from enum import IntFlag
from pathlib import Path


class Access(IntFlag):
    """Access rights to files, as in linux/landlock.h."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Access.EXECUTE | Access.READ_FILE | Access.READ_DIR
DEVICE = Access.READ_FILE | Access.READ_DIR | Access.WRITE_FILE | Access.IOCTL_DEV
WRITE = Access((1 << 16) - 1) & ~(Access.MAKE_CHAR | Access.MAKE_BLOCK | Access.IOCTL_DEV)
OF_FILES = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
# The rights that each version of the interface (ABI) added to the first 13.
ADDED = {2: Access.REFER, 3: Access.TRUNCATE, 5: Access.IOCTL_DEV}
SCOPES, SCOPES_ABI = 0b11, 6  # no abstract unix sockets of others, no signals to them

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # numbers of the system calls, on all architectures
CREATE_VERSION, PATH_BENEATH = 1, 1
PR_SET_NO_NEW_PRIVS = 38


class RulesetAttributes(ctypes.Structure):
    """struct landlock_ruleset_attr."""

    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class PathBeneath(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """Return the version of the kernel's interface; 0 without Landlock."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None, use_errno=True).syscall(CREATE_RULESET, None, 0, CREATE_VERSION)))


def restrict(rules: Mapping[Path, Access]) -> None:
    """Let this thread and its later children access only these files and folders, with all below them.

    Paths that don't exist are left out. Raises OSError where the kernel refuses.
    """
    version = abi()
    handled = Access((1 << 13) - 1)
    for since, right in ADDED.items():
        handled |= right if version >= since else Access(0)
    attributes = RulesetAttributes(handled, 0, SCOPES if version >= SCOPES_ABI else 0)
    size = ctypes.sizeof(attributes) if version >= SCOPES_ABI else ctypes.sizeof(ctypes.c_uint64)
    ruleset = _call(CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0)
    try:
        for path, access in rules.items():
            _add(ruleset, path, access & handled)
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _add(ruleset: int, path: Path, access: Access) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = access if path.is_dir() else access & OF_FILES
        _call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(PathBeneath(allowed, parent)), 0)
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    """Make a system call; raises OSError."""
    result = int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result
