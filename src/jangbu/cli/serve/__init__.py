"""``serve``: the ledger kept up and answered for on HTTP, by one process or by several.

command     the options                      start        from options to a service
process     one process behind uvicorn       workers      several, and who watches over them
worker      one of the several               opening      what is done once before them
loop        the event loop                   first_owner  who may sign in at first
served      what answers which path          protocol     HTTP with bounds
accepting   who comes, and how many        neighbours   who came to another worker
listening   the socket and its address       certificate  what TLS shows
stopping    once in order, twice at once     lines        what is logged
without_chunks  answers to clients of HTTP/1.0
"""

from jangbu.cli.serve.command import register

__all__ = ["register"]
