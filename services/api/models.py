"""The models that this stack answers to, as OpenAI lists them, with what ours can do."""

from typing import Literal

from fastapi import APIRouter

from services.api import openapi
from services.api.job_view import View
from services.api.languages import NAMES
from services.api.served_model import ServedModel
from services.api.service import Owner, Parts

router = APIRouter(prefix="/v1/models", tags=["Models"])


class ModelView(View):
    """One model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    """Unix time."""
    owned_by: str = "whisper-sv"
    bundle: str
    """The bundle that is behind the name."""
    languages: list[str]
    """Codes of the languages that it knows."""
    tasks: list[str]
    """transcribe, translate."""
    demo: bool
    """It knows only synthetic speech: for trying the service out."""
    short_context: bool


class ModelList(View):
    """All models."""

    object: Literal["list"] = "list"
    data: list[ModelView]
    max_upload_bytes: int
    """A larger recording is refused: whoever knows need not begin to send it."""


@router.head("", include_in_schema=False)
@router.get("", response_model=ModelList, **openapi.errors(401))
def list_models(service: Parts, owner: Owner) -> ModelList:
    """List what is served."""
    model = service.models.served()
    return ModelList(
        data=[model_view(model, model.id)], max_upload_bytes=service.settings.max_upload_bytes
    )


@router.head("/{model_id:path}", include_in_schema=False)
@router.get("/{model_id:path}", response_model=ModelView, **openapi.errors(401, 404))
def get(model_id: str, service: Parts, owner: Owner) -> ModelView:
    """Return one model by its id, its name, or one of OpenAI's names."""
    return model_view(service.models.require(model_id), model_id)


def model_view(model: ServedModel, name: str) -> ModelView:
    """Describe the served model under one of its names."""
    return ModelView(
        id=name,
        created=int(model.created_at.timestamp()),
        bundle=model.id,
        languages=list(model.languages or NAMES),
        tasks=list(model.tasks),
        demo=model.demo,
        short_context=model.short_context,
    )
