"""Settings of a site without runs, threads or a database file, for the servers' tests."""

import os

SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ROOT_URLCONF = "tests.runs.server.dummy"
ASGI_APPLICATION = "tests.runs.server.dummy_site.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
USE_TZ = True
RUNS = {
    "BODY_LIMIT": 200_000,
    "SITE_BODY_LIMIT": 200_000,
    "CONNECTIONS": int(os.environ.get("CONNECTIONS", "1000")),
    **{
        name: float(os.environ[name])
        for name in ("SOCKET_STALL", "SOCKET_PING", "SOCKET_PONG")
        if name in os.environ
    },
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}
