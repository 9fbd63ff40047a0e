"""Incidents, played against a real server, and the clicks in the admin that find and mend them.

python -m tests.incidents [NAME …]   play all or some, and take the pictures of the documentation
"""
