"""The site's settings, from the environment; without any variables, safe for local development.

If LANGGRAPH_JSON names a project's file, its `env` is read first, and its keys are the defaults of variables that
are not set.

Local development means that `SECRET_KEY` is not set, or that `deerflow dev` serves. Then `DEBUG` is on, a generated secret is
stored in `DATA_DIR`, only loopback hosts are served, and requests without credentials act as one
built-in local user.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import dj_database_url

from deerflow_site.project import Project, dependencies, environment, read
from deerflow_site.project.run_settings import cors_settings, run_settings

BASE_DIR = Path(__file__).resolve().parent.parent


def env(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def env_bool(name: str, *, default: bool) -> bool:
    value = env(name).lower()
    if value in {"", "1", "true", "yes", "on", "0", "false", "no", "off"}:
        return default if not value else value in {"1", "true", "yes", "on"}
    raise ValueError(f"{name} must be true or false, not {value!r}.")


def env_number(name: str, default: float) -> float:
    value = env(name)
    try:
        return float(value) if value else default
    except ValueError:
        raise ValueError(f"{name} must be a number, not {value!r}.") from None


def env_list(name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    return tuple(part.strip() for part in env(name).split(",") if part.strip()) or default


def env_prices(name: str) -> dict[str, tuple[float, float]]:
    """Prices of models, each as `model=input/output`."""
    found = {}
    for part in env_list(name):
        model, _, price = part.rpartition("=")
        try:
            of_input, of_output = map(float, price.split("/"))
        except ValueError:
            raise ValueError(f"{name} must have prices such as gpt-5=1.25/10, not {part!r}.") from None
        found[model.strip()] = (of_input, of_output)
    return found


def local_secret(path: Path) -> str:
    """The development site's secret, generated once and readable only by its owner."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text().strip()


PROJECT: Project | None = read(env("LANGGRAPH_JSON")) if env("LANGGRAPH_JSON") else None
if PROJECT is not None:
    environment.apply(PROJECT.env)
    environment.require_supported()
    dependencies.make_importable(PROJECT)

IN_CHECKOUT = (BASE_DIR / "manage.py").is_file()
DATA_DIR = Path(env("DATA_DIR", str(BASE_DIR / "var" if IN_CHECKOUT else ".deerflow"))).resolve()
LOCAL_DEVELOPMENT = not env("SECRET_KEY") or env_bool("DEERFLOW_DEV", default=False)
SECRET_KEY = env("SECRET_KEY") or local_secret(DATA_DIR / "secret_key")
DEBUG = env_bool("DEBUG", default=LOCAL_DEVELOPMENT)
ALLOWED_HOSTS = [host.strip() for host in env("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")]

