// The page of `langue serve`: what the models of a server make of a text. Plain modules, no build step.
// Whatever a user or a model wrote enters the document as text (`el`), never as markup. State lives in the hash.

const WORDS = {
  en: {
    skip: "Skip to content", other: "中文", views: "Views",
    surprise: "Surprise", write: "Write", fill: "Fill", tag: "Tag", classify: "Classify", ladder: "Ladder",
    summarize: "Summarize", answer: "Answer", similar: "Similar",
    surpriseLead: "How many bits each piece of a text costs a model. The warmer, the less it was expected.",
    writeLead: "Watch a model choose, token by token; take another road wherever you like.",
    fillLead: "Write [MASK] where something is missing. The model reads both sides.",
    tagLead: "A label for every word, and the names they spell.",
    classifyLead: "How likely each label is for a text.",
    summarizeLead: "The sentences that say most of a text, marked where they stand.",
    answerLead: "A question, and the sentence that answers it, or word that none does.",
    similarLead: "The passages nearest to a query, by the words they share or by the vectors of a model.",
    ladderLead: "All models of this server on one text, in bits per byte: the fewer, the better.",
    text: "Text", prompt: "Beginning", model: "Model", against: "Compared with", none: "nothing",
    measure: "Measure", go: "Write", stop: "Stop", more: "Go on", clear: "Start over", gap: "Insert a gap", run: "Run",
    temperature: "Temperature", topP: "Top-p", seed: "Seed", length: "Tokens",
    bitsPerByte: "bits per byte", pseudo: "pseudo-bits per byte", totals: "{bits} bits, {tokens} tokens, {bytes} bytes",
    interval: "95 % interval {low} to {high}", short: "too short for an interval",
    expected: "expected", surprising: "surprising", secondBetter: "{b} needs fewer bits", firstBetter: "{a} needs fewer",
    impossible: "One of the models holds something in it impossible.", spellings: "The models read it in different spellings.",
    difference: "Difference", differenceTotal: "{b} against {a}", end: "end of text", endMark: "⟨end⟩",
    bits: "bits", probability: "probability", rank: "rank", entropy: "entropy",
    likeliest: "Likeliest here", why: "Why", loading: "…", noWhy: "This family cannot tell a reason.",
    pick: "Choose a token: point at it, or move with the arrow keys.",
    pieces: "A character in {n} tokens", token: "{text}: {bits} bits", segment: "{text}: {a} and {b} bits",
    decided: "The longest n-gram seen has {n} tokens.", undecided: "No n-gram of this context was seen.",
    order: "n", context: "after", count: "count", weight: "gives", start: "start",
    distinct: "counts of lower orders are of different tokens before", uniform: "any token alike",
    matched: "After a match of length {length} in the corpus, {count} of {total} times this token follows.",
    passage: "document {document}, token {offset}",
    states: "Hidden states, before and after the token is read", state: "state {state}", cutOff: "cut by top-p or temperature",
    layer: "Layer", head: "Head", mean: "mean of all", looks: "Where it looks",
    parts: "{name}: weight {weight}", keeps: "top-p keeps {n}", keepsMany: "top-p keeps more than {n}",
    asIs: "as the model says", cut: "after temperature and top-p", branch: "Choose one to go another way.",
    branches: "Earlier roads", back: "road {n}", copied: "{share} of it stands word for word in the training text.",
    copiedNone: "Nothing of it stands word for word in the training text.",
    finished: "The model ended the text.", empty: "nothing yet", gapName: "gap {n}",
    second: "Second text", several: "A text may have several of these labels, or none: those that are likelier than not are bold.",
    written: "written by the model; {share} of it stands in the text word for word", readCut: "The text is longer than the model reads: this is of its beginning.",
    shares: "shares with others: {shared}", sharesNone: "shares no term", position: "sentence {number} of {total}",
    method: "Method", sentences: "Sentences", byLength: "{n} of {total} sentences", score: "score",
    question: "Question", query: "Query", where: "Where to look", corpus: "Where to look (left empty: {name})", by: "Near by",
    noAnswer: "No sentence answers it: the best does with probability {p}, below {threshold}.", answers: "answers with probability {p}",
    nothingNear: "No passage shares a word with it.", words: "words they share",
    ofClass: "The token is {share} of its class {name}:", classes: "How likely the class is, by n-grams of classes",
    feature: "feature", adds: "adds to ln p", skipped: "{n} back", bias: "bias of the token", logZ: "− log Z", neverTogether: "never seen together",
    source: "In the source", target: "In what is written", hangs: "What it hangs on: blue makes the token likelier, warm less likely.",
    lessLikely: "less likely", moreLikely: "likelier",
    noGap: "There is no [MASK] in the text.", noModels: "No model of this server can do that.",
    serves: "{n} models", broken: "cannot be loaded", key: "Key of this server", enter: "Enter",
    interval0: "Bar: bits per byte; line: 95 % interval.", perplexity: "perplexity", tokens: "tokens",
    pseudoNote: "Models that read both ways have pseudo-bits, which no other figure compares with.",
    offline: "The server does not answer.", sample: "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.",
    promptSample: "The king", maskSample: "The [MASK] was sitting by the fire.", tagSample: "Mary Smith lives in London .", classifySample: "A fine film.",
  },
  zh: {
    skip: "跳到正文", other: "English", views: "页面",
    surprise: "意外", write: "写作", fill: "填空", tag: "标注", classify: "分类", ladder: "排行",
    summarize: "摘要", answer: "问答", similar: "相似",
    surpriseLead: "文本的每一处让模型付出多少比特。颜色越暖，越出乎意料。",
    writeLead: "看模型逐个词元地选择；随处都可以换一条路。",
    fillLead: "在缺字处写 [MASK]，模型会看两边的文字。",
    tagLead: "每个词一个标签，以及它们拼出的名称。",
    classifyLead: "每个标签对一段文本的可能性。",
    summarizeLead: "最能概括一段文本的句子，在原处标出。",
    answerLead: "提一个问题，找出回答它的句子，或者说没有。",
    similarLead: "与一句话最近的段落，按共有的词，或按一个模型的向量。",
    ladderLead: "本服务器的所有模型在同一段文本上，以每字节比特数计：越少越好。",
    text: "文本", prompt: "开头", model: "模型", against: "对照", none: "无",
    measure: "测量", go: "写", stop: "停止", more: "继续", clear: "重来", gap: "插入空格", run: "运行",
    temperature: "温度", topP: "Top-p", seed: "种子", length: "词元数",
    bitsPerByte: "比特/字节", pseudo: "伪比特/字节", totals: "{bits} 比特，{tokens} 个词元，{bytes} 字节",
    interval: "95 % 区间 {low} 至 {high}", short: "文本太短，没有区间",
    expected: "意料之中", surprising: "意料之外", secondBetter: "{b} 用的比特少", firstBetter: "{a} 用的少",
    impossible: "其中一个模型认为文本里有不可能的地方。", spellings: "两个模型读到的写法不同。",
    difference: "差别", differenceTotal: "{b} 相对 {a}", end: "文本结束", endMark: "⟨完⟩",
    bits: "比特", probability: "概率", rank: "名次", entropy: "熵",
    likeliest: "此处最可能", why: "原因", loading: "…", noWhy: "这类模型说不出原因。",
    pick: "选一个词元：指向它，或用方向键移动。",
    pieces: "一个字由 {n} 个词元组成", token: "{text}：{bits} 比特", segment: "{text}：{a} 与 {b} 比特",
    decided: "见过的最长 n 元组有 {n} 个词元。", undecided: "这个上文没有见过任何 n 元组。",
    order: "n", context: "上文", count: "次数", weight: "贡献", start: "开头",
    distinct: "低阶的次数是前面不同词元的个数", uniform: "所有词元均分",
    matched: "语料中也有前面这 {length} 个词元，{total} 次里有 {count} 次接着这个词元。",
    passage: "第 {document} 篇，第 {offset} 个词元",
    states: "隐状态，读这个词元之前和之后", state: "状态 {state}", cutOff: "被 top-p 或温度去掉",
    layer: "层", head: "头", mean: "所有头的平均", looks: "它看哪里",
    parts: "{name}：权重 {weight}", keeps: "top-p 留下 {n} 个", keepsMany: "top-p 留下 {n} 个以上",
    asIs: "模型的概率", cut: "经过温度和 top-p", branch: "选另一个，换一条路。",
    branches: "走过的路", back: "第 {n} 条", copied: "其中 {share} 与训练文本逐字相同。",
    copiedNone: "没有与训练文本逐字相同的地方。",
    finished: "模型结束了文本。", empty: "还没有内容", gapName: "第 {n} 空",
    second: "第二段文本", several: "一段文本可以有几个标签，也可以没有：可能性过半的加粗。",
    written: "由模型写成；其中 {share} 与原文逐字相同", readCut: "文本比模型读得的长，这只是开头的摘要。",
    shares: "与其他句子共有：{shared}", sharesNone: "与其他句子没有共有的词", position: "{total} 句中的第 {number} 句",
    method: "方法", sentences: "句数", byLength: "{total} 句中的 {n} 句", score: "得分",
    question: "问题", query: "查询", where: "在哪里找", corpus: "在哪里找（留空：{name}）", by: "按什么找",
    noAnswer: "没有句子回答它：最好的一句只有 {p} 的概率，低于 {threshold}。", answers: "回答的概率 {p}",
    nothingNear: "没有段落与它有共同的词。", words: "共有的词",
    ofClass: "这个词元在它的类 {name} 中占 {share}：", classes: "这个类有多可能，由类的 n 元组得出",
    feature: "特征", adds: "对 ln p 的贡献", skipped: "往前第 {n} 个", bias: "词元的偏置", logZ: "− log Z", neverTogether: "没有同时见过",
    source: "在源文中", target: "在已写的文字中", hangs: "它取决于什么：蓝色使词元更可能，暖色使它更不可能。",
    lessLikely: "更不可能", moreLikely: "更可能",
    noGap: "文本里没有 [MASK]。", noModels: "本服务器没有能做这件事的模型。",
    serves: "{n} 个模型", broken: "无法载入", key: "服务器密钥", enter: "确定",
    interval0: "条：比特/字节；线：95 % 区间。", perplexity: "困惑度", tokens: "词元",
    pseudoNote: "双向阅读的模型给出伪比特，不能与其他数字相比。",
    offline: "服务器没有回答。", sample: "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。",
    promptSample: "话说", maskSample: "天下大势，分久必[MASK]。", tagSample: "李明住在北京。", classifySample: "这部电影很好看。",
  },
};
// Each with what a model has to be able to do; null: it needs none.
const VIEWS = [["surprise", "score"], ["write", "complete"], ["fill", "fill"], ["tag", "tag"], ["classify", "classify"],
  ["summarize", null], ["answer", null], ["similar", null], ["ladder", "score"]];
