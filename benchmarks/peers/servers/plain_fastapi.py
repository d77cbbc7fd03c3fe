"""FastAPI as its tutorial has it: an upload form, a call of the model for each request, in the thread pool."""

import sys
from typing import Annotated

import uvicorn
from fastapi import FastAPI, File, Form, Response

from benchmarks.peers.codec import decode, encode
from benchmarks.peers.model import load_model

app = FastAPI()
model = load_model()


@app.post("/infer")
def infer(image: Annotated[bytes, File()], task: Annotated[str, Form()]) -> Response:
    picture = decode(image)
    answer = model.answers([picture], [task])[0]
    return Response(encode(model.finished(answer, picture, task)), media_type="image/png")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False)
