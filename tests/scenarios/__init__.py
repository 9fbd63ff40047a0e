"""Tests of several parts together, which name no module."""
