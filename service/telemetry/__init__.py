"""What a server tells of itself: metrics, access log, traces."""
