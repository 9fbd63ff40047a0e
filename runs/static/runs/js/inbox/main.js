// The admin's inbox: every question that waits for a person, the oldest first, answered in place.

import { h, icon, reconcile, setText } from "../parts/dom.js";
import { tree } from "../parts/json.js";
import { QuestionCard } from "../parts/question.js";
import { readQuestion } from "../parts/questions.js";
import { count, seconds, shorten } from "../parts/words.js";
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
    const facts = [`waits ${seconds(Date.now() + this.inbox.skew - item.since)}`, item.assistant, `asked for ${item.user}`, ...(item.title ? [shorten(item.title, 60)] : [])];
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

/** What a waiting thread asks, in one line. */
function heading({ questions, count: number }) {
  if (!questions.length) return count(number, "question");
  const points = questions.flatMap((each) => readQuestion(each).points);
  if (points.length > 1) return `May I do these ${points.length} things? ${shorten(points.map((point) => point.title).join(", "), 80)}`;
  return points[0].kind === "action" ? `May I run ${points[0].title}?` : shorten(points[0].title, 160);
}

class Inbox {
  constructor(root, found, token) {
    this.root = root;
    this.token = token;
    this.views = new Map();
    this.done = [];
    this.total = h("span.quiet", { role: "status" });
    this.list = h("ul.ib");
    this.empty = h("p.empty-note", {}, icon("ok"), " No question waits for a person. This page looks for new ones by itself.");
    this.past = h("ul.records");
    this.module = h("section.mod", { "aria-labelledby": "waiting-title" }, h("h2", { id: "waiting-title" }, "Waiting, oldest first"), this.list, this.empty);
    this.answeredModule = h("section.mod", { hidden: true, "aria-labelledby": "answered-title" }, h("h2", { id: "answered-title" }, "Answered by you just now"), this.past);
    root.replaceChildren(h("div.rh", {}, h("h1", {}, "Inbox"), this.total), h("div.stack.below", {}, this.module, this.answeredModule));
    this.show(found);
    const first = this.list.querySelector("details");
    if (first && !this.missing) first.open = true;
    this.timer = setTimeout(() => this.look(), EVERY);
  }

  show({ items, more, missing, now }) {
    this.missing = missing;
    this.skew = now - Date.now();
    const shown = items.filter((item) => !this.done.includes(item.run.id));
    reconcile(this.list, this.views, shown, { key: (item) => item.thread.id + item.run.id, make: (item) => new Item(item, this) });
    this.empty.hidden = shown.length > 0;
    this.list.hidden = !shown.length;
    setText(this.total, shown.length ? `${more ? `More than ${shown.length} threads wait` : shown.length === 1 ? "1 thread waits" : `${shown.length} threads wait`}, the oldest for ${seconds(now - shown[0].since)}` : "");
  }

  answered(view, found) {
    this.done.push(view.item.run.id);
    view.card.close();
    this.past.prepend(h("li", {}, view.name.textContent, " ", h("a", { href: found.url }, `A new run goes on: ${short(found.run)}`)));
    this.answeredModule.hidden = false;
    this.look();
  }

  async look() {
    clearTimeout(this.timer);
    try {
      if (!document.hidden) this.show(await ask(new URL(this.root.dataset.items, location.href)));
    } catch (error) {
      setText(this.total, error.message);
    }
    this.timer = setTimeout(() => this.look(), EVERY);
  }
}

const root = document.querySelector("#inbox");
new Inbox(root, JSON.parse(document.querySelector("#inbox-items").textContent), document.querySelector("#inbox-token input").value);
