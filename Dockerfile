# gpm-cdc as a service. Settings come from the environment and from mounted secrets (GPM_..._FILE), see docker-compose.yml.

FROM python:3.13-slim AS build
WORKDIR /source
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN pip install --no-cache-dir --require-hashes --requirement requirements/build.txt \
    && python -m venv /opt/gpm-cdc \
    && /opt/gpm-cdc/bin/pip install --no-cache-dir --require-hashes --requirement requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY gpm_cdc gpm_cdc
COPY alembic alembic
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel . \
    && /opt/gpm-cdc/bin/pip install --no-cache-dir --no-deps /wheel/*.whl

FROM python:3.13-slim
COPY --from=build /opt/gpm-cdc /opt/gpm-cdc
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent gpm-cdc
USER gpm-cdc
WORKDIR /etc/gpm-cdc
ENV PATH=/opt/gpm-cdc/bin:$PATH PYTHONUNBUFFERED=1
# SIGTERM lets the batch in hand finish.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["gpm-cdc", "status"]
ENTRYPOINT ["gpm-cdc"]
CMD ["run"]
