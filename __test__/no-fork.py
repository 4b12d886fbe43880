"""python3 no-fork.py PROGRAM ARGUMENT…: runs a program to which the kernel refuses new processes, but no threads (seccomp, x86-64)."""

import ctypes
import os
import sys

LOAD, EQUAL, ANY_OF, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER, FIRST_ARGUMENT = 0, 16
CLONE, FORK, VFORK, CLONE3 = 56, 57, 58, 435
CLONE_THREAD = 0x10000
EPERM, ENOSYS, ALLOW = 0x50001, 0x50026, 0x7FFF0000


class Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("k", ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("start", ctypes.POINTER(Instruction))]


# Jumps count from the next instruction. Without clone3 the C library takes clone.
filter = [
    (LOAD, 0, 0, NUMBER),
    (EQUAL, 6, 0, CLONE3),
    (EQUAL, 4, 0, FORK),
    (EQUAL, 3, 0, VFORK),
    (EQUAL, 0, 4, CLONE),
    (LOAD, 0, 0, FIRST_ARGUMENT),
    (ANY_OF, 2, 0, CLONE_THREAD),
    (RETURN, 0, 0, EPERM),
    (RETURN, 0, 0, ENOSYS),
    (RETURN, 0, 0, ALLOW),
]
instructions = (Instruction * len(filter))(*(Instruction(*one) for one in filter))
program = Program(len(filter), instructions)
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
    sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
