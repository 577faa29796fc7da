"""Linux capabilities: what root may do beyond its own files, given up for good. Another user has none to lose."""

import ctypes
import os

VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
# CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID: files of mounted volumes may belong to others.
OF_FILES = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4


class Header(ctypes.Structure):
    """struct __user_cap_header_struct."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class Data(ctypes.Structure):
    """struct __user_cap_data_struct, of which there are two: for capabilities 0 to 31, and 32 to 63."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def keep_those_of_files() -> None:
    """Give up all capabilities but those of files.

    CAP_PERFMON lets a process read the memory map and environment of any other, even one confined by Landlock.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = Header(VERSION, 0), (Data * 2)()
    if libc.capget(ctypes.byref(header), data):
        raise OSError(ctypes.get_errno(), f"capget: {os.strerror(ctypes.get_errno())}")
    for part, kept in zip(data, (OF_FILES, 0), strict=True):
        part.effective, part.permitted, part.inheritable = part.effective & kept, part.permitted & kept, 0
    if libc.capset(ctypes.byref(header), data):
        raise OSError(ctypes.get_errno(), f"capset: {os.strerror(ctypes.get_errno())}")