const FULL = 14; // bits of the warmest colour
const BLOCK = 80; // bytes of a stretch that the bootstrap draws
const SHOWN = 10; // likeliest tokens
const LONG = 20000; // characters that are kept in a link
const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true });

let state = {};
let models = [];
let corpus = null; // the name of what the server looks in
let language = "en";
let running = null; // what can be stopped: the requests of the view
let memory = {}; // answers of a view, kept while another is looked at
const main = document.getElementById("main");
const problem = document.getElementById("problem");

// ---- small things

/** The text of a key in the language of the page. */
function t(key, values = {}) {
  return (WORDS[language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** An element with attributes, listeners (`onclick`) and children; strings become text. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const number = (value, digits = 0) => value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const percent = (p) => (p > 0 && p < 0.0005 ? "< 0.05 %" : `${number(100 * p, p > 0 && p < 0.0995 ? 1 : 0)} %`).replaceAll(" ", "\u202f");
const heat = (bits) => (bits === null ? 1 : Math.min(Math.max(bits, 0) / FULL, 1) * 0.9).toFixed(3);

function tell(error) {
  if (error?.name === "AbortError") return;
  problem.textContent = error ? error.message : "";
  problem.hidden = !error;
}

/** What a server answers; an error has its message. */
async function ask(path, body, signal) {
  const response = await request(path, body, signal);
  return response.json();
}

async function request(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  const key = sessionStorage.getItem("key");
  if (key) headers.Authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(t("offline"));
  }
  if (response.ok) return response;
  if (response.status === 401) askForKey();
  const said = await response.json().catch(() => null);
  throw Object.assign(new Error(said?.error?.message ?? `${response.status} ${response.statusText}`), { status: response.status });
}

function askForKey() {
  const input = el("input", { type: "password", autocomplete: "off" });
  const enter = (event) => { event.preventDefault(); sessionStorage.setItem("key", input.value); tell(null); begin(); };
  main.replaceChildren(el("form", { class: "row", onsubmit: enter }, field("key", input), el("button", { class: "main" }, t("enter"))));
  input.focus();
}

/** The signal of a new run of this view; the one before is stopped. */
function afresh() {
  running?.abort();
  running = new AbortController();
  tell(null);
  return running.signal;
}

/** A token for human eyes, as nodes: bytes of no whole character as small boxes. */
function named(token) {
  if (token === "<eos>") return [el("span", { class: "mark" }, t("endMark"))];
  if (token && !token.trim()) return [el("span", { class: "mark" }, token.replaceAll("\n", "↵").replaceAll("\t", "→").replaceAll(" ", "␣"))];
  return token.replaceAll("\n", "↵").replaceAll("\\n", "↵").split(/((?:\\x[89a-f][0-9a-f])+)/).filter(Boolean).map((part, index) =>
    /^\\x[89a-f]/.test(part) ? el("span", { class: "raw" }, part.slice(2).replaceAll("\\x", " ").toUpperCase()) : part);
}

/** Bytes as text, or as small boxes where they are no whole characters. */
function spelled(bytes) {
  try {
    return visible(strict.decode(bytes));
  } catch {
    return [el("span", { class: "raw" }, [...bytes].map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" "))];
  }
}

/** A token by itself: a blank at its head is seen. */
const alone = (bytes) => (bytes[0] === 0x20 ? [el("span", { class: "mark", "aria-hidden": "true" }, "␣"), spelled(bytes.subarray(1))] : spelled(bytes));

/** The same of one that is known by its text. */
const lone = (token) => (/^ +\S/.test(token) ? [el("span", { class: "mark", "aria-hidden": "true" }, "␣"), named(token.slice(1))] : named(token));

/** Text with its line ends to be seen. */
function visible(text) {
  return text.split("\n").flatMap((line, index) => (index ? [el("span", { class: "mark", "aria-hidden": "true" }, "↵"), "\n", line] : [line]));
}

// ---- state and its link

function read() {
  const values = new URLSearchParams(location.hash.slice(1));
  state = Object.fromEntries(values);
  state.view = VIEWS.some(([view]) => view === state.view) ? state.view : "surprise";
}

/** Put values into the state and the link. */
function keep(values, { push = false } = {}) {
  for (const [name, value] of Object.entries(values)) {
    if (value === "" || value === null || value === undefined) delete state[name];
    else state[name] = String(value);
  }
  const link = `#${new URLSearchParams(Object.entries(state).filter(([, value]) => value.length <= LONG))}`;
  if (link !== location.hash) history[push ? "pushState" : "replaceState"](null, "", link);
}

const able = (what) => models.filter((model) => model.capabilities.includes(what));
const shows = (view) => { const [, what] = VIEWS.find(([one]) => one === view); return what === null || able(what).length > 0; };
const modelOf = (name) => models.find((model) => model.id === name);

function chosen(what, name = "a") {
  const some = able(what);
  return (some.find((model) => model.id === state[name]) ?? some[0])?.id;
}

// ---- parts of views

function field(key, control) {
  control.id ||= `field-${key}`;
  return el("label", { class: "field", for: control.id }, el("span", {}, t(key)), control);
}

function picker(key, what, name, onchange, { optional = false } = {}) {
  const now = optional ? (able(what).some((model) => model.id === state[name]) ? state[name] : "") : chosen(what, name);
  const select = el("select", { id: `pick-${name}`, onchange: () => { keep({ [name]: select.value }); onchange(); } },
    optional && el("option", { value: "" }, t("none")),
    able(what).map((model) => el("option", { value: model.id, selected: model.id === now }, model.state === "broken" ? `${model.id} (${t("broken")})` : model.id)));
  return field(key, select);
}

function textarea(key, name, sample, submit) {
  const area = el("textarea", { id: `text-${name}`, spellcheck: "false", oninput: () => keep({ [name]: area.value }),
    onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(); } });
  area.value = state[name] ?? sample;
  return [field(key, area), area];
}

