"""Environment variables of the bundle's processes: those on a list, and no others.

The shell that starts a bundle often holds credentials: of a cloud, of a registry, of a database. None of them is for
code in an archive. `MARINA_PASS_ENVIRONMENT` names further variables to keep.
"""

from collections.abc import Mapping

BASE = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "COLUMNS"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME"),
        *("PYTHONUNBUFFERED", "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER", "PYTHONUTF8"),
        *("HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TOKENIZERS_PARALLELISM"),
    }
)
# Locale, GPUs, threads and memory of numerical libraries.
BASE_PREFIXES = (
    *("LC_", "CUDA_", "NVIDIA_", "NCCL_", "TORCH_", "PYTORCH_", "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_"),
    *("NUMEXPR_", "ATEN_", "ORT_", "MALLOC_"),
)
DATABASE_PREFIXES = ("PG",)  # libpq's, such as PGPASSWORD: for control alone


def kept(environ: Mapping[str, str], more: str = "", prefixes: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the variables that a process may have: those of BASE, those named in `more`, and those with `prefixes`.

    >>> kept({"LANG": "C", "AWS_SECRET_ACCESS_KEY": "x", "LICENCE": "y"}, more="LICENCE, OTHER")
    {'LANG': 'C', 'LICENCE': 'y'}
    """
    named = BASE | {name.strip() for name in more.split(",")}
    begins = BASE_PREFIXES + prefixes
    return {name: value for name, value in environ.items() if name in named or name.startswith(begins)}
