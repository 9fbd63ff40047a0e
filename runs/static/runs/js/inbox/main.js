// The admin's inbox: every question that waits for a person, by pages, answered in place.

import { h, icon, reconcile, setText } from "../parts/dom.js";
import { tree } from "../parts/json.js";
import { QuestionCard } from "../parts/question.js";
import { headingOf, readQuestion } from "../parts/questions.js";
import { count, seconds, shorten } from "../parts/words.js";
import { learn, serverNow } from "../protocol/clock.js";
import { ask, short } from "../run/data.js";

/** Milliseconds between two looks. */
const EVERY = 5000;

/** One thread that waits. Its form is made when it is opened, and is left alone until it is answered. */
class Item {
  constructor(item, inbox) {
    this.inbox = inbox;
    this.key = item.thread.id;
    this.name = h("b", { dir: "auto" });
    this.facts = h("span.quiet.num");
    this.body = h("div.form");
    this.details = h("details", { on: { toggle: () => this.details.open && this.open() } }, h("summary", {}, icon("ask", "i-st"), h("span.what", {}, this.name, this.facts), icon("right", "i-s")), this.body);
    this.element = h("li", {}, this.details);
    this.update(item);
  }

  update(item) {
    this.item = item;
    setText(this.name, heading(item));
    const facts = [`waits ${seconds(serverNow() - item.since)}`, item.assistant, `asked for ${item.user}`, ...(item.title ? [shorten(item.title, 60)] : [])];
    setText(this.facts, facts.join(" · "));
  }

  open() {
    if (this.card || this.body.childNodes.length) return;
    const { item } = this;
    const links = h("p.quiet", {}, "Asked by ", h("a", { href: item.run.url }, `run ${short(item.run.id)}`), " on ", h("a", { href: item.thread.url }, `thread ${short(item.thread.id)}`), ".");
    if (this.inbox.missing) {
      this.body.append(...item.questions.map(({ value }) => tree(value)), h("p", {}, `To answer you need ${this.inbox.missing}.`), links);
      return;
    }
    const reason = h("input.in", { id: `reason-${item.run.id}`, maxlength: "2000", autocomplete: "off" });
    this.card = new QuestionCard(item.questions.map((each) => ({ ...each, namespace: [] })), {
      since: item.since,
      send: async (responses) => {
        const answers = Object.fromEntries(responses.map(({ interrupt_id: id, response }) => [id, response]));
        const found = await ask(new URL(item.act, location.href), { token: this.inbox.token, body: { action: "answer", answers, reason: reason.value } });
        this.inbox.answered(this, found);
      },
    });
    this.body.append(this.card.element, h("div.f.answer-reason", {}, h("label", { for: reason.id }, "Reason, for the record ", h("span.hint", {}, "optional; you answer as yourself")), reason), links);
  }
}

/** The address of this page with other parameters. */
function at(changed) {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changed)) value ? parameters.set(name, value) : parameters.delete(name);
  return `?${parameters}`;
}

/** The form that chooses whose questions are shown, and in which order. */
function filters({ filters: { assistant, user, order }, assistants }) {
  const choice = (value, text) => h("option", { value, selected: value === order }, text);
  return h("form.tb.choose", { method: "get", role: "search", "aria-label": "Questions to show" },
    h("div.f", {}, h("label", { for: "by-assistant" }, "Assistant"), h("input.in", { id: "by-assistant", name: "assistant", value: assistant, list: "assistants", autocomplete: "off" })),
    h("datalist", { id: "assistants" }, assistants.map((value) => h("option", { value }))),
    h("div.f", {}, h("label", { for: "by-user" }, "User"), h("input.in", { id: "by-user", name: "user", value: user, autocomplete: "off" })),
    h("div.f", {}, h("label", { for: "by-order" }, "Order"), h("select.in", { id: "by-order", name: "order" }, choice("oldest", "Oldest first"), choice("newest", "Newest first"))),
    h("button.b", {}, "Show"),
    assistant || user ? h("a.b", { href: at({ assistant: null, user: null, after: null }) }, "Show all") : null);
}