function heading(view) {
  return [el("h1", {}, t(view)), el("p", { class: "lead" }, t(`${view}Lead`))];
}

/** Pieces of text that can be pointed at and walked through with the arrow keys. `show(index, pinned)` is told. */
function pieces(items, label, show) {
  const box = el("div", { class: "text", role: "group", "aria-label": label });
  let current = 0;
  let pinned = -1;
  const nodes = items.map((item, index) => {
    const node = el("span", { class: `tok ${item.class ?? ""}`, role: "button", tabindex: index ? -1 : 0, "aria-label": item.label, "--s": item.s }, item.nodes);
    node.dataset.index = index;
    if (item.shades) node.style.background = stripes(item.shades);
    return node;
  });
  const pin = (index, focus) => {
    nodes[pinned]?.removeAttribute("aria-pressed");
    nodes[current].tabIndex = -1;
    current = pinned = index;
    nodes[index].tabIndex = 0;
    nodes[index].setAttribute("aria-pressed", "true");
    if (focus) nodes[index].focus();
    show(index, true);
  };
  const at = (event) => { const node = event.target.closest?.(".tok"); return node ? Number(node.dataset.index) : -1; };
  box.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse" && pinned < 0 && at(event) >= 0) show(at(event), false); });
  box.addEventListener("click", (event) => { if (at(event) >= 0) pin(at(event), true); });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pin(at(event), true); }
    else if (event.key === "Escape") { nodes[pinned]?.removeAttribute("aria-pressed"); pinned = -1; }
    else if (step) { event.preventDefault(); pin(Math.min(Math.max(current + step, 0), nodes.length - 1), true); }
  });
  box.append(...nodes);
  box.pin = pin;
  return box;
}

/** A background of several shades side by side: the tokens of one character. */
function stripes(shades) {
  const stops = shades.map((shade, index) => {
    const colour = `color-mix(in srgb, var(--heat) ${100 * shade}%, transparent)`;
    return `${colour} ${(100 * index) / shades.length}% ${(100 * (index + 1)) / shades.length}%`;
  });
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

/** Tokens that share characters stand together: what is shown begins and ends where characters do. */
function grouped(tokens, data) {
  const groups = [];
  let open = null;
  for (const [index, token] of tokens.entries()) {
    const end = token.bytes[1];
    open ??= { first: index, begin: token.bytes[0] };
    if (end >= data.length || (data[end] & 0xc0) !== 0x80) {
      groups.push({ ...open, last: index, end });
      open = null;
    }
  }
  return groups;
}

function bars(rows) {
  // A token of no text, such as padding, has its number for a name.
  const name = (row) => (row.bytes?.length ? alone(Uint8Array.from(row.bytes)) : lone(row.token || `#${row.id}`));
  return el("ul", { class: "bars" }, rows.map((row) =>
    el("li", { class: `${row.off ? "off" : ""} ${row.now ? "this" : ""}` },
      row.pick ? el("button", { type: "button", class: "what", onclick: row.pick }, name(row)) : el("span", { class: "what", title: row.token }, name(row)),
      el("span", { class: "track", "aria-hidden": "true" },
        el("i", { class: row.after === undefined ? "" : "before", "--w": Math.min(row.probability, 1).toFixed(4) }),
        row.after > 0 && el("i", { class: "after", "--w": row.after.toFixed(4) })),
      el("span", { class: "num" }, row.off ? el("s", { title: t("cutOff") }, percent(row.probability)) : percent(row.after ?? row.probability)))));
}

const facts = (pairs) => el("dl", { class: "facts" }, pairs.map(([key, value]) => el("div", {}, el("dt", {}, t(key)), el("dd", {}, value))));

function detailCard() {
  const card = el("section", { class: "card detail empty", "aria-live": "polite" }, el("p", { class: "quiet" }, t("pick")));
  card.show = (...children) => { card.classList.remove("empty"); card.replaceChildren(...children.flat(9).filter(Boolean)); };
  card.clear = () => { card.classList.add("empty"); card.replaceChildren(el("p", { class: "quiet" }, t("pick"))); };
  return card;
}

// ---- bits per byte and its interval

/** Sums of bits over stretches of a text, by the bytes that tokens lie on: the end belongs to the last. */
function stretches(score) {
  const count = Math.floor(score.bytes / BLOCK);
  if (count < 8) return null;
  const sums = new Float64Array(count);
  for (const { bytes: [begin, end], bits } of score.tokens) {
    for (let at = begin; at < Math.max(end, begin + 1); at++) sums[Math.min(Math.floor((at * count) / score.bytes), count - 1)] += (bits ?? Infinity) / Math.max(end - begin, 1);
  }
  return sums;
}

/** The 95 % interval of a sum over stretches by the byte, as they are drawn anew; the same draws every time. */
function interval(sums, bytes) {
  if (!sums || !sums.every(Number.isFinite)) return null;
  let seed = 12345;
  const draw = () => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return seed / 2 ** 32; };
  const means = Array.from({ length: 1000 }, () => {
    let total = 0;
    for (let index = 0; index < sums.length; index++) total += sums[Math.floor(draw() * sums.length)];
    return total / bytes;
  }).sort((one, other) => one - other);
  return { low: means[24], high: means[975] };
}

function totals(score, pseudo) {
  if (score.bits_per_byte === null) return el("p", { class: "total" }, el("span", {}, score.reason ?? "–"));
  const range = interval(stretches(score), score.bytes);
  return el("p", { class: "total" }, el("b", {}, number(score.bits_per_byte, 3)), ` ${t(pseudo ? "pseudo" : "bitsPerByte")} `,
    el("span", {}, range ? t("interval", { low: number(range.low, 2), high: number(range.high, 2) }) : t("short"), el("br"),
      t("totals", { bits: number(score.bits, 1), tokens: number(score.tokens.length), bytes: number(score.bytes) })));
}

// ---- surprise

function surpriseView() {
  const results = el("div", { class: "pair" });
  const detail = detailCard();
  const [label, area] = textarea("text", "text", t("sample"), () => measure());
  const measure = async () => {
    const signal = afresh();
    const names = [...new Set([chosen("score"), state.b && able("score").some((model) => model.id === state.b) ? state.b : null])].filter(Boolean);
    keep({ text: area.value });
    main.setAttribute("aria-busy", "true");
    try {
      const answers = await Promise.all(names.map((name) => scored(name, area.value, signal)));
      memory.surprise = { answers, text: area.value };
      results.classList.toggle("two", answers.length > 1);
      detail.clear();
      results.replaceChildren(...answers.map((answer) => scorePanel(answer, area.value, detail)),
        ...(answers.length > 1 ? [differencePanel(answers[0], answers[1], detail)] : []));
    } catch (error) { tell(error); } finally { main.removeAttribute("aria-busy"); }
  };
  main.replaceChildren(...heading("surprise"), label,
    el("div", { class: "row" }, picker("model", "score", "a", measure), picker("against", "score", "b", measure, { optional: true }),
      el("button", { type: "button", class: "main", id: "measure", onclick: measure }, t("measure"))),
    el("div", { class: "split" }, results, detail));
  if (able("score").length) measure();
}

/** The scores of a text, with the likeliest tokens where the model has them and the text is not too long. */
async function scored(name, text, signal, top = SHOWN) {
  const told = modelOf(name).capabilities.includes("next") && text.length < 8000 ? top : 0;
  const answer = await ask("v1/score", { model: name, text, top: told }, signal);
  return { name, pseudo: answer.pseudo, ...answer.scores[0], data: utf8.encode(answer.scores[0].text) };
}

function scorePanel(answer, text, detail) {
  const groups = grouped(answer.tokens, answer.data);
  const items = groups.map((group) => {
    const own = answer.tokens.slice(group.first, group.last + 1);
    const total = own.some((token) => token.bits === null) ? null : own.reduce((sum, token) => sum + token.bits, 0);
    const end = group.begin === group.end;
    const nodes = end ? [el("span", { class: "mark" }, t("endMark"))] : spelled(answer.data.subarray(group.begin, group.end));
    const name = end ? t("end") : strict.decode(answer.data.subarray(group.begin, group.end));
    return { nodes, s: heat(total), shades: own.length > 1 ? own.map((token) => heat(token.bits)) : null,
      label: t("token", { text: name.trim() || "␣", bits: total === null ? "∞" : number(total, 1) }) };
  });
  const view = pieces(items, answer.name, (index, pinned) => {
    const { first, last } = groups[index];
    const open = (at) => tokenDetail(detail, answer, text, at, first, last, open, pinned);
    open(first);
  });
  return el("section", { class: "card" }, el("header", {}, el("h2", {}, answer.name), totals(answer, answer.pseudo)), view,
    el("p", { class: "legend" }, t("expected"), el("span", { class: "scale" }), t("surprising")));
}

