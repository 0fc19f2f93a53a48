"use strict";
(() => {
  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const asked = new URLSearchParams(location.search).get("theme");
  if (asked === "dark" || asked === "light") root.dataset.theme = asked;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const mode = () => root.dataset.theme || (system.matches ? "dark" : "light");
  const name = () => { $("theme").textContent = mode() === "dark" ? "Light" : "Dark"; };
  $("theme").addEventListener("click", () => {
    root.dataset.theme = mode() === "dark" ? "light" : "dark";
    name();
  });
  system.addEventListener("change", name);
  name();

  const LEVELS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
  const FIRST = 4; // prompts shown before "more" is asked for
  const BARS = 10; // groups on a card, those with the highest means
  const AT_ONCE = 3; // cards drawn without waiting to be near
  const shown = JSON.parse($("data").textContent);
  let data = shown;

  const node = (tag, kind, ...inside) => {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    made.append(...inside); // strings become text nodes: nothing in them is read as HTML
    return made;
  };
  const heat = (element, share) => { element.style.setProperty("--a", share.toFixed(3)); return element; };
  const places = (size) => (size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3);
  const number = (value) => {
    if (value === null) return "–";
    const size = Math.abs(value);
    const text = size > 0 && size < 5e-4 ? size.toExponential(0).replace("e-", "e−") : size.toFixed(places(size));
    return (value < 0 ? "−" : "") + text;
  };
  const format = { number, percent: (v) => (v === null ? "–" : `${number(100 * v)} %`) };

  /* What is searched, made on the first search only. */
  const plain = (text) => text.normalize("NFKC").toLowerCase();
  const spoken = (token) => plain(token.replace(/[·⏎⇥]/g, " ").trim());
  const best = (values, names) => {
    let at = -1;
    for (let i = 0; i < values.length; i++) {
      if (values[i] !== null && values[i] > 0 && (at < 0 || values[i] > values[at])) at = i;
    }
    return at < 0 ? "" : names[at];
  };
  const kept = new WeakMap();
  const words = (one) => {
    if (!kept.has(one)) {
      const tokens = one.t.flat().map(([token]) => spoken(token)).join("\n");
      const promoted = one.u.map(spoken).join("\n");
      const groups = plain([best(one.c, data.categories), best(one.s, data.sources)].join("\n"));
      const prompts = one.p.map((p) => plain(p[7].join(""))).join("\n");
      kept.set(one, { tokens, promoted, prompts, all: [tokens, promoted, groups].join("\n") });
    }
    return kept.get(one);
  };
  const asks = () => plain($("query").value).trim().split(/\s+/).filter(Boolean);
  const ids = (asked) => asked.map((word) => /^#?(\d+)$/.exec(word)).map((found) => found && Number(found[1]));
  const fits = (one, asked, numbers, where) =>
    asked.every((word, i) => (where === "all" && numbers[i] === one.id) ||
      (!word.startsWith("#") && words(one)[where].includes(word)));
  const grouped = (one, group) => {
    if (!group) return true;
    const [kind, at] = [group[0], Number(group.slice(1))];
    const names = kind === "c" ? data.categories : data.sources;
    return best(kind === "c" ? one.c : one.s, names) === names[at];
  };

  /* One card. */
  const chips = (tokens, asked, plainly) => {
    const list = node("ul", plainly ? "chips plain" : "chips");
    for (const [token, share] of tokens) {
      const item = node("li", "", token);
      if (!plainly) { heat(item, Math.max(0, share)); item.title = `${number(share)} of the highest`; }
      if (asked.some((word) => spoken(token).includes(word))) item.classList.add("hit");
      list.append(item);
    }
    return list;
  };
  const bars = (values, names) => {
    const list = node("dl", "bars");
    const order = values.map((v, i) => i).filter((i) => values[i] !== null).sort((a, b) => values[b] - values[a]).slice(0, BARS);
    const most = Math.max(...order.map((i) => values[i]), 1e-12);
    for (const i of order) {
      const bar = node("dd", "bar", heat(node("i"), Math.max(0, values[i]) / most));
      bar.setAttribute("aria-hidden", "true");
      list.append(node("dt", "", names[i] || "(none)"), bar, node("dd", "value", number(values[i])));
    }
    return list;
  };
  const prompt = ([source, category, most, score, label, before, after, pieces, levels]) => {
    const text = node("p", "", before ? "… " : "");
    text.dir = "auto";
    pieces.forEach((piece, i) => {
      const level = LEVELS.indexOf(levels[i]);
      if (level <= 0) { text.append(piece); return; }
      const token = heat(node("span", "", piece), 0.1 + 0.9 * level / 63);
      token.title = `≈ ${number(most * level / 63)}`;
      text.append(token);
    });
    text.append(after ? " …" : "");
    text.normalize();
    const ranked = data.ranking === "mean" ? `mean ${number(score)}, highest ${number(most)}` : `highest ${number(most)}`;
    const from = [data.sources[source], data.categories[category], `label ${label}`, ranked];
    return node("div", "prompt", text, node("small", "", from.filter(Boolean).join(" · ")));
  };
  const neighbours = (one) => {
    const list = node("p", "near");
    for (const [id, cosine] of one.n) {
      const there = data.latents.some((other) => other.id === id);
      const name = node(there ? "a" : "span", "", `#${id}`);
      if (there) name.href = `#latent-${id}`;
      list.append(name, ` ${number(cosine)}  `);
    }
    return list;
  };
  const prompts = (one) => {
    const box = node("div", "", node("h3", "", "Prompts that it is most active on"));
    if (!one.p.length) box.append(node("p", "muted", "Never active on these prompts."));
    for (const each of one.p.slice(0, FIRST)) box.append(prompt(each));
    if (one.p.length > FIRST) {
      const more = node("button", "", `${one.p.length - FIRST} more`);
      more.type = "button";
      more.addEventListener("click", () => {
        const first = prompt(one.p[FIRST]);
        first.tabIndex = -1;
        more.replaceWith(first, ...one.p.slice(FIRST + 1).map(prompt));
        first.focus({ preventScroll: true });
      });
      box.append(more);
    }
    return box;
  };
  const stats = (one) => {
    const list = node("dl", "stats");
    data.columns.forEach(([key, label, kind], i) => {
      const item = node("div", key === $("sort").value ? "sorted" : "", node("dt", "", label),
        node("dd", "", format[kind](one.v[i])));
      list.append(item);
    });
    return list;
  };
  const draw = (card) => {
    const one = data.latents[card.dataset.at];
    const link = node("a", "", `#${one.id}`);
    link.href = `#latent-${one.id}`;
    link.title = "link to this latent";
    const score = Number($("score").value);
    const asked = asks();
    const left = node("div", "");
    const part = (title, block) => left.append(node("h3", "", title), block);
    part(`Top tokens by ${data.scores[score]}`, chips(one.t[score] ?? [], asked, false));
    if (one.u.length) part("Its decoder direction promotes", chips(one.u.map((t) => [t, 0]), asked, true));
    if (one.d.length) part("and lowers", chips(one.d.map((t) => [t, 0]), [], true));
    if (one.c.some((v) => v !== null)) part("Mean activation by category", bars(one.c, data.categories));
    if (one.s.some((v) => v !== null)) part("By source", bars(one.s, data.sources));
    if (one.n.length) part("Nearest decoder directions (cosine)", neighbours(one));
    card.replaceChildren(node("header", "", node("h2", "", link), stats(one)),
      node("div", "halves", left, prompts(one)));
    card.classList.add("drawn");
  };

  /* The list: an empty card for every latent found, filled when it comes near. */
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) { near.unobserve(target); draw(target); }
    }
  }, { rootMargin: "900px 0px" });
  const list = () => {
    const asked = asks();
    const [numbers, where, group] = [ids(asked), $("where").value, $("group").value];
    const column = data.columns.findIndex(([key]) => key === $("sort").value);
    const way = $("way").getAttribute("aria-pressed") === "true" ? 1 : -1;
    const value = (one) => (column < 0 ? one.id : one.v[column]);
    const found = data.latents.map((one, at) => [one, at])
      .filter(([one]) => grouped(one, group) && fits(one, asked, numbers, where))
      .sort(([a], [b]) => {
        const [x, y] = [value(a), value(b)];
        if (x === null || y === null) return (x === null) - (y === null) || a.id - b.id;
        return way * (x - y) || a.id - b.id;
      });
    near.disconnect();
    const cards = found.map(([one, at]) => {
      const card = node("article", "latent");
      card.id = `latent-${one.id}`;
      card.dataset.at = at;
      card.tabIndex = 0;
      card.setAttribute("aria-label", `latent ${one.id}`);
      return card;
    });
    $("cards").replaceChildren(...cards);
    cards.slice(0, AT_ONCE).forEach(draw);
    for (const card of cards.slice(AT_ONCE)) near.observe(card);
    const every = data.latents.length;
    $("found").textContent = found.length === every ? `${every} latents of ${data.of}`
      : found.length ? `${found.length} of ${every} latents` : "No latent fits. Words that are masked are searched as they are shown.";
  };

  const option = (value, text) => { const made = node("option", "", text); made.value = value; return made; };
  const fill = () => {
    $("group").replaceChildren(option("", "anything"));
    for (const [kind, title, names] of [["c", "category", data.categories], ["s", "source", data.sources]]) {
      const named = names.map((n, i) => [n, i]).filter(([n]) => n);
      if (!named.length) continue;
      const box = document.createElement("optgroup");
      box.label = title;
      box.append(...named.map(([n, i]) => option(`${kind}${i}`, n)));
      $("group").append(box);
    }
  };
  for (const [key, label] of data.columns) $("sort").append(option(key, label));
  $("sort").append(option("id", "id"));
  data.scores.forEach((score, i) => $("score").append(option(String(i), score)));
  fill();

  let waiting = 0;
  $("query").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(list, 120); });
  for (const id of ["where", "group", "sort", "score"]) $(id).addEventListener("change", list);
  $("way").addEventListener("click", () => {
    const on = $("way").getAttribute("aria-pressed") !== "true";
    $("way").setAttribute("aria-pressed", String(on));
    $("way").textContent = on ? "lowest first" : "highest first";
    list();
  });
  document.querySelector("form.search").addEventListener("submit", (event) => { event.preventDefault(); list(); });
  $("reveal")?.addEventListener("click", () => {
    const on = data === shown;
    data = on ? JSON.parse($("raw").textContent) : shown;
    $("reveal").setAttribute("aria-pressed", String(on));
    const chosen = $("group").value;
    fill();
    $("group").value = chosen;
    list();
  });

  const go = (step) => {
    const cards = [...$("cards").children];
    if (!cards.length) return;
    const at = cards.indexOf(document.activeElement?.closest?.(".latent"));
    const next = cards[Math.min(Math.max(at + step, 0), cards.length - 1)];
    if (!next.classList.contains("drawn")) draw(next);
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "start" });
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches?.("input, select, textarea");
    if (event.key === "Escape" && typing) {
      if (event.target === $("query")) { $("query").value = ""; list(); }
      event.target.blur();
    } else if (typing) {
      return;
    } else if (event.key === "/") {
      event.preventDefault();
      $("query").focus();
      $("query").select();
    } else if (event.key === "j" || event.key === "k") {
      event.preventDefault();
      go(event.key === "j" ? 1 : -1);
    }
  });
  const follow = () => {
    const id = /^#latent-(\d+)$/.exec(location.hash)?.[1];
    if (!id) return;
    let card = $(`latent-${id}`);
    if (!card && data.latents.some((one) => one.id === Number(id))) {
      $("query").value = "";
      $("group").value = "";
      list();
      card = $(`latent-${id}`);
    }
    if (!card) return;
    draw(card);
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", follow);
  for (const hidden of document.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
  list();
  follow();
})();
