"""The shop's own API by Django REST framework, whose path the API of the agents has too."""

from __future__ import annotations

from django.db import transaction
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs import agents


class Order(serializers.Serializer):
    name = serializers.CharField(max_length=50)


class Assistants(APIView):
    authentication_classes = (SessionAuthentication,)
    permission_classes = (IsAuthenticated,)

    def post(self, request: Request) -> Response:
        """Let an agent carry out an order, unless the order turns out to be impossible."""
        with transaction.atomic():
            run = agents.start("steps", {"log": []}, user=request.user, metadata={"by": "shop"})
            order = Order(data=request.data)
            order.is_valid(raise_exception=True)
        return Response({"run_id": run.id, **order.validated_data}, status=201)

    def get(self, request: Request) -> Response:
        result = agents.wait(request.query_params["run_id"], user=request.user, timeout=60)
        return Response({"status": result.status, "log": result.values["log"]})
