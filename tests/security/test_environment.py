"""The list of variables that processes of a bundle keep."""

import pytest

from marina.security.environment import DATABASE_PREFIXES, kept


@pytest.mark.parametrize(
    "name",
    [
        *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_SECRET"),
        *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "GITHUB_TOKEN", "MARINA_DATABASE", "DATABASE_URL", "PGPASSWORD"),
        *(
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "TS_CONFIG_FILE",
            "SSH_AUTH_SOCK",
            "HTTPS_PROXY",
            "JAVA_TOOL_OPTIONS",
        ),
    ],
)
def test_credentials_and_paths_of_code_are_not_kept(name):
    assert kept({name: "x"}) == {}
    assert kept({name: "x"}, more=f"OTHER,{name}") == {name: "x"}


@pytest.mark.parametrize("name", ["PATH", "LC_ALL", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TZ", "LD_LIBRARY_PATH"])
def test_what_programs_compute_with_is_kept(name):
    assert kept({name: "x"}) == {name: "x"}


def test_the_databases_variables_are_for_one_process():
    assert kept({"PGPASSWORD": "x", "LANG": "C"}, prefixes=DATABASE_PREFIXES) == {"PGPASSWORD": "x", "LANG": "C"}


def test_names_are_no_patterns():
    assert kept({"ABC": "z"}, more="A*, ,AB") == {}
