FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-cache --compile-bytecode

FROM python:3.13-slim
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY . .
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data
RUN useradd --system app && mkdir /data && chown app /data \
    && SECRET_KEY=build python manage.py collectstatic --noinput --verbosity 0 \
    && python -m compileall -q runs threads deerflow_site
USER app
VOLUME /data
EXPOSE 8000
# The drain's deadline (DRAIN_SECONDS) must be shorter than the orchestrator's grace period.
STOPSIGNAL SIGTERM
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0"]
