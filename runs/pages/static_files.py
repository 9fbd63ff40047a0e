"""A storage of static files whose names tell their contents, also in the imports of JavaScript modules.

Django's `ManifestStaticFilesStorage` leaves imports alone. A page then loads each module twice, under
both names, and after an upgrade a browser mixes old modules from its cache with new ones.
"""

from __future__ import annotations

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class RewritesImports:
    """Before a storage that hashes names: `class Storage(RewritesImports, CompressedManifestStaticFilesStorage)`."""

    support_js_module_import_aggregation = True
    # Each pass carries a changed name from a module to those that import it.
    max_post_process_passes = 20


# The stubs let the bases of Django's own class disagree, but not those of its subclasses.
class ModuleStaticFilesStorage(RewritesImports, ManifestStaticFilesStorage):  # type: ignore[misc]
    """Django's storage, with rewritten imports."""
