# docker build .                  the CPU image (default target)
# docker build --target cuda .    the GPU image; run with --gpus all
# PIP_EXTRA_INDEX_URL may name an index with CPU-only torch wheels: the CPU image is then much smaller.

FROM python:3.11-slim AS base
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
WORKDIR /app
RUN useradd --system --create-home vtv

FROM base AS cuda
ARG PIP_EXTRA_INDEX_URL
COPY . .
RUN pip install -c constraints.txt '.[tensorrt,otel]'
ENV VTV_HOST=0.0.0.0 VTV_DEVICE=cuda VTV_ALLOW_UNAUTHENTICATED=1
USER vtv
EXPOSE 8000
CMD ["vtv", "serve"]

FROM base AS cpu
ARG PIP_EXTRA_INDEX_URL
COPY . .
RUN pip install -c constraints.txt '.[openvino,otel]'
# Inside a container the published port decides who can reach the service.
ENV VTV_HOST=0.0.0.0 VTV_DEVICE=cpu VTV_ALLOW_UNAUTHENTICATED=1
USER vtv
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD python -c "import httpx; httpx.get('http://127.0.0.1:8000/readyz').raise_for_status()"
CMD ["vtv", "serve"]
