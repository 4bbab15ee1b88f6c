# Rigdrop's watch service in a container: docs/service.md says how to run it.
FROM python:3.12-slim

# Jobs need a SQLite of 3.42 or newer here: an old base image is found out now, and not by the first clip.
RUN python -c "import sqlite3; assert sqlite3.sqlite_version_info >= (3, 42), sqlite3.sqlite_version"

WORKDIR /src
COPY . .
RUN pip install --no-cache-dir .

# An account without rights, with the same number everywhere, so that the owner of a shared folder can be set to it.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data/state --shell /usr/sbin/nologin rigdrop \
    && install -d -o rigdrop -g rigdrop /data /data/inbox /data/out /data/state /data/assets
WORKDIR /data
USER 10001:10001

ENV HOME=/data/state \
    XDG_STATE_HOME=/data/state \
    RIGDROP_ASSETS=/data/assets \
    RIGDROP_DATABASE=/data/state/jobs.db \
    RIGDROP_STATUS=/data/state/status.json \
    RIGDROP_OUT=/data/out \
    RIGDROP_PORT=8947

# What goes in, what comes out, the jobs, and bodies and network weights.
VOLUME ["/data/inbox", "/data/out", "/data/state", "/data/assets"]
EXPOSE 8947

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.build_opener(web.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['RIGDROP_PORT'] + '/healthz', timeout=4)"]

ENTRYPOINT ["rigdrop"]
CMD ["watch", "/data/inbox"]
