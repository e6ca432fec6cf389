"use strict";
// The page of `review`. Everything that comes from rows is set as text, never as markup.

const PAGE_ROWS = 50;
const WORDS = {
  en: {
    title: "Prepared rows of", other: "日本語", skip: "To the rows", views: "Which rows", pages: "Pages",
    sample: "Sample for the eye", all: "All rows", another: "Another sample", show: "Only", empty: "(empty)", search: "Search",
    previous: "← Previous (p)", next: "Next (n) →", kept: "kept", dropped: "dropped", loading: "Reading …",
    none: "No row is like that.", rows: "rows", of: "of", keep: "Keep all the same (o)", drop: "Drop all the same (o)",
    back: "Take back (o)", reason: "Why? (r)", saved: "Saved.", taken: "Taken back.",
    willKeep: "You keep this row.", willDrop: "You drop this row.",
    wasKeep: "Kept by you in this build; taken back for the next.",
    wasDrop: "Dropped by you in this build; taken back for the next.",
    final: "Cannot be kept", twin: "Kept instead", file: "Overrules are saved in", decided: "overruled by you",
    add: "They do not count yet. Add this line to [data] in the recipe:",
    again: "not in this build yet. Build again:", readonly: "A copy to read: nothing can be overruled in it.",
    part: "Only the sample is in this file: the rows are too many.",
    without: "Overrules without effect (line of the file):", lost: "The server does not answer. Is `review` still running?",
    keys: "Keys: j and k next and previous row · n and p next and previous page · o overrule or take back · r why · / search · s sample · a all rows",
  },
  ja: {
    title: "準備済みの行:", other: "English", skip: "行へ移動", views: "表示する行", pages: "ページ",
    sample: "目視用の標本", all: "すべての行", another: "別の標本", show: "絞り込み", empty: "(空)", search: "検索",
    previous: "← 前 (p)", next: "次 (n) →", kept: "採用", dropped: "除外", loading: "読み込み中…",
    none: "該当する行はありません。", rows: "行", of: "/", keep: "それでも残す (o)", drop: "それでも外す (o)",
    back: "取り消す (o)", reason: "理由は? (r)", saved: "保存しました。", taken: "取り消しました。",
    willKeep: "あなたはこの行を残します。", willDrop: "あなたはこの行を外します。",
    wasKeep: "このビルドではあなたの判断で採用。次回のビルドでは取り消されます。",
    wasDrop: "このビルドではあなたの判断で除外。次回のビルドでは取り消されます。",
    final: "残せません", twin: "代わりに採用された行", file: "判断の保存先", decided: "あなたの判断",
    add: "まだ反映されません。レシピの [data] に次の行を加えてください:",
    again: "件がこのビルドに未反映です。もう一度ビルドしてください:", readonly: "閲覧用の写しです。判断は保存できません。",
    part: "行数が多いため、このファイルには標本だけが入っています。",
    without: "効果のなかった判断(ファイルの行番号):", lost: "サーバーが応答しません。review は動いていますか?",
    keys: "キー: j・k 次・前の行 · n・p 次・前のページ · o 判断または取り消し · r 理由 · / 検索 · s 標本 · a すべての行",
  },
};
const JAPANESE = {
  train: "訓練", validation: "検証", test: "テスト", "tag-list": "タグの羅列", "exact-duplicate": "完全重複",
  "near-duplicate": "類似重複", truncated: "途中で切れている", "too-short": "短すぎる", "too-long": "長すぎる",
  "wrong-language": "別の言語", empty: "空", mojibake: "文字化け", "control-characters": "制御文字",
  "replacement-characters": "置換文字", "missing-field": "項目なし", "wrong-type": "型違い", "contradicting-facts": "事実の矛盾", "broken-json": "壊れたJSON",
  "broken-csv": "壊れたCSV", "invalid-utf8": "UTF-8でない", "line-too-long": "行が長すぎる", overruled: "人が除外",
};
const JAPANESE_FINAL = {
  "line-too-long": "読み込まれていません", "invalid-utf8": "文字として読めません", "broken-json": "項目がありません",
  "broken-csv": "項目がありません", "missing-field": "レシピが使う項目がありません", "wrong-type": "文字列や事実のリストでない項目があります",
  "contradicting-facts": "含むべき事実と含んではならない事実が矛盾しています",
  empty: "学ぶものがありません", "control-characters": "トークナイザーや端末が命令と解釈します",
  "replacement-characters": "元の文字が失われています", "exact-duplicate": "同じ文をもう一度学んでも得るものがありません",
};

