"""Gin configurations, installed with the package so that they resolve from any directory."""
