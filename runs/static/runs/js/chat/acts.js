// What people do with an open thread, or with one that begins.

import { shorten } from "../parts/words.js";
import { textOf } from "../protocol/messages.js";
import { contentOf, partsOf } from "./files.js";

export class Acts {
  constructor(page) {
    this.page = page;
  }

  /** Send a message to the thread that is open, or begin one. Rejects if that could not be begun. */
  async send(message, strategy) {
    const { page } = this;
    const { visit } = page;
    await page.loaded;
    if (page.visit !== visit) throw new Error("Another thread was opened.");
    if (!page.assistant) throw new Error("There is no assistant to answer.");
    const options = { ...this.options(), strategy };
    const session = page.session ?? (await this.begun(message, visit));
    if (page.session === session) page.stage.log.toEnd();
    session.outbox.send(contentOf(message), options);
  }

  /** The thread that begins with a message: what is sent before it has begun goes to the same one. */
  begun(message, visit) {
    if (this.beginning?.visit !== visit) {
      const beginning = (this.beginning = { visit, session: this.begin(message, visit) });
      // One that failed is tried anew.
      beginning.session.catch(() => (beginning.visit = null));
    }
    return this.beginning.session;
  }

  /** Who answers, and with which settings. */
  options() {
    const { assistant, context } = this.page;
    return { assistant: assistant.assistant_id, context };
  }

  /** A thread for the first message, which names it until the graph does. */
  async begin(message, visit) {
    const { page } = this;
    const { assistant } = page;
    const id = crypto.randomUUID();
    const title = shorten(message.text || message.files[0]?.name || "", 80);
    const context = Object.keys(page.context).length ? { context: page.context } : {};
    const metadata = { graph_id: assistant.graph_id, assistant_id: assistant.assistant_id, title, ...context };
    const thread = await page.api.post("threads", { thread_id: id, metadata }, { key: id });
    if (page.visit !== visit) {
      // Whoever has gone elsewhere meanwhile stays there.
      page.list.note(thread);
      return page.aside(id);
    }
    page.go(id, { fresh: true });
    page.session.thread = thread;
    page.session.phase = "ready";
    page.list.note(thread);
    page.list.current = id;
    page.list.show();
    return page.session;
  }

  /** Do something; what went wrong is said at the composer. Returns whether it was done. */
  async attempt(act) {
    const { page } = this;
    try {
      page.composer.say("");
      await act();
      return true;
    } catch (error) {
      page.problem(error);
      return false;
    }
  }

  stop = () => this.attempt(() => this.page.session?.stop());
  remove = (queued) => this.attempt(() => this.page.session?.outbox.remove(queued));

  /** Say something else in a message's place, if it is still wanted then. Rejects if that cannot be sent, and then nothing has changed. */
  async edit({ message }, text, isWanted) {
    const { page } = this;
    const { outbox, versions } = page.session;
    const { files } = partsOf(message.order?.content ?? this.contentOfMessage(message.id));
    const content = contentOf({ text, files });
    if (message.state === "refused") outbox.change(message, content, page.composer.strategy);
    else await versions.edit(message.id, content, this.options(), isWanted);
    if (isWanted()) page.write();
  }

  retry = (message) => this.page.session.outbox.retry(message, this.page.composer.strategy);

  withdraw(message) {
    this.page.session.outbox.withdraw(message);
    this.page.write();
  }

  again(entry) {
    const { entries } = this.page.stage.log;
    const { id } = entries[entries.indexOf(entry) - 1].message;
    return this.attempt(() => this.page.session.versions.edit(id, this.contentOfMessage(id), this.options()));
  }

  contentOfMessage(id) {
    const { model, versions } = this.page.session;
    const found = (versions.view?.values ?? model.values).messages?.find((message) => message.id === id);
    return found?.content ?? "";
  }

  version(entry, step) {
    const { place, total, runs } = entry.versions;
    const next = place - 1 + step;
    if (next < 0 || next >= total) return;
    this.attempt(() => this.page.session.versions.show(runs[next].id));
  }

  editLast() {
    const { log } = this.page.stage;
    const last = log?.entries?.findLast(({ kind, editable }) => kind === "human" && editable);
    if (last) log.views.get(last.key)?.edit();
  }

  /** Ask for the settings of the assistant; they are kept with the thread. */
  settings() {
    const { page } = this;
    return this.attempt(async () => {
      const context = await page.assistants.askContext(page.assistant, page.context);
      if (!context) return;
      page.context = context;
      if (page.session) await page.session.patch({ context });
    });
  }
}
