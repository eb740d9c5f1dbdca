"""What forms are sent with by whoever tries them without a browser."""

from tests.dashboard.site import PASSWORD, USERS

NOBODY = "00000000-0000-0000-0000-000000000000"
FIELDS = {
    "/user/grant": {"user": USERS[0], "amount": "5", "order": "", "key": "safety"},
    "/user/adjust": {"user": USERS[0], "delta": "5", "reason": "why not", "key": "safety"},
    "/user/block": {"user": USERS[0], "key": "safety"},
    "/user/unblock": {"user": USERS[0], "key": "safety"},
    "/user/erase": {"user": USERS[0], "again": f"{USERS[0]}?", "key": "safety"},
    "/users/open": {"user": "safety", "amount": "5", "source": "gift", "key": "safety"},
    "/users/grant/check": {"csv": f"user,tokens\n{USERS[0]},5", "key": "safety-file"},
    "/users/grant/grant": {
        "csv": f"user,tokens\n{USERS[0]},5",
        "confirmation": "0" * 64,
        "key": "safety-file",
    },
    "/call/record-test": {"key": "safety"},
    "/ledger/refund": {"user": USERS[0], "call": NOBODY, "amount": "5", "reason": "why not", "key": "safety"},
    "/ledger/void": {"user": USERS[0], "call": NOBODY, "reason": "why not", "key": "safety"},
    "/ledger/verify": {"key": "safety"},
    "/ledger/verify-full": {"key": "safety"},
    "/settings/keys/create-app": {"name": "safety", "gateway": "all", "key": "safety-app"},
    "/settings/keys/create-user": {"user": USERS[0], "gateway": "all", "key": "safety-user"},
    "/settings/keys/revoke": {"id": NOBODY, "key": "safety-revoke"},
    "/settings/members/invite": {"name": "safety", "role": "viewer", "key": "safety-invite"},
    "/settings/members/reset": {"member": NOBODY, "key": "safety-reset"},
    "/settings/members/role": {"member": NOBODY, "role": "viewer"},
    "/settings/members/block": {"member": NOBODY},
    "/settings/members/unblock": {"member": NOBODY},
    "/settings/members/end-sessions": {"member": NOBODY},
    "/profile/change-password": {"present": PASSWORD, "password": "another horse battery staple"},
    "/profile/end": {"session": NOBODY},
    "/profile/end-others": {},
    "/alerts/release": {"hold": NOBODY, "reason": "why not", "key": "safety"},
    "/alerts/charge": {"hold": NOBODY, "answer": "{}", "key": "safety"},
    "/alerts/acknowledge": {"user": USERS[0], "call": NOBODY, "of_kind": "overrun"},
    "/alerts/resolve": {"user": USERS[0], "call": NOBODY, "of_kind": "overrun", "reason": "why not"},
    "/alerts/events/again": {"event": NOBODY, "key": "safety"},
    "/alerts/events/again-all": {},
    "/alerts/channels/test": {"channel": "log", "key": "safety-test"},
    "/alerts/rules/mute": {"condition": "unpriced", "minutes": "15", "reason": "why not", "key": "safety-mute"},
    "/alerts/rules/unmute": {"condition": "unpriced"},
    "/prices/backfill": {"key": "safety-backfill"},
    "/prices/change/try-file": {"book": '{"entries": []}'},
    "/prices/change/put": {"do": "markup", "markup": "5", "confirmation": "0" * 64, "key": "safety-put"},
}
"""What a form holds that would be done, if it were its sender's to send; one that is not listed is sent empty."""