function tokenDetail(detail, answer, text, index, first, last, open, pinned) {
  const token = answer.tokens[index];
  const end = index === answer.tokens.length - 1 && token.bytes[0] === token.bytes[1];
  const chips = last > first && [el("p", { class: "quiet" }, t("pieces", { n: last - first + 1 })), el("div", { class: "chips" },
    answer.tokens.slice(first, last + 1).map((own, at) => el("button", { type: "button", "aria-pressed": String(first + at === index), onclick: () => open(first + at) },
      spelled(answer.data.subarray(...own.bytes)))))];
  const why = modelOf(answer.name).capabilities.includes("why") && whySection({ model: answer.name, text, index }, pinned);
  detail.show(el("p", { class: "name" }, end ? t("end") : alone(answer.data.subarray(...token.bytes))), chips,
    facts([["bits", token.bits === null ? "∞" : number(token.bits, 2)], ["probability", token.bits === null ? "0" : percent(2 ** -token.bits)],
      ...(token.rank ? [["rank", number(token.rank)], ["entropy", number(token.entropy, 2)]] : [])]),
    token.top && [el("h3", {}, t("likeliest")), bars(token.top.map((other) => ({ ...other, now: other.id === token.id })))], why);
}

/** What the second model needs more or fewer bits for, in pieces that are whole tokens of both. */
function differencePanel(one, other, detail) {
  const apart = one.bits === null || other.bits === null ? "impossible" : one.text !== other.text ? "spellings" : null;
  if (apart) return el("section", { class: "card wide" }, el("h2", {}, t("difference")), el("p", { class: "quiet" }, t(apart)));
  const ends = (answer) => { const sums = new Map(); let sum = 0; for (const token of answer.tokens) { sum += token.bits; sums.set(token.bytes[1], sum); } return sums; };
  const [mine, theirs] = [ends(one), ends(other)];
  const edges = [...mine.keys()].filter((edge) => theirs.has(edge) && (edge >= one.data.length || (one.data[edge] & 0xc0) !== 0x80)).sort((a, b) => a - b);
  let [begin, before, beforeOther] = [0, 0, 0];
  const parts = edges.filter((edge) => edge > 0 || edges.length === 1).map((edge) => {
    const part = { begin, end: edge, a: mine.get(edge) - before, b: theirs.get(edge) - beforeOther };
    [begin, before, beforeOther] = [edge, mine.get(edge), theirs.get(edge)];
    return part;
  });
  const items = parts.map((part) => ({
    nodes: spelled(one.data.subarray(part.begin, part.end)), class: part.b > part.a ? "worse" : "better",
    s: heat(Math.abs(part.b - part.a) * 1.5), label: t("segment", { text: strict.decode(one.data.subarray(part.begin, part.end)), a: number(part.a, 1), b: number(part.b, 1) }),
  }));
  const show = (index) => { const part = parts[index]; detail.show(el("p", { class: "name" }, spelled(one.data.subarray(part.begin, part.end))),
    bars([[one.name, part.a], [other.name, part.b]].map(([name, bits]) => ({ token: name, bits, probability: bits / Math.max(part.a, part.b, 1) })))
    , facts([["bits", `${number(part.a, 2)} / ${number(part.b, 2)}`], ["difference", signed(part.b - part.a, 2)]])); };
  const [sumsOne, sumsOther] = [stretches(one), stretches(other)];
  const range = sumsOne && interval(sumsOne.map((sum, index) => sumsOther[index] - sum), one.bytes);
  return el("section", { class: "card wide" }, el("header", {}, el("h2", {}, t("difference")),
    el("p", { class: "total" }, el("b", {}, signed(other.bits_per_byte - one.bits_per_byte, 3)), ` ${t("bitsPerByte")} `,
      el("span", {}, t("differenceTotal", { a: one.name, b: other.name }), el("br"), range ? t("interval", { low: signed(range.low, 2), high: signed(range.high, 2) }) : t("short")))),
  pieces(items, t("difference"), show),
  el("p", { class: "legend" }, t("secondBetter", { b: other.name }), el("span", { class: "scale both" }), t("firstBetter", { a: one.name })));
}

const signed = (value, digits) => `${value < 0 ? "−" : "+"}${number(Math.abs(value), digits)}`;

// ---- why

/** The reason behind a token, asked when it is pinned, or pointed at for a moment. */
function whySection(asked, now) {
  const box = el("section", { class: "why" }, el("h3", {}, t("why")), el("p", { class: "quiet" }, t("loading")));
  const fetchReason = async (layer) => {
    if (!box.isConnected) return;
    try {
      const { reason } = await ask("v1/why", { ...asked, ...(layer === undefined ? {} : { layer }) }, running?.signal);
      box.replaceChildren(el("h3", {}, t("why")), ...reasonNodes(reason, fetchReason));
    } catch (error) {
      if (error.name !== "AbortError") box.replaceChildren(el("h3", {}, t("why")), el("p", { class: "quiet" }, error.message));
    }
  };
  setTimeout(fetchReason, now ? 0 : 250);
  return box;
}

function reasonNodes(reason, again) {
  if (!reason) return [el("p", { class: "quiet" }, t("noWhy"))];
  return REASONS[reason.kind](reason, again);
}

/** Orders from the longest: what each gives of the probability, through the weights of those above it. */
function ngramReason(reason) {
  let weight = 1;
  const rows = [...reason.orders].reverse().map((step) => {
    const given = weight * step.share;
    weight *= step.backoff;
    return { ...step, given };
  });
  const counted = rows.some((row) => row.count !== null);
  const count = (row) => (row.count === null ? "" : `${number(row.count)} / ${number(row.total)}`);
  return [el("p", { class: "quiet" }, reason.order ? t("decided", { n: reason.order }) : t("undecided")),
    el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("order")), el("th", { scope: "col" }, t("context")),
      counted && el("th", { scope: "col", class: "n" }, t("count")), el("th", { scope: "col", class: "n" }, t("weight")))),
    el("tbody", {}, rows.map((row) => el("tr", { class: row.order === reason.order ? "decides" : "" }, el("td", {}, String(row.order)),
      el("td", { class: "gram" }, row.context.length ? row.context.flatMap((token) => named(token === "<s>" ? `⟨${t("start")}⟩` : token)) : "–"),
      counted && el("td", { class: "n" }, count(row)), el("td", { class: "n" }, percent(row.given)))),
    weight > 0 && rows.at(-1).order === 1 && el("tr", {}, el("td", {}, "0"), el("td", {}, t("uniform")), counted && el("td", {}), el("td", { class: "n" }, percent(Math.max(last(rows) - sum(rows), 0)))))),
    rows.some((row) => row.distinct) && el("p", { class: "quiet" }, t("distinct"))].filter(Boolean);
}
const last = (rows) => rows[0].probability;
const sum = (rows) => rows.reduce((total, row) => total + row.given, 0);

function matchReason(reason) {
  return [el("p", { class: "quiet" }, t("matched", { length: number(reason.length), count: number(reason.count), total: number(reason.total) })),
    el("ul", { class: "quotes" }, reason.passages.map((passage) => el("li", {}, passage.before, el("mark", {}, passage.match), el("b", {}, named(passage.token)), passage.after,
      el("small", {}, t("passage", { document: number(passage.document + 1), offset: number(passage.offset + 1) })))))];
}

function statesReason(reason) {
  return [el("p", { class: "quiet" }, t("states")), ...reason.states.flatMap((one) => [
    bars([{ token: t("state", { state: one.state }), probability: one.prior, after: one.posterior }]),
    el("p", { class: "quiet words" }, one.words.flatMap((word, index) => [index ? " · " : "", named(word.token)]))])];
}

