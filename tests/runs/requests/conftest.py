from tests.support.api import http, sdk, stranger, url

__all__ = ["http", "sdk", "stranger", "url"]
