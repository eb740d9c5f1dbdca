"""Who is signed in. Put your own sign-in here: whoever can choose this name can spend that user's tokens."""

import os
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Header, HTTPException


def signed_in_user(x_demo_user: Annotated[str | None, Header()] = None) -> str:
    """Take the user from a header that anybody can send: that does for trying this out, and for nothing else."""
    if os.environ.get("ENVIRONMENT") == "production":
        raise RuntimeError("signed_in_user is a stand-in for your own sign-in")
    if not x_demo_user:
        raise HTTPException(401, "Please sign in.")
    return unquote(x_demo_user)


SignedIn = Annotated[str, Depends(signed_in_user)]