function attentionReason(reason, again) {
  const text = el("div", { class: "look", tabindex: "0", role: "group", "aria-label": t("looks") });
  const draw = (weights) => {
    const most = Math.max(...weights, 1e-9);
    text.replaceChildren(...reason.tokens.map((token, index) => el("span", { "--s": (0.9 * weights[index] / most).toFixed(3), title: percent(weights[index]) },
      readToken(reason.tokens, index))));
    requestAnimationFrame(() => { text.scrollTop = text.scrollHeight; });
  };
  const layers = el("select", { onchange: () => again(Number(layers.value)), "aria-label": t("layer") },
    Array.from({ length: reason.layers }, (_, index) => el("option", { value: index, selected: index === reason.layer }, `${t("layer")} ${index + 1}`)));
  const heads = el("select", { onchange: () => draw(heads.value ? reason.weights[Number(heads.value)] : reason.mean), "aria-label": t("head") },
    el("option", { value: "" }, t("mean")), Array.from({ length: reason.heads }, (_, index) => el("option", { value: index }, `${t("head")} ${index + 1}`)));
  draw(reason.mean);
  return [el("p", { class: "quiet" }, t("looks")), el("div", { class: "chips" }, layers, heads), text];
}

/** The class of a token, its share of it, and what n-grams of classes say of the class. */
function classesReason(reason, again) {
  return [el("p", { class: "quiet" }, t("ofClass", { share: percent(reason.share), name: reason.class })), bars(reason.words),
    el("h3", {}, t("classes")), ...ngramReason(reason.ngrams, again)];
}

/** What each feature of the context adds to the logarithm of the probability. */
function featuresReason(reason) {
  const row = (name, value) => el("tr", {}, el("td", { class: "gram" }, name), el("td", { class: "n" }, value));
  const gram = (one) => [one.tokens.flatMap((token) => named(token)), one.back > 1 && el("span", { class: "quiet" }, ` (${t("skipped", { n: one.back })})`)];
  return [el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("feature")), el("th", { scope: "col", class: "n" }, t("adds")))),
    el("tbody", {}, reason.features.map((one) => row(gram(one), one.weight === null ? t("neverTogether") : signed(one.weight, 2))),
      row(t("bias"), signed(reason.bias, 2)), row(t("logZ"), signed(-reason.log_z, 2))))];
}

/** Gradient times input of each token read, in two colours. */
function saliencyReason(reason) {
  const most = Math.max(...reason.saliency.map(Math.abs), 1e-9);
  const text = el("div", { class: "look", tabindex: "0", role: "group", "aria-label": t("hangs") }, reason.tokens.map((token, index) =>
    el("span", { class: reason.saliency[index] > 0 ? "better" : "worse", "--s": (0.9 * Math.abs(reason.saliency[index]) / most).toFixed(3), title: signed(reason.saliency[index], 3) }, readToken(reason.tokens, index))));
  requestAnimationFrame(() => { text.scrollTop = text.scrollHeight; });
  return [el("p", { class: "quiet" }, t("hangs")), text,
    el("p", { class: "legend" }, t("moreLikely"), el("span", { class: "scale both" }), t("lessLikely"))];
}

/** A token of what a network read; the ends that stand before a document are its beginning. */
const readToken = (tokens, index) => (tokens.slice(0, index + 1).every((token) => token === "<eos>")
  ? [el("span", { class: "mark" }, `⟨${t("start")}⟩`)] : named(tokens[index].replace("␣", " ")));

function crossAttentionReason(reason, again) {
  return ["source", "target"].flatMap((part) => [el("h3", {}, t(part)), ...attentionReason(reason[part], again)]);
}

function mixtureReason(reason, again) {
  return reason.parts.flatMap((part) => [el("h3", {}, t("parts", { name: part.name, weight: percent(part.weight) })),
    bars([{ token: t("probability"), probability: part.probability }]), ...(part.reason ? reasonNodes(part.reason, again) : [])]);
}

const REASONS = { ngram: ngramReason, classes: classesReason, features: featuresReason, match: matchReason, states: statesReason,
  attention: attentionReason, "cross-attention": crossAttentionReason, saliency: saliencyReason, mixture: mixtureReason };

// ---- write