const byId = (id) => document.getElementById(id);
const copy = byId("data") ? JSON.parse(byId("data").textContent) : null;
const state = { language: navigator.language.startsWith("ja") ? "ja" : "en", view: "sample", seed: null, offset: 0,
                total: 0, rows: [], at: 0, summary: null, asked: 0 };
const say = (name) => WORDS[state.language][name];
const named = (kind) => (state.language === "ja" && JAPANESE[kind]) || kind;
const whyFinal = (row) => `${say("final")}: ${(state.language === "ja" && JAPANESE_FINAL[row.kind]) || row.final}`;
const figure = (count) => count.toLocaleString(state.language);

function make(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

// -- where rows come from ------------------------------------------------------------------------

async function ask(name, query) {
  const answer = await fetch(`${name}?${new URLSearchParams(query)}`, { credentials: "omit" });
  return told(answer);
}

async function told(answer) {
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

async function load(query) {
  if (!copy) return state.view === "sample" ? ask("sample", { seed: state.seed }) : ask("rows", query);
  if (state.view === "sample") return { total: copy.sample.length, offset: 0, rows: copy.sample };
  const text = query.text.normalize("NFKC").toLowerCase(), kinds = query.kinds ? query.kinds.split(",") : [];
  const found = copy.rows.filter((row) => (!kinds.length || kinds.includes(row.kind)) &&
    [...Object.values(row.input), row.output, row.raw].join("\n").normalize("NFKC").toLowerCase().includes(text));
  return { total: found.length, offset: query.offset, rows: found.slice(query.offset, query.offset + PAGE_ROWS) };
}

async function refresh(at) {
  const asked = ++state.asked;
  status(say("loading"));
  try {
    const query = { kinds: chosen().join(","), text: byId("text").value.trim(), offset: state.offset, limit: PAGE_ROWS };
    const found = await load(query);
    if (asked !== state.asked) return; // a later question is on its way
    Object.assign(state, { total: found.total, rows: found.rows });
    drawRows();
    status(found.total ? "" : say("none"));
    select(at < 0 ? state.rows.length - 1 : at, at !== undefined);
  } catch (error) {
    fail(error);
  }
}

async function refreshSummary() {
  state.summary = copy ? copy.summary : await ask("summary", {});
  if (state.seed === null) state.seed = state.summary.seed;
  drawSummary();
}

// -- what a person decides -----------------------------------------------------------------------

async function decide(at, overruled, reason) {
  const row = state.rows[at];
  try {
    const answer = await fetch("overrule", { method: "POST", credentials: "omit",
      headers: { "Content-Type": "application/json" }, body: JSON.stringify({ n: row.n, overruled, reason }) });
    const shown = await told(answer);
    const now = state.rows.findIndex((other) => other.n === shown.n);
    if (now >= 0) {
      state.rows[now] = shown;
      byId("rows").children[now].replaceWith(drawRow(shown, now));
      select(now, true);
    }
    status(overruled ? say("saved") : say("taken"));
    await refreshSummary();
  } catch (error) {
    fail(error);
  }
}

function overrule(at) {
  const row = state.rows[at];
  if (!row || copy || state.summary.overrules.why_not) return;
  if (row.final && !row.overruled) status(whyFinal(row), true);
  else decide(at, !row.overruled, "");
}

// -- drawing -------------------------------------------------------------------------------------

function status(text, bad = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("bad", bad);
}

function fail(error) {
  status(error instanceof TypeError ? say("lost") : error.message, true);
}

function drawWords() {
  document.documentElement.lang = state.language;
  for (const one of document.querySelectorAll("[data-say]")) one.textContent = say(one.dataset.say);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", say(one.dataset.label));
  byId("language").textContent = say("other");
  byId("language").lang = state.language === "ja" ? "en" : "ja";
}

function drawSummary() {
  const { recipe, note, splits, reasons, overrules } = state.summary;
  const sum = (counts) => Object.values(counts).reduce((before, count) => before + count, 0);
  document.title = `${say("title")} ${recipe}`;
  byId("title").textContent = `${say("title")} ${recipe}`;
  const parts = [[sum(splits), say("kept")], [sum(reasons), say("dropped")], [sum(overrules.decisions), say("decided")]];
  byId("counts").replaceChildren(...parts.flatMap(([count, what], at) =>
    [at ? " · " : "", make("b", "", figure(count)), ` ${what}`]));
  const notes = [];
  if (note) notes.push(make("li", "bad", note));
  if (copy) notes.push(make("li", "", copy.rows.length ? say("readonly") : `${say("readonly")} ${say("part")}`));
  else if (overrules.why_not) notes.push(make("li", "", overrules.why_not));
  else {
    if (overrules.problem) notes.push(make("li", "bad", overrules.problem));
    if (overrules.to_add && sum(overrules.decisions)) {
      notes.push(make("li", "bad", `${say("add")} `, make("code", "", overrules.to_add)));
    }
    if (overrules.not_built) {
      notes.push(make("li", "", `${figure(overrules.not_built)} ${say("again")} `, make("code", "", overrules.run_again)));
    }
    if (overrules.without_effect.length) notes.push(make("li", "bad", [say("without"), ...overrules.without_effect.slice(0, 20)].join("\n")));
    notes.push(make("li", "", `${say("file")} `, make("code", "", overrules.file)));
  }
  byId("notes").replaceChildren(...notes);
  drawKinds(splits, reasons);
}

function drawKinds(splits, reasons) {
  const before = new Set(chosen());
  const group = (what, counts) => {
    const whole = make("button", "", what);
    whole.type = "button";
    whole.addEventListener("click", () => tick(Object.keys(counts)));
    const labels = Object.entries(counts).map(([kind, count]) => {
      const box = make("input", "");
      box.type = "checkbox";
      box.name = kind;
      box.checked = before.has(kind);
      return make("label", "", box, ` ${named(kind)} `, make("span", "count", figure(count)));
    });
    return make("div", "group", whole, ...labels);
  };
  byId("kinds").replaceChildren(byId("kinds").querySelector("legend"), group(say("kept"), splits), group(say("dropped"), reasons));
}

// Tick these kinds and no other; all of them ticked already: none.
function tick(kinds) {
  const before = chosen();
  const same = before.length === kinds.length && before.every((kind) => kinds.includes(kind));
  for (const box of byId("kinds").querySelectorAll("input")) box.checked = !same && kinds.includes(box.name);
  state.offset = 0;
  refresh();
}

function chosen() {
  return [...byId("kinds").querySelectorAll("input:checked")].map((box) => box.name);
}

function drawRows() {
  byId("rows").replaceChildren(...state.rows.map(drawRow));
  const sampled = state.view === "sample";
  const last = state.offset + state.rows.length;
  byId("where").textContent = state.total
    ? `${figure(state.offset + 1)}–${figure(last)} ${say("of")} ${figure(state.total)} ${say("rows")}` : "";
  byId("previous").disabled = state.offset === 0;
  byId("next").disabled = sampled || last >= state.total;
  byId("filter").hidden = sampled;
  byId("again").hidden = !sampled || Boolean(copy);
  byId("view-sample").setAttribute("aria-pressed", String(sampled));
  byId("view-all").setAttribute("aria-pressed", String(!sampled));
}

function drawRow(row, at) {
  const verdict = row.kept ? `${say("kept")}: ${named(row.kind)}` : `${say("dropped")}: ${named(row.kind)}`;
  const head = make("div", "head", make("span", "verdict", verdict), make("span", "place", row.place));
  const asked = Object.entries(row.input).map(([name, value]) => make("p", "input", make("b", "", name), ` ${value}`));
  const output = row.raw === "" ? make("p", "output", row.output || say("empty")) : make("p", "output raw", row.raw);
  const detail = row.detail && !row.twin ? make("p", "detail", row.detail) : "";
  const twin = row.twin ? make("p", "twin", `${say("twin")}: ${row.twin.text} (${row.twin.place})`) : "";
  for (const text of [...asked, output]) text.lang = state.summary.language;
  const item = make("li", row.kept ? "kept" : "", head, ...asked, output, detail, twin, drawAct(row, at));
  item.classList.toggle("person", Boolean(row.overruled));
  item.tabIndex = -1;
  item.addEventListener("focus", () => { state.at = at; });
  return item;
}

function drawAct(row, at) {
  if (copy || state.summary.overrules.why_not) return "";
  const act = make("div", "act", row.final ? make("span", "cannot", whyFinal(row)) : "");
  if (row.final && !row.overruled) return act;
  const button = make("button", "", say(row.overruled ? "back" : row.kept && row.built !== "keep" || row.built === "drop" ? "drop" : "keep"));
  button.type = "button";
  button.addEventListener("click", () => overrule(at));
  if (row.overruled && !row.final) act.append(make("span", "person", say(row.overruled === "keep" ? "willKeep" : "willDrop")));
  else if (row.built) act.append(make("span", "person", say(row.built === "keep" ? "wasKeep" : "wasDrop")));
  act.append(button);
  if (row.overruled && !row.final) {
    const why = make("input", "");
    Object.assign(why, { type: "text", value: row.reason, placeholder: say("reason"), maxLength: 1000 });
    why.setAttribute("aria-label", say("reason"));
    why.addEventListener("change", () => decide(at, true, why.value));
    act.append(why);
  }
  return act;
}

// -- moving about --------------------------------------------------------------------------------

function select(at, focus = true) {
  if (!state.rows.length) return;
  state.at = Math.max(0, Math.min(at ?? 0, state.rows.length - 1));
  if (focus) byId("rows").children[state.at].focus();
}

function turn(step) {
  if (byId(step > 0 ? "next" : "previous").disabled) return;
  state.offset = Math.max(0, state.offset + step * PAGE_ROWS);
  refresh(0);
}

function show(view) {
  Object.assign(state, { view, offset: 0 });
  return refresh(0);
}

const KEYS = {
  j: () => (state.at + 1 < state.rows.length ? select(state.at + 1) : turn(1)),
  k: () => (state.at > 0 ? select(state.at - 1) : null),
  n: () => turn(1),
  p: () => turn(-1),
  o: () => overrule(state.at),
  r: () => byId("rows").children[state.at]?.querySelector("input")?.focus(),
  s: () => show("sample"),
  a: () => show("all"),
  "/": () => show("all").then(() => byId("text").focus()),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input[type=text], input[type=search]");
  if (typing && event.key === "Enter") { event.preventDefault(); event.target.blur(); select(state.at); }
  if (typing && event.key === "Escape") select(state.at);
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
});
let waiting = 0;
byId("text").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { state.offset = 0; refresh(); }, 250);
});
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("kinds").addEventListener("change", () => { state.offset = 0; refresh(); });
byId("previous").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
byId("view-sample").addEventListener("click", () => show("sample"));
byId("view-all").addEventListener("click", () => show("all"));
byId("again").addEventListener("click", () => { state.seed = Math.floor(Math.random() * 2 ** 32); show("sample"); });
byId("language").addEventListener("click", () => {
  state.language = state.language === "ja" ? "en" : "ja";
  drawWords();
  drawSummary();
  drawRows();
});

drawWords();
refreshSummary().then(() => refresh(0)).catch(fail);
