"""How the gateway benchmark measures, as RESULTS.md tells it."""

from benchmarks.gateway_answers import EVENTS
from benchmarks.gateway_load import IMAGE_PAUSE_SECONDS
from benchmarks.gateway_targets import USERS
from benchmarks.gateway_turn import IMAGE_CALLERS
from benchmarks.gateway_upstream import EVENT_SECONDS, FIRST_EVENT_SECONDS

_FIRST_MS, _OTHER_MS = f"{1000 * FIRST_EVENT_SECONDS:g} ms", f"{1000 * EVENT_SECONDS:g} ms"
METHOD = f"""\
`make bench-gateway` prints these and writes this section. In each round every target is started, warmed up, measured
and stopped, one after the other, with the same callers and the same fake upstream on 127.0.0.1, over plain HTTP/1.1;
each round begins with another target. Figures are medians of the rounds, with the least and the greatest; what is told
apart from another target is taken round by round. Callers, upstream, target and database share the cores, so CPU a call
says more than calls/s does.

- **Targets.** *direct*: the upstream itself. *nginx*: the Debian package, one worker, connections kept, unbuffered.
  *Jangbu*: `jangbu serve` on its embedded PostgreSQL (`fsync` on); each call is authenticated by an app key, held
  durably before it is sent, and settled durably before its last byte is released; {USERS} users with large grants,
  drawn at random for each call. *LiteLLM*: its pass-through to Gemini, one process, with a master key and without a
  database. *Portkey*: its gateway's chat route, which translates Gemini's answers to OpenAI's form, one process; its
  proxy route, which would pass on Gemini's own form, answered 500 when it was tried with the pinned release. Neither
  LiteLLM nor Portkey meters durably here. Jangbu, LiteLLM and the upstream run on the Python that is named below.
- **Plain calls.** wrk on one thread; each caller calls again when it is answered. The upstream answers at once with
  about 3 KB, under a fresh `responseId` each time. A call's added time is the target's quantile less that of direct.
- **CPU** is user and system time of the target's whole process tree from /proc; Jangbu's database is told apart.
- **Streams.** {EVENTS} events, the first after {_FIRST_MS}, the others {_OTHER_MS} apart; callers begin spread over a
  stream's length. The first byte is the first of the body. A stream is whole when its bytes are those that the upstream
  sends under the id that it bears.
- **Images.** {IMAGE_CALLERS} callers ask for 2 MB at the same moment, and each takes nothing off its connection for
  {IMAGE_PAUSE_SECONDS:g} s after its first bytes, so that all answers are under way at once. Memory of the process
  tree, the database apart, is sampled 20 times a second; the peak is quoted. RSS counts pages that processes share once
  for each, PSS once in all.
- **The proof that Jangbu does its work.** Over each of its turns, the tokens that the upstream reported and those that
  the ledger debited are compared; a call that was cut off by the end of a level counts on both sides.
"""
