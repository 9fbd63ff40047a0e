"""The product's name and version, for pages."""

from __future__ import annotations

from django import template

from runs.version import NAME, VERSION

register = template.Library()


@register.simple_tag
def product_version() -> str:
    return f"{NAME} {VERSION}"
