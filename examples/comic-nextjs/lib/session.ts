// Who is signed in. Put your own sign-in here: whoever can choose this name can spend that user's tokens.

export function signedInUser(request: Request): string | null {
  // A header that anybody can send does for trying this out, and for nothing else.
  if (process.env.NODE_ENV === "production") throw new Error("signedInUser is a stand-in for your own sign-in");
  const named = request.headers.get("x-demo-user");
  return named && decodeURIComponent(named);
}
