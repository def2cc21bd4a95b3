"""From what a permissive kernel has recorded to a Trace: parsed, put into the files' own numbering, merged, written."""
