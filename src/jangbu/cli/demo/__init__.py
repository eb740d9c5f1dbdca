"""``demo``: the whole product on a fake Gemini, ending with a report that is checked answer by answer.

options     what was asked for               users       who pays, and what they bought
calls       what is called                   trace       a recorded trace to follow
performing  one call by google-genai         lanes       all calls, sixteen at a time
responses   recorded answers                 comparison  the ledger beside the log of what was answered
figures     what the ledger says             page        the report as text
stage       the ledger and the order of events
"""

from jangbu.cli.demo.command import register, run

__all__ = ["register", "run"]
