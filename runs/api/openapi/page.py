"""The document as a web page."""

from __future__ import annotations

from ninja.openapi.docs import Swagger


class DocsPage(Swagger):
    """Ninja's page, as light or dark as the site's other pages."""

    template = "runs/docs.html"
