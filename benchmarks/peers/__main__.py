"""`python -m benchmarks.peers [NAMES]` installs the peers, each in its own virtual environment."""

import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
NAMES = sorted(path.parent.name for path in HERE.glob("*/requirements.txt"))


def install(name: str) -> bool:
    """Install a peer; return False if that failed, which pip explains.

    torch, several GB, is shared with Marina's environment.
    """
    folder = HERE / name / ".venv"
    pip: list[str | Path] = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "-q",
        "-r",
        HERE / name / "requirements.txt",
    ]
    commands: list[list[str | Path]] = [[sys.executable, "-m", "venv", folder], pip]
    for command in commands:
        if subprocess.run(command, check=False).returncode:
            return False
    # A .pth file appends a folder to sys.path: the peer's own packages come first.
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "zz-marina.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return True


def main() -> None:
    failed = [name for name in sys.argv[1:] or NAMES if not install(name)]
    sys.exit(f"not installed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
