"""Many samples in a folder: shards by index, drawn by one process or many, continued where they are missing."""
