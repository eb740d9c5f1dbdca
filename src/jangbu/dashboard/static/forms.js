// What becomes of a form that is sent: where nobody answers, or something before the server answers in its place, that is said
// beside it and the page stays; what was typed while a session ended is there again after signing in.

const KEPT = "jangbu-form";

function formOf(event) {
  return event.target.closest?.("form:has([data-unanswered])");
}

// An answer that has what is asked for takes its place, and one that leads elsewhere does. All others do not: what a proxy
// says of a server that is being started again is no page, and what cannot be chosen is said where another choice can be made.
function judge(event) {
  const form = formOf(event);
  const { text, response, select } = event.detail.ctx;
  const leads = response.headers.get("hx-redirect");
  const told = new DOMParser().parseFromString(text, "text/html");
  const alert = told.querySelector("p[role='alert']");
  // What was refused for another reason is no matter of signing in: given back, it would be said to be.
  if (form && (leads?.startsWith("/dashboard/sign-in") || alert?.querySelector("[data-stale]"))) keep(form);
  if (leads !== null || response.headers.has("hx-retarget")) return;
  const isRefused = form?.method === "get" && response.status >= 400;
  if (!isRefused && (select ? told.querySelector(select) : !form || alert)) return;
  event.preventDefault();
  if (form) say(form, alert);
}

// A field that somebody chose in keeps that, whatever the page says that took its place, after going back for example.
function showChosen({ detail: { ctx: { sourceElement } } }) {
  if (!sourceElement?.matches?.("body, form[method='get']")) return;
  document.querySelectorAll("#page form[method='get']").forEach((form) => form.reset());
}

function say(form, alert) {
  const place = form.querySelector("[data-unanswered]");
  place.replaceChildren(alert ?? Object.assign(document.createElement("p"), { role: "alert", textContent: place.dataset.unanswered }));
}

// Passwords are kept nowhere, and neither is what the page itself put into the form: it has that anew.
function typedIn(form) {
  return [...form.elements].filter((each) => each.name && !["hidden", "password", "file"].includes(each.type));
}

function nameOf(form) {
  const hidden = [...form.elements].filter((each) => each.type === "hidden" && !["csrf", "key"].includes(each.name));
  return JSON.stringify([form.getAttribute("action"), ...hidden.map(({ name, value }) => [name, value])]);
}

function whoAndWhere() {
  return JSON.stringify([document.querySelector(".viewer")?.textContent, location.pathname, location.search]);
}

function keep(form) {
  if (form.method !== "post") return;
  const typed = typedIn(form).map(({ name, value, checked }) => ({ name, value, checked }));
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ at: whoAndWhere(), form: nameOf(form), key: form.elements.key?.value, typed }));
  } catch { /* it is more than a browser keeps */ }
}

function takeKept() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    sessionStorage.removeItem(KEPT);
    return kept;
  } catch { return null; /* this browser keeps nothing */ }
}

// Given back once, on the page that it was typed on, to whom it is from.
function giveBack() {
  const kept = takeKept();
  if (kept?.at !== whoAndWhere()) return;
  const form = [...document.querySelectorAll("form.act[method='post']")].find((each) => nameOf(each) === kept.form);
  if (!form) return;
  for (const [place, field] of typedIn(form).entries()) {
    const typed = kept.typed[place];
    if (typed?.name !== field.name) return;
    field.value = typed.value;
    if (typed.checked !== undefined) field.checked = typed.checked;
  }
  // It may have been sent before, unanswered: under the same key it is still done once.
  if (kept.key) form.elements.key.value = kept.key;
  for (let around = form.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
  const said = Object.assign(document.createElement("p"), { className: "notice", role: "status", textContent: form.dataset.kept });
  form.querySelector("[data-unanswered]").replaceChildren(said);
  typedIn(form)[0]?.focus();
}

// What was done is said once: an address that is shared, or loaded again, does not claim it another time.
function forgetNotice() {
  const here = new URL(location.href);
  if (!here.searchParams.has("notice")) return;
  here.searchParams.delete("notice");
  history.replaceState(history.state, "", here);
}

document.addEventListener("htmx:before:request", (event) => formOf(event)?.querySelector("[data-unanswered]").replaceChildren());
document.addEventListener("htmx:after:request", judge);
document.addEventListener("htmx:after:swap", showChosen);
document.addEventListener("htmx:error", (event) => { const form = formOf(event); if (form) say(form); });
forgetNotice();
giveBack();
