"""Folders, files and unix sockets of one running bundle, all of them in its `var`."""

import os
import stat
import tempfile
from pathlib import Path

# sockaddr_un holds 108 bytes; the names in the folder (".ts.sock.12345", "supervisor.sock.<pid>") take at most 30.
MAX_SOCKET_FOLDER_BYTES = 78


def private_folder(path: Path) -> bool:
    """Check that `path` is a folder of this user that nobody else can enter, and no link."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700


class Folders:
    """Paths in the folder `var`, which is for its owner alone."""

    var: Path

    @property
    def run(self) -> Path:
        """Folder of the files that running processes share: configuration, keys."""
        return self.var / "run"

    @property
    def state(self) -> Path:
        """Folder of the desired state, which survives `stop` and `make clean`."""
        return self.var / "state"

    @property
    def logs(self) -> Path:
        """Folder of log files."""
        return self.var / "logs"

    @property
    def verified(self) -> Path:
        """Folder of the verified copies of archives: TorchServe's model store, which no one else writes."""
        return self.var / "verified"

    @property
    def envoy(self) -> Path:
        """Folder of the configuration that Envoy watches."""
        return self.run / "envoy"

    @property
    def key_file(self) -> Path:
        """The file of tokens that TorchServe writes to its working directory at each start."""
        return self.run / "key_file.json"

    @property
    def fork_socket(self) -> Path:
        """The fork server's unix socket."""
        return self.sockets / "forks.sock"

    @property
    def control_socket(self) -> Path:
        """The unix socket of control."""
        return self.sockets / "control.sock"

    @property
    def admin_socket(self) -> Path:
        """The unix socket of Envoy's admin interface."""
        return self.sockets / "envoy-admin.sock"

    @property
    def inner_socket(self) -> Path:
        """The unix socket of Envoy's inner listener."""
        return self.sockets / "envoy-inner.sock"

    @property
    def metrics_socket(self) -> Path:
        """The unix socket of TorchServe's metrics, which need no token."""
        return self.sockets / "metrics.sock"

    @property
    def keys(self) -> Path:
        """Folder of the signing keys."""
        return self.var / "keys"

    @property
    def sockets(self) -> Path:
        """Folder of unix sockets, and TorchServe's TEMP: var/tmp, or a short path elsewhere if that is too long.

        The short path has a random name: a link in var/run, made by `make_folders`, leads to it.
        """
        folder = self.var / "tmp"
        if len(os.fsencode(folder)) > MAX_SOCKET_FOLDER_BYTES and self._socket_link.is_symlink():
            return self._socket_link.readlink()
        return folder

    @property
    def _socket_link(self) -> Path:
        return self.run / "sockets"

    def make_folders(self) -> None:
        """Create the folders; what is in `var` is for its owner alone: keys, faces, feedback, logs of requests."""
        self.var.mkdir(parents=True, exist_ok=True)
        for folder in (self.run, self.state, self.logs, self.envoy, self.verified, self.var / "exposures"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        self.var.chmod(0o700)
        self._make_socket_folder()

    def _make_socket_folder(self) -> None:
        """Create the folder of sockets. A short path that another user could have replaced is left for a new one."""
        folder = self.var / "tmp"
        if len(os.fsencode(folder)) <= MAX_SOCKET_FOLDER_BYTES:
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)
        elif not (self._socket_link.is_symlink() and private_folder(self._socket_link.readlink())):
            self._socket_link.unlink(missing_ok=True)
            self._socket_link.symlink_to(tempfile.mkdtemp(prefix="marina-"))
