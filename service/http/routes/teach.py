"""`POST /tasks/{name}/teach` and `/jobs`: a task made of uploaded pictures while the service runs."""

from collections import Counter
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response, Security
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from artifacts.errors import ArtifactError
from artifacts.pictures.errors import PictureError, UnsupportedFormat
from artifacts.pictures.formats import format_of
from artifacts.store.file import check_name
from service.errors import ClientClosed, InvalidImage, InvalidRequest, UnsupportedMedia
from service.http.auth import API_KEY, BEARER, Authenticator
from service.http.calls import is_given
from service.http.openapi import BINARY, PROBLEM
from service.http.schemas import JobList
from service.teach.job import JobInfo, Lesson
from service.teach.jobs import TeachJobs

MOST_PAIRS: Final = 256
_FEWEST_PAIRS: Final = 2
_FEWEST_PICTURES: Final = 2
"""Of a class."""
_FIELDS: Final = ("input", "output", "label", "force")
_LONGEST_LABEL: Final = 100
_FILES: Final = {"type": "array", "items": BINARY, "minItems": _FEWEST_PAIRS, "maxItems": MOST_PAIRS}
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["input"],
                    "properties": {
                        "input": {**_FILES, "description": "What will be sent. JPEG, PNG or WebP."},
                        "output": {**_FILES, "description": "What each input is to become, in the same order."},
                        "label": {
                            "type": "array",
                            "items": {"type": "string", "minLength": 1, "maxLength": _LONGEST_LABEL},
                            "description": "In place of outputs: each input's class, in the same order. The task then "
                            "tells the classes apart; each needs two inputs or more.",
                        },
                        "force": {
                            "type": "string",
                            "enum": ["true", "false"],
                            "default": "false",
                            "description": "Install the task even if it is no better than no teaching.",
                        },
                    },
                }
            }
        },
    }
}


def teach_routes(jobs: TeachJobs, authenticator: Authenticator) -> APIRouter:
    admin = [Security(BEARER), Security(API_KEY), Depends(authenticator.may_change)]
    router = APIRouter(tags=["teach"], dependencies=admin)

    def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
        return dict.fromkeys((401, *statuses), PROBLEM)

    @router.post(
        "/tasks/{name}/teach",
        summary="Make a task of input/output pairs, or of labelled inputs",
        status_code=202,
        responses=problems(400, 413, 415, 422, 429),
        openapi_extra=_FORM,
    )
    async def teach(name: str, request: Request, response: Response) -> JobInfo:
        """Start a job that makes a task of the pictures and installs it; `Location` is its address.

        One job is done at a time, at low priority beside serving. From six pairs on a third is held out to judge the
        vector, which is installed where it does better than no vector, the input itself and one colour. Of labelled
        inputs a third of each class is held out; the task is installed where it beats the commonest class, and is no
        worse than its base.
        """
        job = jobs.submit(await _read_lesson(name, request))
        response.headers["Location"] = f"/jobs/{job.id}"
        return job

    @router.get("/jobs", summary="List the teach jobs", responses=problems())
    async def listed() -> JobList:
        """Those that are over are remembered for a while, until the server ends."""
        return JobList(jobs=jobs.all())

    @router.get("/jobs/{job_id}", summary="A job's stage, progress and result", responses=problems(404))
    async def job(job_id: str) -> JobInfo:
        return jobs.get(job_id)

    @router.delete("/jobs/{job_id}", summary="Cancel a job", status_code=204, responses=problems(404))
    async def cancel(job_id: str) -> None:
        """Stop a job and leave the tasks as they are, or forget one that is over."""
        await jobs.cancel(job_id)

    return router


async def _read_lesson(name: str, request: Request) -> Lesson:
    try:
        check_name(name)
    except ArtifactError:
        raise InvalidRequest("The task's name must be letters, digits, '_' or '-', at most 64.") from None
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedMedia("Send multipart/form-data: input files, with an output or a label for each.")
    try:
        async with request.form(max_files=2 * MOST_PAIRS, max_fields=2 * MOST_PAIRS + 1) as form:
            return await _lesson(name, form)
    except (MultiPartException, HTTPException):  # within the framework it is the latter
        raise InvalidRequest(f"The multipart body is malformed, or holds more than {MOST_PAIRS} pairs.") from None
    except ClientDisconnect:
        raise ClientClosed from None


async def _lesson(name: str, form: FormData) -> Lesson:
    for field in form:
        if field not in _FIELDS:
            raise InvalidRequest(f"{field[:100]}: Unknown field. A lesson has input, output or label, and force.")
    inputs, outputs = await _pictures(form, "input"), await _pictures(form, "output")
    force = form.get("force", "false")
    if force not in ("true", "false"):
        raise InvalidRequest("force: Input should be 'true' or 'false'.")
    if any(map(_is_given, form.getlist("label"))):
        return Lesson(name, inputs, outputs, force == "true", _labels(form, len(inputs), len(outputs)))
    if len(inputs) != len(outputs):
        raise InvalidRequest(f"{len(inputs)} input and {len(outputs)} output files: each input needs its output.")
    if len(inputs) < _FEWEST_PAIRS:
        raise InvalidRequest("A task is taught by 2 pairs or more: each is the example for the others.")
    return Lesson(name, inputs, outputs, force == "true")


def _labels(form: FormData, inputs: int, outputs: int) -> tuple[str, ...]:
    if outputs:
        raise InvalidRequest("label and output: an input has one or the other.")
    labels = tuple(label.strip() for label in form.getlist("label") if isinstance(label, str))
    if len(labels) != inputs:
        raise InvalidRequest(f"{inputs} input files and {len(labels)} labels: each input needs its label.")
    if not all(0 < len(label) <= _LONGEST_LABEL and label.isprintable() for label in labels):
        raise InvalidRequest(f"label: A label is 1 to {_LONGEST_LABEL} printable characters.")
    counts = Counter(labels).values()
    if len(counts) < 2 or min(counts) < _FEWEST_PICTURES:
        raise InvalidRequest("label: A task needs 2 classes or more, with 2 inputs or more of each.")
    return labels


def _is_given(part: UploadFile | str) -> bool:
    """False of a field that was left empty in a browser's form."""
    return bool(part) if isinstance(part, str) else is_given(part)


async def _pictures(form: FormData, name: str) -> list[bytes]:
    files = []
    for number, part in enumerate(form.getlist(name), start=1):
        if not isinstance(part, UploadFile):
            raise InvalidRequest(f"The field {name} must be a file.")
        if not is_given(part):
            continue
        content = await part.read()
        try:
            format_of(content)
        except UnsupportedFormat:
            raise UnsupportedMedia(f"{name} {number} is neither a JPEG, PNG nor WebP file.") from None
        except PictureError:
            raise InvalidImage(f"{name} {number} is not a picture.") from None
        files.append(content)
    return files
