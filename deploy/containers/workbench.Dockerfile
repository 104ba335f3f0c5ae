# The student workbench in a container. From the root of the repository:
#   docker build -f deploy/containers/workbench.Dockerfile -t ich-workbench .
#   docker run --read-only --tmpfs /tmp:size=4g --cap-drop ALL --security-opt no-new-privileges \
#     -v "$PWD/data":/data:ro -v "$PWD/runs":/runs:ro -p 127.0.0.1:8501:8501 ich-workbench
# The digest is that of python:3.12-slim-bookworm; docs/containers.md tells how to move to a newer one.
FROM python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORKDIR /srv/ich
COPY requirements.txt requirements-course.txt requirements-lock.txt ./
RUN pip install -r requirements-course.txt -c requirements-lock.txt
COPY workbench.py LICENSE MODEL_CARD.md ./
COPY .streamlit .streamlit
COPY notebooks notebooks
COPY ich_lib ich_lib
RUN python -m compileall -q ich_lib

# All that it writes: heads made by code, stores of data sets, and the caches of libraries.
ENV TMPDIR=/tmp HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib ICH_CACHE=/tmp/ich STREAMLIT_BROWSER_GATHER_USAGE_STATS=false \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["streamlit", "run", "workbench.py", "--server.address", "0.0.0.0", "--server.port", "8501", "--server.headless", "true"]
