"""`python -m serving`: what `make serve`, `stop`, `status`, ... call."""

import sys

import typer
from pydantic import ValidationError
from rich.console import Console

from serving.commands import bundle, calls, gpu, models
from serving.errors import MarinaError

app = typer.Typer(help="Run the archives.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command in (
    *(bundle.start, bundle.stop, bundle.status, bundle.logs),
    *(models.register, models.scale, models.set_default, models.retire),
    *(calls.predict, calls.explain, calls.token, gpu.gpu_check),
):
    app.command()(command)


def main() -> None:
    error = Console(stderr=True)
    try:
        app()
    except MarinaError as fault:
        error.print(str(fault), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except ValidationError as fault:  # of the settings, which come from MARINA_* variables
        for problem in fault.errors():
            name = "_".join(("MARINA", *map(str, problem["loc"]))).upper()
            error.print(f"{name}: {problem['msg']}", style="red", markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
