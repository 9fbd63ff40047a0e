FROM python:3.13-slim AS build
# hadolint ignore=DL3013
RUN pip install --no-cache-dir uv
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-cache --compile-bytecode

FROM python:3.13-slim
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY . .
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data
RUN useradd --no-create-home --uid 10001 app && mkdir /data && chown 10001:10001 /data \
    && SECRET_KEY=build python manage.py collectstatic --noinput --verbosity 0 \
    && python -m compileall -q runs threads deerflow_site
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
VOLUME /data
EXPOSE 8000
# The drain's deadline (DRAIN_SECONDS) must be shorter than the orchestrator's grace period.
STOPSIGNAL SIGTERM
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0"]
