// <token-meter>: a user's own tokens, in any page. It needs nothing else, and works under a strict policy: its styles are
// adopted, and nothing that it is told is ever read as HTML. The server puts the texts and the styles in.

const TEXTS = {};
const STYLE = "";

const HOME = new URL("data", import.meta.url);
const REFRESH_SECONDS = 30;
const REFRESH_SECONDS_LEAST = 2;
const PATIENCE_SECONDS = 20;
const SVG = "http://www.w3.org/2000/svg";
const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);

class Refused extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }

  // What another try does not mend.
  get isFinal() {
    return this.code !== "unreachable";
  }
}

class TokenMeter extends HTMLElement {
  static observedAttributes = ["src", "token", "zone", "lang", "refresh"];

  #token = "";
  #getToken = null;
  #asking = null;
  #timer = 0;
  #figures = "";
  #data = null;
  #failure = null;
  #parts = null;
  #loadWhenSeen = () => { if (!document.hidden && this.#isStale) this.load(); };
  #isStale = false;
  #subject = "";

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
  }

  // The token, which is kept out of the document.
  get token() { return this.#token || this.getAttribute("token") || ""; }
  set token(text) { this.#token = String(text ?? ""); this.#begin(); }

  // A function that gives a token, or promises one: it is asked at first, and whenever the former one has expired.
  get getToken() { return this.#getToken; }
  set getToken(asked) { this.#getToken = asked; this.#token = ""; this.#begin(); }

  connectedCallback() {
    // Properties that were set before this definition was loaded hide its own.
    for (const name of ["token", "getToken"]) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
    document.addEventListener("visibilitychange", this.#loadWhenSeen);
    this.#begin();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#loadWhenSeen);
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = null;
  }

  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || before === after) return;
    if (name === "lang") this.#show();
    else if (name === "refresh") this.#wait();
    else this.#begin();
  }

  // Ask for the figures now.
  async load() {
    clearTimeout(this.#timer);
    this.#isStale = false;
    this.#asking?.abort();
    const asking = this.#asking = new AbortController();
    const patience = setTimeout(() => asking.abort(), PATIENCE_SECONDS * 1000);
    try {
      const text = await this.#ask(asking.signal);
      if (this.#asking !== asking) return;
      this.#data = JSON.parse(text, exact);
      this.#figures = text.replace(/"as_of":"[^"]*"/, "");
      this.#failure = null;
    } catch (error) {
      if (this.#asking !== asking) return;
      this.#failure = error instanceof Refused ? error : new Refused("unreachable");
      if (this.#failure.isFinal && this.#failure.code !== "token_expired") this.#data = null;
    } finally {
      clearTimeout(patience);
    }
    this.#show();
    this.#wait();
    this.#tell();
  }

  #begin() {
    if (!this.isConnected) return;
    this.#failure = null;
    this.#show();
    if (this.token || this.#getToken) this.load();
  }

  async #ask(signal) {
    if (!this.token) await this.#renew();
    let answer = await this.#fetch(signal);
    if (answer.status === 401 && this.#getToken) {
      await this.#renew();
      answer = await this.#fetch(signal);
    }
    if (answer.ok) return answer.text();
    const problem = answer.status < 500 ? await answer.json() : {};
    throw new Refused(answer.status === 429 ? "unreachable" : problem.code ?? "unreachable");
  }

  async #renew() {
    this.#token = String(await this.#getToken());
  }

  // What one user was shown is gone before another one's is asked for.
  #fetch(signal) {
    if (this.#subject !== subjectOf(this.token)) {
      this.#subject = subjectOf(this.token);
      this.#data = null;
      this.#show();
    }
    const address = new URL(this.getAttribute("src") || HOME, document.baseURI);
    const zone = this.getAttribute("zone") || new Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone && zone !== "Etc/Unknown") address.searchParams.set("zone", zone);
    return fetch(address, {
      headers: { authorization: `Bearer ${this.token}` },
      cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer", signal,
    });
  }

  // Ask again after a while, unless nobody looks, or it would lead nowhere.
  #wait() {
    clearTimeout(this.#timer);
    const asked = Number(this.getAttribute("refresh") ?? REFRESH_SECONDS);
    if (!this.isConnected || !(asked > 0) || this.#failure?.isFinal) return;
    this.#timer = setTimeout(() => {
      this.#isStale = document.hidden;
      if (!document.hidden) this.load();
    }, Math.max(asked, REFRESH_SECONDS_LEAST) * 1000);
  }

  #tell() {
    const [name, detail] = this.#failure
      ? ["token-meter-failed", { code: this.#failure.code }]
      : ["token-meter-loaded", { available: this.#data.balance.available, standing: this.#data.standing }];
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  #show() {
    const language = languageOf(this);
    if (this.#parts?.language !== language) this.#parts = this.#framed(language);
    const { t, section, problem, content, asOf, foot } = this.#parts;
    const isWaiting = !this.#data && !this.#failure;
    section.setAttribute("aria-busy", String(isWaiting));
    problem.textContent = this.#failure ? failure(t, this.#failure.code) : "";
    problem.hidden = !this.#failure;
    foot.hidden = isWaiting;
    asOf.textContent = this.#data ? t("as_of", { time: clock(language, this.#data) }) : "";
    if (isWaiting) content.replaceChildren(skeleton(t));
    else if (this.#data && this.#parts.figures !== this.#figures) this.#fill(language, t, content);
    else if (!this.#data) content.replaceChildren();
    this.#parts.figures = this.#data ? this.#figures : "";
  }

  // What was opened stays open, and what has the focus keeps it.
  #fill(language, t, content) {
    const opened = new Set([...content.querySelectorAll("details[open]")].map((each) => each.dataset.name));
    const focused = this.shadowRoot.activeElement?.dataset.name;
    content.replaceChildren(...filled(language, t, this.#data));
    for (const each of content.querySelectorAll("details")) each.open = opened.has(each.dataset.name);
    if (focused) content.querySelector(`[data-name="${focused}"]`)?.focus({ preventScroll: true });
  }

  #framed(language) {
    const t = words(language);
    const problem = el("p", { class: "problem", role: "alert", hidden: "", part: "problem" });
    const content = el("div", { class: "content" });
    const asOf = el("span");
    const said = el("span", { role: "status" });
    const button = el("button", { type: "button", part: "button" }, t("view.refresh"));
    button.addEventListener("click", async () => {
      said.textContent = "";
      await this.load();
      if (!this.#failure) said.textContent = t("view.refreshed");
    });
    const foot = el("p", { class: "foot" }, asOf, button, said);
    const title = el("slot", { name: "title" });
    const section = el("section", { class: "meter", lang: language, "aria-label": t("view.title"), part: "meter" });
    section.append(title, problem, content, foot);
    this.shadowRoot.replaceChildren(section);
    return { language, t, section, problem, content, asOf, foot, figures: "" };
  }
}

function filled(language, t, data) {
  const number = new Intl.NumberFormat(language);
  const write = {
    number: (value) => number.format(value),
    day: (day) => dateFormat(language, "UTC", { month: "short", day: "numeric" }).format(new Date(`${day}T00:00:00Z`)),
    moment: dateFormat(language, data.zone, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" }),
    money: (nano) => money(language, nano),
  };
  const parts = [standing(t, data), expiring(t, write, data), balance(t, write, data)];
  if (data.used.calls) {
    const heads = (name) => [name, t("calls"), t("tokens")];
    const sums = (lines, name, shown) => lines.map((line) => [
      shown(line[name]), write.number(line.calls), write.number(line.total_tokens),
    ]);
    const services = sums(data.services, "service", (name) => t.known("service", name));
    parts.push(
      days(t, write, data),
      el("div", { class: "pair" },
        table("services", t("view.services"), heads(t("service")), services),
        table("models", t("view.models"), heads(t("model")), sums(data.models, "model", (name) => name))),
    );
  } else parts.push(el("p", { class: "nothing" }, t("view.nothing")));
  if (data.calls.length) parts.push(latest(t, write, data));
  return parts.filter(Boolean);
}

function standing(t, data) {
  const said = data.state === "blocked" ? t("view.blocked")
    : data.standing === "empty" ? t("view.empty") : data.standing === "low" ? t("view.low") : "";
  return said && el("p", { class: "notice", part: "notice" }, said);
}

function expiring(t, write, data) {
  if (!data.expiring) return "";
  const count = data.expiring.tokens;
  const tokens = write.number(count);
  const [first, last] = [data.expiring.first_at, data.expiring.last_at].map((at) => write.moment.format(new Date(at)));
  const said = first === last
    ? t("expiring.at", { count, tokens, at: first }) : t("expiring.by", { tokens, first, last });
  return el("p", { class: "notice", part: "notice" }, said);
}

function balance(t, write, data) {
  const fact = (name, shown, kind = "") => el("div", { class: kind }, el("dt", {}, name), el("dd", {}, shown));
  const { available, held_tokens: held } = data.balance;
  const { calls, total_tokens: total, charge_nano: charge, unpriced } = data.used;
  const facts = [
    fact(t("balance.available"), write.number(available), data.is_low ? "main low" : "main"),
    fact(t("view.used"), write.number(total)), fact(t("view.calls"), write.number(calls)),
  ];
  if (held) facts.push(fact(t("balance.held"), write.number(held)));
  if (charge !== undefined) {
    const least = unpriced ? "≥ " : "";
    facts.push(fact(t("view.charge"), charge === null ? "–" : least + write.money(charge)));
  }
  const list = el("dl", { class: "facts", part: "balance" }, ...facts);
  if (!/^https?:/.test(data.top_up_url ?? "")) return list;
  const buy = { class: data.is_low ? "buy main" : "buy", href: data.top_up_url, part: "top-up", "data-name": "buy" };
  return el("div", { class: "have" }, list, el("a", buy, t("view.top_up")));
}

function days(t, write, data) {
  const values = data.days.map((each) => Number(each.total_tokens));
  const most = Math.max(...values);
  const best = data.days[values.indexOf(most)];
  const summary = t("view.days.summary", {
    count: data.used.total_tokens, total: write.number(data.used.total_tokens),
    from_: write.day(data.first_day), to: write.day(data.last_day),
    most: write.number(best.total_tokens), most_at: write.day(best.day),
  });
  const bars = data.days.map((each, place) => {
    const height = values[place] ? Math.max(1, Math.round((values[place] * 100) / most)) : 0;
    const shape = { x: place * 10 + 1, y: 100 - height, width: 8, height, class: each.is_over ? "" : "open" };
    return svg("rect", shape, svg("title", {}, `${write.day(each.day)}: ${write.number(each.total_tokens)}`));
  });
  const box = { viewBox: `0 0 ${bars.length * 10} 100`, preserveAspectRatio: "none", role: "img", "aria-label": summary };
  const rows = data.days.toReversed().map((each) => [
    write.day(each.day), write.number(each.calls), write.number(each.total_tokens),
  ]);
  return el("figure", { part: "chart" },
    el("figcaption", {}, t("view.days"), " ", el("small", {}, t("in_zone", { zone: data.zone }))),
    svg("svg", box, ...bars),
    el("p", { class: "ends", "aria-hidden": "true" },
      el("span", {}, write.day(data.first_day)), el("span", {}, write.day(data.last_day))),
    el("details", { "data-name": "days" },
      el("summary", { "data-name": "days-opener" }, t("as_table")),
      table("days-table", summary, [t("view.day"), t("calls"), t("tokens")], rows, { first: "when" })));
}

function latest(t, write, data) {
  const rows = data.calls.map((call) => [
    write.moment.format(new Date(call.created_at)), t.known("service", call.service), call.model,
    write.number(call.total_tokens),
  ]);
  return table("latest", t("view.latest"), [t("time"), t("service"), t("model"), t("tokens")], rows, { figures: 1, first: "when" });
}

// A table whose last columns are figures, and whose first one may be of a kind.
function table(name, caption, heads, rows, { figures = 2, first: of = "" } = {}) {
  const kind = (place) => (place >= heads.length - figures ? { class: "figure" } : {});
  const wide = { class: "wide", tabindex: "0", role: "group", "aria-label": caption, "data-name": name };
  return el("div", wide, el("table", { part: "table" },
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ...heads.map((each, place) => el("th", { scope: "col", ...kind(place) }, each)))),
    el("tbody", {}, ...rows.map(([first, ...rest]) => el("tr", {},
      el("th", { scope: "row", class: of }, first), ...rest.map((each, place) => el("td", kind(place + 1), each)))))));
}

function skeleton(t) {
  return el("div", { class: "skeleton" }, el("span", { class: "unseen" }, t("view.loading")),
    ...["main", "", "tall", ""].map((kind) => el("div", { class: kind, "aria-hidden": "true" })));
}

function failure(t, code) {
  if (code === "token_expired") return t("view.error.expired");
  if (code === "unreachable") return t("view.error.unreachable");
  return code === "invalid_input" ? t("view.error.zone") : t("view.error.refused");
}

// Whose token it is; the server alone knows whether it is good.
function subjectOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).sub;
  } catch {
    return token;
  }
}

function words(language) {
  const texts = TEXTS[language];
  const plural = new Intl.PluralRules(language);
  const form = (text, count) => (typeof text === "string" ? text : text[plural.select(count)]);
  const t = (key, values = {}) => form(texts[key], values.count).replace(/\{(\w+)\}/g, (_, name) => values[name]);
  t.known = (group, name) => (Object.hasOwn(texts, `${group}.${name}`) ? texts[`${group}.${name}`] : name);
  return t;
}

// The element's own language, else that of what it stands in, else the browser's; English where there is no other.
function languageOf(element) {
  let at = element;
  while (at instanceof Element && !at.closest("[lang]")) at = at.getRootNode().host;
  for (const wish of [at?.closest?.("[lang]").lang, ...navigator.languages]) {
    const name = (wish ?? "").split("-")[0].toLowerCase();
    if (Object.hasOwn(TEXTS, name)) return name;
  }
  return "en";
}

// Whole numbers that are larger than a double holds stay exact, where the browser tells how they were written.
function exact(_key, value, context) {
  return typeof value === "number" && !Number.isSafeInteger(value) && context?.source ? BigInt(context.source) : value;
}

function money(language, nano) {
  const dollars = Number(nano) / 1e9;
  const digits = dollars === 0 || Math.abs(dollars) >= 0.01 ? 2 : 6;
  const format = { style: "currency", currency: "USD", minimumFractionDigits: digits, maximumFractionDigits: digits };
  const least = new Intl.NumberFormat(language, format);
  return dollars !== 0 && Math.abs(dollars) < 1e-6 ? `<${least.format(1e-6)}` : least.format(dollars);
}

function clock(language, data) {
  return dateFormat(language, data.zone, { timeStyle: "medium" }).format(new Date(data.as_of));
}

// A zone that the browser does not know is the server's to know: its days are right, and times are told in UTC.
function dateFormat(language, timeZone, style) {
  try {
    return new Intl.DateTimeFormat(language, { ...style, timeZone });
  } catch {
    return new Intl.DateTimeFormat(language, { ...style, timeZone: "UTC", timeZoneName: "short" });
  }
}

function el(name, attributes = {}, ...children) {
  return made(document.createElement(name), attributes, children);
}

function svg(name, attributes, ...children) {
  return made(document.createElementNS(SVG, name), attributes, children);
}

function made(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== "" || name === "hidden") element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

if (!customElements.get("token-meter")) customElements.define("token-meter", TokenMeter);
