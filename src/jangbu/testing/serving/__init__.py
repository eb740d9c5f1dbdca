"""The fake's sockets: HTTP/1.1 with keep-alive and chunked streams, TLS, and WebSocket on the same port."""
