"""What the places that a run reads from and writes to may raise when they fail."""

import errno

try:  # botocore comes with the s3 extra; its network errors are no OSErrors
    from botocore.exceptions import BotoCoreError
except ImportError:
    BotoCoreError = OSError

STORAGE_ERRORS: tuple[type[Exception], ...] = (OSError, BotoCoreError)
_OF_THE_MACHINE = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE)
)


def machine_fault(error: OSError) -> str:
    """Say in one line what of the machine stands in the way: no room, no permission, a bad disk.

    Returns:
        an empty string for any other error, which is a defect of the program.
    """
    if error.errno not in _OF_THE_MACHINE:
        return ""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}; mend that and run the same command again: it continues"
