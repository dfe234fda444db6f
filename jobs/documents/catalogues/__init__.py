"""Reads catalogues of messages that programs show: gettext, JSON, Android, Apple, Java properties and YAML."""