INSTALLED_APPS = [
    # In the wheel its templates precede those of other apps.
    "deerflow_site",
    # Before "daphne" and "django.contrib.staticfiles": the first app that has a `runserver` command wins.
    "runs",
    "threads",
    "channels",
    # For the API page's static files; without it, the page would load them from a CDN.
    "ninja",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "runs.pages.content_policy.content_security",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "deerflow_site.urls"
ASGI_APPLICATION = "deerflow_site.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # The wheel has these in the package, where the application's own templates are found.
        "DIRS": [BASE_DIR / "templates"] if IN_CHECKOUT else [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
LOGIN_URL = "runs_accounts:login"
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
# WhiteNoise warns of a missing folder. In development, files are served from their source folders.
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

SQLITE_OPTIONS = {
    # A deferred transaction that reads and then writes cannot wait for another writer: it fails at once with
    # "database is locked". IMMEDIATE takes the write lock first, and waits for it up to `timeout` seconds.
    "transaction_mode": "IMMEDIATE",
    "timeout": 30,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=30000;",
}
DATABASES = {
    "default": dj_database_url.parse(
        env("DATABASE_URL", f"sqlite:///{DATA_DIR / 'db.sqlite3'}"), conn_max_age=0
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
    Path(DATABASES["default"]["NAME"]).parent.mkdir(parents=True, exist_ok=True)
else:
    # The pool then does not hand out connections that the server has closed.
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = {
        **DATABASES["default"].get("OPTIONS", {}),
        # Prepared statements: planning the few statements of a run each time would cost as much as executing them.
        "server_side_binding": True,
        "prepare_threshold": 2,
        # For the admin's pages. Runs and the API use threads with their own connections
        # (`threads.db.database`).
        "pool": {"min_size": 0, "max_size": int(env_number("DATABASE_POOL", 8)), "timeout": 10},
        "connect_timeout": 5,
        # Detects a vanished database host within seconds; the kernel would give up after a quarter of an
        # hour.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        # A process that is frozen in a transaction must not block the process that takes over its runs. Neither
        # may one long-held lock block all database threads of a process.
        "options": "-c idle_in_transaction_session_timeout=10000 -c lock_timeout=5000",
    }

BODY_LIMIT = 8 * 1024 * 1024
# Django's own limit, the same for the whole site.
DATA_UPLOAD_MAX_MEMORY_SIZE = BODY_LIMIT
RUNS: dict[str, Any] = {
    "GRAPHS": {},
    "LANGGRAPH_JSON": env("LANGGRAPH_JSON"),
    "CHECKPOINT_MODULES": env_list("CHECKPOINT_MODULES"),
    "CONCURRENCY": int(env_number("RUN_CONCURRENCY", 100)),
    "DRAIN_SECONDS": env_number("DRAIN_SECONDS", 20),
    "RECOVERY": env("RUN_RECOVERY", "resume"),
    "ON_SHUTDOWN": env("ON_SHUTDOWN", "requeue"),
    "USER_CONCURRENCY": int(env_number("USER_CONCURRENCY", 0)),
    "TOTAL_CONCURRENCY": int(env_number("TOTAL_CONCURRENCY", 0)),
    # No limits in local development, which has a single user.
    "USER_QUEUE": int(env_number("USER_QUEUE", 0 if LOCAL_DEVELOPMENT else 1000)),
    "USER_RUNS_PER_MINUTE": int(env_number("USER_RUNS_PER_MINUTE", 0 if LOCAL_DEVELOPMENT else 600)),
    "USER_THREADS": int(env_number("USER_THREADS", 0 if LOCAL_DEVELOPMENT else 100_000)),
    "USER_CRONS": int(env_number("USER_CRONS", 0 if LOCAL_DEVELOPMENT else 1000)),
    "USER_CONNECTIONS": int(env_number("USER_CONNECTIONS", 0 if LOCAL_DEVELOPMENT else 100)),
    "MODEL_PRICES": env_prices("MODEL_PRICES"),
    "EVENT_RETENTION": env_number("EVENT_RETENTION", 30 * 86_400),
    "RUN_RETENTION": env_number("RUN_RETENTION", 0),
    "THREAD_TTL": env_number("THREAD_TTL", 0),
    "THREAD_TTL_STRATEGY": env("THREAD_TTL_STRATEGY", "delete"),
    "WEBHOOK_SCHEMES": env_list("WEBHOOK_SCHEMES", ("https",)),
    "WEBHOOK_HOSTS": env_list("WEBHOOK_HOSTS"),
    "WEBHOOK_NETWORKS": env_list("WEBHOOK_NETWORKS"),
    "WEBHOOK_SECRETS": env_list("WEBHOOK_SECRETS"),
    "CHECKPOINTS_FILE": DATA_DIR / "checkpoints.sqlite3",
    "LOCAL_USER": LOCAL_DEVELOPMENT,
    "OWNERSHIP": env("OWNERSHIP", "user"),
    "CORS_ORIGINS": env("CORS_ORIGINS", "loopback" if LOCAL_DEVELOPMENT else "").replace(",", " ").split(),
    "BODY_LIMIT": BODY_LIMIT,
    "SITE_BODY_LIMIT": BODY_LIMIT,
}
#: Identifiers of system checks that do not apply here.
SILENCED_SYSTEM_CHECKS: list[str] = []
if PROJECT is not None:
    given = {**run_settings(PROJECT), **cors_settings(PROJECT, local=LOCAL_DEVELOPMENT)}
    RUNS |= {name: value for name, value in given.items() if not env(name)}
    # All keys of the file were checked above.
    SILENCED_SYSTEM_CHECKS.append("runs.W002")
else:
    RUNS["GRAPHS"]["agent"] = {
        "path": "deerflow_site.graphs.agent:graph",
        "description": "Research over a bundled document collection, with a human review of the draft.",
    }

LOG_LEVEL = env("LOG_LEVEL", "INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "threads.redaction.RedactingFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "daphne": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        # Lower levels would log everything that is written: whole states, and clients' values of
        # configurable.
        "aiosqlite": {"level": "INFO"},
        "django.db.backends": {"level": "INFO"},
        "django": {"handlers": [], "propagate": True},
        # No line for each 4xx response, which is the client's error.
        "django.request": {"level": "ERROR"},
    },
}

if not LOCAL_DEVELOPMENT and not DEBUG:
    BEHIND_PROXY = env_bool("BEHIND_PROXY", default=False)
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env_bool("SECURE_COOKIES", default=True)
    SECURE_CONTENT_TYPE_NOSNIFF = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
    # Without a proxy's header, no request is recognised as HTTPS, and each one would be redirected endlessly.
    SECURE_SSL_REDIRECT = env_bool("SSL_REDIRECT", default=BEHIND_PROXY)
    SECURE_HSTS_SECONDS = int(env_number("HSTS_SECONDS", 3600))
    # The domain's other hosts and browsers' preload lists are outside of this site's control.
    SILENCED_SYSTEM_CHECKS += ["security.W005", "security.W021"]
