"""Files under var/ are their owner's alone."""

import os
import stat

from marina.files import make_private


def mode(path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_other_users_lose_all_permissions(tmp_path):
    folder, outside = tmp_path / "var", tmp_path / "outside"
    (folder / "logs").mkdir(parents=True)
    log, script = folder / "logs" / "a.log", folder / "script"
    for file, permissions in ((log, 0o644), (script, 0o755), (outside, 0o644)):
        file.touch()
        file.chmod(permissions)
    (folder / "link").symlink_to(outside)
    folder.chmod(0o755)
    make_private(folder)
    assert [mode(path) for path in (folder, folder / "logs", log, script)] == [0o700, 0o700, 0o600, 0o700]
    assert mode(outside) == 0o644