function writeView() {
  const output = el("div", {});
  const roads = el("div", { class: "chips" });
  const note = el("p", { class: "quiet", "aria-live": "polite" });
  const detail = detailCard();
  const [label, area] = textarea("prompt", "prompt", t("promptSample"), () => start());
  const held = (memory.write ??= { prompt: null, ids: [], tokens: [], roads: [] });
  const value = (name, standard) => { const given = Number(state[name] ?? standard); return Number.isFinite(given) ? given : standard; };
  const slider = (key, name, most, least, standard) => {
    const shown = el("output", {}, number(value(name, standard), 2));
    const input = el("input", { type: "range", min: least, max: most, step: "0.05", value: value(name, standard), id: `field-${key}`,
      oninput: () => { keep({ [name]: input.value }); shown.textContent = number(Number(input.value), 2); redraw(); } });
    return el("div", { class: "field" }, el("label", { for: input.id }, el("span", { class: "quiet" }, `${t(key)} `), shown), input);
  };
  const counter = (key, name, least, most, standard) => {
    const input = el("input", { type: "number", min: least, max: most, value: value(name, standard), onchange: () => { if (input.checkValidity()) keep({ [name]: input.value }); } });
    return field(key, input);
  };
  let selected = -1;
  let writing = false;
  const setting = () => ({ temperature: value("t", 0.8), top_p: value("p", 0.95), seed: Math.round(value("seed", 0)), max_tokens: Math.round(value("n", 60)) });

  const button = el("button", { type: "button", class: "main", id: "write", onclick: () => (writing ? running.abort() : start()) }, t("go"));
  const onward = el("button", { type: "button", id: "onward", onclick: () => go() }, t("more"));

  const context = (index) => [...held.ids, ...held.tokens.slice(0, index).map((token) => token.id)];

  const draw = () => {
    const bytes = held.tokens.map((token) => token.data);
    const data = new Uint8Array(bytes.reduce((size, own) => size + own.length, 0));
    let at = 0;
    const spans = bytes.map((own) => { data.set(own, at); const begin = at; at += own.length; return { bytes: [begin, at] }; });
    const groups = grouped(spans, data);
    if (groups.length ? groups.at(-1).last < spans.length - 1 : spans.length) groups.push({ first: groups.length ? groups.at(-1).last + 1 : 0, last: spans.length - 1, begin: groups.length ? groups.at(-1).end : 0, end: data.length });
    const copied = (group) => (held.copied ?? []).some(([begin, end]) => group.begin < end && group.end > begin);
    const items = groups.map((group) => {
      const own = held.tokens.slice(group.first, group.last + 1);
      const bits = own.reduce((total, token) => total - token.logprob / Math.LN2, 0);
      const shown = spelled(data.subarray(group.begin, group.end));
      const name = own.map((token) => token.token).join("");
      return { nodes: group.begin === group.end ? [el("span", { class: "mark" }, t("endMark"))] : shown, s: heat(bits), class: copied(group) ? "copied" : "", label: t("token", { text: name.trim() || "␣", bits: number(bits, 1) }) };
    });
    const view = pieces(items, t("write"), (index, pinned) => { if (pinned && !writing) choose(groups[index].first, groups[index].last); });
    view.prepend(el("span", { class: "tok prompt" }, visible(held.prompt ?? area.value)));
    output.replaceChildren(view);
    view.scrollTop = writing ? view.scrollHeight : 0;
    roads.replaceChildren(...(held.roads.length ? [el("span", { class: "quiet" }, t("branches")), ...held.roads.map((road, index) =>
      el("button", { type: "button", onclick: () => { const now = held.tokens; held.tokens = road; held.roads.splice(index, 1, now); settle(); } }, t("back", { n: index + 1 })))] : []));
    onward.disabled = writing || held.prompt === null;
    button.textContent = t(writing ? "stop" : "go");
  };

  /** The distribution that a token was drawn from, and what temperature and top-p leave of it. */
  const drawDetail = (index, top, rest, first = index, lastOne = index) => {
    const token = held.tokens[index];
    const { temperature, top_p } = setting();
    const after = narrowed(top, rest, Math.max((modelOf(chosen("complete")).vocabulary ?? 0) - top.length, 0), temperature, top_p);
    const kept = after.kept >= top.length && rest > 1e-6 ? t("keepsMany", { n: number(top.length) }) : t("keeps", { n: number(after.kept) });
    const rows = top.slice(0, SHOWN).map((other, at) => ({ ...other, after: after.probabilities[at], off: at >= after.kept, now: other.id === token?.id,
      pick: writing ? null : () => branch(index, other) }));
    detail.show(el("p", { class: "name" }, token ? (token.data.length ? alone(token.data) : t("end")) : "…"),
      lastOne > first && el("div", { class: "chips" }, held.tokens.slice(first, lastOne + 1).map((own, at) => el("button", { type: "button", "aria-pressed": String(first + at === index), onclick: () => choose(first, lastOne, first + at) }, spelled(own.data)))),
      token && facts([["bits", number(-token.logprob / Math.LN2, 2)], ["probability", percent(Math.exp(token.logprob))]]),
      el("h3", {}, `${t("likeliest")} · ${kept}`), bars(rows),
      el("p", { class: "quiet" }, writing ? "" : t("branch")),
      !writing && token && modelOf(chosen("complete")).capabilities.includes("why") && whySection({ model: chosen("complete"), ids: [...context(index), token.id], index: held.ids.length + index }, true));
  };

  let now = null; // what the detail shows
  const redraw = () => { if (now) drawDetail(...now); };

  const choose = async (first, lastOne = first, index = first) => {
    selected = index;
    try {
      const ids = context(index);
      const answer = await ask("v1/next", { model: chosen("complete"), context: ids.length ? ids : "", k: 1000 }, running?.signal.aborted ? undefined : running?.signal);
      if (selected !== index) return;
      const rest = Math.max(1 - answer.tokens.reduce((total, token) => total + token.probability, 0), 0);
      now = [index, answer.tokens, rest, first, lastOne];
      redraw();
    } catch (error) { tell(error); }
  };

  const branch = (index, other) => {
    held.roads = [...held.roads, held.tokens].slice(-6);
    held.tokens = [...held.tokens.slice(0, index), { id: other.id, token: other.token, data: Uint8Array.from(other.bytes), logprob: Math.log(other.probability), top: [] }];
    held.copied = null;
    go();
  };

  const settle = () => { keep({ w: held.tokens.map((token) => token.id).join("."), m: held.prompt === null ? null : "1" }); now = null; detail.clear(); draw(); lookForCopies(held, draw, note); };

  const prepare = async (signal) => {
    const model = chosen("complete");
    const { tokens } = area.value ? await ask("tokenize", { model, prompt: area.value }, signal) : { tokens: [] };
    Object.assign(held, { prompt: area.value, ids: tokens, tokens: [], copied: null, roads: [], model });
    keep({ prompt: area.value });
  };

  const start = async () => {
    const signal = afresh();
    note.textContent = t("loading");
    button.textContent = t("stop");
    writing = true;
    try { await prepare(signal); await go(signal); } catch (error) { writing = false; note.textContent = ""; draw(); tell(error); }
  };

  /** Write on from what there is. */
  const go = async (signal = afresh()) => {
    writing = true;
    draw();
    const before = held.tokens.length;
    try {
      const ids = context(before);
      const body = { model: chosen("complete"), prompt: ids.length ? ids : "", stream: true, logprobs: SHOWN, ...setting(), seed: setting().seed + before };
      const response = await request("v1/completions", body, signal);
      for await (const event of events(response)) {
        const choice = event.choices?.[0];
        if (event.error) throw new Error(event.error.message);
        if (choice?.logprobs) { note.textContent = ""; take(choice.logprobs); }
        if (choice?.finish_reason === "stop") note.textContent = t("finished");
      }
    } catch (error) { tell(error); } finally { writing = false; if (note.textContent === t("loading")) note.textContent = ""; settle(); }
  };

  const take = (logprobs) => {
    logprobs.token_ids.forEach((id, at) => {
      const likely = Object.entries(logprobs.top_logprobs[at] ?? {}).map(([token, logprob]) => ({ token: token.replace(/^bytes:/, ""), probability: Math.exp(logprob) })).sort((one, other) => other.probability - one.probability);
      const token = { id, token: logprobs.tokens[at].replace(/^bytes:/, ""), data: bytesOf(logprobs.tokens[at]), logprob: logprobs.token_logprobs[at] ?? 0 };
      held.tokens.push(token);
      likely.forEach((other) => { if (other.token === token.token) other.id = id; });
      now = [held.tokens.length - 1, likely, Math.max(1 - likely.reduce((total, other) => total + other.probability, 0), 0)];
    });
    draw();
    redraw();
  };

  /** What the link says was written, read again by the model. */
  const restore = async () => {
    const signal = afresh();
    try {
      await prepare(signal);
      const ids = (state.w ?? "").split(".").filter(Boolean).map(Number);
      if (ids.length) {
        const answer = await ask("v1/completions", { model: chosen("complete"), prompt: [...held.ids, ...ids], echo: true, max_tokens: 0, logprobs: 1 }, signal);
        const { tokens, token_logprobs: logs } = answer.choices[0].logprobs;
        held.tokens = ids.map((id, index) => { const at = tokens.length - ids.length + index; return { id, token: tokens[at].replace(/^bytes:/, ""), data: bytesOf(tokens[at]), logprob: logs[at] ?? 0 }; });
      }
      settle();
    } catch (error) { tell(error); draw(); }
  };

  const reset = () => { if (held.model !== chosen("complete")) { Object.assign(held, { prompt: null, ids: [], tokens: [], roads: [], copied: null }); keep({ w: null, m: null }); now = null; detail.clear(); draw(); } };
  main.replaceChildren(...heading("write"), label,
    el("div", { class: "row" }, picker("model", "complete", "a", reset), slider("temperature", "t", 2, 0, 0.8), slider("topP", "p", 1, 0.05, 0.95),
      counter("seed", "seed", 0, 2 ** 31, 0), counter("length", "n", 1, 1000, 60), button, onward),
    el("div", { class: "split" }, el("section", { class: "card" }, output, note, roads,
      el("p", { class: "legend" }, t("expected"), el("span", { class: "scale" }), t("surprising"))), detail));
  if (state.w && held.prompt === null) restore(); else draw();
}

/** Bytes of a token as the interface of completions spells it. */
function bytesOf(token) {
  if (token === "<eos>") return new Uint8Array();
  if (!token.startsWith("bytes:")) return utf8.encode(token);
  return Uint8Array.from(token.slice(6).split("\\x").filter(Boolean), (byte) => parseInt(byte, 16));
}

/** What temperature and top-p leave of a distribution: `top` likeliest first, and `rest` of all `others` alike. */
function narrowed(top, rest, others, temperature, topP) {
  if (temperature === 0) return { kept: 1, probabilities: top.map((_, index) => (index ? 0 : 1)) };
  const weights = top.map((token) => (token.probability / top[0].probability) ** (1 / temperature));
  const tail = others > 0 ? others * (rest / others / top[0].probability) ** (1 / temperature) : 0;
  const total = weights.reduce((sums, weight) => sums + weight, 0) + tail;
  let kept = 0;
  for (let mass = 0; kept < weights.length && (kept === 0 || mass < topP * total); kept++) mass += weights[kept];
  const left = weights.slice(0, kept).reduce((sums, weight) => sums + weight, 0) + (kept === weights.length ? tail : 0);
  return { kept, probabilities: weights.map((weight, index) => (index < kept ? weight / left : 0)) };
}

/** The events of a streamed answer. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data: ") && line !== "data: [DONE]") yield JSON.parse(line.slice(6));
  }
}

/** What of a written text stands in the training text, where the server can tell. */
async function lookForCopies(held, draw, note) {
  if (memory.noCorpus || !held.tokens.length) return;
  const data = held.tokens.flatMap((token) => [...token.data]);
  let text;
  try { text = strict.decode(Uint8Array.from(data)); } catch { return; }
  const tokens = held.tokens;
  try {
    const answer = await ask("v1/copied", { text });
    if (held.tokens !== tokens) return;
    held.copied = answer.spans.map((span) => [span.begin, span.end]);
    note.textContent = answer.copied ? t("copied", { share: percent(answer.copied / answer.bytes) }) : t("copiedNone");
    draw();
  } catch (error) { if (error.status) memory.noCorpus = true; }
}

// ---- fill, tag, classify

/** A view of one text and one answer. */
function simpleView(view, what, sample, answer, { extra = () => [], below = [] } = {}) {
  const results = el("div", { class: "split" });
  const [label, area] = textarea("text", `${view}-text`, t(sample), () => run());
  const run = async () => {
    const signal = afresh();
    keep({ [`${view}-text`]: area.value });
    main.setAttribute("aria-busy", "true");
    try { results.replaceChildren(...(await answer(area.value, signal))); } catch (error) { tell(error); } finally { main.removeAttribute("aria-busy"); }
  };
  main.replaceChildren(...heading(view), label, ...below, el("div", { class: "row" }, picker("model", what, "a", run),
    el("button", { type: "button", class: "main", id: "run", onclick: run }, t("run")), ...extra(area)), results);
  if (state[`${view}-text`] !== undefined) run();
}