/** What a waiting thread asks, in one line. */
function heading({ questions, count: number }) {
  if (!questions.length) return count(number, "question");
  const points = questions.flatMap((each) => readQuestion(each).points);
  if (points.length > 1) return `${headingOf(points)} · ${shorten(points.map((point) => point.title).join(", "), 80)}`;
  return shorten(headingOf(points), 160);
}

class Inbox {
  constructor(root, found, token) {
    this.root = root;
    this.token = token;
    this.views = new Map();
    this.done = [];
    this.title = h("h1", { tabindex: "-1" }, "Inbox");
    this.total = h("span", { role: "status" });
    // It grows with each look: in a live region it would be read out each time.
    this.oldest = h("span");
    this.list = h("ul.ib");
    this.empty = h("p.empty-note", {}, icon("ok"), found.filters.assistant || found.filters.user ? " No question of this choice waits for a person." : " No question waits for a person.", " This page looks for new ones by itself.");
    this.past = h("ul.records");
    this.pages = h("nav.tb", { "aria-label": "Pages" });
    const order = found.filters.order === "newest" ? "newest first" : "oldest first";
    this.module = h("section.mod", { "aria-labelledby": "waiting-title" }, h("h2", { id: "waiting-title" }, `Waiting, ${order}`), filters(found), this.list, this.empty, this.pages);
    this.answeredModule = h("section.mod", { hidden: true, "aria-labelledby": "answered-title" }, h("h2", { id: "answered-title" }, "Answered by you just now"), this.past);
    root.replaceChildren(h("div.rh", {}, this.title, h("span.quiet", {}, this.total, this.oldest)), h("div.stack.below", {}, this.module, this.answeredModule));
    this.show(found);
    const first = this.list.querySelector("details");
    if (first && !this.missing) first.open = true;
    this.timer = setTimeout(() => this.look(), EVERY);
  }

  show({ items, next, first, missing, now }) {
    this.missing = missing;
    learn(now);
    const shown = items.filter((item) => !this.done.includes(item.run.id));
    reconcile(this.list, this.views, shown, { key: (item) => item.thread.id + item.run.id, make: (item) => new Item(item, this) });
    this.empty.hidden = shown.length > 0;
    this.list.hidden = !shown.length;
    const told = !first ? `${count(shown.length, "thread")} on this page` : next ? `More than ${shown.length} threads wait` : shown.length === 1 ? "1 thread waits" : `${shown.length} threads wait`;
    setText(this.total, shown.length ? told : "");
    setText(this.oldest, shown.length ? `, the oldest ${next || !first ? "of these " : ""}for ${seconds(now - Math.min(...shown.map((each) => each.since)))}` : "");
    const links = [first ? null : ["First page", null], next ? ["Next page", next] : null].filter(Boolean);
    const names = JSON.stringify(links);
    if (names === this.linked) return;
    this.linked = names;
    this.pages.replaceChildren(...links.map(([text, after]) => h("a.b", { href: at({ after }) }, text)));
    this.pages.hidden = !links.length;
  }

  answered(view, found) {
    this.done.push(view.item.run.id);
    // It is removed, and with it what has the focus.
    const next = view.element.nextElementSibling ?? view.element.previousElementSibling;
    if (view.element.contains(document.activeElement)) (next?.querySelector("summary") ?? this.title).focus();
    view.card.close();
    this.past.prepend(h("li", {}, view.name.textContent, " ", h("a", { href: found.url }, `A new run goes on: ${short(found.run)}`)));
    this.answeredModule.hidden = false;
    this.look();
  }

  async look() {
    clearTimeout(this.timer);
    try {
      if (!document.hidden) this.show(await ask(new URL(this.root.dataset.items + location.search, location.href)));
    } catch (error) {
      setText(this.total, error.message);
      setText(this.oldest, "");
    }
    this.timer = setTimeout(() => this.look(), EVERY);
  }
}

const root = document.querySelector("#inbox");
new Inbox(root, JSON.parse(document.querySelector("#inbox-items").textContent), document.querySelector("#inbox-token input").value);
