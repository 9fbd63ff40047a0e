"""The shop's pages, whose paths the API has too, below its prefix."""

from __future__ import annotations

from typing import NoReturn

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.views.decorators.csrf import csrf_exempt

from tests.host.shop.models import Item


def store(request: HttpRequest) -> JsonResponse:
    """Counts visits in the session, and adds an item by POST."""
    if request.method == "POST":
        Item.objects.create(name=request.POST["name"])
    request.session["visits"] = visits = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": visits, "items": Item.objects.count(), "token": get_token(request)})


def sold_out(request: HttpRequest) -> NoReturn:
    """Adds an item, and fails."""
    Item.objects.create(name="the last one")
    raise Http404


def threads(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Threads of wool")


@csrf_exempt
def upload(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"bytes": sum(file.size or 0 for file in request.FILES.values())})
