"""The pipeline's worker: its pure parts on values, and the whole of it on a stand-in of AWS."""
