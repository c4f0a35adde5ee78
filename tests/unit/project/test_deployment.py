"""Dockerfile, compose file and workflow, read but not run: what can be known about them without an engine."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpm_cdc.config.loading import variable
from gpm_cdc.config.settings import Settings

_ROOT = Path(__file__).parents[3]
_DOCKERFILE = (_ROOT / "Dockerfile").read_text(encoding="utf-8")
_COMPOSE: dict[str, Any] = yaml.safe_load((_ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
_WORKFLOW: dict[str, Any] = yaml.safe_load((_ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", _DOCKERFILE, flags=re.MULTILINE))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def test_everything_the_image_copies_is_there_and_not_ignored() -> None:
    """A source of COPY exists in the project, and .dockerignore lets it through."""
    allowed = {
        line[1:] for line in (_ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"
    }
    copied = [shlex.split(rest)[:-1] for word, rest in _instructions() if word == "COPY" and "--from" not in rest]
    assert copied
    for source in (name for names in copied for name in names):
        assert (_ROOT / source).exists(), source
        assert source.split("/")[0] in allowed, source


def test_image_holds_what_the_wheel_is_made_of() -> None:
    """What pyproject.toml forces into the wheel is copied before the wheel is built."""
    copied = {name for word, rest in _instructions() if word == "COPY" for name in shlex.split(rest)[:-1]}
    forced = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    needed = {"pyproject.toml", "README.md", "LICENSE", "gpm_cdc", *forced["wheel"].get("force-include", {})}
    assert needed <= copied


def test_image_runs_as_nobody_special_and_is_watched() -> None:
    """The last stage switches to a user without rights, has a health check, and installs by hash alone."""
    stages = [index for index, (word, _) in enumerate(_instructions()) if word == "FROM"]
    last = _instructions()[stages[-1] :]
    assert len(stages) > 1
    assert [rest for word, rest in last if word == "USER"][-1:] == ["gpm-cdc"]
    assert any(word == "HEALTHCHECK" and '"gpm-cdc", "status"' in rest for word, rest in last)
    installs = [part for _, rest in _instructions() for part in rest.split("&&") if "pip install" in part]
    assert all("--require-hashes" in part or "--no-deps" in part for part in installs)


def test_services_are_healthy_before_they_are_used() -> None:
    """Both servers have health checks, and gpm-cdc waits for them."""
    services = _COMPOSE["services"]
    assert all("healthcheck" in services[name] for name in ("postgres", "neo4j"))
    needed = services["gpm-cdc"]["depends_on"]
    assert {name: needed[name]["condition"] for name in needed} == dict.fromkeys(
        ("postgres", "neo4j"), "service_healthy"
    )


def test_postgres_is_set_up_for_logical_decoding() -> None:
    """Without wal_level=logical there is no stream; without a bound a stopped one fills the disk."""
    command = _COMPOSE["services"]["postgres"]["command"]
    assert "wal_level=logical" in command
    assert any(part.startswith("max_slot_wal_keep_size=") for part in command)


def test_compose_has_no_password_in_it() -> None:
    """Passwords come from files, each declared, each granted to whom it is for."""
    for name, service in _COMPOSE["services"].items():
        for key, value in service["environment"].items():
            if re.search(r"PASSWORD|AUTH|DSN", key):
                assert key.endswith("_FILE"), f"{name}: {key}"
            if str(value).startswith("/run/secrets/"):
                assert value.rpartition("/")[2] in service["secrets"], f"{name}: {key}"
        assert set(service["secrets"]) <= set(_COMPOSE["secrets"])


def test_compose_sets_only_settings_that_exist() -> None:
    """A misspelt variable would be ignored without a word."""
    known = {name for field in Settings.model_fields for name in (variable(field), f"{variable(field)}_FILE")}
    assert set(_COMPOSE["services"]["gpm-cdc"]["environment"]) <= known


def test_ports_are_open_to_this_machine_alone() -> None:
    """A development database is not for the whole network."""
    ports = [port for service in _COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("job", _WORKFLOW["jobs"])
def test_workflow_pins_actions_and_bounds_jobs(job: str) -> None:
    """Each action names its major version, each job has a time limit."""
    definition = _WORKFLOW["jobs"][job]
    assert definition["timeout-minutes"] <= 40
    used = [step["uses"] for step in definition["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action) for action in used)


def test_workflow_calls_the_targets_that_people_call() -> None:
    """CI does nothing that `make` cannot repeat, on every Python that the metadata names."""
    steps = [step.get("run", "") for job in _WORKFLOW["jobs"].values() for step in job["steps"]]
    assert {"make check", "make test", "make demo"} <= set(steps)
    metadata = (_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', metadata)
    for job in ("check", "test"):
        assert _WORKFLOW["jobs"][job]["strategy"]["matrix"]["python"] == named
