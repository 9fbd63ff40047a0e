"""Shared by the whole API: requests with a principal, and JSON bodies of any content type."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI
from ninja.params.models import Body, BodyModel
from pydantic import BaseModel, ConfigDict, model_validator

from threads.models.querysets import Principal


class Request(HttpRequest):
    """A request after the API's authentication."""

    auth: Principal


class Schema(BaseModel):
    """A body's shape. Clients omit optional fields or send null, and may send unknown fields."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def null_is_absent(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None}
        return data


class JSONBodyModel(BodyModel):
    """Ninja's model of a view's body.

    The API's parser reads it, also an empty one, and raises its own errors.
    """

    @classmethod
    def get_request_data(
        cls, request: HttpRequest, api: NinjaAPI, path_params: dict[str, Any]
    ) -> dict[str, Any]:
        data: Any = api.parser.parse_body(request)
        name = getattr(cls, "__read_from_single_attr__", None)
        return {name: data} if name else data


class JSONBody(Body):  # type: ignore[misc]
    """Marks the parameter of a view that is the request's body: `body: Annotated[SomeSchema, JSONBody(...)]`."""

    _model = JSONBodyModel

    @classmethod
    def _param_source(cls) -> str:
        return "body"
