// The component asks for a token at first, and again whenever the former one has expired.
document.querySelector("token-meter").getToken = async () => (await fetch("/view-token", { method: "POST" })).text();
