"""Places that take no more."""
import errno
import os
import resource
from contextlib import contextmanager

import mxnet as mx


@contextmanager
def small_files(size):
    """No file may have more than ``size`` bytes: the write that crosses it is cut short, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def failing(patch, count):
    """All that writes fails, from the call after ``count`` on; yields the number of those that did not, in a list."""
    calls = [0]

    def counted(function, name):
        def call(*args, **kwargs):
            if name != "open" or args[1] & os.O_CREAT:
                if calls[0] == count:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                calls[0] += 1
            return function(*args, **kwargs)
        return call

    with patch.context() as patched:
        for name in ("open", "fsync", "replace", "rename", "mkdir"):
            patched.setattr(os, name, counted(getattr(os, name), name))
        patched.setattr(mx.nd, "save", counted(mx.nd.save, "save"))
        yield calls
