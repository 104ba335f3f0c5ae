# The web demo in a container. From the root of the repository:
#   docker build -f deploy/containers/demo.Dockerfile -t ich-demo .
#   docker run --read-only --tmpfs /tmp:size=2g --cap-drop ALL --security-opt no-new-privileges -p 127.0.0.1:7860:7860 ich-demo
# The digest is that of python:3.12-slim-bookworm; docs/containers.md tells how to move to a newer one.
FROM python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORKDIR /srv/ich
COPY requirements.txt requirements-lock.txt ./
RUN pip install -r requirements.txt -c requirements-lock.txt
COPY app.py LICENSE MODEL_CARD.md ./
COPY ich_lib ich_lib
RUN python -m compileall -q ich_lib

# All that it writes: uploads, kept for half an hour, and the caches of libraries.
ENV TMPDIR=/tmp HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib GRADIO_TEMP_DIR=/tmp/uploads GRADIO_ANALYTICS_ENABLED=False \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=4)"]
CMD ["python", "app.py", "--host", "0.0.0.0", "--port", "7860"]
