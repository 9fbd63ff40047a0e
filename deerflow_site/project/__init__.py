"""A project's langgraph.json: what it may say, what it means here, and what it needs.

Imports neither Django nor LangGraph: the site's settings are made from it.
"""

from __future__ import annotations

from deerflow_site.project.errors import ProjectError
from deerflow_site.project.reading import Project, read

__all__ = ["Project", "ProjectError", "read"]
