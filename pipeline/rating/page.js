"use strict";
// The raters' page. Everything that comes from prompts and answers is set as text, never as markup. Nothing here, and
// nothing that the server sends, says which form an answer is of.

const WORDS = {
  en: {
    title: "Which answer is better?", other: "日本語", progress: "Progress", leave: "Somebody else",
    welcome: "You see a prompt and two answers to it, A and B, in an order drawn by lot. Say which one is better. Whose answer is which is shown to nobody.",
    about: "pairs of answers of", name: "Your name, so that you can go on later", start: "Start",
    known: "There are votes under this name already:", again: "That is me, go on", otherName: "Take another name",
    asked: "Asked", system: "What the model is told before every prompt", open: "Show the reference (r)", reference: "Reference",
    labelFirst: "A", labelSecond: "B", vote: "Your vote", first: "A is better", second: "B is better", bothGood: "Both good",
    bothBad: "Both bad", skip: "Skip", undo: "Undo", comment: "Why? (optional, c)", empty: "(empty)",
    thanks: "All done. Thank you!", ended: "Every pair has your vote. You can still undo the last one.", sending: "Saving …",
    saved: "Saved.", taken: "Taken back. You had said:", notSaved: "NOT SAVED.", of: "of", done: "rated",
    lost: "The server does not answer. Is `rate` still running?",
    keys: "Keys: 1 or ← A is better · 2 or → B is better · 3 both good · 4 both bad · s skip · u undo · c comment · r reference",
  },
  ja: {
    title: "どちらの回答が良いですか?", other: "English", progress: "進み具合", leave: "別の人",
    welcome: "質問と、それに対する二つの回答 A と B が表示されます。並び順はくじで決まります。良い方を選んでください。どちらが何の回答かは、誰にも表示されません。",
    about: "組の回答:", name: "お名前(続きから再開するため)", start: "始める",
    known: "この名前の票がすでにあります:", again: "私です。続けます", otherName: "別の名前にする",
    asked: "質問", system: "どの質問の前にもモデルに伝えられる文", open: "参考回答を表示 (r)", reference: "参考回答",
    labelFirst: "A", labelSecond: "B", vote: "あなたの票", first: "A が良い", second: "B が良い", bothGood: "どちらも良い",
    bothBad: "どちらも悪い", skip: "飛ばす", undo: "取り消す", comment: "理由(任意、c)", empty: "(空)",
    thanks: "すべて終わりました。ありがとうございました。", ended: "すべての組に投票済みです。最後の一票はまだ取り消せます。", sending: "保存中…",
    saved: "保存しました。", taken: "取り消しました。前の票:", notSaved: "保存できませんでした。", of: "/", done: "評価済み",
    lost: "サーバーが応答しません。rate は動いていますか?",
    keys: "キー: 1 または ← A が良い · 2 または → B が良い · 3 どちらも良い · 4 どちらも悪い · s 飛ばす · u 取り消す · c 理由 · r 参考回答",
  },
};
const NAMES = { first: "first", second: "second", both_good: "bothGood", both_bad: "bothBad", skip: "skip" };
const KEPT = { rater: "rate.rater", language: "rate.language" };

const byId = (id) => document.getElementById(id);
const state = { language: "en", about: null, item: null, rater: "", busy: true, told: null };
const say = (name) => WORDS[state.language][name];

// What outlives a reload. A browser that keeps nothing asks for the name again.
const kept = {
  get(name) { try { return localStorage.getItem(KEPT[name]) || ""; } catch { return ""; } },
  set(name, value) { try { localStorage.setItem(KEPT[name], value); } catch { /* see above */ } },
};

// -- asking the server ---------------------------------------------------------------------------

async function ask(name, told) {
  const headers = state.rater ? { "X-Rater": state.rater } : {};
  const request = told === undefined ? { headers } : {
    method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(told),
  };
  const answer = await fetch(name, { ...request, credentials: "omit" });
  const body = await answer.json();
  if (answer.ok) return body;
  throw Object.assign(new Error(body.error), { status: answer.status });
}

// One thing at a time: a second key while a vote is on its way would be a vote on an item that nobody has read.
async function once(work, saving = false) {
  if (state.busy) return;
  busy(true);
  try {
    await work();
  } catch (error) {
    await fail(error, saving);
  } finally {
    busy(false);
  }
}

function busy(now) {
  state.busy = now;
  document.body.setAttribute("aria-busy", String(now));
}

async function fail(error, saving) {
  if (error.status === 401) { forget(); return; }
  const before = saving ? `${say("notSaved")} ` : "";
  tell(() => before + (error.status === undefined ? say("lost") : error.message), true);
  if (error.status === 410) await ask("item").then(show, () => undefined);
}

// -- what a person does --------------------------------------------------------------------------

function join(again) {
  return once(async () => {
    const found = await ask("rater", { name: byId("name").value, again });
    byId("known").hidden = found.known === undefined;
    if (found.known !== undefined) {
      state.known = found.known;
      drawWords();
      byId("again").focus();
      return;
    }
    state.rater = found.rater;
    kept.set("rater", found.rater);
    show(await ask("item"));
    tell(() => "");
  });
}

