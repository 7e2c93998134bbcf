"""``shearbench serve``: a page on 127.0.0.1 that classifies a dropped picture or a drawn digit.

Starlette and uvicorn come with MLflow. No data leave the machine: the page sends requests only to its own server. The
server rejects other origins and stores no picture.
"""

import socket
import tempfile
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from shearbench.data.handwritten import Unreadable, read_file
from shearbench.handwriting.class_page import heated
from shearbench.handwriting.class_pictures import data_uri, prediction_json
from shearbench.handwriting.preparation import mnist
from shearbench.handwriting.readers import Readers, explain, load

HOST = "127.0.0.1"
MAX_BYTES = 20_000_000
_FILES = {"/": "serve.html", "/serve.js": "serve.js", "/serve.css": "serve.css"}
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'"


def application(readers: Readers) -> Starlette:
    """Return the application: the page, and ``POST /predict`` for a picture in the request body."""

    async def file(request: Request) -> Response:
        headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        return FileResponse(Path(__file__).with_name(_FILES[request.url.path]), headers=headers)

    async def predict(request: Request) -> Response:
        origin = request.headers.get("origin")
        if origin is not None and origin != f"{request.url.scheme}://{request.headers.get('host')}":
            return _refused("Another page asked for this; open the page of `shearbench serve` itself.", 403)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                return _refused(f"This picture is larger than {MAX_BYTES // 10**6} MB; make it smaller.", 413)
        try:
            return JSONResponse(await run_in_threadpool(prediction_of, bytes(body), readers))
        except Unreadable as error:
            return _refused(f"This file {error}.", 422)

    routes = [Route(path, file) for path in _FILES]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return Starlette(routes=[*routes, Route("/predict", predict, methods=["POST"])], middleware=[hosts])


_ONE_AT_A_TIME = threading.Lock()
"""Requests run in threads, and Grad-CAM hooks the layers of networks that all of them share."""


def _refused(message: str, status: int) -> Response:
    return JSONResponse({"message": message}, status)


def prediction_of(content: bytes, readers: Readers) -> dict[str, Any]:
    """Return the prediction for the bytes of a picture, with the prepared image and its Grad-CAM map.

    Raises:
        Unreadable: if it is not a supported picture or shows no ink.
    """
    with tempfile.TemporaryDirectory(prefix="shearbench-") as folder:
        path = Path(folder) / "picture"
        path.write_bytes(content)
        prepared = mnist(read_file(path))
    if prepared.rejected:
        raise Unreadable(f"shows no digit ({prepared.rejected})")
    with _ONE_AT_A_TIME:
        ((predicted, probabilities),) = readers.predict(prepared.image[None])
        seen = heated(prepared.image, explain(readers, prepared.image[None], [predicted.label])[0])
    found = prediction_json(predicted, probabilities, prepared)
    return found | {"prepared": data_uri(prepared.image), "seen": data_uri(seen)}


def main(port: int) -> None:
    """Load the readers and serve on 127.0.0.1 until Ctrl-C."""
    readers = load()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum warns on its first use
        blank = np.zeros((28, 28), np.uint8)
        explain(readers, blank[None], [0])  # warm up: the first digit is then as fast as the others
    server = uvicorn.Server(uvicorn.Config(application(readers), log_level="warning"))
    with socket.create_server((HOST, port)) as listening:  # before the address is printed: it can be opened at once
        print(f"Open http://{HOST}:{port} (Ctrl-C stops it)", flush=True)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
