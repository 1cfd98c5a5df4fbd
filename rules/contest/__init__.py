"""What a contest defines: caps, dates, shard format, byte accounting."""
