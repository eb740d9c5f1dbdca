"""What pages load and others wrote: taken from their releases by version and hash, and put where pages load it from."""
