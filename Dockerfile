# The service. `docker compose up --wait` builds it and starts it beside its Neo4j: docker-compose.yml.

FROM node:22-slim AS pages
WORKDIR /build/explorer/ide
COPY explorer/ide/package.json explorer/ide/package-lock.json ./
RUN npm ci --silent
COPY explorer/ide/ ./
RUN npm run --silent build

FROM python:3.13-slim AS package
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY cypher/ cypher/
COPY graphql/ graphql/
COPY ledger/ ledger/
COPY --from=pages /build/explorer/ide/dist/ explorer/ide/dist/
RUN python -m venv /opt/ledger \
    && /opt/ledger/bin/pip install --no-cache-dir --quiet --constraint constraints.txt .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/ledger --create-home ledger
COPY --from=package /opt/ledger /opt/ledger
# Reached from other containers, so it needs LEDGER_API_KEY, or LEDGER_API_KEY_FILE, and does not start without.
ENV PATH=/opt/ledger/bin:$PATH \
    LEDGER_HOST=0.0.0.0 \
    LEDGER_LOG_FORMAT=json \
    LEDGER_STORE=sqlite:////var/lib/ledger/ledger.db
USER 10001
WORKDIR /var/lib/ledger
VOLUME /var/lib/ledger
EXPOSE 8321
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('LEDGER_PORT', 8321)}/readyz\", timeout=4)"]
ENTRYPOINT ["ledger"]
CMD ["serve"]
