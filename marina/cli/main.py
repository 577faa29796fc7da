"""The `marina` command: its verbs by topic, its errors and its exit status."""

import errno
import sys
from collections.abc import Callable

import typer
from rich.console import Console

from marina.cli import (
    backup,
    benchmark,
    bundle,
    checks,
    default_version,
    experiments,
    import_model,
    inference,
    new,
    packaging,
    training,
    versions,
)
from marina.cli.jobs import INTERRUPTED
from marina.cli.security import keys, tls, trust
from marina.errors import MarinaError
from marina.packaging.verify import NotVerifiedError
from marina.terminal import printable

EXIT_STATUS = """
Exit status: 0 done; 1 it failed, and stderr shows what happened, why and what to do; 2 wrong arguments; 130 Ctrl-C.

Ports, folders and certificates are settings of the bundle, MARINA_... in the environment: docs/guides/operate.md.
"""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
TOPICS: dict[str, list[Callable[..., None]]] = {
    "Train and pack": [
        training.train,
        training.data,
        import_model.import_,
        packaging.archive,
        packaging.sign,
        trust.trust,
        packaging.verify,
        packaging.sbom,
        packaging.export,
    ],
    "Serve": [
        bundle.serve,
        bundle.stop,
        bundle.status,
        bundle.logs,
        backup.backup,
        backup.restore,
        inference.token,
        checks.gpu_check,
    ],
    "Versions": [
        versions.register,
        versions.scale,
        versions.retire,
        default_version.set_default,
        default_version.rollback,
        default_version.defaults,
    ],
    "Send requests": [inference.predict, inference.explain, benchmark.load_test],
    "Measure": [benchmark.bench, packaging.zoo],
}
HIDDEN: list[Callable[..., None]] = [packaging.pack]  # steps of other commands

app = typer.Typer(
    help="Train, pack, sign and serve PyTorch models on TorchServe behind Envoy.",
    epilog=EXIT_STATUS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for topic, commands in TOPICS.items():
    for command in commands:
        # `import_` is `marina import`: Python reserves the word.
        app.command(command.__name__.strip("_").replace("_", "-"), rich_help_panel=topic)(command)
for command in HIDDEN:
    app.command(hidden=True)(command)
app.add_typer(new.app, name="new", rich_help_panel="Train and pack")
app.add_typer(keys.app, name="key", rich_help_panel="Access")
app.add_typer(experiments.app, name="ab", rich_help_panel="Experiments")
app.add_typer(tls.app, name="tls", rich_help_panel="Serve")


def main() -> None:
    """Run the command line; print errors that the user can correct without a traceback."""
    try:
        app()
    except (MarinaError, NotVerifiedError) as exc:
        fail(str(exc))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except ValueError as exc:
        fail(settings_problem(exc))
    except OSError as exc:
        if exc.errno not in DISK_FULL:
            raise
        place = f" ({exc.filename})" if exc.filename else ""
        fail(f"{exc.strerror}{place}. What was finished before is kept: free some space, and run the command again.")


def fail(message: str) -> None:
    """Print an error and exit with 1."""
    Console(stderr=True).print(printable(message), style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


def settings_problem(exc: ValueError) -> str:
    """Return the message for an invalid MARINA_* variable; raise `exc` again if it is anything else."""
    from pydantic import ValidationError

    if not (isinstance(exc, ValidationError) and exc.title == "Settings"):
        raise exc
    return "\n".join(
        f"{'_'.join(('MARINA', *map(str, problem['loc']))).upper()}: {problem['msg']}" for problem in exc.errors()
    )
