from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deerflow_site.graphs import agent
from deerflow_site.graphs.model import ModelUnavailable, chat_model, real_model
from deerflow_site.graphs.scripted import ScriptedChatModel

ROOT = Path(__file__).parents[3]


def test_the_scripted_model_answers_unless_another_one_is_named() -> None:
    assert isinstance(chat_model(), ScriptedChatModel)


def test_a_missing_package_is_reported_when_the_graph_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("langchain", "langchain.chat_models"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("AGENT_MODEL", "google_genai:gemini")
    with pytest.raises(ModelUnavailable, match="pip install langchain langchain-google-genai"):
        agent.build()


def test_a_missing_package_is_reported_when_the_graph_is_imported() -> None:
    program = (
        "import os, sys; sys.modules['langchain'] = None; os.environ['AGENT_MODEL'] = 'openai:gpt-5'\n"
        "import deerflow_site.graphs.agent"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert "Run `pip install langchain langchain-openai`" in done.stderr


@pytest.mark.parametrize("name", ["gpt-5", "openai:", ":gpt-5"])
def test_a_model_needs_a_provider_and_a_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_MODEL", name)
    with pytest.raises(ModelUnavailable, match="must be provider:model"):
        chat_model()


def test_a_named_model_is_made_once_by_langchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # LangChain is not a dependency of the project: a package of the same shape replaces it.
    package = tmp_path / "langchain"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "chat_models.py").write_text(
        "from deerflow_site.graphs.scripted import ScriptedChatModel\n"
        "def init_chat_model(name):\n    return ScriptedChatModel(model=name)\n"
    )
    for module in ("langchain", "langchain.chat_models"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("AGENT_MODEL", "fake:model-1")
    try:
        model = chat_model()
        assert isinstance(model, ScriptedChatModel) and model.model == "fake:model-1"
        assert chat_model() is model
    finally:
        real_model.cache_clear()
        for module in ("langchain", "langchain.chat_models"):
            sys.modules.pop(module, None)
