"""What is wrong with a project, for its author."""

from __future__ import annotations


class ProjectError(Exception):
    """One sentence that names the file and the key, or the command that helps."""

    exit_code = 1
