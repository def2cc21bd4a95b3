"""Workflows for providers of continuous integration, held against the providers' published schemas."""

import subprocess
import sys
from pathlib import Path

import pytest

from builder import workflows
from builder.errors import DefinitionError
from builder.pipeline import Place
from tests.conftest import REPOSITORY

SCHEMAS = {"github": ["vendor.github-workflows"], "gitlab": ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]}


@pytest.mark.parametrize("provider", workflows.PROVIDERS)
def test_a_workflow_fits_its_providers_schema(provider: str, tmp_path: Path) -> None:
    path = tmp_path / "workflow.yml"
    path.write_text(workflows.render(Place(REPOSITORY), provider))
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *SCHEMAS[provider], str(path)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("provider", workflows.PROVIDERS)
def test_nothing_of_the_template_is_left(provider: str) -> None:
    text = workflows.render(Place(REPOSITORY), provider, branch="trunk")
    assert "<%" not in text
    assert "<<" not in text
    assert "\n\n\n" not in text


def test_every_image_is_in_the_matrix() -> None:
    assert "[hello, myservice, nginx, redis]" in workflows.render(Place(REPOSITORY), "gitlab")


def test_the_branch_can_be_chosen() -> None:
    assert "branches: [trunk]" in workflows.render(Place(REPOSITORY), "github", branch="trunk")


def test_an_unknown_provider_gets_the_known_ones() -> None:
    with pytest.raises(DefinitionError, match="--provider jenkins: not known") as caught:
        workflows.render(Place(REPOSITORY), "jenkins")
    assert caught.value.hint == "there are: github, gitlab"


def test_the_workflow_lies_where_its_provider_looks(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "recipes").symlink_to(REPOSITORY / "recipes")
    assert workflows.write(Place(tmp_path), "github") == tmp_path / ".github/workflows/images.yml"
    assert workflows.write(Place(tmp_path), "gitlab").read_text().startswith("# Made by")
