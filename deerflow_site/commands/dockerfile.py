"""`deerflow dockerfile`: a Dockerfile and a compose file for the project."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from deerflow_site.development.terminal import Terminal
from deerflow_site.project import Project, ProjectError, read
from deerflow_site.project.reading import NAME
from runs.version import NAME as PRODUCT
from runs.version import VERSION

PYTHON = "3.12"
#: The container's user; a number, so that an orchestrator can see that it is not root.
USER = 10001
#: A line of a requirements file that names a file.
_FILE = re.compile(
    r"^\s*(?:-[ercf]\b|--(?:editable|requirement|constraint|find-links)\b|[./~]|\S+\.whl)", re.MULTILINE
)
IGNORED = (".deerflow", ".env", ".env.*", "!.env.example", ".git", ".venv", "**/__pycache__", "node_modules")

SQL = """\
      \\set password `printenv POSTGRES_PASSWORD`
      CREATE ROLE deerflow LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
      CREATE DATABASE deerflow OWNER deerflow;
      REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
      ALTER ROLE CURRENT_USER PASSWORD NULL;"""

COMPOSE = """# Set SECRET_KEY and POSTGRES_PASSWORD, each to a long random text; then: docker compose up --build
services:
  database:
    image: postgres:17
    environment: {{POSTGRES_PASSWORD: "${{POSTGRES_PASSWORD:?set POSTGRES_PASSWORD}}"}}
    volumes: ["database:/var/lib/postgresql/data"]
    configs: [{{source: database, target: /docker-entrypoint-initdb.d/database.sql}}]
    # By TCP, which is closed until the role exists.
    healthcheck: {{test: ["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "deerflow"], interval: 2s, retries: 30}}
    restart: unless-stopped
  app:
    build: .
    env_file: [{{path: {env}, required: false}}]
    environment:
      DATABASE_URL: postgresql://deerflow:${{POSTGRES_PASSWORD}}@database/deerflow
      SECRET_KEY: ${{SECRET_KEY:?set SECRET_KEY}}
      ALLOWED_HOSTS: ${{ALLOWED_HOSTS:-localhost,127.0.0.1}}
    # Put a proxy that terminates TLS in front of it.
    ports: ["127.0.0.1:8000:8000"]
    # Longer than the drain (DRAIN_SECONDS, 20 s).
    stop_grace_period: 30s
    # A node that blocks the event loop past the lease ends the process.
    restart: unless-stopped
    depends_on: {{database: {{condition: service_healthy}}}}
configs:
  database:
    # The site's role, which is no superuser, and its database.
    content: |
{sql}
volumes: {{database: {{}}}}
"""


def dockerfile(arguments: Sequence[str]) -> int:
    """Write the files; return the exit code. Raises ProjectError."""
    parser = argparse.ArgumentParser(
        prog="deerflow dockerfile", description="Write a Dockerfile for this project."
    )
    parser.add_argument("--config", default=NAME, help="the project's file (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.add_argument(
        "--wheel",
        metavar="FILE",
        help="install this server from a wheel in the project's folder, as `make build` makes it, instead of from an index",
    )
    options = parser.parse_args(arguments)
    project = read(options.config)
    written = {
        "Dockerfile": "\n".join(lines(project, wheel=_wheel(project, options.wheel))) + "\n",
        ".dockerignore": "\n".join(IGNORED) + "\n",
        "compose.yaml": COMPOSE.format(env=project.content["env"] if project.env_file else ".env", sql=SQL),
    }
    if not options.force and (there := [name for name in written if (project.folder / name).exists()]):
        raise ProjectError(f"{project.folder} has {' and '.join(there)} already: use --force to replace.")
    for name, text in written.items():
        (project.folder / name).write_text(text, encoding="utf-8")
    Terminal().good(f"Wrote {', '.join(written)} in {project.folder}.")
    return 0


def _wheel(project: Project, given: str | None) -> Path | None:
    """The path of a wheel below the project's folder, which is the build's context. Raises ProjectError."""
    if given is None:
        return None
    file = Path(given).resolve()
    if not file.is_file() or file.suffix != ".whl" or not file.is_relative_to(project.folder):
        raise ProjectError(f"--wheel must name a wheel below {project.folder}, not {given}: copy it there.")
    return file.relative_to(project.folder)


def lines(project: Project, *, wheel: Path | None = None) -> Iterator[str]:
    """The Dockerfile's lines. Raises ProjectError.

    Args:
        wheel: The server's own wheel in the project's folder; None if an index has it.
    """
    content = project.content
    yield f"FROM {image(project)}"
    yield f"ENV PYTHONUNBUFFERED=1 DATA_DIR=/data LANGGRAPH_JSON=/app/{project.file.name} DEERFLOW_ENV_FILE=ignore"
    yield "WORKDIR /app"
    if path := content.get("pip_config_file"):
        yield f"COPY {path} /etc/pip.conf"
    yield from content.get("dockerfile_lines") or ()
    install = "pip install --no-cache-dir"
    if content.get("pip_installer") == "uv" or project.part("source", "kind") == "uv":
        yield "RUN pip install --no-cache-dir uv"
        install = "uv pip install --system --no-cache"
    if wheel is not None:
        yield f"COPY {wheel} /wheels/"
        yield f"RUN {install} /wheels/{wheel.name}"
    else:
        yield f"RUN {install} {PRODUCT}=={VERSION}"
    yield from _dependencies(project, install)
    yield "COPY . ."
    yield from _local(project, install)
    if removed := _removed(content.get("keep_pkg_tools")):
        yield f"RUN pip uninstall --yes {' '.join(removed)}"
    # A folder that the user may write, also where a volume is mounted on it.
    yield f"RUN useradd --no-create-home --uid {USER} app && mkdir /data && chown {USER}:{USER} /data"
    yield f"USER {USER}:{USER}"
    yield "VOLUME /data"
    yield "EXPOSE 8000"
    yield "# The drain's deadline (DRAIN_SECONDS) must be shorter than the orchestrator's grace period."
    yield "STOPSIGNAL SIGTERM"
    yield (
        "HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \\\n"
        '    CMD ["python", "-c", "import urllib.request as u; u.urlopen(\'http://127.0.0.1:8000/ok\', timeout=3)"]'
    )
    yield 'CMD ["sh", "-c", "deerflow migrate --verbosity 0 && exec deerflow serve --host 0.0.0.0"]'


def _removed(kept: bool | list[str] | None) -> list[str]:
    """The packaging tools that the image does not keep; pip is the last, because it removes them."""
    if kept is None or kept is True:
        return []
    return [each for each in ("setuptools", "wheel", "pip") if each not in (kept or ())]


def image(project: Project) -> str:
    """The base image. Raises ProjectError for one that cannot be used."""
    given, distro = project.content.get("base_image"), project.content.get("image_distro")
    where = project.file.name
    if given and given.startswith("langchain/"):
        raise ProjectError(f"{where}: 'base_image' {given} is LangGraph's own server: leave it out.")
    if distro == "wolfi":
        raise ProjectError(
            f"{where}: 'image_distro' wolfi has no public image of Python: name a 'base_image'."
        )
    suffix = "-bookworm" if distro == "bookworm" else ""
    return given or f"python:{project.content.get('python_version') or PYTHON}-slim{suffix}"


def _dependencies(project: Project, install: str) -> Iterator[str]:
    """What is installed before the code is copied, so that its layer is kept while only the code changes."""
    packages = [each for each in project.content.get("dependencies") or () if not each.startswith((".", "/"))]
    if packages:
        yield f"RUN {install} {shlex.join(packages)}"
    for name in _requirements(project):
        if not _names_files(project.folder / name):
            yield f"COPY {name} {name}"
            yield f"RUN {install} -r {name}"


def _requirements(project: Project) -> list[Path]:
    names = [folder / "requirements.txt" for folder in _folders(project)]
    return [name for name in names if (project.folder / name).is_file()]


def _names_files(file: Path) -> bool:
    """Whether a requirements file needs other files of the project, as `-e .` and `-r base.txt` do."""
    return bool(_FILE.search(file.read_text(encoding="utf-8-sig")))


def _local(project: Project, install: str) -> Iterator[str]:
    """The installation of what was copied."""
    if project.part("source", "kind") == "uv":
        root, package = project.part("source", "root") or ".", project.part("source", "package")
        wanted = f" --package {shlex.quote(package)}" if package else ""
        yield (
            f"RUN uv export --frozen --no-dev --no-emit-local --directory {shlex.quote(root)}{wanted} -o /tmp/locked.txt \\\n"
            f"    && {install} -r /tmp/locked.txt && {install} --no-deps {shlex.quote(root)}"
        )
        return
    for name in _requirements(project):
        if _names_files(project.folder / name):
            yield f"RUN {install} -r {name}"
    for folder in _folders(project):
        if (project.folder / folder / "pyproject.toml").is_file():
            yield f"RUN {install} ./{folder}"


def _folders(project: Project) -> list[Path]:
    """The local folders among the dependencies; all lie below the project, whose folder is the build's context."""
    found = []
    for each in project.content.get("dependencies") or ():
        if each.startswith((".", "/")):
            folder = (project.folder / each).resolve()
            if not folder.is_relative_to(project.folder):
                raise ProjectError(
                    f"{project.file.name}: 'dependencies' names {each}, which is outside of the project."
                )
            found.append(folder.relative_to(project.folder))
    return found