const GAP = "[MASK]";

function fillView() {
  const insert = (area) => [el("button", { type: "button", onclick: () => { area.setRangeText(GAP, area.selectionStart, area.selectionEnd, "end"); area.focus(); keep({ "fill-text": area.value }); } }, t("gap"))];
  simpleView("fill", "fill", "maskSample", async (text, signal) => {
    const around = text.split(GAP);
    if (around.length < 2) throw new Error(t("noGap"));
    const answer = await ask("v1/fill", { model: chosen("fill"), text, k: SHOWN }, signal);
    const detail = detailCard();
    const items = answer.gaps.map((gap, index) => ({ nodes: named(gap[0].token), class: "gap", label: t("gapName", { n: index + 1 }) }));
    const show = (index) => detail.show(el("p", { class: "name" }, t("gapName", { n: index + 1 })), el("h3", {}, t("likeliest")), bars(answer.gaps[index]));
    const view = pieces(items, t("fill"), show);
    [...view.children].forEach((node, index) => node.before(el("span", {}, visible(around[index]))));
    view.append(el("span", {}, visible(around.at(-1))));
    show(0);
    return [el("section", { class: "card" }, view), detail];
  }, { extra: insert });
}

function tagView() {
  simpleView("tag", "tag", "tagSample", async (text, signal) => {
    const answer = await ask("v1/tag", { model: chosen("tag"), text }, signal);
    return answer.sentences.map((sentence) => el("section", { class: "card" },
      sentence.entities && el("div", { class: "text" }, entities(text, sentence.entities)),
      el("h3", {}, t("tokens")), el("div", {}, sentence.tokens.map((token, index) => el("span", { class: "word" }, token, el("small", {}, sentence.tags[index]))))));
  });
}

/** A text with its names marked; offsets count characters, which may be two units of a string. */
function entities(text, spans) {
  const characters = [...text];
  let at = 0;
  const nodes = spans.flatMap((span) => {
    const before = characters.slice(at, span.begin).join("");
    at = span.end;
    return [before, el("span", { class: "ent" }, characters.slice(span.begin, span.end).join(""), el("small", {}, span.type))];
  });
  return [...nodes, characters.slice(at).join("")];
}

function classifyView() {
  const ofPairs = () => modelOf(chosen("classify"))?.texts === 2;
  const [label, second] = textarea("second", "classify-second", "", () => document.getElementById("run").click());
  label.hidden = !ofPairs();
  simpleView("classify", "classify", "classifySample", async (text, signal) => {
    label.hidden = !ofPairs();
    const answer = await ask("v1/classify", { model: chosen("classify"), text: ofPairs() ? [[text, second.value]] : text }, signal);
    const rows = answer.results[0].map((one) => ({ token: one.label, probability: one.probability, now: answer.multilabel && one.probability >= 0.5 }));
    return [el("section", { class: "card" }, bars(rows), answer.multilabel && el("p", { class: "quiet" }, t("several")))];
  }, { below: [label] });
}

// ---- summarize, answer, similar

/** A control that keeps its value in the link. */
function chooser(key, name, values, onchange) {
  const select = el("select", { id: `pick-${name}`, onchange: () => { keep({ [name]: select.value }); onchange(); } },
    values.map(([value, label]) => el("option", { value, selected: value === state[name] }, label)));
  return field(key, select);
}

function summarizeView() {
  const ways = [...["lexrank", "textrank", "centroid", "lead"].map((name) => [name, name]), ...able("summarize").map((model) => [`model:${model.id}`, model.id])];
  const writes = () => able("abstract").some((model) => state.method === `model:${model.id}`);
  const results = el("div", {});
  const [label, area] = textarea("text", "text", t("sample"), () => run());
  const counter = (key, name, standard) => {
    const input = el("input", { type: "number", min: 1, max: 1000, value: state[name] ?? standard, onchange: () => { keep({ [name]: input.value }); run(); } });
    return [field(key, input), input];
  };
  const [sentences, count] = counter("sentences", "sentences", 3);
  const [tokens, most] = counter("length", "length", 100);
  const show = () => { sentences.hidden = writes(); tokens.hidden = !writes(); };
  const run = async () => {
    show();
    if (!(writes() ? most : count).checkValidity()) return;
    const signal = afresh();
    keep({ text: area.value });
    const way = ways.some(([value]) => value === state.method) ? state.method : "lexrank";
    const body = { text: area.value, ...(way.startsWith("model:") ? { model: way.slice(6) } : { method: way }),
      ...(writes() ? { max_tokens: Number(most.value) } : { sentences: Number(count.value), explain: true }) };
    main.setAttribute("aria-busy", "true");
    try { results.replaceChildren(...summary(area.value, await ask("v1/summarize", body, signal))); } catch (error) { tell(error); } finally { main.removeAttribute("aria-busy"); }
  };
  main.replaceChildren(...heading("summarize"), label, el("div", { class: "row" }, chooser("method", "method", ways, run), sentences, tokens,
    el("button", { type: "button", class: "main", id: "run", onclick: run }, t("run"))), results);
  show();
  if (state.text !== undefined) run();
}

/** A text with the sentences of its summary marked where they stand; each can be asked why. One that a model wrote stands alone. */
function summary(text, answer) {
  if (answer.copied !== null) {
    return [el("section", { class: "card" }, el("header", {}, el("h2", {}, answer.model), el("p", { class: "total" }, el("span", {}, t("written", { share: percent(answer.copied) })))),
      el("p", { class: "text" }, answer.summary || t("empty")), answer.cut && el("p", { class: "quiet" }, t("readCut")))];
  }
  const detail = detailCard();
  const characters = [...text];
  let at = 0;
  const between = [];
  const items = answer.sentences.map((one) => {
    between.push(characters.slice(at, one.begin).join(""));
    at = one.end;
    return { nodes: one.text, class: "chosen", label: one.text };
  });
  const view = pieces(items, t("summarize"), (index) => {
    const one = answer.sentences[index];
    detail.show(el("p", { class: "words" }, one.text), facts([["rank", number(one.rank)], ["score", number(one.score, 2)]]),
      one.reasons.length && [el("h3", {}, t("why")), el("ul", { class: "quotes" }, one.reasons.map((reason) => el("li", {}, reasonOf(reason))))]);
  });
  [...view.children].forEach((node, index) => node.before(between[index]));
  view.append(characters.slice(at).join(""));
  return [el("div", { class: "split" }, el("section", { class: "card" }, el("header", {}, el("h2", {}, answer.model ?? answer.method),
    el("p", { class: "total" }, el("span", {}, t("byLength", { n: number(items.length), total: number(answer.total) })))), view), detail)];
}

/** What the server says of a sentence, in the language of the page where it is one of these. */
function reasonOf(reason) {
  const [, shared, number, total] = reason.match(/^shares with others: (.*)$|^sentence (\d+) of (\d+)$/) ?? [];
  if (shared) return t("shares", { shared });
  return number ? t("position", { number, total }) : reason === "shares no term" ? t("sharesNone") : reason;
}

/** A view of a question, and of texts to look in: those that are given, or the corpus of the server. */
function lookupView(view, key, controls, look) {
  const results = el("div", { class: "pair" });
  const input = el("input", { type: "text", maxlength: 500, id: `${view}-query`, value: state[key] ?? "", oninput: () => keep({ [key]: input.value }),
    onkeydown: (event) => { if (event.key === "Enter") run(); } });
  const [label, area] = textarea("where", "where", corpus ? "" : t("sample"), () => run());
  if (corpus) label.firstChild.textContent = t("corpus", { name: corpus });
  const run = async () => {
    if (!input.value.trim()) { input.focus(); return; }
    const signal = afresh();
    keep({ [key]: input.value, where: area.value });
    const body = { [key]: input.value, ...(area.value || !corpus ? { texts: area.value } : {}) };
    main.setAttribute("aria-busy", "true");
    try { results.replaceChildren(...(await look(body, signal))); } catch (error) { tell(error); } finally { main.removeAttribute("aria-busy"); }
  };
  const asked = field(key, input);
  asked.classList.add("long");
  main.replaceChildren(...heading(view), label, el("div", { class: "row" }, asked, controls(run) ?? "", el("button", { type: "button", class: "main", id: "run", onclick: run }, t("run"))), results);
  if (state[key]) run();
}

