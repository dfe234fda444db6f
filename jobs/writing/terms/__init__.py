"""Terms in texts: finds the words of a glossary and names in any script, whole and inflected, the longest first."""
