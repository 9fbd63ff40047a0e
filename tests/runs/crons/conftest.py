from tests.runs.api.fixtures import http, sdk, stranger, url

__all__ = ["http", "sdk", "stranger", "url"]
