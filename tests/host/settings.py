"""A Django site with agents below /agents/, as someone else would have written it.

Its users have UUIDs and log in by e-mail, its shop has a database, pages and an API of its own (at /store/, /threads/
and /assistants/, names that the agents' API has too), and its admin a name and a path of its own. Each of its requests is a
transaction.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import dj_database_url

DATA = Path(os.environ["DATA_DIR"])
SECRET_KEY = "of the tests' host site, which nobody else can reach"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "tests.host.urls"
ASGI_APPLICATION = "tests.host.asgi.application"
AUTH_USER_MODEL = "people.User"
LOGIN_URL = "/sign-in/"
INSTALLED_APPS = [
    "runs",
    "threads",
    "tests.host.people",
    "tests.host.shop.apps.Shop",
    "tests.host.apps.Backoffice",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
USE_TZ = True
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {
    "default": {
        **dj_database_url.parse(os.environ.get("DATABASE_URL") or f"sqlite:///{DATA / 'db.sqlite3'}"),
        "CONN_MAX_AGE": 60,
        "ATOMIC_REQUESTS": True,
    },
    "shop": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "shop.sqlite3",
        "CONN_MAX_AGE": None,
        "ATOMIC_REQUESTS": True,
    },
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA busy_timeout=30000;",
    }
DATABASE_ROUTERS = [os.environ.get("ROUTER") or "tests.host.routers.Shop"]

RUNS = {
    "LANGGRAPH_JSON": os.environ.get("LANGGRAPH_JSON", ""),
    "CHECKPOINTS_FILE": DATA / "checkpoints.sqlite3",
    # Requests without a key act as one user, like in the tests of the site without a prefix.
    "LOCAL_USER": True,
    "LEASE": 6.0,
    "HEARTBEAT": 1.0,
    "SWEEP": 0.5,
    "POLL": 0.2,
    "STREAM_HEARTBEAT": 0.2,
    "LOOP_ALARM": 10.0,
    **json.loads(os.environ.get("RUN_SETTINGS") or "{}"),
}