function forget() {
  state.rater = "";
  kept.set("rater", "");
  for (const id of ["item", "end", "act", "far", "known"]) byId(id).hidden = true;
  byId("join").hidden = false;
  byId("name").value = "";
  byId("name").focus();
  tell(() => "");
}

function vote(choice) {
  if (!state.item) return;
  once(async () => {
    tell(() => say("sending"));
    const next = await ask("vote", { item: state.item.id, choice, comment: byId("comment").value });
    show(next);
    tell(() => say("saved"));
  }, true);
}

function undo() {
  if (byId("undo").disabled) return;
  once(async () => {
    const next = await ask("undo", {});
    show(next);
    const before = next.item && next.item.choice;
    tell(() => before ? `${say("taken")} ${say(NAMES[before])}` : "");
  }, true);
}

function openReference() {
  if (!state.item || !byId("reference").hidden) return;
  once(async () => {
    const { reference } = await ask("reference", { item: state.item.id });
    state.item.reference = reference;
    drawReference();
  });
}

// -- drawing -------------------------------------------------------------------------------------

// `words` is asked again when the language changes.
function tell(words, bad = false) {
  state.told = words;
  byId("status").textContent = words();
  byId("status").classList.toggle("bad", bad);
}

function show(next) {
  Object.assign(state, { item: next.item, next });
  byId("join").hidden = true;
  byId("far").hidden = byId("act").hidden = false;
  byId("item").hidden = !next.item;
  byId("end").hidden = Boolean(next.item);
  byId("skip").hidden = !next.item;
  byId("undo").disabled = !next.undo;
  byId("who").textContent = next.name;
  byId("bar").max = next.total;
  byId("bar").value = next.done;
  if (next.item) {
    byId("prompt").textContent = next.item.prompt;
    byId("comment").value = next.item.comment || "";
    for (const button of document.querySelectorAll("[data-choice]")) {
      button.classList.toggle("before", button.dataset.choice === next.item.choice);
    }
  }
  drawReference();
  drawWords();
  scrollTo(0, 0);
  byId(next.item ? "asked" : "thanks").focus();
}

function drawReference() {
  const reference = state.item && state.item.reference;
  byId("reference").hidden = byId("open").hidden = false;
  byId(reference === undefined || reference === null ? "reference" : "open").hidden = true;
  byId("reference").textContent = reference ? `${say("reference")}: ${reference}` : "";
}

function drawAnswers() {
  for (const side of ["first", "second"]) {
    const text = state.item[side];
    byId(side).textContent = text.trim() ? text : say("empty");
    byId(side).classList.toggle("empty", !text.trim());
  }
}

function drawWords() {
  document.documentElement.lang = state.language;
  document.title = say("title");
  for (const one of document.querySelectorAll("[data-say]")) one.textContent = say(one.dataset.say);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", say(one.dataset.label));
  byId("language").textContent = say("other");
  byId("language").lang = state.language === "ja" ? "en" : "ja";
  if (state.told) byId("status").textContent = state.told();
  if (state.known !== undefined) byId("known-text").textContent = `${say("known")} ${state.known}`;
  if (state.about) byId("about").textContent = `${state.about.total} ${say("about")} ${state.about.recipe}`;
  if (state.next) byId("count").textContent = `${state.next.done} ${say("of")} ${state.next.total} ${say("done")}`;
  if (state.item) {
    drawAnswers();
    drawReference();
  }
}

// -- keys and buttons ----------------------------------------------------------------------------

const KEYS = {
  1: () => vote("first"), ArrowLeft: () => vote("first"),
  2: () => vote("second"), ArrowRight: () => vote("second"),
  3: () => vote("both_good"), 4: () => vote("both_bad"),
  s: () => vote("skip"), u: undo, r: openReference, c: () => byId("comment").focus(),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, textarea");
  if (typing && event.key === "Escape") event.target.blur();
  // A key that is held down is no second vote.
  if (typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
});
for (const button of document.querySelectorAll("[data-choice]")) button.addEventListener("click", () => vote(button.dataset.choice));
byId("undo").addEventListener("click", undo);
byId("open").addEventListener("click", openReference);
byId("leave").addEventListener("click", forget);
byId("join").addEventListener("submit", (event) => { event.preventDefault(); join(false); });
byId("again").addEventListener("click", () => join(true));
byId("other").addEventListener("click", () => { byId("known").hidden = true; byId("name").select(); });
byId("language").addEventListener("click", () => {
  state.language = state.language === "ja" ? "en" : "ja";
  kept.set("language", state.language);
  drawWords();
});

async function begin() {
  state.about = await ask("about");
  const chosen = kept.get("language");
  state.language = chosen in WORDS ? chosen : state.about.prefers;
  const { note, language, system_prompt: before } = state.about;
  byId("note").textContent = note;
  byId("note").hidden = !note;
  byId("system").hidden = !before;
  byId("system-text").textContent = before;
  for (const id of ["prompt", "first", "second", "reference", "system-text"]) byId(id).lang = language;
  drawWords();
  state.rater = kept.get("rater");
  if (state.rater) show(await ask("item"));
  else forget();
}

drawWords();
begin().catch((error) => fail(error, false)).finally(() => busy(false));
