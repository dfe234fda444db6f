"""Reads files that translators exchange: XLIFF, and subtitles."""