function answerView() {
  const ways = [["", t("words")], ...able("answer").map((model) => [model.id, model.id])];
  lookupView("answer", "question", (run) => (ways.length > 1 ? chooser("method", "by", ways, run) : null), async (body, signal) => {
    const answer = await ask("v1/answer", { ...body, k: 3, ...byModel(ways) }, signal);
    if (!answer.candidates.length) return [el("p", { class: "quiet" }, t("nothingNear"))];
    const none = answer.answer === null ? [el("p", { role: "status" }, t("noAnswer", { p: percent(answer.answerable), threshold: percent(answer.threshold) }))] : [];
    const passages = new Map();
    for (const one of answer.candidates) passages.set(one.source + one.passage, [...(passages.get(one.source + one.passage) ?? []), one]);
    return [...none, ...[...passages.values()].map((some) => passageCard(some[0].passage, some.map((one) => [one.begin - one.passage_begin, one.end - one.passage_begin, percent(one.score), one === answer.candidates[0] ? "likeliest" : ""]), some[0].source, t("answers", { p: percent(some[0].score) })))];
  });
}

/** The model of the ways to look that is chosen, if one is. */
const byModel = (ways) => (ways.some(([id]) => id && id === state.by) ? { model: state.by } : {});

function similarView() {
  const ways = [["", t("words")], ...able("embed").map((model) => [model.id, model.id])];
  lookupView("similar", "query", (run) => (ways.length > 1 ? chooser("by", "by", ways, run) : null), async (body, signal) => {
    const answer = await ask("v1/similar", { ...body, ...byModel(ways) }, signal);
    if (!answer.passages.length) return [el("p", { class: "quiet" }, t("nothingNear"))];
    return answer.passages.map((one) => passageCard(one.text, [], one.source, `${t("score")} ${number(one.score, 3)}`));
  });
}

/** A passage, with what is meant in it: characters from one to another, each with a note and a class. Of what overlaps, the first is marked. */
function passageCard(passage, marks, source, note) {
  const characters = [...passage];
  const apart = marks.filter(([begin, end], index) => marks.slice(0, index).every(([from, to]) => end <= from || begin >= to));
  let at = 0;
  const nodes = apart.sort(([one], [other]) => one - other).flatMap(([begin, end, label, kind]) => {
    const before = characters.slice(at, begin).join("");
    at = end;
    return [before, el("mark", { class: kind }, characters.slice(begin, end).join(""), el("small", {}, label))];
  });
  const name = source.startsWith("text ") ? t("text") : source;
  return el("section", { class: "card" }, el("header", {}, el("h2", {}, name), el("p", { class: "total" }, el("span", {}, note))),
    el("div", { class: "text passage", tabindex: "0", role: "group", "aria-label": name }, nodes, characters.slice(at).join("")));
}

// ---- ladder

function ladderView() {
  const results = el("div", {});
  const [label, area] = textarea("text", "text", t("sample"), () => run());
  const run = async () => {
    const signal = afresh();
    keep({ text: area.value });
    const answers = [];
    for (const model of able("score")) {
      try { answers.push(await scored(model.id, area.value, signal, 0)); } catch (error) {
        if (error.name === "AbortError") return;
        answers.push({ name: model.id, pseudo: !model.capabilities.includes("next"), bits_per_byte: null, reason: error.message });
      }
      const all = able("score").length;
      results.replaceChildren(...ladder(answers), answers.length < all ? el("p", { class: "quiet", role: "status" }, `${number(answers.length)} / ${number(all)} …`) : "");
    }
  };
  main.replaceChildren(...heading("ladder"), label, el("div", { class: "row" }, el("button", { type: "button", class: "main", id: "run", onclick: run }, t("measure"))), results);
  run();
}

function ladder(answers) {
  const order = (one, other) => (one.bits_per_byte ?? Infinity) - (other.bits_per_byte ?? Infinity);
  const tables = [answers.filter((one) => !one.pseudo), answers.filter((one) => one.pseudo)].filter((some) => some.length).map((some) => {
    const rows = some.sort(order).map((one) => ({ ...one, range: one.bits_per_byte === null ? null : interval(stretches(one), one.bytes) }));
    const most = Math.max(...rows.map((one) => one.range?.high ?? one.bits_per_byte ?? 0), 1e-9);
    const open = (one) => keep({ view: "surprise", a: one.name, b: null }, { push: true }) ?? render();
    return el("section", { class: "card" }, some[0].pseudo && el("p", { class: "quiet" }, t("pseudoNote")),
      el("table", { class: "ladder" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("model")), el("th", { scope: "col", class: "bar" }, el("span", { class: "quiet" }, t("interval0"))),
        el("th", { scope: "col", class: "n" }, t(some[0].pseudo ? "pseudo" : "bitsPerByte")), el("th", { scope: "col", class: "n more" }, t("perplexity")), el("th", { scope: "col", class: "n more" }, t("tokens")))),
      el("tbody", {}, rows.map((one) => el("tr", {}, el("th", { scope: "row" }, el("button", { type: "button", onclick: () => open(one) }, one.name)),
        el("td", { class: "bar" }, one.bits_per_byte === null ? el("span", { class: "quiet" }, one.reason ?? "–") : el("span", { class: "track", "aria-hidden": "true" }, el("i", { "--w": (one.bits_per_byte / most).toFixed(4) }),
          one.range && el("b", { "--l": (one.range.low / most).toFixed(4), "--r": ((one.range.high - one.range.low) / most).toFixed(4) }))),
        el("td", { class: "n" }, one.bits_per_byte === null ? "–" : number(one.bits_per_byte, 3)), el("td", { class: "n more" }, one.perplexity ? number(one.perplexity, 1) : "–"),
        el("td", { class: "n more" }, one.tokens ? number(one.tokens.length) : "–"))))));
  });
  return tables.flatMap((table, index) => (index ? [el("br"), table] : [table]));
}

// ---- the whole

const DRAW = { surprise: surpriseView, write: writeView, fill: fillView, tag: tagView, classify: classifyView,
  summarize: summarizeView, answer: answerView, similar: similarView, ladder: ladderView };

function render() {
  running?.abort();
  tell(null);
  language = WORDS[state.lang] ? state.lang : localStorage.getItem("lang") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
  document.documentElement.lang = language;
  document.querySelector("[data-i18n=skip]").textContent = t("skip");
  const button = document.getElementById("language");
  button.textContent = t("other");
  button.lang = language === "zh" ? "en" : "zh";
  const nav = document.getElementById("views");
  nav.setAttribute("aria-label", t("views"));
  const go = (view) => (event) => { if (event.ctrlKey || event.metaKey || event.shiftKey) return; event.preventDefault(); keep({ view }, { push: true }); render(); main.focus({ preventScroll: true }); };
  nav.replaceChildren(...VIEWS.filter(([view]) => shows(view)).map(([view]) =>
    el("a", { href: `#view=${view}`, "aria-current": view === state.view ? "page" : null, onclick: go(view) }, t(view))));
  nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  document.title = `${t(state.view)} – langue`;
  document.getElementById("about").textContent = t("serves", { n: models.length });
  main.removeAttribute("aria-busy");
  if (shows(state.view)) DRAW[state.view]();
  else main.replaceChildren(...heading(state.view), el("p", { class: "quiet" }, t("noModels")));
}

async function begin() {
  read();
  language = WORDS[state.lang] ? state.lang : localStorage.getItem("lang") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
  try { ({ data: models, corpus } = await ask("v1/models")); } catch (error) { tell(error); if (error.status !== 401) main.replaceChildren(el("p", { class: "quiet" }, t("offline"))); return; }
  if (!new URLSearchParams(location.hash.slice(1)).has("view")) state.view = VIEWS.find(([view]) => shows(view))[0];
  render();
}

document.getElementById("language").addEventListener("click", () => {
  const other = language === "zh" ? "en" : "zh";
  localStorage.setItem("lang", other);
  keep({ lang: state.lang ? other : null });
  render();
});
window.addEventListener("popstate", () => { read(); memory = {}; render(); });
problem.addEventListener("click", () => tell(null));
begin();
